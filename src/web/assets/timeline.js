// How slots, relays and signals were, as a drawing: a row for each, and in it one path per value. The table beside it has the same.

import { dateOf, lasted, offsetOf, timeOfDay, wholeOf, zoneName } from "./clock.js";
import { h, svg } from "./dom.js";

/** Values, the worst last: what is too short to be seen beside another one is drawn over it. */
const VALUES = {
  "not-kept": "not kept", "not-observed": "not observed", NO: "NO, ok or online", absent: "absent", unknown: "unknown", offline: "offline", missing: "module missing", NC: "NC or fail",
};
const ORDER = Object.keys(VALUES);
const SAME_AS = { ok: "NO", online: "NO", fail: "NC", mismatch: "missing" };
/** Values that have other words than their own ones. */
const WORDS = { true: "triggered", false: "not triggered", missing: "module missing", mismatch: "another module", "not-observed": "not observed", "not-kept": "not kept" };
/** What is drawn over the back of a value, in a square of 6 by 6. A value without is one plain field. */
const PATTERNS = {
  NC: "M0 6L6 0M-1 1L1 -1M5 7L7 5", unknown: "M1.5 0V6", offline: "M0 0L6 6M6 0L0 6", "not-observed": "M0 3H3", "not-kept": "M3 3h.6", absent: "M0 1.5H6M0 4.5H6", missing: "M0 0L6 6",
};
const ROW = 22;
const BAR = 14;
const AXIS = 24;
const RIGHT = 10;
/** The narrowest that a span is drawn, and the narrowest that a pattern is seen in. */
const NARROWEST = 3;
const NARROWEST_PATTERN = 6;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY];
const SHORTEST = 10 * SECOND;

const drawnAs = (value) => SAME_AS[value] ?? (ORDER.includes(value) ? value : "unknown");
const rank = (value) => ORDER.indexOf(drawnAs(value));

/** A value in words. */
export function wordOf(value) {
  return WORDS[value] ?? value;
}

/** A span in words: what, why, from when to when, for how long. `now` is where all of it ends. */
export function inWords(name, { value, cause, from, until }, now) {
  const end = until >= now ? "now" : wholeOf(new Date(until));
  return `${name}: ${[wordOf(value), cause].filter(Boolean).join(", ")}, ${wholeOf(new Date(from))} to ${end}, ${lasted(until - from)}`;
}

/** The drawing with its buttons. `show` gives it rows, `{of, name, spans}`, and from when to when they go; `draw` draws it again. */
export function timeline() {
  let rows = [];
  let all = { from: 0, to: 1 };
  let view = all;
  /** Fingers, or the button of the mouse: where each was last. */
  const pressed = new Map();
  const title = svg("title");
  const place = h("div", {
    class: "timeline", tabindex: "0", role: "group", "aria-label": "Timeline: the arrows move it, plus and minus zoom, 0 shows all",
    onkeydown: key, onwheel: wheel, onpointerdown: press, onpointermove: move, onpointerup: release, onpointercancel: release,
    onpointerleave: () => { said.textContent = ""; },
  });
  const said = h("p", { class: "quiet pointed" });
  const zoomIn = h("button", { type: "button", "aria-label": "Zoom in", onclick: () => zoom(0.5) }, "+");
  const zoomOut = h("button", { type: "button", "aria-label": "Zoom out", onclick: () => zoom(2) }, "−");
  const legend = h("span", { class: "samples" });
  const element = h("div", { class: "drawn" }, h("p", { class: "zoom" }, zoomIn, zoomOut, legend, patterns()), place, said);
  new ResizeObserver(draw).observe(place);

  function show(shown, from, to) {
    const isWhole = view.from === all.from && view.to === all.to;
    rows = shown;
    legend.replaceChildren(...samples(rows));
    all = { from, to };
    if (isWhole || view.from < from || view.from >= to) view = all;
    draw();
  }

  function scale() {
    const width = place.clientWidth;
    const left = Math.min(130, width * 0.36);
    return { width, left, perMilli: (width - left - RIGHT) / (view.to - view.from) };
  }

  function draw() {
    const { width, left, perMilli } = scale();
    if (!rows.length || width < 60) return;
    const height = rows.length * ROW + AXIS;
    const x = (at) => left + (at - view.from) * perMilli;
    const slots = rows.filter(({ of }) => of === "device").length;
    const label = `${rows.length - slots} relays and signals${slots ? `, ${slots} ${slots === 1 ? "slot" : "slots"}` : ""} from ${wholeOf(new Date(view.from))} to ${wholeOf(new Date(view.to))}; the table of changes has the same`;
    place.replaceChildren(svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
      title,
      axis(view, x, height, width),
      rows.map(({ name, spans }, index) => [
        svg("text", { x: left - 8, y: index * ROW + BAR, "text-anchor": "end" }, name),
        bars(spans, view, x, index * ROW + 2),
      ]),
    ));
  }

  function zoom(by, middle = (view.from + view.to) / 2) {
    const length = Math.min(all.to - all.from, Math.max(SHORTEST, (view.to - view.from) * by));
    const part = (middle - view.from) / (view.to - view.from);
    look(middle - part * length, length);
  }

  function look(from, length = view.to - view.from) {
    const start = Math.max(all.from, Math.min(from, all.to - length));
    view = { from: start, to: start + length };
    draw();
  }

  function key(event) {
    const step = (view.to - view.from) / 10;
    const run = {
      ArrowLeft: () => look(view.from - step), ArrowRight: () => look(view.from + step), "+": () => zoom(0.5), "-": () => zoom(2), 0: () => zoom(Infinity),
    }[event.key];
    if (!run || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    run();
  }

  function wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, at(event).time);
  }

  function press(event) {
    if (event.button !== 0) return;
    pressed.set(event.pointerId, event.clientX);
    place.setPointerCapture(event.pointerId);
    point(event);
  }

  /** One finger moves the drawing, two zoom: what is below them stays there. */
  function move(event) {
    const before = pressed.get(event.pointerId);
    if (before === undefined) {
      point(event);
      return;
    }
    const { left, perMilli } = scale();
    const edge = place.getBoundingClientRect().left + left;
    const others = [...pressed].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
    pressed.set(event.pointerId, event.clientX);
    if (others.length === 0) {
      look(view.from - (event.clientX - before) / perMilli);
      return;
    }
    const [other] = others;
    const apart = (x) => Math.max(10, Math.abs(x - other));
    zoom(apart(before) / apart(event.clientX), view.from + (other - edge) / perMilli);
  }

  function release({ pointerId }) {
    pressed.delete(pointerId);
  }

  function at(event) {
    const { left, perMilli } = scale();
    const box = place.getBoundingClientRect();
    return { time: view.from + (event.clientX - box.left - left) / perMilli, row: rows[Math.floor((event.clientY - box.top) / ROW)], reach: NARROWEST / perMilli };
  }

  function point(event) {
    const { time, row, reach } = at(event);
    const found = row && time >= view.from && worst(row.spans, time - reach, time + reach);
    const text = found ? inWords(row.name, found, all.to) : "";
    said.textContent = text;
    title.textContent = text;
  }

  return { element, show, draw };
}

