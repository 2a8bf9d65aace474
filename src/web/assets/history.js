// What relays and signals of a device were before: a drawing, a table, and how much of the time each relay was in NO. It is
// requested when it is looked at, and again when something has changed.

import { causeLegend, causeWord } from "./causes.js";
import { clockOf, lasted, onZone } from "./clock.js";
import { saveCsv } from "./csv.js";
import { badge, facts, h, saidPlace, sentence, time } from "./dom.js";
import { json, known, onChange } from "./live.js";
import { inWords, timeline, wordOf } from "./timeline.js";

const RANGES = { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d" };
/** From a change to the request: what belongs together changes together. */
const SOON = 1_000;
/** From one request to the next, at least. */
const EVERY = 5_000;
/** Rows of the table. */
const ROWS = 500;
const KINDS = { NO: "ok", ok: "ok", online: "ok", NC: "fault", fail: "fault", offline: "offline", unknown: "unknown", true: "info", missing: "missing", mismatch: "missing" };
/** What the table is of. */
const SUBJECTS = { all: "everything", relay: "relays", signal: "signals", event: "events", device: "device and slots" };

/** For all devices the same. */
let range = "24h";
let subject = "all";
/** The part that is on the page. */
let current;

onChange((ids) => current && ids.has(current.id) && current.changed());
onZone(() => current?.draw());
document.addEventListener("visibilitychange", () => current?.look());

/** Leads the reader to the part of the page, where there is one. */
export function showHistory() {
  current?.title.scrollIntoView({ block: "start" });
  current?.title.focus({ preventScroll: true });
}

/** The part of the page. The elements stay the same, so focus and place do. */
export function historyPart(id) {
  const drawing = timeline();
  const said = saidPlace();
  const figures = h("div");
  const rows = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes" });
  const of = h("select", { onchange: select }, Object.entries(SUBJECTS).map(([name, words]) => h("option", { value: name, selected: name === subject }, words)));
  const legend = causeLegend();
  const list = h(
    "details",
    { ontoggle: () => showRows() },
    h("summary", {}, "Changes as a table"),
    h("p", { class: "filter" }, h("label", {}, "Changes of ", of)),
    rows,
  );
  const title = h("h3", { tabindex: "-1" }, "History");
  const csv = h("a", { title: "The changes of this device in the time that is selected", onclick: save }, "Export CSV");
  const buttons = Object.entries(RANGES).map(([name, words]) => h("button", { type: "button", "aria-pressed": String(name === range), onclick: () => choose(name) }, words));
  let shown;
  let isSeen = false;
  let isDue = true;
  let asked = 0;
  let last = -Infinity;
  let timer;
  let before = positions(id);
  exportFrom(range);

  const element = h(
    "section",
    { class: "panel history", "aria-label": "History" },
    title,
    h("p", { class: "ranges" }, buttons, csv, said),
    drawing.element,
    figures,
    list,
    legend.element,
  );
  new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    look();
  }).observe(element);
  current = { id, title, changed, look, draw: () => shown && (drawing.draw(), showRows()) };
  return element;

  function changed() {
    const now = positions(id);
    isDue ||= now !== before;
    before = now;
    look(SOON);
  }

  /** Requests it if that is due and somebody looks. */
  function look(after = 0) {
    if (!isDue || !isSeen || document.hidden || timer || !known.devices.has(id)) return;
    timer = setTimeout(() => {
      timer = undefined;
      if (element.isConnected && isSeen && !document.hidden) void load();
    }, Math.max(after, last + EVERY - performance.now()));
  }

  function choose(name) {
    range = name;
    exportFrom(name);
    buttons.forEach((button, index) => { button.ariaPressed = String(Object.keys(RANGES)[index] === name); });
    void load();
  }

  async function load() {
    asked += 1;
    const mine = asked;
    isDue = false;
    last = performance.now();
    const query = `device=${encodeURIComponent(id)}&from=${range}`;
    try {
      const [spans, times] = await Promise.all([json(`/api/timeline?${query}`), json(`/api/availability?${query}`)]);
      if (mine !== asked) return;
      shown = { rows: rowsOf(spans), from: Date.parse(spans.from), to: Date.parse(spans.to) };
      exportFrom(spans.from, spans.to);
      drawing.show(shown.rows.filter(({ isDrawn }) => isDrawn), shown.from, shown.to);
      figures.replaceChildren(...inNo(times));
      legend.show(shown.rows.flatMap(({ spans }) => spans.map(({ cause }) => cause).filter(Boolean)));
      showRows();
      complain("");
    } catch (error) {
      if (mine !== asked) return;
      isDue = true;
      complain(sentence(`Not shown as it is now: ${error.message}`));
    }
  }

  function exportFrom(from, to) {
    const query = new URLSearchParams({ device: id, from, ...(to && { to }) });
    csv.href = `/api/history?${query}`;
  }

  function complain(text) {
    said.textContent = text;
    said.classList.toggle("bad", text !== "");
  }

  function showRows() {
    if (list.open && shown) rows.replaceChildren(table(shown));
  }

  function select() {
    subject = of.value;
    showRows();
  }

  async function save(event) {
    event.preventDefault();
    try {
      await saveCsv(event.target.href, `${id}-history.csv`);
    } catch (error) {
      complain(sentence(`Not exported: ${error.message}`));
    }
  }
}

