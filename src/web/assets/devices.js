// All devices at a glance: those with a fault first.

import { badge, h } from "./dom.js";
import { known } from "./live.js";
import { kindOf, smallContact } from "./relay.js";

const list = document.getElementById("devices");
const filter = document.getElementById("filter");
const overview = document.getElementById("overview");
const filtered = document.getElementById("filtered");
const all = document.getElementById("filter-all");

const RANKS = { fault: 0, offline: 1, warning: 2, unknown: 3, ok: 4 };
const NAMES = { fault: "Fault", offline: "Offline", warning: "Not normal", unknown: "Unknown", ok: "Normal" };
const collator = new Intl.Collator("en", { numeric: true });

/** Rows by id: element, kind, the text that the filter looks at. */
const rows = new Map();

/** The worst that is to be said of a device. */
export function kindOfDevice(device) {
  const positions = relays(device).map(({ relay }) => relay.position);
  if (positions.includes("NC")) return "fault";
  if (device.state === "offline") return "offline";
  const slots = Object.values(device.slots ?? {});
  if (troubles(device).length) return "warning";
  const isWhole = device.state === "online" && slots.every((slot) => slot.state === "online") && !device.error;
  return isWhole && !positions.includes("unknown") ? "ok" : "unknown";
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
    Object.entries(relays).map(([letter, relay]) => ({ slot, letter, relay })));
}

/** Brings the rows of these devices up to date. */
export function showDevices(ids, chosen) {
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
    select(chosen);
  }
  applyFilter();
}

/** Marks the chosen one. */
export function select(chosen) {
  for (const [id, { element }] of rows) {
    const link = element.firstElementChild;
    if (id === chosen) link.setAttribute("aria-current", "page");
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
        Object.entries(relays).map(([letter, { position }]) => h(
          "span",
          { class: `mini ${kindOf(position)}` },
          smallContact(position),
          `${letter.toUpperCase()} ${position === "unknown" ? "?" : position}`,
        )),
      )),
      kind === "warning" && h("span", { class: "why" }, troubles(device).join(", ")),
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
  document.title = counts.fault ? `▲ ${counts.fault} with a fault, lantime2mqtt` : "lantime2mqtt";
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
