// The token, kept in this tab only, and what is sent with it.

import { h, saidPlace, sentence } from "./dom.js";
import { known } from "./live.js";

const KEY = "lantime2mqtt-token";
const dialog = document.getElementById("token-dialog");
const button = document.getElementById("token-button");
const field = document.getElementById("token");
const keep = document.getElementById("token-keep");
const tokenSaid = document.getElementById("token-said");
/** How long the bridge may take to answer when a token is tried. */
const TRY_WITHIN = 10_000;

/** Why nothing can be changed here now; empty where it can. */
export function locked() {
  if (known.bridge && !known.bridge.changeable) {
    return "Nothing can be changed here: the bridge has no token (http.token_file).";
  }
  return sessionStorage.getItem(KEY) ? "" : "Unlock with the token first.";
}

/** Whether the token would help. */
const isLocked = () => known.bridge?.changeable !== false && !sessionStorage.getItem(KEY);

/** Why nothing could be changed when that was shown last. */
let shownLock;

export function showLock() {
  button.textContent = sessionStorage.getItem(KEY) ? "Lock" : "Unlock";
  button.hidden = known.bridge?.changeable === false;
  const now = locked();
  if (shownLock === now) return;
  shownLock = now;
  for (const element of document.querySelectorAll("[data-locks]")) element.dispatchEvent(new Event("token"));
}

/** Why nothing can be changed now: said once, where several buttons are locked. */
export function lockReason() {
  const why = h("span", { class: "quiet" });
  const show = () => { why.textContent = locked(); };
  onToken(why, show);
  show();
  return why;
}

/** The way to unlock, beside the reason; nothing where the token would not help, or is there. */
export function unlockButton() {
  const unlock = h("button", { type: "button", onclick: () => ask("") }, "Unlock");
  const show = () => { unlock.hidden = !isLocked(); };
  onToken(unlock, show);
  show();
  return unlock;
}

/**
 * A button that is for those with the token; its title says so to the others. `run` gives a reply, which is said, or `done`. Gives the
 * button, a space, and the place where that is said.
 */
export function lockedButton(label, done, run) {
  const said = saidPlace();
  const button = h("button", { type: "button" }, label);
  const lock = () => {
    button.disabled = Boolean(locked());
    button.title = locked();
  };
  button.addEventListener("click", async () => {
    if (isBusy(button)) return;
    setBusy(button, true);
    said.classList.remove("bad");
    said.textContent = "Sent.";
    say(said, await run(), done);
    setBusy(button, false);
  });
  onToken(button, lock);
  lock();
  return [button, " ", said];
}

/** Whether what the button did last is under way. One that is disabled meanwhile would lose the focus. */
export function isBusy(button) {
  return button.ariaDisabled === "true";
}

export function setBusy(button, busy) {
  button.ariaDisabled = busy ? "true" : null;
}

/** Sends a command; gives the reply, a refusal included. */
export async function post(path, body) {
  const token = sessionStorage.getItem(KEY) ?? "";
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  let response;
  try {
    response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    return failure("no-answer", "the bridge does not answer", "see whether it runs, and what stands here then");
  }
  if (response.status === 401) {
    // Another one may have been unlocked meanwhile.
    if (sessionStorage.getItem(KEY) === token) lockAgain();
    return failure("unauthorized", "the bridge does not take the token of this tab any more");
  }
  try {
    return await response.json();
  } catch {
    return failure("no-answer", `the bridge answers ${response.status} without a reply`, "look at its log");
  }
}

function failure(kind, message, remedy = "") {
  return { ok: false, error: { kind, message, remedy } };
}

/** Kinds of errors after which the command may have been carried out, or may yet be. */
const OPEN = ["no-answer", "timeout", "internal"];

/** A reply in words. */
export function words(reply, done) {
  if (reply.ok) return done;
  const { kind, message = "refused", remedy = "" } = reply.error ?? {};
  const advice = remedy && ` What to do: ${sentence(remedy)}`;
  return `${OPEN.includes(kind) ? "Not known whether it is done" : "Not done"}: ${sentence(message)}${advice}`;
}

/** Shows the result of a command. */
export function say(said, reply, done) {
  said.textContent = words(reply, done);
  said.classList.toggle("bad", !reply.ok);
}

/** Calls `listener` when the token is set or removed, as long as `element` is on the page. The element owns it: it goes with it. */
export function onToken(element, listener) {
  element.dataset.locks = "";
  element.addEventListener("token", listener);
}

/** Asks for the token, and says why. */
function ask(why) {
  tokenSaid.textContent = why;
  tokenSaid.className = why ? "said bad" : "said";
  if (!dialog.open) dialog.showModal();
}

/** The bridge has another token than this tab. */
function lockAgain() {
  sessionStorage.removeItem(KEY);
  showLock();
  ask("The bridge does not take the token of this tab any more: it has another one now.");
}

/** Why this is not the token, in words; nothing where it is. */
async function whyNot(token) {
  // As the configuration has it; nothing else can be sent in a header.
  if (!/^[!-~]*$/.test(token)) return "This is not the token: it has letters, digits and signs of ASCII alone.";
  try {
    const response = await fetch("/api/token", { headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(TRY_WITHIN) });
    if (response.ok) return "";
    if (response.status === 401) return "This is not the token of the bridge.";
    const { message, remedy } = (await response.json()).error;
    return `It cannot be tried: ${sentence(message)} What to do: ${sentence(remedy)}`;
  } catch {
    return "The bridge cannot be reached. See whether it runs, and try again.";
  }
}

button.addEventListener("click", () => {
  if (sessionStorage.getItem(KEY)) {
    sessionStorage.removeItem(KEY);
    showLock();
    return;
  }
  ask("");
});

document.getElementById("token-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  field.value = "";
  // The focus goes back to what had it, unless that is locked or hidden meanwhile.
  if (dialog.contains(document.activeElement) || document.activeElement === document.body) button.focus();
});
document.getElementById("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy(keep)) return;
  const token = field.value.trim();
  setBusy(keep, true);
  ask("");
  const why = await whyNot(token);
  setBusy(keep, false);
  if (!dialog.open) return;
  if (why) {
    ask(why);
    field.select();
    return;
  }
  sessionStorage.setItem(KEY, token);
  showLock();
  dialog.close();
});
