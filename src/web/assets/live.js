// What the bridge publishes, by server-sent events.

import { sentence } from "./dom.js";

/** Nothing for so long, and the connection is taken for lost: the bridge says every 5 s that it is there. */
const SILENCE = 12_000;
/** Before another try where the bridge has refused, and the browser would not try again. */
const AGAIN = 10_000;

/**
 * What is known now. While nothing comes `isLost` holds: `lostAt` is then when something came last, if ever, and `refusal` is what the
 * bridge says to that, if anything.
 */
export const known = { bridge: undefined, cluster: undefined, roster: undefined, incidents: [], devices: new Map(), connected: false, isLost: false, lostAt: undefined, refusal: "" };

const listeners = [];
let changed = new Set();
let isPlanned = false;
let source;
let lastHeard;

/** Calls `listener` with the ids of changed devices, at most once a frame. */
export function onChange(listener) {
  listeners.push(listener);
}

export function connect() {
  source?.close();
  source = new EventSource("/api/live");
  source.addEventListener("open", () => {
    known.connected = true;
    known.isLost = false;
    known.refusal = "";
    heard();
    plan();
  });
  source.addEventListener("error", lost);
  source.addEventListener("alive", heard);
  on("bridge", (bridge) => {
    // Another version: these scripts are of the one before.
    if (known.bridge && known.bridge.info.version !== bridge.info.version) location.reload();
    known.bridge = bridge;
  });
  on("cluster", (cluster) => { known.cluster = cluster; });
  on("roster", ({ devices }) => {
    known.roster = new Set(devices);
    for (const id of known.devices.keys()) {
      if (!known.roster.has(id)) {
        known.devices.delete(id);
        changed.add(id);
      }
    }
  });
  on("incidents", ({ incidents }) => { known.incidents = incidents; });
  on("device", (device) => {
    known.devices.set(device.id, device);
    changed.add(device.id);
  });
}

function on(name, take) {
  source.addEventListener(name, (event) => {
    heard();
    take(JSON.parse(event.data));
    plan();
  });
}

function heard() {
  lastHeard = Date.now();
}

function lost() {
  known.connected = false;
  known.isLost = true;
  known.lostAt = lastHeard && new Date(lastHeard);
  plan();
  if (source.readyState !== EventSource.CLOSED) return;
  setTimeout(connect, AGAIN);
  void askWhy();
}

/** A source of events does not show the reason of a refusal. */
async function askWhy() {
  const end = new AbortController();
  try {
    const response = await fetch("/api/live", { signal: end.signal });
    const { message, remedy } = response.ok ? {} : (await response.json()).error;
    known.refusal = message ? `It says: ${sentence(message)} What to do: ${sentence(remedy)}` : "";
  } catch {
    known.refusal = "";
  }
  end.abort();
  plan();
}

function plan() {
  if (isPlanned) return;
  isPlanned = true;
  // A page in the background gets no frames, but its title and its list are to be right when it is looked at.
  const run = () => {
    if (!isPlanned) return;
    isPlanned = false;
    const ids = changed;
    changed = new Set();
    for (const listener of listeners) listener(ids);
  };
  requestAnimationFrame(run);
  setTimeout(run, 250);
}

setInterval(() => {
  if (known.connected && Date.now() - lastHeard > SILENCE) {
    lost();
    connect();
  }
}, 5_000);

/** What the API answers there; why not, and what to do, as an error. */
export async function json(path) {
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw new Error("the bridge does not answer");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error([answer.error?.message ?? `the bridge answers ${response.status}`, answer.error?.remedy].filter(Boolean).join("; "));
  return answer;
}
