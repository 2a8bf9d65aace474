// The last fault of a relay: when it was, why, and whether anybody has acknowledged it.

import { explained } from "./causes.js";
import { badge, h, time } from "./dom.js";
import { lockedButton, post } from "./token.js";

/** What a relay's card says of its last fault; nothing, if there was none. */
export function lastFault(device, slot, relay, fault) {
  if (!fault) return undefined;
  const { since, until, cause, acknowledged, acknowledged_at: at, acknowledged_by: by } = fault;
  const when = [time(since, "clock"), until ? [" to ", time(until, "clock")] : ", lasts", cause && [", ", explained(cause)]];
  if (acknowledged) {
    return h("div", { class: "last-fault quiet" }, h("p", {}, "Last fault ", when), h("p", {}, "acknowledged", at && [" ", time(at, "clock")], by && ` by ${by}`));
  }
  const path = `/api/devices/${encodeURIComponent(device)}/faults/acknowledge`;
  return h(
    "div",
    { class: "last-fault" },
    h("p", {}, badge("warning", "Last fault"), " ", when),
    h("p", {}, lockedButton("Acknowledge", "Acknowledged.", () => post(path, { slot, relay }))),
  );
}
