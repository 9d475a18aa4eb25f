// What of all incidents is shown; kept in the address.
import { navigate } from "../../app/router";
import type { Device } from "../../api/types";
import { incidents as text } from "../../strings/en/incidents";
import type { Filter } from "./list";

type Name = keyof Filter;

/** Replaces what the address says of these. */
export function setFilter(changes: Partial<Record<Name, string | null>>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const said = query.toString();
  navigate(location.pathname + (said === "" ? "" : `?${said}`), { replace: true });
}

export function Filters({ filter, devices }: { filter: Filter; devices: Device[] }) {
  const known = filter.device === null || devices.some((one) => one.id === filter.device);
  const choices = (name: Name, label: string, any: string, options: [string, string][]) => (
    <select className="select" name={name} aria-label={label} value={filter[name] ?? ""} onChange={(event) => setFilter({ [name]: event.target.value })}>
      <option value="">{any}</option>
      {options.map(([value, said]) => <option key={value} value={value}>{said}</option>)}
    </select>
  );
  const cameras = devices.map((one): [string, string] => [one.id, one.name]);
  return (
    <div className="incidents-filters" role="group" aria-label={text.filters}>
      {choices("device", text.device, text.anyDevice, known ? cameras : [...cameras, [filter.device ?? "", filter.device ?? ""]])}
      {choices("kind", text.kind, text.anyKind, Object.entries(text.kinds))}
      {choices("open", text.state, text.anyState, [["1", text.onlyOpen], ["0", text.onlyClosed]])}
      {choices("review", text.judged, text.anyReview, Object.entries(text.reviews))}
      {choices("span", text.start, text.anyTime, Object.entries(text.spans))}
      {filter.span === "own" && (
        <>
          <input className="input" type="datetime-local" aria-label={text.from} value={filter.from ?? ""} onChange={(event) => setFilter({ from: event.target.value })} />
          <input className="input" type="datetime-local" aria-label={text.to} value={filter.to ?? ""} onChange={(event) => setFilter({ to: event.target.value })} />
        </>
      )}
    </div>
  );
}
