// The fields of each kind of source.
import { cameras as text } from "../../../strings/en/settings_cameras";
import { ChoiceField, FlagField, TextField } from "../parts/Form";
import { PATTERNS, type Kind } from "./form";

const label = (path: string) => text.fields[path] ?? path;

function Line({ path, hint = path, ...rest }: { path: string; hint?: string; inputMode?: "url" | "decimal" }) {
  const said = text.hints[hint];
  return <TextField path={path} label={label(path)} {...(said === undefined ? {} : { hint: said })} spellCheck={false} autoComplete="off" {...rest} />;
}

/** `isStored`: the daemon has a password for it, which it does not show. */
export function SourceFields({ kind, isStored }: { kind: Kind; isStored: boolean }) {
  switch (kind) {
    case "rtsp":
    case "http":
      return (
        <>
          <div className="wide"><Line path="source.url" hint={isStored ? "password" : `source.url.${kind}`} inputMode="url" /></div>
          {kind === "rtsp" && <ChoiceField path="source.transport" label={label("source.transport")} choices={[{ value: "tcp", label: "TCP" }, { value: "udp", label: "UDP" }]} />}
        </>
      );
    case "v4l2":
      return (
        <>
          <Line path="source.path" hint="source.path.v4l2" />
          <Line path="source.format" />
          <Line path="source.size" />
          <Line path="source.audio" />
        </>
      );
    case "file":
      return (
        <>
          <div className="wide"><Line path="source.path" hint="source.path.file" /></div>
          <FlagField path="source.loop" label={label("source.loop")} />
        </>
      );
    case "screen":
      return (
        <>
          <Line path="source.display" />
          <Line path="source.size" />
        </>
      );
    case "test":
      return (
        <>
          <ChoiceField path="source.pattern" label={label("source.pattern")} choices={PATTERNS.map((one) => ({ value: one, label: one }))} />
          <Line path="source.tone" inputMode="decimal" />
          <Line path="source.black" />
          <Line path="source.freeze" hint="source.black" />
          <Line path="source.silence" hint="source.black" />
          <Line path="source.period" inputMode="decimal" />
        </>
      );
    case "replay":
      return (
        <>
          <div className="wide"><Line path="source.dir" /></div>
          <Line path="source.speed" inputMode="decimal" />
        </>
      );
  }
}
