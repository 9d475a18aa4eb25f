// Who sits here and what they may. The daemon decides; this hides what it would refuse.
import { useSyncExternalStore } from "react";
import { ask, setCsrf, whenUnauthorized } from "../api/client";
import { messageOf } from "../api/error";
import type { Me } from "../api/types";
import { listen, stopListening } from "../events/hub";
import { queries } from "../store/queries";
import { forget, keepFor, rememberPlace, whenFree } from "./drafts";

export type Role = "viewer" | "operator" | "admin";

export type Session =
  | { phase: "asking"; why: string | null }
  | { phase: "out"; me: Me; why: Ended | null }
  | { phase: "in"; me: Me };

/** Why somebody who sat here no longer does: the session ran out, or another tab signed out. */
export type Ended = "expired" | "elsewhere";

/** What tabs tell each other of the session that they share. */
type Told = "out" | "changed";

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };
const RETRY_MS = 2000;

let session: Session = { phase: "asking", why: null };
const listeners = new Set<() => void>();

function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}

let tabs: BroadcastChannel | null = null;

/** Asks until there is an answer: the daemon may only just start. */
export async function begin(): Promise<void> {
  whenUnauthorized(() => void look("expired").catch(() => undefined));
  if (typeof BroadcastChannel !== "undefined") {
    tabs = new BroadcastChannel("capstan.session");
    tabs.onmessage = ({ data }: MessageEvent<Told>) => void look(data === "out" ? "elsewhere" : "expired").catch(() => undefined);
  }
  for (;;) {
    try {
      return await look(null);
    } catch (error) {
      become({ phase: "asking", why: messageOf(error) });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

let looking: Promise<void> | null = null;

/** `why` nobody is here, should that be so. The address stays, and what was typed, so that they go on where they were. */
function look(why: Ended | null): Promise<void> {
  looking ??= (async () => {
    try {
      const me = await ask("GET /api/auth/me");
      setCsrf(me.csrf_token ?? "");
      if (!me.auth || me.user) {
        keepFor(me.user?.name ?? "");
        become({ phase: "in", me });
        listen();
      } else leave(me, session.phase === "in" ? why : session.phase === "out" ? session.why : null);
    } finally {
      looking = null;
    }
  })();
  return looking;
}

function leave(me: Me, why: Ended | null): void {
  rememberPlace();
  become({ phase: "out", me, why });
  stopListening();
  queries.clear();
}

export async function signIn(username: string, password: string): Promise<void> {
  const login = await ask("POST /api/auth/login", { body: { username, password } });
  setCsrf(login.csrf_token ?? "");
  await look(null);
  tabs?.postMessage("changed" satisfies Told);
}

/** Asks before what was typed and not saved is lost. */
export function signOut(): Promise<void> {
  return new Promise((done, failed) => whenFree(() => void reallySignOut().then(done, failed)));
}

async function reallySignOut(): Promise<void> {
  if (session.phase !== "in") return;
  // Before the session ends: what still asks would only be refused.
  leave({ ...session.me, user: null, live: [] }, null);
  forget();
  try {
    await ask("POST /api/auth/logout", { body: {} as never });
  } finally {
    tabs?.postMessage("out" satisfies Told);
    await look(null);
  }
}

/** All sessions of this user end, and another begins here. */
export async function changePassword(password: string, next: string): Promise<void> {
  const login = await ask("POST /api/auth/password", { body: { password, new_password: next } });
  setCsrf(login.csrf_token ?? "");
  await look(null);
  tabs?.postMessage("changed" satisfies Told);
}

/** Where nobody has to sign in, everybody may everything. */
export function allows(me: Pick<Me, "auth" | "user">, role: Role): boolean {
  if (!me.auth) return true;
  const own = me.user?.role as Role | undefined;
  return own !== undefined && RANK[own] >= RANK[role];
}

/** `const can = useCan(); … {can("operator") && <Button …>}` */
export function useCan(): (role: Role) => boolean {
  const now = useSession();
  return (role) => now.phase === "in" && allows(now.me, role);
}
