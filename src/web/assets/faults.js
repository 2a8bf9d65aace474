// Faults of all devices, the newest first: what fell or was offline, when, why and for how long.

import { causeLegend, causeWord } from "./causes.js";
import { clockOf, lasted, onZone } from "./clock.js";
import { saveCsv } from "./csv.js";
import { placeOf } from "./devices.js";
import { badge, h, sentence, time } from "./dom.js";
import { json, known, onChange } from "./live.js";

const RANGES = { "24h": "24 h", "7d": "7 d", "30d": "30 d", "90d": "90 d" };
/** The most that the bridge gives at a time. */
const LIMIT = 10_000;
/** How a value looks, and what it is called. */
const WORDS = { NC: ["fault", "NC"], offline: ["offline", "offline"], absent: ["missing", "module missing"], mismatch: ["missing", "another module"] };
/** Rows that are shown at first, and with each `More`. */
const ROWS = 200;
/** From a change to the request, and from one request to the next, at least. */
const SOON = 1_000;
const EVERY = 5_000;

const byId = (id) => document.getElementById(id);
const view = byId("view-faults");
const search = byId("faults-filter");
const status = byId("faults-status");
const more = byId("faults-more");
const legend = causeLegend();
const buttons = Object.entries(RANGES).map(([name, words]) => h("button", { type: "button", "aria-pressed": String(name === "24h"), onclick: () => choose(name) }, words));

let range = "24h";
let found;
let rows = ROWS;
let asked = 0;
let last = -Infinity;
let timer;
let isDue = true;

/** Shows them, and requests them where something has changed since the last time. */
export function showFaults() {
  if (!isDue || view.hidden || document.hidden || timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    if (!view.hidden && !document.hidden) void load();
  }, Math.max(0, last + EVERY - performance.now()));
}

function changed(ids) {
  if (!ids.size) return;
  isDue = true;
  if (!view.hidden) setTimeout(showFaults, SOON);
}

function choose(name) {
  range = name;
  rows = ROWS;
  buttons.forEach((button, index) => { button.ariaPressed = String(Object.keys(RANGES)[index] === name); });
  void load();
}

async function load() {
  asked += 1;
  const mine = asked;
  isDue = false;
  last = performance.now();
  try {
    const answer = await json(`/api/faults?from=${range}&limit=${LIMIT}`);
    if (mine !== asked) return;
    found = answer;
    show();
  } catch (error) {
    if (mine !== asked) return;
    isDue = true;
    complain(sentence(`Not shown as it is now: ${error.message}`));
  }
}

function show() {
  if (!found) return;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = found.faults.filter((fault) => {
    const text = searched(fault);
    const whole = text.split(/\s+/);
    // A single character names a relay, not a part of any word.
    return words.every((word) => (word.length > 1 ? text.includes(word) : whole.includes(word)));
  });
  byId("faults").replaceChildren(shown.length ? table(shown.slice(0, rows)) : "");
  legend.show(shown.slice(0, rows).flatMap(({ causes = [] }) => causes));
  more.hidden = shown.length <= rows;
  more.textContent = `More: ${shown.length - rows} faults`;
  status.classList.remove("bad");
  status.textContent = summary(shown);
}

function searched({ device, slot, relay, value, causes = [] }) {
  const { label, site } = placeOf(known.devices.get(device));
  return [device, label, site, slot, relay && `relay ${relay}`, value, WORDS[value]?.[1], ...causes].join(" ").toLowerCase();
}

function summary(shown) {
  const since = clockOf(new Date(found.from));
  const parts = [];
  if (found.has_more) parts.push(`only the newest ${LIMIT} are looked at`);
  if (found.too_many) parts.push(`of ${found.too_many.join(", ")} there are more than can be read`);
  if (!found.kept_since) parts.push("no history is kept");
  if (found.kept_since > found.from) parts.push(`the history begins at ${clockOf(new Date(found.kept_since))}`);
  const about = parts.length ? `; ${parts.join("; ")}` : "";
  if (!shown.length) return `${found.faults.length ? "None of the faults has that" : "No fault"} since ${since}${about}.`;
  const devices = new Set(shown.map(({ device }) => device)).size;
  const lasting = shown.filter(({ until }) => !until).length;
  const count = `${shown.length} ${shown.length === 1 ? "fault" : "faults"} of ${devices} ${devices === 1 ? "device" : "devices"} since ${since}`;
  return `${count}${lasting ? `, ${lasting} not over` : ""}${about}.`;
}

function table(shown) {
  const head = ["from", "to", "how long", "device", "what", "why"];
  return h(
    "table",
    { class: "stacked" },
    h("caption", { class: "unseen" }, "Faults, the newest first"),
    h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, shown.map(row)),
  );
}

function row({ device, slot, relay, value, at, until, duration_s: seconds, began_before: isBefore, causes = [], provenance }) {
  const what = [slot, relay && `relay ${relay.toUpperCase()}`].filter(Boolean).join(" ");
  const { label, site } = placeOf(known.devices.get(device));
  const place = [label, site].filter(Boolean).join(", ");
  return h(
    "tr",
    {},
    h("td", {}, isBefore && "before ", time(at, "clock")),
    h("td", { "data-name": "to" }, until ? time(until, "clock") : badge("fault", "not over")),
    h("td", { class: "number", "data-name": "for" }, isBefore && "more than ", lasted(seconds * 1000)),
    h("th", { scope: "row" }, h("a", { href: `#/device/${encodeURIComponent(device)}` }, device), place && h("span", { class: "quiet" }, ` ${place}`)),
    h("td", {}, badge(...WORDS[value] ?? ["fault", value]), what && ` ${what}`, provenance === "derived" && h("span", { class: "quiet" }, " derived")),
    h("td", {}, causes.map((cause, index) => [index > 0 && ", ", causeWord(cause)])),
  );
}

function complain(text) {
  status.textContent = text;
  status.classList.add("bad");
}

async function save(event) {
  event.preventDefault();
  try {
    await saveCsv(event.target.href, `faults-${range}.csv`);
  } catch (error) {
    complain(sentence(`Not exported: ${error.message}`));
  }
}

byId("faults-ranges").prepend(...buttons);
status.after(legend.element);
byId("faults-csv").addEventListener("click", (event) => {
  event.target.href = `/api/faults?from=${range}&limit=${LIMIT}`;
  void save(event);
});
search.addEventListener("input", () => {
  rows = ROWS;
  show();
});
more.addEventListener("click", () => {
  rows += ROWS;
  show();
});
onChange(changed);
onZone(show);
document.addEventListener("visibilitychange", showFaults);
