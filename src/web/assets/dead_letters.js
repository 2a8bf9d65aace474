// Dead letters: what went wrong, and the command once more.

import { Parts, badge, h, sentence, time } from "./dom.js";
import { lockedButton, post } from "./token.js";

const LIMIT = 200;
const parts = new Parts(document.getElementById("letters"));
const said = document.getElementById("letters-said");
let asked = 0;

/** Fetches and shows them. */
export async function showLetters() {
  asked += 1;
  const mine = asked;
  let letters;
  try {
    const response = await fetch(`/api/dead-letters?limit=${LIMIT}`);
    letters = await response.json();
    if (!response.ok) throw new Error(letters.error?.message);
    if (mine !== asked) return;
  } catch (error) {
    if (mine !== asked) return;
    said.textContent = `They cannot be shown: ${error.message}`;
    return;
  }
  said.textContent = letters.length === 0 ? "There are none." : letters.length === LIMIT ? `The newest ${LIMIT}.` : `${letters.length} in all.`;
  parts.show(letters.map((letter) => [letter.id, letter, () => item(letter)]));
}

function item(letter) {
  const where = [letter.device ?? "bridge", letter.slot].filter(Boolean).join(" ");
  const times = letter.repeats ? `, ${letter.repeats} times` : "";
  const body = h("pre", { tabindex: "0" });
  const details = h("details", {}, h("summary", {}, "The whole letter"), body);
  const load = async () => {
    if (!details.open) return;
    const response = await fetch(`/api/dead-letters/${letter.id}`);
    body.textContent = JSON.stringify(await response.json(), null, 2);
  };
  details.addEventListener("toggle", () => void load().catch(() => { body.textContent = "The bridge does not answer."; }));
  return h(
    "li",
    { class: "panel letter" },
    h("p", {}, badge(letter.recovered ? "ok" : "fault", letter.recovered ? `${letter.kind}, over` : letter.kind), " ", h("strong", {}, where), ` ${letter.operation}${times} `, time(letter.at)),
    h("p", {}, sentence(letter.message)),
    h("p", {}, h("strong", {}, "What to do: "), sentence(letter.remedy)),
    letter.topic && h("p", { class: "quiet path" }, letter.topic),
    letter.topic && replay(letter),
    details,
  );
}

function replay(letter) {
  return h("p", {}, lockedButton("Run once more", "Done.", () => post(`/api/dead-letters/${letter.id}/replay`, {})));
}

document.getElementById("letters-again").addEventListener("click", () => void showLetters());
