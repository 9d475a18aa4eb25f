// Who may sign in.
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../../api/client";
import { Link, navigate } from "../../../app/router";
import { Button } from "../../../kit/Button";
import { ErrorState, Skeleton } from "../../../kit/States";
import { useKeys } from "../../../keys/keys";
import { useSession } from "../../../session/session";
import { settings } from "../../../strings/en/settings";
import { host } from "../../../strings/en/settings_host";
import { time } from "../../../time/format";
import { UserPage } from "./UserPage";

const text = host.users;

export const USERS = ["users"];
export const userPath = (name: string) => `/settings/users/${name === "+" ? name : encodeURIComponent(name)}`;

export function useUsers() {
  return useQuery({ queryKey: USERS, queryFn: ({ signal }) => ask("GET /api/users", { signal }) });
}

export function Users({ item }: { item?: string }) {
  return item === undefined ? <UserList /> : <UserPage key={item} name={item} />;
}

function UserList() {
  const { data, error, refetch } = useUsers();
  const session = useSession();
  const own = session.phase === "in" ? session.me.user?.name : undefined;
  useKeys(settings.users, [{ keys: "n", label: text.keyAdd, run: () => navigate(userPath("+")) }]);
  return (
    <section>
      <header className="section-head">
        <h2>{settings.users}</h2>
        <span className="spacer" />
        <Button kind="primary" icon="add" data-act="add-user" onClick={() => navigate(userPath("+"))}>{text.add}</Button>
      </header>
      {session.phase === "in" && !session.me.auth && <p className="notice">{settings.noAuth} {settings.noAuthHint}</p>}
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && (
        <ul className="rows" aria-label={text.list}>
          {data.users.map((user) => (
            <li key={user.name} className="row user-row" data-user={user.name}>
              <div className="row-main">
                <Link to={userPath(user.name)} className="row-name">{user.name}</Link>
                {user.name === own && <span className="row-more">{text.you}</span>}
              </div>
              <div className="row-fact"><span className="row-key">{text.role}</span>{settings.roles[user.role] ?? user.role}</div>
              <div className="row-fact grow"><span className="row-key">{text.rights}</span>{[...user.areas, ...user.cameras].join(", ") || text.all}</div>
              <div className="row-fact"><span className="row-key">{text.changed}</span>{time(user.changed)}</div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
