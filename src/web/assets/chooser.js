// Which notification events switch a relay: looked at by everybody, changed with the token.

import { h, saidAt } from "./dom.js";
import { locked, onToken, post, words } from "./token.js";

/** The form of one relay. `names` are the events that the device knows; `begun` is what was changed and not applied yet. */
export function chooser(device, slot, letter, chosen, names, begun = { add: [], remove: [] }) {
  const isKnown = Array.isArray(chosen.events);
  const before = new Set(isKnown ? chosen.events : []);
  const all = [...new Set([...before, ...begun.add, ...names])].sort();
  const ticked = new Set([...before, ...begun.add].filter((name) => !begun.remove.includes(name)));
  const said = saidAt(`events ${device} ${slot} ${letter}`);
  const button = h("button", { type: "submit", class: "main" }, "Apply");
  const boxes = all.map((name) => h("label", {}, h("input", { type: "checkbox", value: name, checked: ticked.has(name) }), ` ${name}`));
  const inputs = boxes.map((box) => box.firstElementChild);
  const hint = h("p", { class: "quiet" });

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
    button.disabled = Boolean(why) || changes.length === 0;
    hint.textContent = why || changes.join(", ") || "Nothing is changed yet.";
  };
  const submit = async (event) => {
    event.preventDefault();
    const { add, remove } = edited();
    button.disabled = true;
    said.textContent = "Sent; the device is read back before it counts.";
    // Only the difference: what somebody else has chosen meanwhile stays.
    const reply = await post(`/api/devices/${encodeURIComponent(device)}/${encodeURIComponent(slot)}/relay/${letter}/events`, { add, remove });
    const reached = (reply.result?.applies_to ?? []).map((place) => `${place.slot} relay ${place.relay.toUpperCase()}`);
    said.textContent = words(reply, `Done: ${reply.result?.changed ? "changed" : "it was so already"}, for ${reached.join(" and ")}.`);
    said.className = reply.ok ? "said" : "said bad";
    refresh();
  };
  const form = h(
    "form",
    { class: "chooser", onsubmit: submit, onchange: refresh, "data-relay": letter },
    h(
      "fieldset",
      {},
      h("legend", {}, `Events that switch relay ${letter.toUpperCase()} of ${slot}`),
      h("p", { class: "quiet" }, describe(chosen)),
      h("details", {}, h("summary", {}, "Change"), h("div", { class: "boxes" }, boxes), hint, button),
    ),
    said,
  );
  form.edited = edited;
  onToken(form, refresh);
  refresh();
  return form;
}

function describe(chosen) {
  if (!Array.isArray(chosen.events)) return "The device has not told them yet.";
  const names = chosen.events.length ? chosen.events.join(", ") : "none";
  return `${names}${chosen.confirmed ? "" : " (not certain any more)"}`;
}
