// What stands where data would: on its way, not there, or failed.
import type { ReactNode } from "react";
import { messageOf } from "../api/error";
import { common } from "../strings/en/common";
import { Button } from "./Button";
import { Icon, type IconName } from "./Icon";

export function Spinner({ label = common.loading }: { label?: string }) {
  return <span className="spinner" role="status" aria-label={label} />;
}

/** Keeps the place of what comes: `className` gives it its size. */
export function Skeleton({ className = "" }: { className?: string }) {
  return <div className={`skeleton ${className}`} aria-hidden="true" />;
}

/** `isPage`: nothing else is there to name the page. */
export function EmptyState({ icon, title, isPage = false, children }: { icon: IconName; title: string; isPage?: boolean; children?: ReactNode }) {
  return (
    <div className="empty">
      <Icon name={icon} />
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

export function ErrorState({ title = common.somethingWrong, error, again }: { title?: string; error: unknown; again?: () => void }) {
  return (
    <div className="fault-state" role="alert">
      <Icon name="incidents" />
      <h2>{title}</h2>
      <p>{messageOf(error)}</p>
      {again && <Button onClick={again}>{common.tryAgain}</Button>}
    </div>
  );
}