/** What makes the drawing another one. */
function positions(id) {
  const { state: now, slots = {}, events = {} } = known.devices.get(id) ?? {};
  const isTriggered = Object.entries(events).map(([name, { triggered }]) => [name, triggered]);
  return JSON.stringify([now, isTriggered, Object.entries(slots).map(([slot, { state, relays, signals }]) => [
    slot,
    state,
    Object.entries(relays).map(([name, relay]) => [name, relay.position, relay.cause, relay.since]),
    Object.entries(signals).map(([name, signal]) => [name, signal.status, signal.since]),
  ])]);
}

/** A row for each slot, relay and signal, which are drawn, and for the device and its events, which the table alone has. */
function rowsOf({ device = [], slots, events = {} }) {
  const row = (of, name, all, isDrawn = true) => ({
    of, name, isDrawn: isDrawn && all.length > 0, spans: all.map((span) => ({ ...span, from: Date.parse(span.at), end: span.until, until: Date.parse(span.until) })),
  });
  // A slot without its module is a fault, a signal that is absent is none.
  const ofSlot = (all) => all.map((span) => ({ ...span, value: span.value === "absent" ? "missing" : span.value }));
  return [
    row("device", "device", device, false),
    ...Object.entries(slots).flatMap(([slot, { state = [], relays = {}, signals = {} }]) => [
      row("device", `slot ${slot}`, ofSlot(state)),
      ...Object.entries(relays).map(([name, all]) => row("relay", `${slot} relay ${name.toUpperCase()}`, all)),
      ...Object.entries(signals).map(([name, all]) => row("signal", `${slot} ${name}`, all)),
    ]),
    ...Object.entries(events).map(([name, all]) => row("event", name, all, false)),
  ];
}

/** How much of the time each relay was in NO, and what that is a part of. */
function inNo({ slots }) {
  const figures = Object.entries(slots).flatMap(([slot, { relays = {} }]) =>
    Object.entries(relays).map(([name, relay]) => [`${slot} relay ${name.toUpperCase()}`, inFigures(relay)]));
  return figures.length ? [h("p", { class: "quiet" }, "In NO, of the time in which the position was known, and faults:"), facts(figures)] : [];
}

function inFigures({ availability: part, faults, longest_fault: longest }) {
  // A fault is never rounded off to 100 %.
  const digits = part > 0.99 ? 1e3 : 10;
  const percent = Number.isFinite(part) ? `${Math.floor(part * 100 * digits) / digits} %` : "not known";
  const count = faults === 0 ? "no fault" : faults === 1 ? "1 fault" : `${faults} faults`;
  return [percent, count, longest && `longest ${lasted(longest.duration_s * 1000)}`].filter(Boolean).join(", ");
}

/** The changes, newest first. What was so all the time is none. */
function table({ rows, from, to }) {
  const wanted = rows.filter(({ of }) => subject === "all" || subject === of);
  const changes = wanted.flatMap(({ name, spans }) => spans.filter((span) => span.from > from).map((span) => ({ name, ...span })));
  changes.sort((a, b) => b.from - a.from);
  const row = (change) => h(
    "tr",
    { title: inWords(change.name, change, to) },
    h("td", {}, time(change.at, "clock")),
    h("th", { scope: "row" }, change.name),
    h("td", {}, badge(KINDS[change.value] ?? "absent", wordOf(change.value))),
    h("td", {}, change.cause && causeWord(change.cause)),
    h("td", {}, change.until >= to ? "still so" : time(change.end, "clock")),
    h("td", { class: "number" }, lasted(change.until - change.from)),
  );
  const shown = changes.slice(0, ROWS);
  const about = `${shown.length < changes.length ? `The latest ${shown.length} of ${changes.length}` : changes.length} changes since ${clockOf(new Date(from))}${subject === "all" ? "" : `: ${SUBJECTS[subject]}`}`;
  return h(
    "table",
    { class: "stacked" },
    h("caption", { class: "quiet" }, about),
    h("thead", {}, h("tr", {}, ["at", "what", "value", "cause", "until", "how long"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, shown.map(row)),
  );
}
