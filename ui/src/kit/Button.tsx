// Buttons. An IconButton has no text, so its label is needed and shown as its tooltip.
import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "./Icon";

type Kind = "plain" | "primary" | "danger" | "quiet";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: Kind;
  icon?: IconName;
}

export function Button({ kind = "plain", icon, className = "", children, ...rest }: Props) {
  return (
    <button type="button" {...rest} className={`button ${kind} ${className}`}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function IconButton({ icon, label, className = "", ...rest }: Props & { icon: IconName; label: string }) {
  return <Button kind="quiet" {...rest} icon={icon} className={`icon-only ${className}`} aria-label={label} title={label} />;
}
