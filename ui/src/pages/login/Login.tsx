// Signing in: the form, and beside it what everybody may see. It stands in the place of whatever page the address names.
import { useEffect, useRef, useState, type FormEvent } from "react";
import { messageOf } from "../../api/error";
import type { Me } from "../../api/types";
import icon from "../../icon.svg";
import { Button } from "../../kit/Button";
import { Field } from "../../kit/Field";
import { Player } from "../../player/Player";
import { signIn } from "../../session/session";
import { common } from "../../strings/en/common";
import { device } from "../../strings/en/device";
import { login as text } from "../../strings/en/login";
import "./login.css";

export function Login({ me, expired }: { me: Me; expired: boolean }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector("input")?.focus(), []);
  const enter = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn(name, password);
    } catch (failure) {
      setError(failure);
      setBusy(false);
      form.current?.querySelector<HTMLInputElement>('[name="password"]')?.select();
    }
  };
  return (
    <main className="entrance">
      <form ref={form} className="card door" onSubmit={(event) => void enter(event)}>
        <div className="door-brand"><img src={icon} width="40" height="40" alt="" /><span>{common.product}</span></div>
        <h1>{text.title}</h1>
        {expired && <p className="dim" role="status">{text.expired}</p>}
        <Field label={text.name} path="username" error={error} name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required value={name} onChange={(event) => setName(event.target.value)} />
        <Field label={text.password} path="password" error={error} name="password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
        {error !== null && <p className="door-fault" role="alert">{text.wrong(messageOf(error))}</p>}
        <Button kind="primary" type="submit" disabled={busy}>{text.enter}</Button>
      </form>
      {me.live.length > 0 && (
        <section className="door-open" aria-label={text.open}>
          {me.live.map((camera) => (
            <figure key={camera.id} className="card">
              <Player playlistUrl={camera.playlist_url} label={device.picture(camera.name)} ready why="" />
              <figcaption>{camera.name} <span className="dim">{camera.area}</span></figcaption>
            </figure>
          ))}
        </section>
      )}
    </main>
  );
}
