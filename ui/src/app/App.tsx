// The frame of all pages: who is here, the navigation, whether the daemon answers, and the page of the address.
import { Suspense, useEffect, useState } from "react";
import { Spinner } from "../kit/States";
import { EmptyState } from "../kit/States";
import { Toasts } from "../kit/Toast";
import { KeyList } from "../keys/KeyList";
import { useKeys } from "../keys/keys";
import { useCan, useSession } from "../session/session";
import { useIsAway, useStateEvents } from "../store/state";
import { common } from "../strings/en/common";
import icon from "../icon.svg";
import { Login } from "../pages/login/Login";
import { match } from "./match";
import { Fallible } from "./Fallible";
import { Nav } from "./Nav";
import { NAV, PAGES } from "./pages";
import { Link, navigate, usePath } from "./router";
import "./app.css";

export function App() {
  const session = useSession();
  if (session.phase === "asking") return <Waiting why={session.why} />;
  return (
    <>
      {session.phase === "out" ? <Login me={session.me} why={session.why} /> : <Inside />}
      <Toasts />
    </>
  );
}

/** As in index.html, which shows it before this runs. */
function Waiting({ why }: { why: string | null }) {
  return (
    <main className="waiting">
      <p className="splash"><img src={icon} width="36" height="36" alt="" />{common.product}</p>
      <Spinner />
      {why !== null && <p role="status">{why} {common.tryingAgain}</p>}
    </main>
  );
}

function Inside() {
  const path = usePath();
  const can = useCan();
  const [keys, setKeys] = useState(false);
  useStateEvents();
  const isAway = useIsAway();
  const reachable = NAV.filter((page) => page.role === undefined || can(page.role));
  useKeys(common.everywhere, [
    { keys: "?", label: common.shortcuts, run: () => setKeys(true) },
    ...reachable.map(({ nav }) => ({ keys: `g ${nav.key}`, label: common.goTo(nav.label), run: () => navigate(nav.to) })),
  ]);
  useEffect(() => {
    // Whoever signed in at /login, or kept it as a bookmark.
    if (path === "/login") navigate("/", { replace: true });
  }, [path]);
  return (
    <div className="app">
      <a className="skip" href="#content">{common.skip}</a>
      <Nav pages={reachable} showKeys={() => setKeys(true)} />
      <main id="content" className={isAway ? "content away" : "content"} tabIndex={-1}>
        {isAway && <p className="away-note" role="status">{common.daemonAway} {common.tryingAgain}</p>}
        <Fallible place={path}>
          <Suspense fallback={<div className="waiting"><Spinner /></div>}>
            <Found path={path} />
          </Suspense>
        </Fallible>
      </main>
      {keys && <KeyList close={() => setKeys(false)} />}
    </div>
  );
}

function Found({ path }: { path: string }) {
  for (const { path: pattern, Component } of PAGES) {
    const params = match(pattern, path);
    // Another device is another page: nothing of the one before stays.
    if (params) return <Component key={path} {...params} />;
  }
  return (
    <EmptyState icon="search" title={common.noSuchPage} isPage>
      <Link to="/">{common.toWall}</Link>
    </EmptyState>
  );
}
