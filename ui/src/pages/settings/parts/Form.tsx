// A form of flat fields: what is typed lives in a draft, what the daemon refuses stands at its field.
import { createContext, useContext, useEffect, useMemo, useRef, type FormEvent, type HTMLInputTypeAttribute, type InputHTMLAttributes, type ReactNode } from "react";
import { ApiError, messageOf } from "../../../api/error";
import { Field, Select } from "../../../kit/Field";
import type { Draft } from "../../../session/drafts";
import { placed, type Flat } from "./paths";

interface Context {
  value: Flat;
  set: (path: string, value: string | boolean) => void;
  error: unknown;
  disabled: boolean;
}

const FormContext = createContext<Context | null>(null);

function useForm(): Context {
  const context = useContext(FormContext);
  if (!context) throw new Error("a field outside of its form");
  return context;
}

interface Props {
  draft: Draft<Flat>;
  /** Of the last attempt. */
  error: unknown;
  /** The fields that are shown: what is wrong with others is told above the buttons. */
  fields: readonly string[];
  submit: () => void;
  disabled?: boolean;
  label: string;
  children: ReactNode;
}

export function Form({ draft, error, fields, submit, disabled = false, label, children }: Props) {
  const form = useRef<HTMLFormElement>(null);
  const shown = useMemo(() => placed(error, fields), [error, fields]);
  const { value, set } = draft;
  useEffect(() => {
    // The field at fault may be far from the button.
    if (shown instanceof ApiError && shown.path !== null) form.current?.querySelector<HTMLElement>("[aria-invalid='true']")?.focus();
  }, [shown]);
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    submit();
  };
  return (
    <FormContext.Provider value={{ value, error: shown, disabled, set: (path, next) => set({ ...value, [path]: next }) }}>
      <form ref={form} className="settings-form" aria-label={label} noValidate onSubmit={onSubmit}>{children}</form>
    </FormContext.Provider>
  );
}

/** What went wrong and is of no field. Keeps its place at the end of the form. */
export function Elsewhere() {
  const { error } = useForm();
  if (error === null || error === undefined || (error instanceof ApiError && error.path !== null)) return null;
  return <p className="notice bad" role="alert">{messageOf(error)}</p>;
}

interface TextProps extends Pick<InputHTMLAttributes<HTMLInputElement>, "placeholder" | "autoComplete" | "list" | "inputMode" | "spellCheck"> {
  path: string;
  label: string;
  hint?: string;
  type?: HTMLInputTypeAttribute;
}

export function TextField({ path, label, hint, type = "text", ...rest }: TextProps) {
  const form = useForm();
  return (
    <Field
      {...rest}
      {...(hint === undefined ? {} : { hint })}
      label={label}
      path={path}
      name={path}
      type={type}
      error={form.error}
      disabled={form.disabled}
      value={String(form.value[path] ?? "")}
      onChange={(event) => form.set(path, event.target.value)}
    />
  );
}

export interface Choice {
  value: string;
  label: string;
}

export function ChoiceField({ path, label, hint, choices }: { path: string; label: string; hint?: string; choices: readonly Choice[] }) {
  const form = useForm();
  return (
    <Select
      {...(hint === undefined ? {} : { hint })}
      label={label}
      path={path}
      name={path}
      error={form.error}
      disabled={form.disabled}
      value={String(form.value[path] ?? "")}
      onChange={(event) => form.set(path, event.target.value)}
    >
      {choices.map((one) => <option key={one.value} value={one.value}>{one.label}</option>)}
    </Select>
  );
}

export function FlagField({ path, label, hint }: { path: string; label: string; hint?: string }) {
  const form = useForm();
  return (
    <label className="flag">
      <input type="checkbox" name={path} disabled={form.disabled} checked={form.value[path] === true} onChange={(event) => form.set(path, event.target.checked)} />
      <span>{label}{hint !== undefined && <span className="hint">{hint}</span>}</span>
    </label>
  );
}

/** Fields that belong together. */
export function Group({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <fieldset className="settings-group">
      <legend>{title}</legend>
      {hint !== undefined && <p className="dim">{hint}</p>}
      <div className="settings-fields">{children}</div>
    </fieldset>
  );
}
