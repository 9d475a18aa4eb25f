// The pictures that prove an incident: small in the list, large in a dialog that leads from one incident to the next.
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { Link } from "../../app/router";
import type { Incident } from "../../api/types";
import { Button } from "../../kit/Button";
import { Dialog } from "../../kit/Dialog";
import { incidents as text } from "../../strings/en/incidents";
import { duration, fullTime } from "../../time/format";
import { lasted, shotOf } from "./list";

/** Its worst and last picture are replaced when it comes back: another address, then, for the browser. */
const src = (one: Incident, url: string) => (one.end === null ? url : `${url}?${Date.parse(one.end)}`);

export function Thumbnails({ one, what, enlarge }: { one: Incident; what: string; enlarge: () => void }) {
  if (one.evidence.length === 0) return null;
  return (
    <button type="button" className="evidence-small" tabIndex={-1} aria-label={text.enlarge(what)} title={text.enlarge(what)} onClick={enlarge}>
      {one.evidence.map((url) => <Small key={src(one, url)} src={src(one, url)} />)}
    </button>
  );
}

function Small({ src }: { src: string }) {
  const [gone, setGone] = useState(false);
  return gone ? <span className="evidence-gone" aria-hidden="true" /> : <img src={src} alt="" width={72} height={40} loading="lazy" decoding="async" onError={() => setGone(true)} />;
}

interface Props {
  one: Incident;
  name: string;
  what: string;
  path: string;
  now: number;
  /** To the next incident, or the one before. */
  step: (by: number) => void;
  close: () => void;
}

export function EvidenceDialog({ one, name, what, path, now, step, close }: Props) {
  const place = useRef<HTMLDivElement>(null);
  // The keys are heard here, not at the dialog's own button.
  useEffect(() => place.current?.focus(), []);
  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowDown: 1, j: 1, ArrowLeft: -1, ArrowUp: -1, k: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(by);
  };
  return (
    <Dialog wide title={`${text.kinds[one.kind] ?? one.kind} · ${name}`} close={close}>
      <div ref={place} className="evidence" tabIndex={-1} onKeyDown={onKey} data-incident={one.id}>
        <p className="dim">
          {fullTime(new Date(one.start))} · {duration(lasted(one, now))} · {text.severities[one.severity] ?? one.severity} · {one.state === "open" ? text.open : text.closed}
        </p>
        <div className="evidence-large">
          {one.evidence.map((url) => <Large key={src(one, url)} src={src(one, url)} shot={text.shots[shotOf(url)] ?? ""} what={what} />)}
          {one.evidence.length === 0 && <p className="dim">{text.noPicture}</p>}
        </div>
        {one.comment !== "" && <p className="evidence-comment">{one.comment}</p>}
        <div className="dialog-actions">
          <Button icon="back" onClick={() => step(-1)}>{text.before}</Button>
          <Button icon="next" onClick={() => step(1)}>{text.after}</Button>
          <Link className="button primary" to={path}>{text.goThere}</Link>
        </div>
      </div>
    </Dialog>
  );
}

function Large({ src, shot, what }: { src: string; shot: string; what: string }) {
  const [gone, setGone] = useState(false);
  return (
    <figure>
      {gone ? <div className="evidence-gone">{text.pictureGone}</div> : <img src={src} alt={text.picture(shot, what)} onError={() => setGone(true)} />}
      <figcaption className="dim">{shot}</figcaption>
    </figure>
  );
}
