// A relay as its changeover contact: the arm of COM lies at NO, at NC, or nobody knows where.

import { badge, h, svg, time } from "./dom.js";

const WORDS = { NO: "NO, normal", NC: "NC, fault", unknown: "unknown" };
const KINDS = { NO: "ok", NC: "fault", unknown: "unknown" };

/** The kind of a position, as badges and colours have it. */
export function kindOf(position) {
  return KINDS[position] ?? "unknown";
}

/** The contact alone, small. */
export function smallContact(position) {
  return svg("svg", { class: `contact small ${kindOf(position)}`, viewBox: "4 6 92 60", "aria-hidden": "true" }, parts(position));
}

/** The contact with the names of its terminals. */
function contact(letter, position) {
  const label = `Contact of relay ${letter}: ${position === "unknown" ? "position unknown" : `COM and ${position} connected`}`;
  const text = (x, y, anchor, name, isOn) => svg("text", { x, y, "text-anchor": anchor, class: isOn ? "on" : "" }, name);
  return svg(
    "svg",
    { class: `contact ${kindOf(position)}`, viewBox: "0 0 150 72", role: "img", "aria-label": label, "data-position": position },
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

/** Everything about a relay. */
export function relayCard(letter, relay) {
  const kind = kindOf(relay.position);
  const lines = [
    ["driven by", relay.driven_by ?? "not known"],
    ["cause", relay.cause],
    ["provenance", relay.via ? `${relay.provenance}, over ${relay.via.toUpperCase()}` : relay.provenance],
    ["since", time(relay.since)],
    ["last known", relay.last && h("span", {}, `${relay.last.position}, `, time(relay.last.at))],
  ];
  return h(
    "section",
    { class: `relay ${kind}`, "data-relay": letter },
    h("h4", {}, `Relay ${letter.toUpperCase()} `, badge(kind, WORDS[relay.position] ?? "unknown")),
    contact(letter.toUpperCase(), relay.position),
    h("dl", { class: "lines" }, lines.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
  );
}
