// A relay as its changeover contact: the arm of COM lies at NO, at NC, or nobody knows where.

import { explained } from "./causes.js";
import { badge, h, svg, time } from "./dom.js";

const KINDS = { NO: "ok", NC: "fault" };
/** Unknown is not always the same: by reason, the kind, one word, and what it means. */
const REASONS = {
  "not-reported": ["neutral", "not reported", "The device does not report it: that is no fault."],
  offline: ["unknown", "unknown", "The device is offline."],
  missing: ["missing", "missing", "The relay module is not in its slot any more."],
  "info-only": ["unknown", "unknown", "Only events of type info are triggered: whether these switch a relay is not known."],
  unclear: ["unknown", "unknown", "What the device reports does not settle it."],
};

/** The kind of a relay's position, or of a signal's status, and what it says when it is unknown. */
export function unknown({ unknown_reason: reason }) {
  const [kind, word, meaning] = REASONS[reason] ?? ["unknown", "unknown"];
  return { kind, word, meaning };
}

/** The kind of a relay, as badges and colours have it. */
export function kindOf(relay) {
  return KINDS[relay.position] ?? unknown(relay).kind;
}

function wordOf(relay) {
  if (relay.stale) return `${relay.position}, stale`;
  return { NO: "NO, normal", NC: "NC, fault" }[relay.position] ?? unknown(relay).word;
}

/** A relay in a list: its name, in a box that shows where the contact lies. */
export function relayCell(slot, name, relay) {
  const kind = kindOf(relay);
  const marks = { neutral: "–", missing: "missing" };
  const word = relay.position === "unknown" ? marks[kind] ?? "?" : relay.position;
  const upper = name.toUpperCase();
  return h("span", { class: `cell ${kind}${relay.stale ? " old" : ""}`, title: `${slot}, relay ${upper}: ${wordOf(relay)}` }, upper, h("span", { class: "unseen" }, ` ${word}`));
}

/** The contact with the names of its terminals. */
function contact(name, position, kind) {
  const label = `Contact of relay ${name}: ${position === "unknown" ? "position unknown" : `COM and ${position} connected`}`;
  const text = (x, y, anchor, name, isOn) => svg("text", { x, y, "text-anchor": anchor, class: isOn ? "on" : "" }, name);
  return svg(
    "svg",
    { class: `contact ${kind}`, viewBox: "0 0 150 72", role: "img", "aria-label": label, "data-position": position },
    parts(position),
    text(10, 28, "start", "COM", true),
    text(106, 21, "start", "NO", position === "NO"),
    text(106, 61, "start", "NC", position === "NC"),
  );
}

function parts(position) {
  const end = { NO: [84, 17], NC: [84, 55] }[position] ?? [88, 36];
  return [
    svg("path", { class: "wire", d: "M8 36H36" }),
    svg("path", { class: "arm", d: `M36 36L${end[0]} ${end[1]}` }),
    svg("circle", { class: "pivot", cx: 36, cy: 36, r: 4.5 }),
    svg("circle", { class: position === "NO" ? "end on" : "end", cx: 90, cy: 16, r: 5.5 }),
    svg("circle", { class: position === "NC" ? "end on" : "end", cx: 90, cy: 56, r: 5.5 }),
  ];
}

/** Everything about a relay, and what else is to stand there. */
export function relayCard(name, relay, more) {
  const kind = kindOf(relay);
  const lines = [
    ["why", relay.position === "unknown" && unknown(relay).meaning],
    ["stale", relay.stale && "The last poll failed: this is of the one before."],
    ["driven by", relay.driven_by ?? "not known"],
    ["cause", relay.cause && h("span", {}, explained(relay.cause))],
    ["held by", holders(relay)],
    ["provenance", relay.via ? `${relay.provenance}, over ${relay.via.toUpperCase()}` : relay.provenance],
    ["since", time(relay.since)],
    ["last known", relay.last && h("span", {}, `${relay.last.position}, `, time(relay.last.at))],
  ];
  return h(
    "section",
    { class: `relay ${kind}`, "data-relay": name },
    h("h4", {}, `Relay ${name.toUpperCase()} `, badge(relay.stale ? "stale" : kind, wordOf(relay))),
    contact(name.toUpperCase(), relay.position, kind),
    h("dl", { class: "lines" }, lines.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    more,
  );
}

/** What holds it in NC now, where that is not just what made it fall. */
function holders({ cause, causes = [] }) {
  const isSame = causes.length === 1 && causes[0].cause === cause;
  if (isSame || !causes.length) return undefined;
  return causes.map((one) => h("p", {}, explained(one.cause), ", ", time(one.since)));
}
