// Who does the work: the tree of actors, what each is for, and who had to be started again.
import type { State } from "../../api/types";
import { system } from "../../strings/en/system";
import { time } from "../../time/format";
import { allOf, isDevice, isWell, kindOf, restartsOf, treeOf, type Node } from "./facts";

const text = system.actors;
const KINDS = { starting: "warn", running: "online", restarting: "warn", failed: "bad", stopping: "warn", stopped: "bad" } as const;

export function Actors({ state }: { state: State }) {
  const roots = treeOf(state.actors);
  const [root] = roots;
  const rest = root?.name === "supervisor" ? roots.slice(1) : roots;
  const running = state.actors.filter((actor) => actor.state === "running").length;
  const restarts = state.actors.reduce((sum, actor) => sum + actor.restarts, 0);
  const nameOf = (node: Node) => (isDevice(node) ? (state.devices.find((one) => one.id === node.name)?.name ?? node.name) : node.name);
  return (
    <section className="card system-card system-actors" aria-label={text.title}>
      <header>
        <h2>{text.title}</h2>
        <span className="dim">{text.summary(running, state.actors.length, restarts)}</span>
      </header>
      <ul>
        {root?.name === "supervisor" && <li><Line node={root} name={root.name} /></li>}
        {rest.map((node) => (
          <li key={node.actor.name} className="below">
            {node.children.length === 0 ? (
              <Line node={node} name={nameOf(node)} />
            ) : (
              // Trouble is open by itself.
              <details open={!isWell(node) || restartsOf(node) > 0 || undefined}>
                <summary><Line node={node} name={nameOf(node)} of={allOf(node)} /></summary>
                <ul>{node.children.map((child) => <li key={child.actor.name} className="below"><Line node={child} name={child.name} /></li>)}</ul>
              </details>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Line({ node, name, of = [node] }: { node: Node; name: string; of?: Node[] }) {
  const { actor } = node;
  const restarts = of.reduce((sum, one) => sum + one.actor.restarts, 0);
  const worst = of.find((one) => one.actor.state !== "running")?.actor ?? actor;
  return (
    <span className="actor" data-actor={actor.name}>
      <span className={`status ${KINDS[worst.state]}`}>{name}</span>
      <span className="dim actor-does">{text.does[kindOf(node)] ?? ""}</span>
      {worst.state !== "running" && <span className="actor-state">{text.states[worst.state]}</span>}
      {actor.last_exit && (
        <span className="dim actor-exit" title={actor.last_exit.message}>
          {text.exit(text.exits[actor.last_exit.kind], time(actor.last_exit.at))}{actor.last_exit.message ? `: ${actor.last_exit.message}` : ""}
        </span>
      )}
      <span className={restarts > 0 ? "actor-restarts warn" : "actor-restarts dim"}>{text.restarts(restarts)}</span>
    </span>
  );
}
