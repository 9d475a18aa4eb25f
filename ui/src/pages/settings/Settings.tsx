// The settings, one section at a time, each with an address of its own.
import { lazy, Suspense } from "react";
import { Link } from "../../app/router";
import { EmptyState, Spinner } from "../../kit/States";
import { useCan } from "../../session/session";
import { common } from "../../strings/en/common";
import { settings as text } from "../../strings/en/settings";
import { SECTIONS } from "./sections";
import "./settings.css";

const COMPONENTS = new Map(SECTIONS.map((section) => [section.key, lazy(section.load)]));

export function Settings({ section }: { section?: string }) {
  const can = useCan();
  const sections = SECTIONS.filter(({ role }) => role === undefined || can(role));
  const chosen = sections.find(({ key }) => key === (section ?? sections[0]?.key));
  const Component = chosen && COMPONENTS.get(chosen.key);
  return (
    <>
      <header className="page-head"><h1>{text.title}</h1></header>
      <nav className="tabs settings-sections" aria-label={text.sections}>
        {sections.map(({ key, title }) => (
          <Link key={key} to={`/settings/${key}`} aria-current={key === chosen?.key ? "page" : undefined}>{title}</Link>
        ))}
      </nav>
      <Suspense fallback={<Spinner />}>
        {Component ? <Component /> : <EmptyState icon="search" title={common.noSuchPage} />}
      </Suspense>
    </>
  );
}
