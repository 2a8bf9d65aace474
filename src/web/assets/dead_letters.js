// Dead letters: what went wrong, in groups, and what somebody does about it: run a command again, mark as handled.

import { filtered, grouped } from "./dead_letter_groups.js";
import { Parts, badge, h, sentence, time } from "./dom.js";
import { keep, setting } from "./settings.js";
import { lockReason, lockedButton, post, unlockButton, words } from "./token.js";

/** The most that the bridge lists. */
const LIMIT = 1000;
/** Groups, and dead letters of a group, that are shown at first and with each `More`. */
const GROUPS = 20;
const EACH = 10;
/** Ids in one request: its body has a bound. */
const IDS = 1000;
/** Devices that are named; more are counted. */
const NAMED = 4;

const byId = (id) => document.getElementById(id);
const parts = new Parts(byId("dead-letters"));
const said = byId("dead-letters-status");
const more = byId("dead-letters-more");
const search = byId("dead-letters-filter");
const kinds = byId("dead-letters-kind");
const open = byId("dead-letters-open");
const by = byId("dead-letters-by");

let asked = 0;
let all = [];
let shownGroups = GROUPS;
/** What came of the last replay of each, as long as it is not carried out. */
const failures = new Map();
/** How many of each group are shown, by its key. */
const shownOf = new Map();

