// A labelled control with its hint, and the daemon's message when it refused this very field (`path` of the error).
import { useId, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes } from "react";
import { ApiError } from "../api/error";

interface Common {
  label: string;
  hint?: string;
  /** As the daemon names the field: `source.url`. */
  path?: string;
  /** What the last attempt to save came to. */
  error?: unknown;
}

/** The message for that field; null when the error is none of its business. */
export function faultAt(error: unknown, path: string | undefined): string | null {
  return error instanceof ApiError && error.path !== null && error.path === path ? error.message : null;
}

/** Whether the error must be told elsewhere, since no field of the form is at fault. */
export function isElsewhere(error: unknown, paths: string[]): boolean {
  return error !== null && error !== undefined && !(error instanceof ApiError && error.path !== null && paths.includes(error.path));
}

interface Control {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
}

function Frame({ label, hint, path, error, children }: Common & { children: (control: Control) => ReactNode }) {
  const id = useId();
  const fault = faultAt(error, path);
  const described = [hint !== undefined && `${id}-hint`, fault !== null && `${id}-fault`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-invalid": fault !== null, "aria-describedby": described === "" ? undefined : described })}
      {hint !== undefined && <span className="hint" id={`${id}-hint`}>{hint}</span>}
      {fault !== null && <span className="fault" id={`${id}-fault`} role="alert">{fault}</span>}
    </div>
  );
}

export function Field({ label, hint, path, error, ...rest }: Common & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <Frame {...{ label, error }} {...(hint === undefined ? {} : { hint })} {...(path === undefined ? {} : { path })}>
      {(control) => <input className="input" {...rest} {...control} />}
    </Frame>
  );
}

export function Select({ label, hint, path, error, children, ...rest }: Common & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <Frame {...{ label, error }} {...(hint === undefined ? {} : { hint })} {...(path === undefined ? {} : { path })}>
      {(control) => <select className="select" {...rest} {...control}>{children}</select>}
    </Frame>
  );
}
