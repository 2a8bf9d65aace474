// What the words mean that stand for causes: in plain English, for relays, devices and slots. The words are those of the API; they are
// explained here and nowhere else.

import { h } from "./dom.js";

const MEANINGS = {
  // Why a relay is in NC.
  "clock-not-sync": "the clock that drives the relay is not synchronised",
  "clock-absent": "the clock that drives the relay is missing",
  "selected-clock-not-sync": "the clock that the device has selected is not synchronised",
  "pps-failed": "the pulse per second (PPS) has failed",
  "10mhz-failed": "the 10 MHz signal has failed",
  unknown: "nothing that the device reports explains it",
  // Why a slot has no relay module that could be watched.
  absent: "there is no module in the slot",
  mismatch: "another module is in the slot",
  // Why a device is offline.
  timeout: "the device does not answer in time",
  connect: "no connection: the device is switched off, or the network is interrupted",
  tls: "no secure connection: the certificate or the encryption does not fit",
  unauthorized: "the device refuses the login",
  forbidden: "the device refuses access to this user",
  "not-found": "the device does not have what is requested: perhaps another firmware",
  "http-status": "the device answers with an HTTP error",
  "too-large": "the answer is larger than the bridge reads",
  decode: "the answer cannot be understood",
  profile: "the API profile does not allow it",
  snmp: "the SNMP agent answers with an error",
  rejected: "refused by the bridge or the device",
  busy: "too much is waiting already",
  conflict: "something else has changed meanwhile",
  expired: "it was too late",
  storage: "the store of the bridge cannot be used",
  internal: "an error of the bridge itself",
  // Notification events of the device: their names in words, and no more, since nothing else is known of them.
  "antenna-faulty": "the antenna is disconnected or broken",
  "antenna-short-circuit": "the antenna cable has a short circuit",
  "ntp-not-sync": "the NTP service is not synchronised",
  "ntp-stopped": "the NTP service is not running",
  "ntp-offset-limit-exceeded": "the NTP offset is above its limit",
  "refclock-1-not-sync": "reference clock 1 is not synchronised",
  "refclock-1-not-responding": "reference clock 1 does not respond",
  "refclock-2-not-sync": "reference clock 2 is not synchronised",
  "refclock-2-not-responding": "reference clock 2 does not respond",
  "oscillator-not-adjusted": "the oscillator is not adjusted",
  "network-link-down": "a network port has no link",
  "power-supply-failure": "a power supply has failed",
  "power-redundancy-not-avail": "redundant power is not available",
  "power-consumption-exceeded": "the power consumption is above its limit",
  "fan-down": "a fan has failed",
  "low-system-resources": "the device is short of system resources",
  "https-certificate-expired": "the certificate of the device's web server has expired",
  "https-certificate-expire-warning": "the certificate of the device's web server expires soon",
  "self-signed-https-certificate-in-use": "the device's web server uses a certificate that it has signed itself",
  "sync-monitor-alert": "the sync monitor has raised an alert",
  "cluster-falseticker-detected": "a falseticker was detected in the cluster of time servers",
  "trusted-source-error": "an error of the trusted source",
  "shs-time-limit-error": "the SHS time limit is exceeded",
  "ptp-port-disconnected": "a PTP port is disconnected",
  "xmr-ref-disconnect": "an XMR reference is disconnected",
  "mrs-source-invalid": "an MRS source is not valid",
  "ims-error": "an error of the IMS",
  "system-reboot": "the device has restarted",
};

/** What that word means; one that is not known here is the name of an event. */
export function meaningOf(cause) {
  return Object.hasOwn(MEANINGS, cause) ? MEANINGS[cause] : "a notification event of the device";
}

/** The word as the API has it; the mouse shows what it means. */
export function causeWord(cause) {
  return h("span", { title: meaningOf(cause) }, cause);
}

/** The word, and what it means. */
export function explained(cause) {
  return [cause, h("span", { class: "quiet" }, ` ${meaningOf(cause)}`)];
}

/** What the words that are shown mean, for who has no mouse: `show` gives it the causes. It is not there if there are none. */
export function causeLegend() {
  const list = h("dl", { class: "lines" });
  const element = h("details", { class: "legend", hidden: true }, h("summary", {}, "What the causes mean"), list);
  const show = (causes) => {
    const words = [...new Set(causes)].sort();
    element.hidden = words.length === 0;
    list.replaceChildren(...words.map((cause) => h("div", {}, h("dt", {}, cause), h("dd", {}, meaningOf(cause)))));
  };
  return { element, show };
}
