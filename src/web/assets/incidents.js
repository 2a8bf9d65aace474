// Open incidents: what does not work now, as the bridge last reported it.

import { Parts, badge, h, sentence, time } from "./dom.js";

const section = document.getElementById("incidents-open");
const parts = new Parts(document.getElementById("incidents"));

/** Shows these; nothing where none is open. */
export function showIncidents(incidents) {
  section.hidden = incidents.length === 0;
  parts.show(incidents.map((incident) => [incident.id, incident, () => item(incident)]));
}

function item({ kind, device, subject, since, count, error }) {
  const where = [device ?? "bridge", subject].filter(Boolean).join(" ");
  const times = count > 1 ? `, ${count} times` : "";
  return h(
    "li",
    { class: "panel" },
    h("p", {}, badge("fault", error.kind), " ", h("strong", {}, where), ` ${kind}${times}, since `, time(since)),
    h("p", {}, sentence(error.message)),
    h("p", {}, h("strong", {}, "What to do: "), sentence(error.remedy)),
  );
}
