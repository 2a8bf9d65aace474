// A wall screen (`?kiosk`): what is wrong in big tiles, what is normal in small ones, no controls. It runs for months: tiles are
// those of the devices that there are, and nothing else grows.

import { standsByIn } from "./cluster.js";
import { meaningOf } from "./causes.js";
import { dayOf, span, timeOfDay, zoneName } from "./clock.js";
import { KINDS, causeOf, countOf, kindOfDevice, namesOf, placeOf, unacknowledged } from "./devices.js";
import { h, keepTime, mark, time } from "./dom.js";
import { known } from "./live.js";
import { showTab } from "./tab.js";

/**
 * From the biggest tiles on: the size of those of what is wrong, what these say beside the name, and the size of the others. The first
 * of these at which all of them have room is taken.
 */
const SIZES = [
  [6, "all", 4.5], [5, "all", 3.6], [4.2, "all", 2.9], [3.5, "all", 2.3], [2.9, "all", 1.9], [2.4, "all", 1.5], [2, "all", 1.2],
  [1.85, "all", 1.1], [1.7, "all", 1], [1.6, "all", 0.95], [1.45, "all", 0.9], [1.25, "all", 0.8], [1.1, "all", 0.75],
  [1.1, "time", 0.7], [1, "time", 0.62], [0.85, "time", 0.55],
  [1, "name", 0.6], [0.9, "name", 0.6], [0.8, "name", 0.55], [0.7, "name", 0.5], [0.6, "name", 0.45], [0.5, "name", 0.4],
];
/** The least size of what is normal at which its id and site can be read. */
const WITH_PLACE = 1.5;
/** Lengths of names that have room; longer ones are cut. */
const NAME_LENGTHS = [6, 24];
/** Kinds that make a device a big tile. */
const WRONG = Object.keys(KINDS).filter((kind) => kind !== "ok");
const collator = new Intl.Collator("en", { numeric: true });

export const isKiosk = new URLSearchParams(location.search).has("kiosk");

const clock = h("p", { class: "kiosk-clock" });
const day = h("p", { class: "kiosk-day" });
const numbers = h("p", { class: "kiosk-numbers", role: "status" });
const alarm = h("p", { class: "kiosk-alarm", role: "alert", hidden: true });
const wrong = h("ul", { class: "kiosk-wrong" });
const normal = h("ul", { class: "kiosk-normal", "aria-label": "Normal" });
const all = h("div", { class: "kiosk-all" }, wrong, normal);
/** Tiles by id: element, kind, and what they show. */
const tiles = new Map();
let fitted = "";

/** Puts the wall screen in the place of the page. */
export function startKiosk() {
  document.body.className = "kiosk";
  document.body.replaceChildren(h("header", { class: "kiosk-head" }, numbers, h("div", {}, clock, day)), alarm, h("main", { id: "main" }, all));
  tick();
  setInterval(tick, 1_000);
  keepTime();
  addEventListener("resize", () => fit(true));
}

function tick() {
  const now = new Date();
  setText(clock, `${timeOfDay(now)} ${zoneName(now)}`);
  setText(day, dayOf(now));
  showAlarm();
}

/** Says plainly when what is shown is old, or goes nowhere. */
function showAlarm() {
  const { isLost } = known;
  const text = isLost ? lost() : wrongWithBridge();
  alarm.hidden = !text;
  alarm.classList.toggle("lost", isLost);
  setText(alarm, text);
  document.body.classList.toggle("stale", isLost);
}

function lost() {
  const since = known.lostAt ? ` ${span(Date.now() - known.lostAt.getTime())} ago: what stands here is old` : "";
  return `✕ Connection to the bridge lost${since}`;
}

/** What is wrong with the bridge or its cluster; empty, if nothing is. */
function wrongWithBridge() {
  const { bridge, cluster } = known;
  if (!bridge) return "◆ Connecting to the bridge";
  const ownerless = (cluster?.shards ?? []).filter(({ owner }) => !owner).reduce((sum, { devices }) => sum + devices, 0);
  return [
    !bridge.broker.connected && "■ The bridge has no connection to its broker",
    cluster && !cluster.etcd.connected && "■ etcd does not answer",
    ownerless > 0 && `▲ Nobody polls ${ownerless} devices`,
    tiles.size === 0 && standsByIn(cluster) && "◆ This bridge stands by: another one of the cluster shows the devices",
  ].filter(Boolean).join(". ");
}

