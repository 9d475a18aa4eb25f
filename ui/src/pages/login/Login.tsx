// Signing in: the form, and beside it what everybody may see. It stands in the place of whatever page the address names.
import { useEffect, useRef, useState, type FormEvent } from "react";
import { ApiError, messageOf } from "../../api/error";
import type { Me } from "../../api/types";
import icon from "../../icon.svg";
import { Button, IconButton } from "../../kit/Button";
import { Field } from "../../kit/Field";
import { hasDrafts } from "../../session/drafts";
import { signIn, type Ended } from "../../session/session";
import { common } from "../../strings/en/common";
import { login as text } from "../../strings/en/login";
import { Open } from "./Open";
import { useCountdown } from "./countdown";
import "./login.css";

const LOG = "journalctl -u capstan | grep 'admin password'";
const RESET = "sudo capstan user passwd admin";

export function Login({ me, why }: { me: Me; why: Ended | null }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [isShown, show] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [seconds, wait] = useCountdown();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector("input")?.focus(), []);
  const isThrottled = error instanceof ApiError && error.kind === "too_many";
  const enter = async (event: FormEvent) => {
    event.preventDefault();
    if (busy || seconds > 0) return;
    setBusy(true);
    setError(null);
    try {
      await signIn(name, password);
    } catch (failure) {
      setError(failure);
      setBusy(false);
      if (failure instanceof ApiError && failure.kind === "too_many") wait(failure.retryAfter ?? 1);
      form.current?.querySelector<HTMLInputElement>('[name="password"]')?.select();
    }
  };
  return (
    <main className={me.live.length > 0 ? "entrance with-open" : "entrance"}>
      <div className="door-side">
        <form ref={form} className="door" aria-labelledby="door-title" onSubmit={(event) => void enter(event)}>
          <div className="door-brand"><img src={icon} width="36" height="36" alt="" /><span>{common.product}</span></div>
          <h1 id="door-title">{text.title}</h1>
          {why && <p className="door-note" role="status">{text.why[why]}{hasDrafts() && ` ${text.kept}`}</p>}
          <Field label={text.name} path="username" error={error} name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required maxLength={512} value={name} onChange={(event) => setName(event.target.value)} />
          <div className="door-password">
            <Field label={text.password} path="password" error={error} name="password" type={isShown ? "text" : "password"} autoComplete="current-password" autoCapitalize="none" spellCheck={false} required maxLength={512} value={password} onChange={(event) => setPassword(event.target.value)} />
            <IconButton icon={isShown ? "eyeOff" : "eye"} label={isShown ? text.hide : text.show} aria-pressed={isShown} onClick={() => show(!isShown)} />
          </div>
          <p className="door-fault" role="alert" hidden={error === null}>
            {error !== null && !isThrottled && text.wrong(messageOf(error))}
            {isThrottled && (seconds > 0 ? text.wait(seconds) : text.again)}
          </p>
          <Button kind="primary" type="submit" disabled={busy || seconds > 0}>{busy ? text.entering : text.enter}</Button>
          <details className="door-help">
            <summary>{text.firstTime}</summary>
            <p>{text.firstStart}</p>
            <code>{LOG}</code>
            <p>{text.lost}</p>
            <code>{RESET}</code>
          </details>
        </form>
      </div>
      {me.live.length > 0 && <Open cameras={me.live} />}
    </main>
  );
}
