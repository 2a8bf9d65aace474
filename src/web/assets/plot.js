// Round trips over time, as a drawing. The table beside it has the same numbers.

import { timeOfDay } from "./clock.js";
import { svg } from "./dom.js";

const HEIGHT = 150;
const LEFT = 56;
const RIGHT = 12;
const TOP = 14;
const BOTTOM = 26;

/** A drawing of these sessions, so many pixels wide. */
export function plot(sessions, width) {
  const points = sessions.map((session) => ({ at: Date.parse(session.started_at), ms: session.rtt_ms, failed: Boolean(session.error) || session.status >= 400 }));
  const [first, last] = [points[0].at, points[points.length - 1].at];
  const top = niceAbove(Math.max(...points.map((point) => point.ms)));
  const x = (at) => LEFT + ((at - first) / Math.max(1, last - first)) * (width - LEFT - RIGHT);
  const y = (ms) => TOP + (1 - ms / top) * (HEIGHT - TOP - BOTTOM);
  const good = points.filter((point) => !point.failed);
  const failed = points.filter((point) => point.failed);
  const ms = good.map((point) => point.ms);
  const range = ms.length ? `${Math.min(...ms).toFixed(1)} to ${Math.max(...ms).toFixed(1)} ms` : "none succeeded";
  const clock = (at) => timeOfDay(new Date(at));
  return svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `Round trips of ${points.length} requests: ${range}, ${failed.length} failed` },
    [0, 0.5, 1].map((part) => [
      svg("path", { class: "grid", d: `M${LEFT} ${y(top * part)}H${width - RIGHT}` }),
      svg("text", { x: LEFT - 6, y: y(top * part) + 4, "text-anchor": "end" }, `${+(top * part).toPrecision(3)} ms`),
    ]),
    svg("text", { x: LEFT, y: HEIGHT - 6 }, clock(first)),
    svg("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, clock(last)),
    good.length > 1 && svg("polyline", { class: "line", points: good.map((point) => `${x(point.at).toFixed(1)},${y(point.ms).toFixed(1)}`).join(" ") }),
    good.length <= 120 && good.map((point) => svg("circle", { class: "dot", cx: x(point.at).toFixed(1), cy: y(point.ms).toFixed(1), r: 2 })),
    failed.map((point) => svg("path", { class: "cross", d: `M${x(point.at) - 4} ${y(point.ms) - 4}l8 8m0 -8l-8 8` })),
  );
}

function niceAbove(value) {
  const scale = 10 ** Math.floor(Math.log10(Math.max(value, 0.01)));
  return [1, 2, 5, 10].map((step) => step * scale).find((step) => step >= value) ?? value;
}
