// The page: which view is shown, and what is said aloud.

import { isWell, showBridge } from "./bridge.js";
import { showCluster, standsByIn } from "./cluster.js";
import { showDetail } from "./detail.js";
import { clockOf, onZone } from "./clock.js";
import { relays } from "./devices.js";
import { badge, keepTime } from "./dom.js";
import { counts, select, showFleet } from "./fleet.js";
import { showDeadLetters } from "./dead_letters.js";
import { showFaults } from "./faults.js";
import { showIncidents } from "./incidents.js";
import { isKiosk, showKiosk, startKiosk } from "./kiosk.js";
import { connect, known, onChange } from "./live.js";
import { showAlerts, watch } from "./notify.js";
import { showTab } from "./tab.js";
import { showLock } from "./token.js";
import { showZone } from "./zone.js";

const byId = (id) => document.getElementById(id);
const views = { devices: byId("view-devices"), faults: byId("view-faults"), "dead-letters": byId("view-dead-letters"), bridge: byId("view-bridge") };
let view = "devices";
let selected;
let deadLetters;
/** Where the list was left, where a device takes its place. */
let left = 0;
const isNarrow = matchMedia("(max-width: 52rem)");

function route() {
  const hash = location.hash;
  // Others are places within the page.
  if (hash !== "" && !hash.startsWith("#/")) return;
  const [, first = "", second = ""] = hash.split("/");
  const before = `${view} ${selected ?? ""}`;
  const wasList = view === "devices" && selected === undefined;
  if (wasList && isNarrow.matches && !views.devices.hidden) left = scrollY;
  view = first !== "devices" && first in views ? first : "devices";
  selected = first === "device" ? decode(second) : undefined;
  showView();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  views.devices.classList.toggle("selected", selected !== undefined);
  if (view === "dead-letters") void showDeadLetters();
  if (view === "faults") showFaults();
  select(selected);
  drawDetail();
  // On a phone the device takes the place of the list: the reader goes there too.
  if (before !== `${view} ${selected ?? ""}` && selected) byId("detail-title")?.focus({ preventScroll: true });
  if (before === `${view} ${selected ?? ""}`) return;
  // The list beside it stays where it is.
  const isBack = view === "devices" && selected === undefined;
  byId("detail").scrollTo(0, 0);
  byId("main").scrollTo(0, 0);
  window.scrollTo(0, isBack && isNarrow.matches ? left : 0);
}

/** Shows the view. A bridge that stands by has no devices: in their place it says so. */
function showView() {
  const standsBy = known.devices.size === 0 && standsByIn(known.cluster);
  for (const [name, element] of Object.entries(views)) element.hidden = name !== view || (name === "devices" && standsBy);
  byId("standby").hidden = view !== "devices" || !standsBy;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function drawDetail() {
  const device = known.devices.get(selected);
  // Until its first event is there, or a roster without it, nobody knows whether there is such a device.
  if (selected !== undefined && !device && (!known.roster || known.roster.has(selected))) return;
  showDetail(selected, device);
}

const positions = new Map();

/** Says aloud what has become of relays; what was so at first sight is no news. */
function announce(ids) {
  const news = [];
  for (const id of ids) {
    const device = known.devices.get(id);
    if (!device?.state) continue;
    for (const { slot, name, relay } of relays(device)) {
      const key = `${id} ${slot} ${name}`;
      const before = positions.get(key);
      positions.set(key, relay.position);
      if (before === undefined || before === relay.position) continue;
      const nothing = relay.unknown_reason === "missing" ? "module missing" : "position unknown";
      const what = { NC: `fault, in NC${relay.cause ? `, ${relay.cause}` : ""}`, NO: "normal again, in NO", unknown: nothing }[relay.position];
      news.push(`${id}, slot ${slot}, relay ${name.toUpperCase()}: ${what}`);
    }
  }
  // Nobody listens to more than a few at a time.
  if (news.length) byId("alarm").textContent = news.length > 5 ? `${news.slice(0, 5).join(". ")}. And ${news.length - 5} more.` : news.join(". ");
}

function showLink() {
  const { isLost, lostAt, refusal } = known;
  document.body.classList.toggle("stale", isLost);
  const [kind, word] = isLost ? ["offline", "connection lost"] : known.connected ? ["ok", "live"] : ["unknown", "connecting"];
  if (byId("link").dataset.word !== word) {
    byId("link").dataset.word = word;
    byId("link").replaceChildren(badge(kind, word));
  }
  const lost = byId("lost");
  lost.hidden = !isLost;
  if (isLost) {
    const since = lostAt ? `Connection to the bridge lost at ${clockOf(lostAt)}. What stands here is as it was then.` : "The bridge does not answer this page.";
    const text = `${since} ${refusal}`.trim();
    if (lost.textContent !== text) lost.textContent = text;
  }
}

function showGeneral() {
  const { bridge } = known;
  if (!bridge) return;
  byId("bridge-id").textContent = bridge.id;
  byId("dead-letter-count").textContent = String(bridge.store.dead_letters);
  byId("bridge-mark").replaceChildren(...(isWell(bridge) ? [] : [badge("fault", "trouble")]));
  showLock();
  showBridge(bridge);
  showCluster(known.cluster);
  showView();
  showIncidents(known.incidents);
  // In a full archive each new dead letter takes the place of an old one: their number stays.
  const now = `${bridge.store.dead_letters} ${bridge.store.last_dead_letter}`;
  if (view === "dead-letters" && deadLetters !== now) void showDeadLetters();
  deadLetters = now;
}

function startPage() {
  onChange(showAll);
  addEventListener("hashchange", route);
  onZone(showLink);
  keepTime();
  showZone();
  showAlerts();
  route();
}

function showAll(ids) {
  showLink();
  showGeneral();
  showFleet(ids, selected);
  showTab(counts());
  announce(ids);
  drawDetail();
  document.body.dataset.devices = String(known.devices.size);
}

history.scrollRestoration = "manual";
if (isKiosk) {
  startKiosk();
  onChange(showKiosk);
} else {
  startPage();
}
onChange(watch);
connect();
