// The page: polls the daemon's state and keeps one view per device.
import { getJson, Unauthorized, type Check, type Device, type State } from "./api";
import { bytes, el, seconds, setFacts, setHostTime, setText } from "./dom";
import { DeviceView } from "./device";
import { Door } from "./door";

const STATE_MS = 2000;
const CHUNKS_MS = 10_000;
const HEALTH_MS = 10_000;

const summary = must("summary");
const figures = must("figures");
const list = must("devices");
const checks = must("checks");
const health = must("health");
const views = new Map<string, DeviceView>();

health.addEventListener("click", () => {
  checks.hidden = !checks.hidden;
  health.setAttribute("aria-expanded", String(!checks.hidden));
});

setText(must("zone"), `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
const door = new Door(list, must("leave"), (inside) => {
  document.body.classList.toggle("outside", !inside);
  if (inside) return void Promise.all([refreshState(), refreshHealth()]).catch(console.warn);
  for (const view of views.values()) view.gone();
  views.clear();
  list.replaceChildren();
  setText(summary, "Sign in to see the cameras.");
});
void enter();
void every(STATE_MS, refreshState);
void every(HEALTH_MS, refreshHealth);
void every(CHUNKS_MS, async () => {
  await Promise.allSettled([...views.values()].map((view) => view.refreshChunks()));
});

async function enter(): Promise<void> {
  try {
    await door.look();
  } catch {
    // The daemon is not there yet.
    setText(summary, "The daemon does not answer.");
    window.setTimeout(() => void enter(), STATE_MS);
  }
}

/** The next round starts after the last one ended: a slow host is not asked faster than it answers. */
async function every(interval: number, work: () => Promise<void>): Promise<void> {
  try {
    if (door.inside) await work();
  } catch (error) {
    // Signed out elsewhere, or for too long not seen.
    if (error instanceof Unauthorized) await door.look().catch(console.warn);
    else console.warn(error);
  }
  window.setTimeout(() => void every(interval, work), interval);
}

async function refreshState(): Promise<void> {
  let state: State;
  try {
    state = await getJson<State>("/api/host/state");
    if (!door.inside) return;
  } catch (error) {
    if (error instanceof Unauthorized) throw error;
    setText(summary, "The daemon does not answer.");
    document.body.classList.add("away");
    for (const view of views.values()) view.away();
    setText(health, "No answer");
    health.className = "bad";
    throw error;
  }
  document.body.classList.remove("away");
  setHostTime(state.host.time);
  tellHost(state);
  const known = new Set(state.devices.map((device) => device.id));
  for (const [id, view] of views) {
    if (known.has(id)) continue;
    view.element.remove();
    views.delete(id);
  }
  for (const device of state.devices) {
    const view = views.get(device.id);
    if (view) {
      view.update(device);
      continue;
    }
    const fresh = new DeviceView(device);
    views.set(device.id, fresh);
    list.append(fresh.element);
    void fresh.refreshChunks().catch(console.warn);
  }
  list.querySelector(":scope > .empty")?.remove();
  if (state.devices.length === 0) list.append(el("p", { className: "empty" }, "No devices are configured."));
}

function tellHost(state: State): void {
  const { devices, archive } = state;
  const online = devices.filter((device) => device.status === "online").length;
  setText(summary, `${online} of ${devices.length} ${devices.length === 1 ? "device" : "devices"} online`);
  setText(must("version"), `Capstan ${state.host.version}`);
  const sum = (of: (device: Device) => number) => devices.reduce((total, device) => total + of(device), 0);
  const lost = sum((device) => Object.values(device.lost_seconds).reduce((total, one) => total + one, 0));
  const media = sum((device) => device.media_bytes);
  const written = sum((device) => device.written_bytes);
  setFacts(figures, [
    ["Recorded", bytes(sum((device) => device.chunks.bytes)), "All chunks of all devices"],
    ["Lost", lost > 0 ? seconds(lost) : "nothing", "Seconds that were captured and did not reach the disk"],
    ["Disk writes", media > 0 ? `${(written / media).toFixed(2)} ×` : "–", "Bytes written per byte of video and sound, since the start"],
    ["Disk free", archive.ok ? bytes(archive.free_bytes) : "unavailable", "On the archive's volume"],
  ]);
}

async function refreshHealth(): Promise<void> {
  const { checks: lines } = await getJson<{ checks: Check[] }>("/api/host/health");
  const bad = lines.filter((check) => !check.ok);
  setText(health, bad.length === 0 ? "Healthy" : `${bad.length} of ${lines.length} checks fail`);
  health.className = bad.length === 0 ? "good" : "bad";
  const rows = [...bad, ...lines.filter((check) => check.ok)].map((check) => {
    const name = check.device ? `${check.device}: ${check.name}` : check.name;
    return el("li", { className: check.ok ? "ok" : "fail" }, el("b", {}, name), " ", check.message);
  });
  checks.replaceChildren(el("ul", {}, ...rows));
}

function must(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}
