// HTTP communication of a device: how its polls go, and the latest requests one by one. It changes all the time, so it is
// asked for while it is looked at, and not sent to every page.

import { badge, facts, h, time } from "./dom.js";
import { json } from "./live.js";
import { plot } from "./plot.js";
import { lockReason, lockedButton, post } from "./token.js";

/** From one look to the next; the bridge's own numbers are up to 10 s old. */
const EVERY = 5_000;
/** Rows of the table; the plot shows all. */
const ROWS = 50;
const COLUMNS = ["id", "started", "request", "status", "until answer", "reading it", "round trip", "bytes"];

/** The part of the page. The elements stay the same, so focus and place do. */
export function httpPart(device) {
  const path = `/api/devices/${encodeURIComponent(device)}`;
  const numbers = h("div", {}, h("p", { class: "quiet" }, "Not reported yet."));
  const kept = h("p", { class: "quiet" });
  const requests = requestsPart();
  let isKept = false;
  let asked = 0;
  const look = async () => {
    asked += 1;
    const mine = asked;
    try {
      const { http_stats: stats, http_sessions: tracking } = await json(path);
      const log = tracking?.enabled ? await json(`${path}/http/sessions`) : undefined;
      if (mine !== asked) return;
      isKept = Boolean(tracking?.enabled);
      if (stats) numbers.replaceChildren(facts(pairs(stats)));
      kept.textContent = isKept ? `The latest ${tracking.max_count} requests are kept; the table shows ${ROWS}.` : "Single requests are not kept.";
      keep[0].textContent = isKept ? "Stop keeping requests" : "Keep requests";
      requests.show(log?.sessions);
    } catch (error) {
      if (mine === asked) kept.textContent = `What stands here is of before: ${error.message}.`;
    }
  };
  const keep = lockedButton("Keep requests", "Done.", async () => {
    const reply = await post(`${path}/http/sessions`, { enabled: !isKept });
    await look();
    return reply;
  });
  const part = h(
    "section",
    { class: "panel", "aria-label": "HTTP communication" },
    h("h3", {}, "HTTP Communication"),
    numbers,
    kept,
    h("p", {}, keep, " ", lockReason()),
    requests.element,
  );
  const timer = setInterval(() => {
    if (!part.isConnected) clearInterval(timer);
    else if (!document.hidden && part.checkVisibility()) void look();
  }, EVERY);
  void look();
  return part;
}

function pairs({ polls, failures, rtt_ms: rtt = {}, last_success: last }) {
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

/** Plot and table of the sessions; nothing where none are kept. */
function requestsPart() {
  const none = h("p", { class: "quiet", hidden: true }, "No request yet; they are updated every 10 s.");
  const figure = h("figure", { hidden: true });
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Requests", hidden: true });
  const element = h("div", { class: "sessions" }, none, figure, scroll);
  const show = (sessions) => {
    const count = sessions?.length ?? 0;
    none.hidden = !sessions || count > 0;
    figure.hidden = count === 0;
    scroll.hidden = count === 0;
    if (count === 0) return;
    const width = Math.max(260, Math.min(900, element.clientWidth || 600));
    figure.replaceChildren(plot(sessions, width), h("figcaption", { class: "quiet" }, `Round trips of the latest ${count} requests; × failed`));
    scroll.replaceChildren(table(sessions));
  };
  return { element, show };
}

function table(sessions) {
  const number = (name, text) => h("td", { class: "number", "data-name": name }, text);
  const ms = (name, value) => number(name, `${value.toFixed(1)} ms`);
  const row = (session) => h(
    "tr",
    {},
    number("id", String(session.id)),
    h("td", {}, time(session.started_at, "clock")),
    h("td", { class: "path" }, `${session.method} ${session.path}`),
    h("td", {}, session.error ? badge("fault", session.error) : String(session.status)),
    ms("until answer", session.request_ms),
    ms("reading it", session.response_ms),
    ms("round trip", session.rtt_ms),
    number("bytes", String(session.bytes)),
  );
  const rows = sessions.slice(-ROWS).reverse().map(row);
  return h(
    "table",
    { class: "stacked" },
    h("caption", { class: "unseen" }, `The latest ${rows.length} requests`),
    h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows),
  );
}
