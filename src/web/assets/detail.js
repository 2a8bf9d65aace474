// One device: relays, signals, events, HTTP communication. Only the selected one is drawn.

import { chooser } from "./chooser.js";
import { others } from "./cluster.js";
import { causeWord } from "./causes.js";
import { kindOfDevice, nameOfKind, placeOf } from "./devices.js";
import { Parts, badge, facts, h, sentence, time } from "./dom.js";
import { historyPart, showHistory } from "./history.js";
import { lastFault } from "./last_fault.js";
import { known } from "./live.js";
import { relayCard, unknown } from "./relay.js";
import { httpPart } from "./sessions.js";
import { lockReason, lockedButton, post, unlockButton } from "./token.js";

const SIGNAL_KINDS = { ok: "ok", fail: "fault", absent: "absent" };
/** How an event that is triggered looks, by its type, the most severe first. An action or an info is neither good nor bad. */
const EVENT_KINDS = { critical: "critical", error: "fault", warning: "warning", action: "info", info: "info" };
const parts = new Parts(document.getElementById("detail"));
let shown;

/** Draws the device, or says that there is none. */
export function showDetail(id, device) {
  if (shown !== id) parts.clear();
  shown = id;
  if (!id) {
    parts.show([["hint", {}, () => h("p", { class: "hint quiet" }, "Choose a device to see its relays, signals and events.")]]);
    return;
  }
  if (!device?.state) {
    const elsewhere = known.cluster && ["Other bridges of the cluster may have it: ", others(known.cluster), ". "];
    parts.show([["none", [id, known.cluster?.members], () => h("p", { class: "hint" }, `There is no device ${id}${elsewhere ? " here" : ""}. `, elsewhere, h("a", { href: "#/" }, "All devices"))]]);
    return;
  }
  const slots = Object.entries(device.slots);
  const types = Object.fromEntries(Object.entries(device.events).map(([name, { type }]) => [name, type]));
  parts.show([
    ["head", [device.state, device.info, placeOf(device), kindOfDevice(device)], () => head(device)],
    ["poll", id, () => pollPart(id)],
    ...(device.error ? [["error", device.error, () => error(device.error)]] : []),
    ...slots.flatMap(([slot, data]) => [
      [`slot-${slot}`, [data.state, data.info, data.relays], () => slotPart(id, slot, data)],
      ...Object.entries(data.relay_events).map(([relay, selection]) => [
        `chooser-${slot}-${relay}`, [selection.events, selection.confirmed, types],
        (old) => chooser(id, slot, relay, selection, types, old),
      ]),
      [`signals-${slot}`, data.signals, () => signals(slot, data.signals)],
    ]),
    ["history", id, () => historyPart(id)],
    ["events", device.events, () => events(device.events)],
    ["http", id, () => httpPart(id)],
  ]);
}

function head(device) {
  const info = device.info ?? {};
  const kind = kindOfDevice(device);
  const word = kind === "unknown" ? "Not all is known" : nameOfKind(kind);
  const { label, site } = placeOf(device);
  const about = [label, site, info.model, info.hostname].filter(Boolean).join(", ");
  return h(
    "header",
    { class: "panel" },
    h("p", { class: "back" }, h("a", { href: "#/" }, "← All devices")),
    h("div", { class: "title" }, h("h2", { tabindex: "-1", id: "detail-title" }, device.id), badge(kind, word), h("span", { class: "quiet" }, about), info.web_interface && h("span", { class: "web" }, "Its own page: ", link(info.web_interface))),
    h(
      "details",
      {},
      h("summary", {}, "About this device"),
      facts([
        ["state", device.state],
        ["label", label],
        ["site", site],
        ["model", info.model],
        ["host name", info.hostname],
        ["serial number", info.serial_number],
        ["firmware", info.firmware],
        ["API", info.api_version],
        ["profile", info.profile],
        ["web interface", link(info.web_interface)],
      ]),
    ),
  );
}

/** Never drawn again, so its result stays. */
function pollPart(id) {
  const [button, , said] = lockedButton("Poll now", "Polled.", () => post(`/api/devices/${encodeURIComponent(id)}/refresh`, {}));
  // The reason stands here once, for all buttons of the device.
  return h(
    "div",
    { class: "actions" },
    h("p", {}, button, " ", lockReason(), " ", said),
    unlockButton(),
    h("button", { type: "button", class: "jump", onclick: showHistory }, "History ↓"),
  );
}

