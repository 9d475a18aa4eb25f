// The settings, one section at a time, each with an address of its own.
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { Link, navigate } from "../../app/router";
import { Icon } from "../../kit/Icon";
import { EmptyState, Skeleton } from "../../kit/States";
import { useKeys } from "../../keys/keys";
import { useAsking } from "../../session/drafts";
import { useCan } from "../../session/session";
import { common } from "../../strings/en/common";
import { settings as text } from "../../strings/en/settings";
import { Confirm } from "./parts/Confirm";
import { SECTIONS } from "./sections";
import "./settings.css";

const COMPONENTS = new Map(SECTIONS.map((section) => [section.key, lazy(section.load)]));

export function Settings({ section, item }: { section?: string; item?: string }) {
  const can = useCan();
  const [leaving, setLeaving] = useState<{ go: () => void } | null>(null);
  useAsking((go) => setLeaving({ go }));
  const sections = SECTIONS.filter(({ role }) => role === undefined || can(role));
  const chosen = sections.find(({ key }) => key === (section ?? sections[0]?.key));
  const at = chosen ? sections.indexOf(chosen) : -1;
  const step = (by: number) => {
    const next = sections[(at + by + sections.length) % sections.length];
    if (next) navigate(`/settings/${next.key}`);
  };
  useKeys(text.title, [
    { keys: "]", label: text.keyNext, run: () => step(1) },
    { keys: "[", label: text.keyBefore, run: () => step(-1) },
  ]);
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone they are a row, wider than the screen.
    const here = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (here && list.current) list.current.scrollLeft = here.offsetLeft - (list.current.clientWidth - here.offsetWidth) / 2;
  }, [chosen?.key]);
  const Component = chosen && COMPONENTS.get(chosen.key);
  const isHidden = SECTIONS.some(({ key }) => key === section) && !chosen;
  return (
    <>
      <header className="page-head"><h1>{text.title}</h1></header>
      <div className="settings">
        {sections.length > 1 && (
          <nav ref={list} className="settings-sections" aria-label={text.sections}>
            {sections.map(({ key, title, icon }) => (
              <Link key={key} to={`/settings/${key}`} aria-current={key === chosen?.key ? "page" : undefined}>
                <Icon name={icon} />
                {title}
              </Link>
            ))}
          </nav>
        )}
        <div className="settings-body">
          <Suspense fallback={<Skeleton className="settings-wait" />}>
            {Component && <Component {...(item === undefined ? {} : { item })} />}
          </Suspense>
          {!Component && (
            <EmptyState icon={isHidden ? "settings" : "search"} title={isHidden ? text.notYours : common.noSuchPage}>
              {isHidden && <p>{text.notYoursHint}</p>}
              <Link to="/settings">{text.toSettings}</Link>
            </EmptyState>
          )}
        </div>
      </div>
      {leaving && (
        <Confirm
          title={text.leaveTitle}
          act={text.leave}
          cancel={text.stay}
          close={() => setLeaving(null)}
          run={() => {
            setLeaving(null);
            leaving.go();
          }}
        >
          <p>{text.leaveHint}</p>
        </Confirm>
      )}
    </>
  );
}