/** The first span that ends after that time. */
function firstAfter(spans, time) {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle].until > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Of the spans between two times the one that is drawn over the others. */
function worst(spans, from, to) {
  let found;
  for (let index = firstAfter(spans, from); index < spans.length && spans[index].from <= to; index += 1) {
    if (!found || rank(spans[index].value) > rank(found.value)) found = spans[index];
  }
  return found;
}

/** One path for each value; spans of one value that meet on the screen are one rectangle. */
function bars(spans, view, x, top) {
  const found = new Map(ORDER.map((value) => [value, { d: [], over: [], from: 0, to: -1 }]));
  const close = (one, value) => {
    if (one.to < one.from) return;
    // What is as it should be is low: it can be distinguished without colours.
    const [y, height] = value === "NO" ? [top + BAR / 4, BAR / 2] : [top, BAR];
    const d = `M${one.from.toFixed(1)} ${y}H${one.to.toFixed(1)}v${height}H${one.from.toFixed(1)}z`;
    one.d.push(d);
    if (one.to - one.from >= NARROWEST_PATTERN) one.over.push(d);
  };
  for (let index = firstAfter(spans, view.from); index < spans.length && spans[index].from < view.to; index += 1) {
    const { from, until, value } = spans[index];
    const start = x(Math.max(from, view.from));
    const end = Math.max(x(Math.min(until, view.to)), start + NARROWEST);
    const name = drawnAs(value);
    const one = found.get(name);
    if (start > one.to + 0.5) {
      close(one, name);
      one.from = start;
    }
    one.to = Math.max(one.to, end);
  }
  return [...found].map(([value, one]) => {
    close(one, value);
    return one.d.length > 0 && filled(value, one.d.join(""), one.over.join(""));
  });
}

/** A path with the look of a value: its back, and the pattern over it, where there is room for that. */
function filled(value, d, over) {
  const pattern = PATTERNS[value] && over && svg("path", { d: over, fill: `url(#pattern-${value})`, class: "over" });
  return [svg("path", { d, class: `span span-${value}` }), pattern];
}

function patterns() {
  const all = Object.entries(PATTERNS).map(([value, d]) =>
    svg("pattern", { id: `pattern-${value}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, svg("path", { d, class: `pattern pattern-${value}` })));
  return svg("svg", { width: 0, height: 0, "aria-hidden": "true" }, svg("defs", {}, all));
}

/** What stands for what, of the values that are drawn; the worst first. */
function samples(rows) {
  const drawn = new Set(rows.flatMap(({ spans }) => spans.map(({ value }) => drawnAs(value))));
  const sample = (value) => {
    const [y, height] = value === "NO" ? [4, 7] : [0.5, BAR];
    const d = `M.5 ${y}h23v${height}h-23z`;
    return svg("svg", { width: 24, height: 15, "aria-hidden": "true" }, filled(value, d, d));
  };
  const shown = ORDER.filter((value) => drawn.has(value)).reverse();
  return shown.map((value) => h("span", { class: "sample" }, sample(value), " ", VALUES[value]));
}

/** Lines at even times of the zone, with the time of day, or the date where another one begins. */
function axis(view, x, height, width) {
  const most = Math.max(2, Math.floor((x(view.to) - x(view.from)) / 80));
  const step = STEPS.find((step) => (view.to - view.from) / step <= most) ?? STEPS.at(-1);
  const zone = offsetOf(new Date(view.from));
  const lines = [];
  for (let even = Math.ceil((view.from + zone) / step) * step; ; even += step) {
    // Summer time may begin in between.
    const at = even - offsetOf(new Date(even - zone));
    if (at > view.to) break;
    const text = even % DAY === 0 ? dateOf(new Date(at)) : timeOfDay(new Date(at), step < MINUTE);
    // The name of the zone stands at the end.
    const isFree = x(at) < width - 76;
    lines.push(svg("path", { class: "grid", d: `M${x(at).toFixed(1)} 0V${height - AXIS + 3}` }));
    if (isFree) lines.push(svg("text", { x: x(at).toFixed(1), y: height - 6, "text-anchor": "middle", class: "tick" }, text));
  }
  return [lines, svg("text", { x: width - 2, y: height - 6, "text-anchor": "end" }, zoneName(new Date(view.to)))];
}