/** Only what leads to a web server is made a link. */
function link(url) {
  if (!url || !URL.canParse(url) || !["http:", "https:"].includes(new URL(url).protocol)) return url;
  return h("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, url);
}

function error({ operation, error, first_at: first }) {
  return h(
    "section",
    { class: "panel problem", role: "group", "aria-label": "Error" },
    h("h3", {}, badge("fault", `${operation}: ${error.kind}`)),
    h("p", {}, sentence(error.message)),
    h("p", {}, h("strong", {}, "What to do: "), sentence(error.remedy)),
    h("p", { class: "quiet" }, "since ", time(first)),
  );
}

function slotPart(id, slot, { state, info = {}, relays }) {
  const words = { online: "", offline: "device offline", absent: "no module there", mismatch: "another module there", unknown: "not seen yet" };
  const wiring = info.wiring_source === "assumed" ? "wiring assumed: compare it with the jumpers" : undefined;
  const about = [words[state] ?? state, info.model, info.serial_number, info.software_revision, wiring].filter(Boolean).join(" · ");
  const cards = Object.entries(relays).map(([name, relay]) => relayCard(name, relay, lastFault(id, slot, name, relay.last_fault)));
  return h(
    "section",
    { class: "panel", "aria-label": `Relays of slot ${slot}` },
    h("h3", {}, `Slot ${slot} `, h("span", { class: "quiet" }, about)),
    cards.length ? h("div", { class: "relays" }, cards) : h("p", { class: "quiet" }, "No relays are known here."),
  );
}

function signalBadge(signal) {
  const { kind, word } = unknown(signal);
  if (signal.status === "unknown") return badge(kind, word);
  return badge(signal.stale ? "stale" : SIGNAL_KINDS[signal.status] ?? "unknown", signal.stale ? `${signal.status}, stale` : signal.status);
}

function signals(slot, all) {
  const row = ([name, signal]) => h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", {}, signalBadge(signal)),
    h("td", {}, signal.via ? `${signal.provenance}, ${signal.via}` : signal.provenance),
    h("td", {}, time(signal.since)),
    h("td", { class: "quiet wide" }, Object.entries(signal.detail ?? {}).map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`).join(", ")),
  );
  return h(
    "section",
    { class: "panel", "aria-label": `Signals of slot ${slot}` },
    h("h3", {}, `Signals of ${slot}`),
    h("div", { class: "scroll" }, h(
      "table",
      { class: "stacked" },
      h("thead", {}, h("tr", {}, ["signal", "status", "provenance", "since", "detail"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, Object.entries(all).map(row)),
    )),
  );
}

function events(all) {
  const entries = Object.entries(all);
  const severity = Object.keys(EVENT_KINDS);
  const rank = ([, event]) => event.triggered !== true ? severity.length : severity.indexOf(event.type);
  entries.sort((a, b) => rank(a) - rank(b) || a[0].localeCompare(b[0]));
  const triggered = entries.filter(([, event]) => event.triggered === true);
  const rest = entries.filter(([, event]) => event.triggered !== true);
  const kind = (event) => event.triggered === "unknown" ? "unknown" : event.triggered ? EVENT_KINDS[event.type] ?? "info" : "absent";
  const word = (event) => event.triggered === "unknown" ? "unknown" : event.triggered ? "triggered" : "not triggered";
  const table = (entries) => h("div", { class: "scroll" }, h(
    "table",
    { class: "stacked" },
    h("thead", {}, h("tr", {}, ["event", "state", "type", "last triggered"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, entries.map(([name, event]) => h(
      "tr",
      {},
      h("th", { scope: "row" }, causeWord(name)),
      h("td", {}, badge(kind(event), word(event))),
      h("td", {}, event.type),
      h("td", {}, event.last_triggered ? time(event.last_triggered) : "never"),
    ))),
  ));
  return h(
    "section",
    { class: "panel", "aria-label": "Notification events" },
    h("h3", {}, "Events ", h("span", { class: "quiet" }, `${triggered.length} of ${entries.length} triggered`)),
    triggered.length ? table(triggered) : h("p", { class: "quiet" }, "None is triggered."),
    rest.length > 0 && h("details", {}, h("summary", {}, `The other ${rest.length}`), table(rest)),
  );
}
