// Points in time in words, in the zone that was selected: the browser's own one, or UTC. Each says which one that is.

import { keep, setting } from "./settings.js";

const TIME = { hour: "numeric", minute: "2-digit", second: "2-digit" };
const DAY = { year: "numeric", month: "numeric", day: "numeric" };
const ZONE = { timeZoneName: "short" };

const listeners = [];
const formats = new Map();
let inUtc = setting("zone") === "utc" || new URLSearchParams(location.search).has("utc");

export function isUtc() {
  return inUtc;
}

/** Shows all times in UTC from now on, or in the browser's zone. */
export function setUtc(isWanted) {
  inUtc = isWanted;
  keep("zone", inUtc ? "utc" : "local");
  formats.clear();
  for (const listener of listeners) listener();
}

/** Calls `listener` when another zone was selected. */
export function onZone(listener) {
  listeners.push(listener);
}

function format(name, options) {
  const made = formats.get(name) ?? new Intl.DateTimeFormat(undefined, { ...options, timeZone: inUtc ? "UTC" : undefined });
  formats.set(name, made);
  return made;
}

/** The name of the zone, as it is now. */
export function zoneName(at = new Date()) {
  return format("zone", { ...TIME, ...ZONE }).formatToParts(at).find(({ type }) => type === "timeZoneName").value;
}

/** The time of day, without the zone, and without seconds if these are not asked for. */
export function timeOfDay(at, withSeconds = true) {
  const { second, ...short } = TIME;
  return withSeconds ? format("time", TIME).format(at) : format("short", short).format(at);
}

/** The day, with its name. */
export function dayOf(at) {
  return format("day", { weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(at);
}

/** The time of day, with the date where that is another day than today; without the zone. */
export function shortOf(at) {
  const day = format("date", DAY);
  return day.format(at) === day.format(new Date()) ? timeOfDay(at) : format("short whole", { ...DAY, ...TIME }).format(at);
}

/** The same with the zone. */
export function clockOf(at) {
  return `${shortOf(at)} ${zoneName(at)}`;
}

/** Date, time of day and zone. */
export function wholeOf(at) {
  return format("whole", { ...DAY, ...TIME, ...ZONE }).format(at);
}

/** The day without the year. */
export function dateOf(at) {
  return format("short day", { day: "numeric", month: "short" }).format(at);
}

/** How far the zone is ahead of UTC then. */
export function offsetOf(at) {
  return inUtc ? 0 : -at.getTimezoneOffset() * 60_000;
}

/** How long something lasted, by its two largest units. */
export function lasted(millis) {
  const seconds = Math.round(millis / 1000);
  if (seconds < 10) return `${(Math.max(0, millis) / 1000).toFixed(1)} s`;
  const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"], [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** How long that is, in words: whole seconds in the first minute. */
export function span(millis) {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
