// What is to be said of a device in a word: what is wrong with it, why, and since when.

import { kindOf } from "./relay.js";

/** The kinds, the worst first, and their words. */
export const KINDS = {
  fault: "Fault", missing: "Module missing", offline: "Offline", stale: "Stale", warning: "Not normal", unknown: "Unknown", ok: "Normal",
};

/** So many devices of that kind, in words. */
export function countOf(kind, count) {
  const words = { fault: ["fault", "faults"], missing: ["module missing", "modules missing"] }[kind];
  return `${count} ${words ? words[count === 1 ? 0 : 1] : KINDS[kind].toLowerCase()}`;
}

/** What people call the device, and where it is, as far as the configuration says: also of one that has never answered. */
export function placeOf(device) {
  return { label: device?.label, site: device?.site };
}

/** The worst that is to be said of a device. A position that its firmware does not report is none of it. */
export function kindOfDevice(device) {
  const kinds = new Set(relays(device).map(({ relay }) => kindOf(relay)));
  const slots = Object.values(device.slots ?? {});
  if (kinds.has("fault")) return "fault";
  if (slots.some(({ state }) => state === "absent" || state === "mismatch")) return "missing";
  if (device.state === "offline") return "offline";
  if (isStale(device)) return "stale";
  if (troubles(device).length || (device.state === "online" && device.error)) return "warning";
  const isWhole = device.state === "online" && slots.every((slot) => slot.state === "online");
  return isWhole && !kinds.has("unknown") ? "ok" : "unknown";
}

/** The word for that kind. */
export function nameOfKind(kind) {
  return KINDS[kind];
}

/** Whether its last poll failed, and it is not given up yet. */
function isStale(device) {
  const values = Object.values(device.slots ?? {}).flatMap(({ relays, signals }) => [...Object.values(relays), ...Object.values(signals)]);
  return values.some(({ stale }) => stale);
}

/** What is wrong and perhaps wired to no relay, so that nobody hears of it otherwise. */
export function troubles(device) {
  const failing = Object.entries(device.slots ?? {}).flatMap(([slot, { signals }]) =>
    Object.entries(signals).filter(([, { status }]) => status === "fail").map(([name]) => `${slot} ${name} fail`));
  return [...failing, ...badEvents(device)];
}

/** The names of its events that are triggered and that are errors. */
function badEvents(device) {
  const isBad = ([, { triggered, type }]) => triggered === true && ["error", "critical"].includes(type);
  return Object.entries(device.events ?? {}).filter(isBad).map(([name]) => name);
}

/** All relays of a device. */
export function relays(device) {
  return Object.entries(device.slots ?? {}).flatMap(([slot, { relays }]) =>
    Object.entries(relays).map(([name, relay]) => ({ slot, name, relay })));
}

/** Its relays with a fault that is over and that nobody has acknowledged. */
export function unacknowledged(device) {
  return relays(device).filter(({ relay: { last_fault: fault } }) => fault?.until && !fault.acknowledged);
}

/** The names of its events that are triggered. */
export function triggered(device) {
  return Object.entries(device.events ?? {}).filter(([, event]) => event.triggered === true).map(([name]) => name);
}

/** What has happened to it, in a word or two, since when, why (words, and `causes` that can be explained) and `where`: as far as that is known. */
export function causeOf(device, kind = kindOfDevice(device)) {
  const { error, first_at: since } = device.error ?? {};
  const slots = Object.entries(device.slots ?? {});
  switch (kind) {
    case "fault": {
      const fallen = relays(device).filter(({ relay: { position } }) => position === "NC");
      const causes = [...new Set(fallen.map(({ relay: { cause } }) => cause).filter(Boolean))];
      return { what: "NC", since: first(fallen.map(({ relay }) => relay.since)), why: causes.join(", "), causes, where: namesOf(fallen) };
    }
    case "missing": {
      const missing = slots.filter(([, { state }]) => state === "absent" || state === "mismatch");
      const times = missing.flatMap(([, { relays }]) => Object.values(relays).map((relay) => relay.since));
      return { what: "missing", since: first(times), why: missing.map(([slot, { state }]) => `${slot} ${state}`).join(", "), causes: [...new Set(missing.map(([, { state }]) => state))] };
    }
    case "offline":
      return { what: "offline", since, why: error?.kind, causes: [error?.kind].filter(Boolean) };
    case "stale":
      return { what: "stale", since, why: [error?.kind, ...troubles(device)].filter(Boolean).join(", "), causes: [error?.kind].filter(Boolean) };
    case "warning": {
      const failing = slots.flatMap(([, { signals }]) => Object.values(signals).filter(({ status }) => status === "fail").map((signal) => signal.since));
      const times = triggered(device).map((name) => device.events[name]).filter(({ type }) => ["error", "critical"].includes(type));
      const why = [...troubles(device), device.error && `${error.kind}: ${error.message}`].filter(Boolean).join(", ");
      return { what: "", since: first([...failing, ...times.map((event) => event.last_triggered), since]), why, causes: badEvents(device) };
    }
    case "unknown":
      return { what: device.state === "online" ? "not all is known" : "not seen yet", since: undefined, why: "" };
    default:
      return { what: "", since: undefined, why: "" };
  }
}

/** Relays in a few words: `io3 A C, io4 A`. */
export function namesOf(relays) {
  const bySlot = Map.groupBy(relays, ({ slot }) => slot);
  return [...bySlot].map(([slot, all]) => `${slot} ${all.map(({ name }) => name.toUpperCase()).join(" ")}`).join(", ");
}

function first(times) {
  return times.filter(Boolean).sort()[0];
}
