// Settings that stand in the file of the host alone: their value now, and how to change each.
import { ErrorState, Skeleton } from "../../../kit/States";
import { host } from "../../../strings/en/settings_host";
import { useSettings } from "../detection/thresholds";
import { Copied } from "./Once";
import { inEnvironment, inFile, shownValue } from "./toml";

const text = host.storage;

/** `sections` of the file, in that order. */
export function FileFacts({ sections }: { sections: string[] }) {
  const { data, error, refetch } = useSettings();
  if (error && !data) return <ErrorState error={error} again={() => void refetch()} />;
  if (!data) return <Skeleton className="settings-wait" />;
  return (
    <>
      <p className="dim section-hint">{text.fileOnly}</p>
      {sections.map((section) => (
        <section key={section} className="file-section">
          <h3>{host.sections[section] ?? section} <code>[{section}]</code></h3>
          <ul className="rows">
            {Object.entries(data.settings[section] ?? {}).map(([key, value]) => (
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
                    <p className="dim">{text.restart}</p>
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
