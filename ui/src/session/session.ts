// Who sits here and what they may. The daemon decides; this hides what it would refuse.
import { useSyncExternalStore } from "react";
import { ask, setCsrf, whenUnauthorized } from "../api/client";
import { messageOf } from "../api/error";
import type { Me } from "../api/types";
import { listen, stopListening } from "../events/hub";
import { queries } from "../store/queries";

export type Role = "viewer" | "operator" | "admin";

export type Session =
  | { phase: "asking"; why: string | null }
  | { phase: "out"; me: Me; expired: boolean }
  | { phase: "in"; me: Me };

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

/** Asks until there is an answer: the daemon may only just start. */
export async function begin(): Promise<void> {
  whenUnauthorized(() => void look(true).catch(() => undefined));
  for (;;) {
    try {
      return await look(false);
    } catch (error) {
      become({ phase: "asking", why: messageOf(error) });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

let looking: Promise<void> | null = null;

/** `expired`: whoever sat here was told that they no longer do. The address stays, so that they go on where they were. */
function look(expired: boolean): Promise<void> {
  looking ??= (async () => {
    try {
      const me = await ask("GET /api/auth/me");
      setCsrf(me.csrf_token ?? "");
      if (!me.auth || me.user) {
        become({ phase: "in", me });
        listen();
      } else leave(me, expired && session.phase === "in");
    } finally {
      looking = null;
    }
  })();
  return looking;
}

function leave(me: Me, expired: boolean): void {
  become({ phase: "out", me, expired });
  stopListening();
  queries.clear();
}

export async function signIn(username: string, password: string): Promise<void> {
  const login = await ask("POST /api/auth/login", { body: { username, password } });
  setCsrf(login.csrf_token ?? "");
  await look(false);
}

export async function signOut(): Promise<void> {
  if (session.phase !== "in") return;
  // Before the session ends: what still asks would only be refused.
  leave({ ...session.me, user: null, live: [] }, false);
  try {
    await ask("POST /api/auth/logout", { body: {} as never });
  } finally {
    await look(false);
  }
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
