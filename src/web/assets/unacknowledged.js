// Faults that are over and that nobody has acknowledged: how many there are, and a button for all of them.

import { unacknowledged } from "./devices.js";
import { h } from "./dom.js";
import { known } from "./live.js";
import { lockReason, lockedButton, post, unlockButton } from "./token.js";

const place = document.getElementById("unacknowledged");
const number = h("b");
/** The devices that are meant. */
let meant = [];
/** The button with its number, and what came of it; from the first fault on, when it is known who may change something. */
let shown;

/** Shows how many faults of these devices are over and not acknowledged. */
export function showUnacknowledged(ids) {
  meant = ids;
  const count = faults().length;
  if (count > 0) shown ??= build();
  if (!shown) return;
  const text = `${count} ${count === 1 ? "fault is" : "faults are"} over, not acknowledged`;
  if (number.textContent !== text) number.textContent = text;
  const { offer, said } = shown;
  if (offer.hidden === (count === 0)) return;
  // The button that had the focus is no longer there.
  if (count === 0 && offer.contains(document.activeElement)) document.getElementById("roster-title").focus();
  offer.hidden = count === 0;
  if (count > 0) said.textContent = "";
}

function build() {
  const [button, , said] = lockedButton("Acknowledge all", "Acknowledged.", acknowledge);
  const offer = h("span", {}, h("span", { class: "was-fault", "aria-hidden": "true" }, "⚑ "), number, " ", button, " ", h("span", { class: "lock" }, lockReason(), " ", unlockButton()));
  place.append(offer, " ", said);
  return { offer, said };
}

function faults() {
  return meant.map((id) => known.devices.get(id)).filter(Boolean).flatMap((device) =>
    unacknowledged(device).map(({ slot, name }) => ({ id: device.id, slot, relay: name })));
}

/** One after the other, and none but those that are counted: a fault that lasts is still to be marked when it is over. */
async function acknowledge() {
  for (const { id, slot, relay } of faults()) {
    const reply = await post(`/api/devices/${encodeURIComponent(id)}/faults/acknowledge`, { slot, relay });
    if (!reply.ok) return reply;
  }
  return { ok: true };
}
