// HTTP communication of a device: how its polls go, and the latest requests one by one.

import { badge, facts, h, time } from "./dom.js";
import { plot } from "./plot.js";
import { lockedButton, post, words } from "./token.js";

/** Rows of the table; the plot shows all. */
const ROWS = 50;

/** The part of the page; it fetches the sessions itself. */
export function httpPart(device, http) {
  const { http_stats: stats, http_sessions: tracking } = http ?? {};
  const place = h("div", { class: "sessions" });
  const button = lockedButton(`sessions ${device}`, tracking?.enabled ? "Stop keeping requests" : "Keep requests", async () =>
    words(await post(`/api/devices/${encodeURIComponent(device)}/http/sessions`, { enabled: !tracking?.enabled }), "Done."));
  const refresh = lockedButton(`refresh ${device}`, "Poll now", async () =>
    words(await post(`/api/devices/${encodeURIComponent(device)}/refresh`, {}), "Polled."));
  if (tracking?.enabled) void showSessions(device, place);
  return h(
    "section",
    { class: "panel", "aria-label": "HTTP communication" },
    h("h3", {}, "HTTP Communication"),
    stats ? facts(numbers(stats)) : h("p", { class: "quiet" }, "Not told yet."),
    h("p", { class: "quiet" }, tracking?.enabled ? `The latest ${tracking.max_count} requests are kept; the table shows ${ROWS}.` : "Single requests are not kept."),
    h("p", {}, button),
    h("p", {}, refresh),
    place,
  );
}

function numbers({ polls, failures, rtt_ms: rtt = {}, last_success: last }) {
  const ms = (value) => value === undefined ? undefined : `${value.toFixed(1)} ms`;
  return [
    ["polls", String(polls)],
    ["failures", String(failures)],
    ["last", ms(rtt.last)],
    ["median", ms(rtt.p50)],
    ["95 %", ms(rtt.p95)],
    ["99 %", ms(rtt.p99)],
    ["longest", ms(rtt.max)],
    ["last success", last && time(last)],
  ];
}

async function showSessions(device, place) {
  let log;
  try {
    log = await (await fetch(`/api/devices/${encodeURIComponent(device)}/http/sessions`)).json();
  } catch {
    place.replaceChildren(h("p", { class: "quiet" }, "The bridge does not answer."));
    return;
  }
  const sessions = log.sessions ?? [];
  if (sessions.length === 0) {
    place.replaceChildren(h("p", { class: "quiet" }, "No request yet; they are told every 10 s."));
    return;
  }
  const width = Math.max(260, Math.min(900, place.clientWidth || 600));
  place.replaceChildren(
    h("figure", {}, plot(sessions, width), h("figcaption", { class: "quiet" }, `Round trips of the latest ${sessions.length} requests; × failed`)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Requests" }, table(sessions)),
  );
}

function table(sessions) {
  const head = ["id", "started", "request", "answer", "request", "response", "round trip", "bytes"];
  const row = (session) => h(
    "tr",
    {},
    h("td", {}, String(session.id)),
    h("td", {}, new Date(session.started_at).toLocaleTimeString()),
    h("td", { class: "path" }, `${session.method} ${session.path}`),
    h("td", {}, session.error ? badge("fault", session.error) : String(session.status)),
    [session.request_ms, session.response_ms, session.rtt_ms].map((ms) => h("td", { class: "number" }, `${ms.toFixed(1)} ms`)),
    h("td", { class: "number" }, String(session.bytes)),
  );
  const rows = sessions.slice(-ROWS).reverse().map(row);
  return h(
    "table",
    {},
    h("caption", { class: "unseen" }, `The latest ${rows.length} requests`),
    h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows),
  );
}
