// Dead letters: what went wrong, and its command again.

import { Parts, badge, h, sentence, time } from "./dom.js";
import { lockedButton, post } from "./token.js";

const LIMIT = 200;
const parts = new Parts(document.getElementById("dead-letters"));
const said = document.getElementById("dead-letters-status");
let asked = 0;

/** Fetches and shows them. */
export async function showDeadLetters() {
  asked += 1;
  const mine = asked;
  let deadLetters;
  try {
    const response = await fetch(`/api/dead-letters?limit=${LIMIT}`);
    deadLetters = await response.json();
    if (!response.ok) throw new Error(deadLetters.error?.message);
    if (mine !== asked) return;
  } catch (error) {
    if (mine !== asked) return;
    said.textContent = `They cannot be shown: ${error.message}`;
    return;
  }
  said.textContent = deadLetters.length === 0 ? "There are none." : deadLetters.length === LIMIT ? `The newest ${LIMIT}.` : `${deadLetters.length} in all.`;
  parts.show(deadLetters.map((deadLetter) => [deadLetter.id, deadLetter, () => item(deadLetter)]));
}

function item(deadLetter) {
  const where = [deadLetter.device ?? "bridge", deadLetter.slot].filter(Boolean).join(" ");
  const times = deadLetter.repeats ? `, ${deadLetter.repeats} times` : "";
  const body = h("pre", { tabindex: "0" });
  const details = h("details", {}, h("summary", {}, "The whole dead letter"), body);
  const load = async () => {
    if (!details.open) return;
    const response = await fetch(`/api/dead-letters/${deadLetter.id}`);
    body.textContent = JSON.stringify(await response.json(), null, 2);
  };
  details.addEventListener("toggle", () => void load().catch(() => { body.textContent = "The bridge does not answer."; }));
  return h(
    "li",
    { class: "panel dead-letter" },
    h("p", {}, badge(deadLetter.recovered ? "ok" : "fault", deadLetter.recovered ? `${deadLetter.kind}, over` : deadLetter.kind), " ", h("strong", {}, where), ` ${deadLetter.operation}${times} `, time(deadLetter.at)),
    h("p", {}, sentence(deadLetter.message)),
    h("p", {}, h("strong", {}, "What to do: "), sentence(deadLetter.remedy)),
    deadLetter.topic && h("p", { class: "quiet path" }, deadLetter.topic),
    deadLetter.topic && replay(deadLetter),
    details,
  );
}

function replay(deadLetter) {
  return h("p", {}, lockedButton("Run again", "Done.", () => post(`/api/dead-letters/${deadLetter.id}/replay`, {})));
}

document.getElementById("dead-letters-again").addEventListener("click", () => void showDeadLetters());