/** Fetches and shows them. */
export async function showDeadLetters() {
  asked += 1;
  const mine = asked;
  try {
    const response = await fetch(`/api/dead-letters?limit=${LIMIT}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error?.message);
    if (mine !== asked) return;
    all = answer;
  } catch (error) {
    if (mine === asked) said.textContent = `They cannot be shown: ${error.message}`;
    return;
  }
  show();
}

function show() {
  showKinds();
  const found = filtered(all, { words: search.value, kind: kinds.value, isOpenOnly: open.checked });
  const groups = grouped(found);
  parts.show(groups.slice(0, shownGroups).map((group) => [group.all.length > 1 ? group.key : group.all[0].id, [group.all, shownOf.get(group.key)], () => item(group)]));
  for (const key of shownOf.keys()) if (!groups.some((group) => group.key === key)) shownOf.delete(key);
  more.hidden = groups.length <= shownGroups;
  more.textContent = `More: ${groups.length - shownGroups} groups`;
  said.textContent = summary(found, groups);
}

function summary(found, groups) {
  if (all.length === 0) return "There are none.";
  const total = all.length === LIMIT ? `the newest ${LIMIT}` : `${all.length} in all`;
  const handled = all.filter((one) => one.handled).length;
  const which = found.length === all.length ? total : `${found.length} of ${total}`;
  return `${which[0].toUpperCase()}${which.slice(1)}, in ${groups.length} ${groups.length === 1 ? "group" : "groups"}; ${handled} handled.`;
}

/** Offers the kinds that there are. */
function showKinds() {
  const there = [...new Set([...all.map(({ kind }) => kind), kinds.value])].filter(Boolean).sort();
  if ([...kinds.options].slice(1).map(({ value }) => value).join() === there.join()) return;
  const selected = kinds.value;
  kinds.replaceChildren(h("option", { value: "" }, "every kind"), ...there.map((kind) => h("option", { value: kind }, kind)));
  kinds.value = selected;
}

function item({ key, all }) {
  if (all.length === 1) return h("li", { class: "panel dead-letter", "data-dead-letter": all[0].id }, one(all[0]));
  const [newest] = all;
  const number = shownOf.get(key) ?? EACH;
  const rest = all.length - number;
  const unhandled = all.filter((one) => !one.handled).map(({ id }) => id);
  const ids = unhandled.length ? unhandled : all.map(({ id }) => id);
  const each = h("ol", { class: "each" }, all.slice(0, number).map((deadLetter) => h("li", { "data-dead-letter": deadLetter.id }, one(deadLetter))));
  return h(
    "li",
    { class: "panel dead-letter many", "data-count": all.length },
    h("p", {}, kindBadge(newest), " ", h("strong", {}, `${all.length} times`), ` ${newest.operation}: ${devices(all)}`),
    h("p", {}, "from ", time(all.at(-1).at), " to ", time(newest.at), unhandled.length < all.length && `, ${all.length - unhandled.length} handled`),
    h("p", {}, sentence(newest.message)),
    h("p", {}, h("strong", {}, "What to do: "), sentence(newest.remedy)),
    mark(ids, unhandled.length > 0, unhandled.length ? `Mark ${ids.length} as handled` : `Mark ${ids.length} as not handled`),
    h(
      "details",
      // What has just been run again stays in view.
      { class: "each-of", open: all.some(({ id }) => failures.has(id)) },
      h("summary", {}, `Each of the ${all.length}`),
      each,
      rest > 0 && h("p", {}, h("button", {
        type: "button",
        onclick: () => {
          shownOf.set(key, number + 5 * EACH);
          show();
        },
      }, `More: ${rest}`)),
    ),
  );
}

function devices(all) {
  const names = [...new Set(all.map(({ device }) => device ?? "bridge"))];
  const named = names.slice(0, NAMED).join(", ");
  return names.length > NAMED ? `${named} and ${names.length - NAMED} more devices` : named;
}

function kindBadge({ kind, recovered, handled }) {
  const word = recovered ? `${kind}, over` : kind;
  return badge(recovered ? "ok" : handled ? "absent" : "fault", word);
}

function one(deadLetter) {
  const { id, handled, replayed, topic } = deadLetter;
  const where = [deadLetter.device ?? "bridge", deadLetter.slot].filter(Boolean).join(" ");
  const times = deadLetter.repeats ? `, ${deadLetter.repeats} times` : "";
  return [
    h("p", {}, kindBadge(deadLetter), " ", h("strong", {}, where), ` ${deadLetter.operation}${times} `, time(deadLetter.at)),
    h("p", {}, sentence(deadLetter.message)),
    h("p", {}, h("strong", {}, "What to do: "), sentence(deadLetter.remedy)),
    topic && h("p", { class: "quiet path" }, topic),
    replayed && h("p", { class: "replayed" }, badge(replayed.ok ? "ok" : "fault", replayed.ok ? "run again: carried out" : "run again: failed"), " ", time(replayed.at), " ", failures.has(id) && h("span", { class: "said bad" }, failures.get(id))),
    handled && h("p", { class: "handled" }, badge("info", "handled"), ` ${handled.by ? `by ${handled.by}, ` : ""}`, time(handled.at)),
    topic && h("p", {}, lockedButton("Run again", "Done.", () => replay(id))),
    mark([id], !handled, handled ? "Mark as not handled" : "Mark as handled"),
    whole(id),
  ];
}

function whole(id) {
  const body = h("pre", { tabindex: "0" });
  const details = h("details", {}, h("summary", {}, "The whole dead letter"), body);
  const load = async () => {
    if (!details.open) return;
    const response = await fetch(`/api/dead-letters/${id}`);
    body.textContent = JSON.stringify(await response.json(), null, 2);
  };
  details.addEventListener("toggle", () => void load().catch(() => { body.textContent = "The bridge does not answer."; }));
  return details;
}

async function replay(id) {
  const reply = await post(`/api/dead-letters/${id}/replay`, {});
  if (reply.ok) failures.delete(id);
  else failures.set(id, words(reply));
  await showDeadLetters();
  // It may be in a group now.
  if (document.activeElement === document.body) document.querySelector(`[data-dead-letter="${CSS.escape(id)}"] button`)?.focus();
  return reply;
}

function mark(ids, isHandled, label) {
  const run = async () => {
    const name = by.value.trim();
    for (let from = 0; from < ids.length; from += IDS) {
      const some = ids.slice(from, from + IDS);
      const reply = await post("/api/dead-letters/handled", isHandled ? { ids: some, by: name || undefined } : { ids: some, handled: false });
      if (reply.error) return reply;
    }
    await showDeadLetters();
    return { ok: true };
  };
  return h("p", {}, lockedButton(label, "Done.", run));
}

function filterAgain() {
  shownGroups = GROUPS;
  show();
}

byId("dead-letters-again").parentElement.append(" ", lockReason(), " ", unlockButton());
byId("dead-letters-again").addEventListener("click", () => void showDeadLetters());
search.addEventListener("input", filterAgain);
kinds.addEventListener("change", filterAgain);
open.addEventListener("change", filterAgain);
more.addEventListener("click", () => {
  shownGroups += GROUPS;
  show();
});
by.value = setting("name");
by.addEventListener("change", () => keep("name", by.value.trim()));
