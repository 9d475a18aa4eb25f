// Settings that stand in the file of the host alone: their value now, and how to change each.
import { ErrorState, Skeleton } from "../../../kit/States";
import { host } from "../../../strings/en/settings_host";
import { knobs } from "../../../strings/en/settings_knobs";
import { useSettings } from "../detection/thresholds";
import { Copied } from "./Once";
import { inEnvironment, inFile, shownValue } from "./toml";

const text = host.storage;

/** `sections` of the file, in that order; `all` with those that have a form of their own. */
export function FileFacts({ sections, all = false }: { sections: string[]; all?: boolean }) {
  const { data, error, refetch } = useSettings();
  if (error && !data) return <ErrorState error={error} again={() => void refetch()} />;
  if (!data) return <Skeleton className="settings-wait" />;
  const isHere = (section: string, key: string) => data.changeable.includes(section) || data.changeable.includes(`${section}.${key}`);
  const factsOf = (section: string) => Object.entries(data.settings[section] ?? {}).filter(([key]) => all || !isHere(section, key));
  return (
    <>
      <p className="dim section-hint">{text.fileOnly}</p>
      {sections.map((section) => (
        <section key={section} className="file-section">
          <h3>{host.sections[section] ?? section} <code>[{section}]</code></h3>
          <ul className="rows">
            {factsOf(section).map(([key, value]) => (
              <li key={key}>
                <details className="fact" data-setting={`${section}.${key}`}>
                  <summary>
                    <span className="fact-about">{host.about[`${section}.${key}`] ?? key}</span>
                    <code className="fact-key">{key}</code>
                    <span className="fact-value">{shownValue(value) || text.none}</span>
                  </summary>
                  <div className="fact-how">
                    <p>{text.inFile}</p>
                    <Copied value={inFile(section, key, value)} />
                    <p>{text.inEnv}</p>
                    <Copied value={inEnvironment(section, key, value)} />
                    <p className="dim">{isHere(section, key) ? knobs.changeHere : text.restart}</p>
                  </div>
                </details>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}