/** Brings the tiles of these devices up to date. */
export function showKiosk(ids) {
  let isMoved = false;
  for (const id of ids) {
    const device = known.devices.get(id);
    const tile = tiles.get(id);
    if (!device?.state) {
      tile?.element.remove();
      isMoved = tiles.delete(id) || isMoved;
      continue;
    }
    const kind = kindOfDevice(device);
    const cause = kind === "ok" ? undefined : causeOf(device, kind);
    const over = overOf(device);
    const json = JSON.stringify([kind, cause, placeOf(device), over]);
    if (tile?.json === json) continue;
    const element = build(device, kind, cause, over);
    tile?.element.replaceWith(element);
    tiles.set(id, { id, kind, json, element, length: nameOf(device).length });
    isMoved = isMoved || tile?.kind !== kind;
  }
  if (isMoved) place();
  const counts = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0]));
  for (const { kind } of tiles.values()) counts[kind] += 1;
  showNumbers(counts);
  showTab(counts);
  showAlarm();
  fit(ids.size > 0);
}

function build(device, kind, cause, over) {
  const { label, site } = placeOf(device);
  const name = h("strong", {}, nameOf(device));
  // Empty where there is none: as many elements as before and after a fault.
  const flag = h("span", { class: "kiosk-over" }, over);
  const about = [label && device.id, site].filter(Boolean).join(", ");
  const place = about ? h("span", { class: "kiosk-place" }, about) : undefined;
  if (!cause) return h("li", { class: "tile ok", "data-id": device.id }, mark(kind), name, place, flag);
  const { what, since, where } = cause;
  const reason = reasonOf(cause);
  return h(
    "li",
    { class: `tile ${kind}`, "data-id": device.id },
    mark(kind),
    name,
    place,
    h("span", { class: "kiosk-since" }, what || KINDS[kind], since && [" ", time(since, "span")], where && `, ${where}`),
    reason && h("span", { class: "kiosk-why" }, reason),
    flag,
  );
}

/** Why, and what the words for it mean. */
function reasonOf({ why, causes = [] }) {
  if (why === causes.join(", ")) return causes.map((cause) => `${cause}: ${meaningOf(cause)}`).join("; ");
  return [why, causes.map(meaningOf).join("; ")].filter(Boolean).join(": ");
}

function nameOf(device) {
  return placeOf(device).label ?? device.id;
}

/** Its relays with a fault that is over and that nobody has acknowledged, in words; empty, if there are none. */
function overOf(device) {
  const names = namesOf(unacknowledged(device));
  return names && `⚑ was in NC: ${names}`;
}

function place() {
  const rank = ({ kind }) => WRONG.indexOf(kind);
  const order = [...tiles.values()].sort((a, b) => rank(a) - rank(b) || collator.compare(a.id, b.id));
  put(wrong, order.filter(({ kind }) => kind !== "ok"));
  put(normal, order.filter(({ kind }) => kind === "ok"));
}

function put(list, order) {
  order.forEach(({ element }, index) => {
    const there = list.children[index];
    if (there !== element) list.insertBefore(element, there ?? null);
  });
}

function showNumbers(counts) {
  const wrongs = WRONG.filter((kind) => counts[kind] > 0);
  const key = JSON.stringify([counts, tiles.size]);
  if (numbers.dataset.key === key) return;
  numbers.dataset.key = key;
  numbers.replaceChildren(
    ...wrongs.map((kind) => h("span", { class: `number ${kind}` }, mark(kind), ` ${countOf(kind, counts[kind])}`)),
    h("span", { class: "number ok" }, mark("ok"), ` ${counts.ok} of ${tiles.size} normal`),
  );
}

/** Chooses the size of the tiles: nobody scrolls a wall. */
function fit(isNews) {
  if (!isNews) return;
  const longest = Math.max(NAME_LENGTHS[0], ...[...tiles.values()].map(({ length }) => length));
  const texts = [...tiles.values()].reduce((sum, { element }) => sum + element.textContent.length, 0);
  const key = [innerWidth, innerHeight, alarm.hidden, wrong.children.length, normal.children.length, longest, texts].join();
  if (fitted === key) return;
  fitted = key;
  all.style.setProperty("--length", String(Math.min(NAME_LENGTHS[1], longest)));
  for (const [size, says, others] of SIZES) {
    all.style.setProperty("--size", String(size));
    all.style.setProperty("--others", String(others));
    all.dataset.says = says;
    all.dataset.others = others >= WITH_PLACE ? "big" : "small";
    if (all.scrollHeight <= all.clientHeight && all.scrollWidth <= all.clientWidth) break;
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
