// Which notification events switch a relay: looked at by everybody, changed with the token.

import { h, saidPlace } from "./dom.js";
import { isBusy, locked, onToken, post, say, setBusy } from "./token.js";

/** What is said of the types of events, the most severe first. */
const TYPES = {
  critical: "critical",
  error: "error",
  warning: "warning",
  action: "action",
  unknown: "of an unknown type",
  info: "info: not known whether it switches a relay",
};

/** The form of one relay. `types` has the events that the device knows; it goes on with what was begun in the `old` one. */
export function chooser(device, slot, relay, selection, types, old) {
  const begun = old?.edited() ?? { add: [], remove: [] };
  const isKnown = Array.isArray(selection.events);
  const before = new Set(isKnown ? selection.events : []);
  const all = [...new Set([...before, ...begun.add, ...Object.keys(types)])].sort();
  const ticked = new Set([...before, ...begun.add].filter((name) => !begun.remove.includes(name)));
  const said = old?.said ?? saidPlace();
  const button = h("button", { type: "submit", class: "main" }, "Apply");
  const box = (name) => h("label", {}, h("input", { type: "checkbox", value: name, checked: ticked.has(name) }), ` ${name}`);
  const typeOf = (name) => types[name] in TYPES ? types[name] : "unknown";
  const groups = Object.entries(TYPES).map(([type, title]) => [type, title, all.filter((name) => typeOf(name) === type).map(box)]);
  const inputs = groups.flatMap(([, , boxes]) => boxes.map((label) => label.firstElementChild));
  const group = ([type, title, boxes]) => h("div", { class: "group", "data-type": type }, h("h5", {}, title), h("div", { class: "boxes" }, boxes));
  const hint = h("p", { class: "quiet" });
  let isSending = false;

  const edited = () => {
    const now = inputs.filter((input) => input.checked).map((input) => input.value);
    const add = now.filter((name) => !before.has(name));
    const remove = [...before].filter((name) => !now.includes(name));
    return { add, remove };
  };
  const refresh = () => {
    const { add, remove } = edited();
    const why = locked();
    const changes = [...add.map((name) => `+ ${name}`), ...remove.map((name) => `− ${name}`)];
    for (const input of inputs) input.disabled = Boolean(why);
    button.disabled = Boolean(why);
    // One that is disabled loses the focus; and beside what came of the last change, nothing is to be said.
    setBusy(button, isSending || changes.length === 0);
    hint.textContent = why || changes.join(", ") || (said.textContent ? "" : "Tick what is to switch it, then apply.");
  };
  const change = () => {
    // What was refused stays, with its remedy.
    if (!said.classList.contains("bad")) said.textContent = "";
    refresh();
  };
  const submit = async (event) => {
    event.preventDefault();
    if (isBusy(button)) return;
    const { add, remove } = edited();
    isSending = true;
    refresh();
    said.classList.remove("bad");
    said.textContent = "Sent. Waiting for the device to confirm.";
    // Only the difference: what somebody else has selected meanwhile stays.
    const reply = await post(`/api/devices/${encodeURIComponent(device)}/${encodeURIComponent(slot)}/relay/${relay}/events`, { add, remove });
    const reached = (reply.result?.applies_to ?? []).map((place) => `${place.slot} relay ${place.relay.toUpperCase()}`);
    const warnings = (reply.result?.warnings ?? []).map((warning) => ` Note: ${warning}.`).join("");
    say(said, reply, `Done: ${reply.result?.changed ? "changed" : "it was so already"}, for ${reached.join(" and ")}.${warnings}`);
    isSending = false;
    refresh();
  };
  const form = h(
    "form",
    { class: "chooser", onsubmit: submit, onchange: change, "data-relay": relay },
    h(
      "fieldset",
      {},
      h("legend", {}, `Events that switch relay ${relay.toUpperCase()} of ${slot}`),
      h("p", { class: "quiet" }, describe(selection)),
      h("details", {}, h("summary", {}, "Change"), groups.filter(([, , boxes]) => boxes.length).map(group), hint, button),
    ),
    said,
  );
  form.edited = edited;
  form.said = said;
  onToken(form, refresh);
  refresh();
  return form;
}

function describe(selection) {
  if (!Array.isArray(selection.events)) return "The device has not reported them yet.";
  const names = selection.events.length ? selection.events.join(", ") : "none";
  return `${names}${selection.confirmed ? "" : " (stale)"}`;
}
