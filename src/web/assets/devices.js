// All devices at a glance: those with a fault first.

import { badge, h } from "./dom.js";
import { known } from "./live.js";
import { kindOf, smallRelay } from "./relay.js";

const list = document.getElementById("devices");
const filter = document.getElementById("filter");
const overview = document.getElementById("overview");
const filtered = document.getElementById("filtered");
const all = document.getElementById("filter-all");

const RANKS = { fault: 0, missing: 1, offline: 2, stale: 3, warning: 4, unknown: 5, ok: 6 };
const NAMES = { fault: "Fault", missing: "Module missing", offline: "Offline", stale: "Stale", warning: "Not normal", unknown: "Unknown", ok: "Normal" };
const collator = new Intl.Collator("en", { numeric: true });

/** Rows by id: element, kind, the text that the filter looks at. */
const rows = new Map();

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
  return NAMES[kind];
}

/** Whether its last poll failed, and it is not given up yet. */
function isStale(device) {
  const values = Object.values(device.slots ?? {}).flatMap(({ relays, signals }) => [...Object.values(relays), ...Object.values(signals)]);
  return values.some(({ stale }) => stale);
}

/** What is wrong and perhaps wired to no relay, so that nobody hears of it otherwise. */
function troubles(device) {
  const failing = Object.entries(device.slots ?? {}).flatMap(([slot, { signals }]) =>
    Object.entries(signals).filter(([, { status }]) => status === "fail").map(([name]) => `${slot} ${name} fail`));
  const isBad = ([, { triggered, type }]) => triggered === true && ["error", "critical"].includes(type);
  return [...failing, ...Object.entries(device.events ?? {}).filter(isBad).map(([name]) => name)];
}

/** All relays of a device. */
export function relays(device) {
  return Object.entries(device.slots ?? {}).flatMap(([slot, { relays }]) =>
    Object.entries(relays).map(([name, relay]) => ({ slot, name, relay })));
}

/** Brings the rows of these devices up to date. */
export function showDevices(ids, selected) {
  const moved = [];
  for (const id of ids) {
    const device = known.devices.get(id);
    if (!device?.state) {
      rows.get(id)?.element.remove();
      rows.delete(id);
      continue;
    }
    const row = rows.get(id);
    const { events, ...shown } = device;
    const json = JSON.stringify([shown, troubles(device)]);
    if (row?.json === json) continue;
    const next = build(device, json);
    if (row?.kind !== next.kind) moved.push(next.element);
    if (row) {
      const hadFocus = row.element.contains(document.activeElement);
      row.element.replaceWith(next.element);
      if (hadFocus) next.element.querySelector("a").focus({ preventScroll: true });
    }
    rows.set(id, next);
  }
  if (moved.length) sort(moved);
  if (ids.size) {
    count();
    select(selected);
  }
  applyFilter();
}

/** Marks the selected one. */
export function select(selected) {
  for (const [id, { element }] of rows) {
    const link = element.firstElementChild;
    if (id === selected) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function build(device, json) {
  const kind = kindOfDevice(device);
  const { model, hostname, serial_number: serial } = device.info ?? {};
  const slots = Object.entries(device.slots);
  const element = h(
    "li",
    { class: `device ${kind}`, "data-id": device.id },
    h(
      "a",
      { href: `#/device/${encodeURIComponent(device.id)}` },
      badge(kind, NAMES[kind]),
      h("strong", {}, device.id),
      h("span", { class: "quiet" }, model ?? "not seen yet", hostname && hostname !== device.id ? `, ${hostname}` : ""),
      slots.map(([slot, { state, relays }]) => h(
        "span",
        { class: "slot" },
        h("span", { class: "quiet" }, state === "online" || state === "offline" ? slot : `${slot} ${state}`),
        Object.entries(relays).map(([name, relay]) => smallRelay(name, relay)),
      )),
      ["warning", "stale"].includes(kind) && troubles(device).length > 0 && h("span", { class: "why" }, troubles(device).join(", ")),
      device.error && h("span", { class: "why" }, `${device.error.error.kind}: ${device.error.error.message}`),
    ),
  );
  const text = [device.id, model, hostname, serial].filter(Boolean).join(" ").toLowerCase();
  return { element, kind, json, text };
}

/** Puts these rows to their places. The others stand right already. */
function sort(moved) {
  const focused = document.activeElement;
  for (const element of moved) element.remove();
  const order = [...rows].sort(([a, one], [b, other]) => RANKS[one.kind] - RANKS[other.kind] || collator.compare(a, b));
  order.forEach(([, { element }], index) => {
    const there = list.children[index];
    if (there !== element) list.insertBefore(element, there ?? null);
  });
  if (list.contains(focused)) focused.focus({ preventScroll: true });
}

function count() {
  const counts = Object.fromEntries(Object.keys(RANKS).map((kind) => [kind, 0]));
  for (const { kind } of rows.values()) counts[kind] += 1;
  const shown = Object.keys(RANKS).filter((kind) => counts[kind] > 0);
  overview.replaceChildren(...shown.map((kind) => badge(kind, `${counts[kind]} ${NAMES[kind].toLowerCase()}`)));
  const faults = counts.fault + counts.missing;
  document.title = faults ? `▲ ${faults} with a fault, lantime2mqtt` : "lantime2mqtt";
}

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isBadOnly = document.querySelector("input[name=which]:checked").value === "bad";
  let shown = 0;
  for (const { element, kind, text } of rows.values()) {
    const fits = words.every((word) => text.includes(word)) && !(isBadOnly && kind === "ok");
    if (element.hidden === fits) element.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  const isFiltered = words.length > 0 || isBadOnly;
  const total = `${rows.size} ${rows.size === 1 ? "device" : "devices"}`;
  const text = !isFiltered ? total : shown === 0 ? `None of ${total} fits the filter.` : `${shown} of ${total}`;
  all.hidden = !isFiltered;
  if (filtered.textContent !== text) filtered.textContent = text;
}

filter.addEventListener("input", applyFilter);
all.addEventListener("click", () => {
  filter.value = "";
  document.querySelector("input[name=which][value=all]").checked = true;
  applyFilter();
  filter.focus();
});
for (const choice of document.querySelectorAll("input[name=which]")) choice.addEventListener("change", applyFilter);
