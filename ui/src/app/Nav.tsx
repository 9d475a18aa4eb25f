// The rail at the side, icons alone where it is narrow, and a bar at the bottom of a phone.
import { IconButton } from "../kit/Button";
import { Icon } from "../kit/Icon";
import { signOut, useSession } from "../session/session";
import { toastError } from "../kit/Toast";
import { common } from "../strings/en/common";
import icon from "../icon.svg";
import type { Nav as Entry } from "./pages";
import { Link, usePath } from "./router";
import { isLight, setTheme, useTheme } from "./theme";

export function Nav({ pages, showKeys }: { pages: { nav: Entry }[]; showKeys: () => void }) {
  const path = usePath();
  const session = useSession();
  useTheme();
  const user = session.phase === "in" ? session.me.user : null;
  const isSignedIn = session.phase === "in" && session.me.auth && user !== null;
  const isHere = ({ to }: Entry) => (to === "/" ? path === "/" || path.startsWith("/device/") : path.startsWith(to));
  return (
    <nav className="nav" aria-label={common.navigation}>
      <Link to="/" className="brand">
        <img src={icon} width="28" height="28" alt="" />
        <span>{common.product}</span>
      </Link>
      <ul className="nav-pages">
        {pages.map(({ nav }) => (
          <li key={nav.to}>
            <Link to={nav.to} aria-current={isHere(nav) ? "page" : undefined} title={nav.label}>
              <Icon name={nav.icon} />
              <span>{nav.label}</span>
            </Link>
          </li>
        ))}
      </ul>
      <div className="nav-foot">
        <IconButton icon={isLight() ? "moon" : "sun"} label={common.theme.turn} onClick={() => setTheme(isLight() ? "dark" : "light")} />
        <IconButton icon="keyboard" label={common.shortcuts} onClick={showKeys} className="nav-keys" />
        {isSignedIn && user && <IconButton icon="out" label={common.signOut(user.name)} data-act="sign-out" onClick={() => void signOut().catch(toastError)} />}
      </div>
    </nav>
  );
}
