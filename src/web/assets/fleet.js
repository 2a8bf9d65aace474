// The list of all devices, grouped by what is wrong. A device that changes moves alone: the list is scrolled by nobody but its
// reader.

import { meaningOf } from "./causes.js";
import { badge, h, mark, time } from "./dom.js";
import { KINDS, causeOf, countOf, kindOfDevice, placeOf, triggered, troubles, unacknowledged } from "./devices.js";
import { known } from "./live.js";
import { relayCell } from "./relay.js";
import { showUnacknowledged } from "./unacknowledged.js";

const list = document.getElementById("devices");
const filter = document.getElementById("filter");
const overview = document.getElementById("overview");
const filtered = document.getElementById("filtered");
const all = document.getElementById("filter-all");
const ofSite = document.getElementById("filter-site");
/** The devices of no site, as a value of that filter: sites have a character at least. */
const NO_SITE = " ";

const collator = new Intl.Collator("en", { numeric: true });

/** Rows by id: element, kind, site, the text that the filter looks at. */
const rows = new Map();
/** Groups by kind. They are always there, so that no row moves for another one's sake. */
const groups = new Map(Object.keys(KINDS).map((kind) => [kind, group(kind)]));
list.append(...[...groups.values()].map(({ section }) => section));
let selectedBefore;

function group(kind) {
  const count = h("span", { class: "number" });
  const button = h("button", { type: "button", "aria-expanded": "true" }, mark(kind), ` ${KINDS[kind]} `, count);
  const ul = h("ul", { id: `group-${kind}` });
  button.setAttribute("aria-controls", ul.id);
  const made = { count, button, ul, isFolded: false, section: h("section", { class: `group ${kind}`, "data-kind": kind, hidden: true }, h("h3", {}, button), ul) };
  button.addEventListener("click", () => {
    made.isFolded = !made.isFolded;
    applyFilter();
  });
  return made;
}

/** How many devices are of each kind. */
export function counts() {
  const counts = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0]));
  for (const { kind } of rows.values()) counts[kind] += 1;
  return counts;
}

/** Brings the rows of these devices up to date. */
export function showFleet(ids, selected) {
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
    const json = JSON.stringify([shown, troubles(device), triggered(device)]);
    if (row?.json === json) continue;
    const next = build(device, json);
    if (row?.kind !== next.kind) moved.push(next);
    if (row) replace(row.element, next.element);
    rows.set(id, next);
  }
  if (moved.length) place(moved);
  if (ids.size) {
    showCounts();
    showSites();
    select(selected);
  }
  applyFilter();
}

function replace(old, made) {
  const focus = [...old.querySelectorAll("a")].indexOf(document.activeElement);
  old.replaceWith(made);
  if (focus >= 0) (made.querySelectorAll("a")[focus] ?? made.firstElementChild).focus({ preventScroll: true });
}

