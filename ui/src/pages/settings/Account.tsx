// Who sits here, and how the pages look to them.
import { setTheme, useTheme, type Theme } from "../../app/theme";
import { Button } from "../../kit/Button";
import { Select } from "../../kit/Field";
import { toastError } from "../../kit/Toast";
import { signOut, useSession } from "../../session/session";
import { common } from "../../strings/en/common";
import { settings as text } from "../../strings/en/settings";
import { ZONE } from "../../time/format";

export function Account() {
  const session = useSession();
  const theme = useTheme();
  const user = session.phase === "in" && session.me.auth ? session.me.user : null;
  return (
    <div className="settings-cards">
      <section className="card settings-card">
        <h2>{text.account}</h2>
        {user ? (
          <>
            <dl className="facts">
              <div><dt>{text.you}</dt><dd>{user.name}</dd></div>
              <div><dt>{text.role}</dt><dd>{user.role === null ? "–" : (text.roles[user.role] ?? user.role)}</dd></div>
            </dl>
            <Button icon="out" onClick={() => void signOut().catch(toastError)}>{text.signOut}</Button>
          </>
        ) : (
          <p className="dim">{text.noAuth}</p>
        )}
      </section>
      <section className="card settings-card">
        <h2>{text.appearance}</h2>
        <Select label={common.theme.title} value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
          <option value="system">{common.theme.system}</option>
          <option value="dark">{common.theme.dark}</option>
          <option value="light">{common.theme.light}</option>
        </Select>
        <p className="dim">{text.zone} {ZONE}</p>
      </section>
    </div>
  );
}
