// A notification of the browser, and a sound, when something fails: for who wants them, and nobody else. Many at once are one.

import { kindOfDevice } from "./devices.js";
import { h } from "./dom.js";
import { known } from "./live.js";
import { keep, setting } from "./settings.js";

/** What is reported, and how it is called. */
const REPORTED = { fault: "with a fault", missing: "with a missing module", offline: "offline" };
/** How long others are waited for (devices behind one switch do not fail in one moment), and from one report to the next. */
const GATHER = 4_000;
const PAUSE = 10_000;
const NAMED = 5;

const section = document.getElementById("alerts");
const button = document.getElementById("alerts-button");
const said = h("p", { class: "quiet", role: "status" });
const switches = { notify: h("button", { type: "button" }), sound: h("button", { type: "button" }) };

/** The kind of each device that is reported, when it was looked at last; nothing before all of them are there. */
const kinds = new Map();
/** What is to be reported next: a text each, by what it is about. */
const waiting = new Map();
let isWatching = false;
let lastReport = 0;
let timer;
let sound;
const links = { lost: false, broker: false };

const isOn = (name) => setting(name) === "on";

/** Looks at these devices, and reports those that have failed since. */
export function watch(ids) {
  for (const id of ids) {
    const device = known.devices.get(id);
    const kind = device?.state ? kindOfDevice(device) : undefined;
    // A bridge that has just started does not know yet: what was so before is no news then.
    if (kind === "unknown") continue;
    if (kinds.get(id) !== kind && isWatching && REPORTED[kind]) waiting.set(id, kind);
    if (!REPORTED[kind]) waiting.delete(id);
    if (kind) kinds.set(id, kind);
    else kinds.delete(id);
  }
  watchLink("lost", known.isLost && isWatching);
  watchLink("broker", known.bridge?.broker.connected === false);
  // What is so at first sight is no news.
  isWatching = isWatching || Boolean(known.roster && [...known.roster].every((id) => known.devices.has(id)));
  if (waiting.size > 0 && timer === undefined) timer = setTimeout(report, Math.max(GATHER, lastReport + PAUSE - Date.now()));
}

function watchLink(name, isWrong) {
  if (isWrong && !links[name] && isWatching) waiting.set(` ${name}`, name);
  if (!isWrong) waiting.delete(` ${name}`);
  links[name] = isWrong;
}

function report() {
  timer = undefined;
  if (waiting.size === 0) return;
  lastReport = Date.now();
  const entries = [...waiting];
  waiting.clear();
  const titles = [];
  if (entries.some(([, kind]) => kind === "lost")) titles.push("Connection to the bridge lost");
  if (entries.some(([, kind]) => kind === "broker")) titles.push("The bridge has no broker");
  const ids = entries.filter(([, kind]) => REPORTED[kind]);
  for (const [kind, words] of Object.entries(REPORTED)) {
    const count = ids.filter(([, one]) => one === kind).length;
    if (count) titles.push(`${count} ${words}`);
  }
  const names = ids.map(([id]) => id).sort(new Intl.Collator("en", { numeric: true }).compare);
  const body = names.length > NAMED ? `${names.slice(0, NAMED).join(", ")} and ${names.length - NAMED} more` : names.join(", ");
  if (isOn("sound")) beep();
  if (isOn("notify") && globalThis.Notification?.permission === "granted") notify(titles.join(", "), body);
}

function notify(title, body) {
  try {
    const shown = new Notification(title, { body, tag: "lantime2mqtt", renotify: true });
    shown.addEventListener("click", () => { window.focus(); shown.close(); });
  } catch {
    said.textContent = "This browser shows no notifications of pages. The sound works.";
  }
}

/** Two short tones. A browser makes none before somebody has used the page. */
function beep() {
  sound ??= new AudioContext();
  void sound.resume();
  for (const [at, pitch] of [[0, 880], [0.25, 660]]) {
    const [tone, volume] = [sound.createOscillator(), sound.createGain()];
    tone.frequency.value = pitch;
    volume.gain.value = 0.15;
    tone.connect(volume).connect(sound.destination);
    tone.start(sound.currentTime + at);
    tone.stop(sound.currentTime + at + 0.18);
  }
}

function show() {
  switches.notify.textContent = `Notifications: ${isOn("notify") ? "on" : "off"}`;
  switches.sound.textContent = `Sound: ${isOn("sound") ? "on" : "off"}`;
  for (const [name, one] of Object.entries(switches)) one.ariaPressed = String(isOn(name));
  const on = ["notify", "sound"].some(isOn);
  button.textContent = on ? "Alerts: on" : "Alerts: off";
}

async function switchNotify() {
  if (isOn("notify")) {
    keep("notify", "off");
    said.textContent = "";
  } else if (!globalThis.Notification || !isSecureContext) {
    said.textContent = "This browser shows notifications only of pages over https or of this machine. The sound works.";
  } else if (await Notification.requestPermission() === "granted") {
    keep("notify", "on");
    said.textContent = "A new fault or outage is reported while this page is open.";
  } else {
    said.textContent = "The browser does not allow notifications of this page: change that in its settings.";
  }
  show();
}

function switchSound() {
  keep("sound", isOn("sound") ? "off" : "on");
  if (isOn("sound")) beep();
  show();
}

/** Offers the switches. */
export function showAlerts() {
  section.replaceChildren(
    h("p", {}, switches.notify, " ", switches.sound, " ", h("a", { href: "?kiosk" }, "Wall screen")),
    said,
  );
  switches.notify.addEventListener("click", () => void switchNotify());
  switches.sound.addEventListener("click", switchSound);
  button.addEventListener("click", () => {
    section.hidden = !section.hidden;
    button.ariaExpanded = String(!section.hidden);
  });
  show();
}
