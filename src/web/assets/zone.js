// The switch between the browser's zone and UTC.

import { isUtc, onZone, setUtc, zoneName } from "./clock.js";

const button = document.getElementById("zone");

/** Says which zone all times are in. */
export function showZone() {
  button.textContent = `Times: ${zoneName()}`;
  button.ariaPressed = String(isUtc());
  button.title = isUtc() ? "Show times in the zone of this browser" : "Show times in UTC";
}

button.addEventListener("click", () => setUtc(!isUtc()));
onZone(showZone);
