// Elements out of data. Whatever comes from a device becomes text, never markup.

import { clockOf, onZone, shortOf, span, wholeOf, zoneName } from "./clock.js";

const SVG = "http://www.w3.org/2000/svg";
/** With the second in which it ends, in milliseconds. */
const FIRST_MINUTE = 61_000;

/** An element with attributes, listeners (`onclick`) and children; texts become text. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for a drawing. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** What stands for a state: a symbol and a class beside the word, so that nothing is shown by colour alone. */
const MARKS = {
  ok: "●", fault: "▲", critical: "▲▲", missing: "▼", warning: "■", stale: "◐", unknown: "◆", offline: "✕", absent: "○", neutral: "○", info: "▷",
};

/** The symbol of a kind. */
export function mark(kind) {
  return h("span", { class: `mark ${kind}`, "aria-hidden": "true" }, MARKS[kind]);
}

/** A word with its symbol. */
export function badge(kind, word) {
  return h("span", { class: `badge ${kind}` }, h("span", { "aria-hidden": "true" }, `${MARKS[kind]} `), word);
}

/** A point in time: the clock and how long ago; as `form` only the `clock`, or for how long that has been (`span`). */
export function time(iso, form = "") {
  if (Number.isNaN(Date.parse(iso))) return h("span", {}, "unknown");
  const element = h("time", { datetime: iso, "data-form": form || undefined });
  showTime(element);
  return element;
}

/** Lets times go on while the page is looked at: each second in their first minute, and every 10 s from then on. */
export function keepTime() {
  let seconds = 0;
  setInterval(() => {
    seconds += 1;
    refreshTimes(seconds % 10 === 0 ? Infinity : FIRST_MINUTE);
  }, 1_000);
}

/** Shows those times as they are now that are at most so old, in milliseconds. */
function refreshTimes(oldest = Infinity) {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[datetime]")) {
    if (now - Date.parse(element.dateTime) <= oldest) showTime(element);
  }
}

function showTime(element) {
  const at = new Date(element.dateTime);
  const whole = wholeOf(at);
  if (element.title !== whole) element.title = whole;
  const age = Date.now() - at.getTime();
  const parts = {
    clock: () => [clockOf(at)],
    span: () => [span(age)],
  }[element.dataset.form]?.() ?? [shortOf(at), h("span", { class: "zone" }, ` ${zoneName(at)}`), ` (${ago(age)})`];
  const text = parts.map((part) => part.textContent ?? part).join("");
  if (element.textContent !== text) element.replaceChildren(...parts);
}

function ago(millis) {
  return millis < 9_500 ? "now" : `${span(millis)} ago`;
}

/** A list of names and values; those without a value are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** What the bridge says begins in lower case, perhaps with a name, and ends without a stop. */
export function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Where it is said what came of something. */
export function saidPlace() {
  return h("span", { class: "said", role: "status" });
}

/** Rebuilds parts of a place only where their data have changed; what the user does in them goes on. */
export class Parts {
  constructor(place) {
    this.place = place;
    this.parts = new Map();
  }

  /** Shows these parts in this order: `[key, data, build]`, where `build` gives an element. */
  show(wanted) {
    const keys = new Set(wanted.map(([key]) => key));
    for (const [key, part] of this.parts) {
      if (!keys.has(key)) {
        part.element.remove();
        this.parts.delete(key);
      }
    }
    wanted.forEach(([key, data, build], index) => {
      const json = JSON.stringify(data);
      let part = this.parts.get(key);
      if (!part || part.json !== json) {
        const element = build(part?.element);
        if (part) replace(part.element, element);
        part = { json, element };
        this.parts.set(key, part);
      }
      const there = this.place.children[index];
      if (there !== part.element) this.place.insertBefore(part.element, there ?? null);
    });
  }

  clear() {
    this.parts.clear();
    this.place.replaceChildren();
  }
}

const FOCUSABLE = "a[href], button, input, summary, [tabindex]";

/** Puts an element in the place of another one, with its focus, with what is open in it, and scrolled as far. */
function replace(old, made) {
  const within = (element, selector) => [...element.querySelectorAll(selector)];
  const focused = old.contains(document.activeElement) ? document.activeElement : undefined;
  const focus = within(old, FOCUSABLE).indexOf(focused);
  const open = within(old, "details").map((details) => details.open);
  const scrolled = within(old, ".scroll").map((scroll) => scroll.scrollTop);
  old.replaceWith(made);
  within(made, "details").forEach((details, index) => { details.open = open[index] ?? details.open; });
  within(made, ".scroll").forEach((scroll, index) => { scroll.scrollTop = scrolled[index] ?? 0; });
  if (!focused) return;
  // Of many alike the same one, wherever it stands now.
  const name = (element) => element.value || element.textContent;
  const isUsable = (element) => !element.disabled;
  const now = within(made, FOCUSABLE);
  const same = now.filter(isUsable).find((element) => element.tagName === focused.tagName && name(element) === name(focused));
  // A button that cannot be used any more leaves the focus to what stands before it.
  (same ?? now.slice(0, focus + 1).filter(isUsable).at(-1))?.focus({ preventScroll: true });
}

onZone(() => refreshTimes());
