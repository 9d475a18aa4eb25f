// The thresholds: of all cameras, or what one of them says differently.
import { cameras as text } from "../../../strings/en/settings_cameras";
import { detection as words } from "../../../strings/en/settings_detection";
import { ChoiceField, Group, TextField } from "../parts/Form";

const GROUPS = [
  [words.black, ["black_luma", "black_share", "black_rows"]],
  [words.freeze, ["freeze_min_pixels", "ignore_small_motion"]],
  [words.silence, ["silence_db"]],
  [words.incident, ["open_after_seconds", "close_after_seconds", "join_gap_seconds"]],
] as const;

/** `defaults`: what holds where a field is empty, by its key. */
export function DetectFields({ hint, isOverride = false, defaults = {} }: { hint: string; isOverride?: boolean; defaults?: Record<string, string> }) {
  return (
    <>
      <p className="dim">{hint}</p>
      <div className="detect-groups">
        {GROUPS.map(([title, keys]) => (
          <Group key={title} title={title}>
            {keys.map((key) => {
              const path = `detect.${key}`;
              const said = text.hints[path];
              if (key === "ignore_small_motion") {
                const empty = isOverride ? text.smallMotion[""] : words.asFile(text.smallMotion[defaults[key] ?? ""] ?? "");
                return <ChoiceField key={key} path={path} label={text.fields[path] ?? key} choices={[{ value: "", label: empty ?? "" }, { value: "true", label: text.smallMotion["true"] ?? "" }, { value: "false", label: text.smallMotion["false"] ?? "" }]} />;
              }
              return <TextField key={key} path={path} label={text.fields[path] ?? key} {...(said === undefined ? {} : { hint: said })} inputMode="decimal" {...(defaults[key] === undefined ? {} : { placeholder: defaults[key] })} />;
            })}
          </Group>
        ))}
      </div>
    </>
  );
}
