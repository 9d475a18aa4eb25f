// Who sits here, their password, and how the pages look to them.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { setTheme, useTheme, type Theme } from "../../app/theme";
import { ApiError, messageOf } from "../../api/error";
import { Button } from "../../kit/Button";
import { Field, isElsewhere, Select } from "../../kit/Field";
import { toast, toastError } from "../../kit/Toast";
import { changePassword, signOut, useSession } from "../../session/session";
import { common } from "../../strings/en/common";
import { login } from "../../strings/en/login";
import { settings as text } from "../../strings/en/settings";
import { ZONE } from "../../time/format";
import { useCountdown } from "../login/countdown";

export function Account() {
  const session = useSession();
  const theme = useTheme();
  const user = session.phase === "in" && session.me.auth ? session.me.user : null;
  const seen = user ? [...user.areas, ...user.cameras] : [];
  return (
    <section>
      <header className="section-head"><h2>{text.account}</h2></header>
      <div className="settings-cards">
        <section className="card settings-card">
          {user ? (
            <>
              <dl className="pairs">
                <div><dt>{text.you}</dt><dd>{user.name}</dd></div>
                <div><dt>{text.role}</dt><dd>{user.role === null ? "–" : (text.roles[user.role] ?? user.role)}{user.role !== null && <span className="row-more">{text.rolesMay[user.role]}</span>}</dd></div>
                <div><dt>{text.sees}</dt><dd>{seen.length === 0 ? text.seesAll : seen.join(", ")}</dd></div>
              </dl>
              <Button icon="out" onClick={() => void signOut().catch(toastError)}>{text.signOut}</Button>
            </>
          ) : (
            <>
              <p>{text.noAuth}</p>
              <p className="dim">{text.noAuthHint}</p>
            </>
          )}
        </section>
        <section className="card settings-card">
          <h3>{text.appearance}</h3>
          <Select label={common.theme.title} value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
            <option value="system">{common.theme.system}</option>
            <option value="dark">{common.theme.dark}</option>
            <option value="light">{common.theme.light}</option>
          </Select>
          <p className="dim">{text.zone} {ZONE}</p>
        </section>
        {user && <Password name={user.name} />}
      </div>
    </section>
  );
}

const EMPTY = { now: "", next: "", again: "" };

function Password({ name }: { name: string }) {
  const [typed, setTyped] = useState(EMPTY);
  const [seconds, wait] = useCountdown();
  const change = useMutation({
    mutationFn: async () => {
      if (typed.next !== typed.again) throw new ApiError("invalid", text.passwordDiffers, 0, "again");
      await changePassword(typed.now, typed.next);
    },
    onSuccess: () => {
      setTyped(EMPTY);
      toast(text.passwordChanged);
    },
    onError: (error) => error instanceof ApiError && error.kind === "too_many" && wait(error.retryAfter ?? 1),
  });
  const field = (key: keyof typeof EMPTY) => ({ type: "password", required: true, name: `password-${key}`, maxLength: 512, value: typed[key], onChange: (event: { target: { value: string } }) => setTyped({ ...typed, [key]: event.target.value }) });
  const isThrottled = change.error instanceof ApiError && change.error.kind === "too_many";
  return (
    <form
      className="card settings-card"
      aria-label={text.passwordChange}
      onSubmit={(event) => {
        event.preventDefault();
        if (seconds === 0) change.mutate();
      }}
    >
      <h3>{text.password}</h3>
      <input type="hidden" name="username" autoComplete="username" value={name} readOnly />
      <Field label={text.passwordNow} path="password" error={change.error} autoComplete="current-password" {...field("now")} />
      <Field label={text.passwordNew} path="new_password" error={change.error} hint={text.passwordHint} autoComplete="new-password" {...field("next")} />
      <Field label={text.passwordAgain} path="again" error={change.error} autoComplete="new-password" {...field("again")} />
      {isThrottled && <p className="notice bad" role="alert">{seconds > 0 ? login.wait(seconds) : login.again}</p>}
      {!isThrottled && isElsewhere(change.error, ["password", "new_password", "again"]) && <p className="notice bad" role="alert">{messageOf(change.error)}</p>}
      <Button kind="primary" type="submit" disabled={change.isPending || seconds > 0}>{text.passwordChange}</Button>
    </form>
  );
}