/** Marks the selected one, and brings it into view when it becomes that. */
export function select(selected) {
  for (const [id, { element }] of rows) {
    const link = element.firstElementChild;
    if (id === selected) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (selected === selectedBefore || (selected && !rows.has(selected))) return;
  selectedBefore = selected;
  rows.get(selected)?.element.scrollIntoView({ block: "nearest" });
}

function build(device, json) {
  const kind = kindOfDevice(device);
  const { model, hostname, serial_number: serial, web_interface: web } = device.info ?? {};
  const { label, site } = placeOf(device);
  const { what, since, why, causes = [] } = causeOf(device, kind);
  const explained = [why, ...causes.map((cause) => `${cause}: ${meaningOf(cause)}`)].filter(Boolean).join("\n");
  const slots = Object.entries(device.slots);
  const address = web && URL.canParse(web) ? new URL(web) : undefined;
  const about = [label, site, model, hostname && hostname !== device.id ? hostname : undefined].filter(Boolean).join(", ");
  const element = h(
    "li",
    { class: `device ${kind}`, "data-id": device.id },
    h(
      "a",
      { href: `#/device/${encodeURIComponent(device.id)}`, title: about || undefined },
      mark(kind),
      h("span", { class: "unseen" }, `${KINDS[kind]} `),
      h("strong", {}, device.id),
      h("span", { class: "cells" }, slots.map(([slot, { state, relays }]) => h(
        "span",
        { class: "slot" },
        h("span", { class: "unseen" }, ` ${slot}${["online", "offline"].includes(state) ? "" : ` ${state}`} `),
        Object.entries(relays).map(([name, relay]) => relayCell(slot, name, relay)),
      ))),
      h(
        "span",
        { class: "why", title: explained || undefined },
        faultsOver(device),
        what && h("b", {}, what, since && " "),
        since && time(since, "span"),
        (what || since) && why && ", ",
        why,
        kind === "ok" && h("span", { class: "quiet" }, about),
      ),
    ),
    address && ["http:", "https:"].includes(address.protocol)
      && h("a", { class: "web", href: web, rel: "noreferrer noopener", target: "_blank", "aria-label": `${device.id}: its own page`, title: web }, "↗"),
  );
  const text = [device.id, model, hostname, serial, label, site, address?.host, ...triggered(device)].filter(Boolean).join(" ").toLowerCase();
  return { id: device.id, element, kind, json, text, site: site ?? NO_SITE };
}

/** That there was a fault, where nobody has acknowledged that. */
function faultsOver(device) {
  const over = unacknowledged(device).map(({ slot, name }) => `${slot} relay ${name.toUpperCase()}`);
  if (!over.length) return undefined;
  const title = `There was a fault, not acknowledged: ${over.join(", ")}`;
  return h("span", { class: "was-fault", title }, h("span", { "aria-hidden": "true" }, "⚑ "), h("span", { class: "unseen" }, `${title} `));
}

/** Puts these rows to their places. The others stand right already. */
function place(moved) {
  const focused = document.activeElement;
  for (const { element } of moved) element.remove();
  for (const kind of new Set(moved.map(({ kind }) => kind))) {
    const { ul } = groups.get(kind);
    const order = [...rows.values()].filter((row) => row.kind === kind).sort((a, b) => collator.compare(a.id, b.id));
    order.forEach(({ element }, index) => {
      const there = ul.children[index];
      if (there !== element) ul.insertBefore(element, there ?? null);
    });
  }
  if (list.contains(focused)) focused.focus({ preventScroll: true });
}

function showCounts() {
  const shown = Object.entries(counts()).filter(([, count]) => count > 0);
  overview.replaceChildren(...shown.map(([kind, count]) => badge(kind, countOf(kind, count))));
}

/** The sites to select from, where there are several. */
function showSites() {
  const sites = [...new Set([...rows.values()].map(({ site }) => site))].sort(collator.compare);
  const key = JSON.stringify(sites);
  if (ofSite.dataset.sites === key) return;
  const before = ofSite.value;
  ofSite.dataset.sites = key;
  ofSite.replaceChildren(h("option", { value: "" }, "every site"), ...sites.map((site) => h("option", { value: site }, site === NO_SITE ? "no site" : site)));
  ofSite.value = sites.includes(before) && sites.length > 1 ? before : "";
  ofSite.parentElement.hidden = sites.length < 2;
}

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isBadOnly = document.querySelector("input[name=which]:checked").value === "bad";
  const site = ofSite.value;
  const found = new Map();
  const shown = [];
  for (const [id, row] of rows) {
    const { element, kind, text } = row;
    const fits = words.every((word) => text.includes(word)) && !(isBadOnly && kind === "ok") && (site === "" || site === row.site);
    if (element.hidden === fits) element.hidden = !fits;
    if (fits) shown.push(id);
    found.set(kind, (found.get(kind) ?? 0) + (fits ? 1 : 0));
  }
  for (const [kind, { section, count, button, ul, isFolded }] of groups) {
    const number = found.get(kind) ?? 0;
    section.hidden = number === 0;
    if (count.textContent !== String(number)) count.textContent = String(number);
    // Who searches wants to see what is found.
    ul.hidden = isFolded && words.length === 0;
    button.ariaExpanded = String(!ul.hidden);
  }
  const isFiltered = words.length > 0 || isBadOnly || site !== "";
  const total = `${rows.size} ${rows.size === 1 ? "device" : "devices"}`;
  const text = !isFiltered ? total : shown.length === 0 ? `None of ${total} fits the filter.` : `${shown.length} of ${total}`;
  all.hidden = !isFiltered;
  if (filtered.textContent !== text) filtered.textContent = text;
  showUnacknowledged(shown);
}

filter.addEventListener("input", applyFilter);
ofSite.addEventListener("change", applyFilter);
all.addEventListener("click", () => {
  filter.value = "";
  ofSite.value = "";
  document.querySelector("input[name=which][value=all]").checked = true;
  applyFilter();
  filter.focus();
});
for (const choice of document.querySelectorAll("input[name=which]")) choice.addEventListener("change", applyFilter);
