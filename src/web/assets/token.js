// The token, kept in this tab only, and what is sent with it.

import { h, saidPlace } from "./dom.js";
import { known } from "./live.js";

const KEY = "lantime2mqtt-token";
const dialog = document.getElementById("token-dialog");
const button = document.getElementById("token-button");
const field = document.getElementById("token");

/** Why nothing can be changed here now; empty where it can. */
export function locked() {
  if (known.bridge && !known.bridge.changeable) {
    return "Nothing can be changed here: the bridge has no token (http.token_file).";
  }
  return sessionStorage.getItem(KEY) ? "" : "Unlock with the token first.";
}

export function showLock() {
  button.textContent = sessionStorage.getItem(KEY) ? "Lock" : "Unlock";
  button.hidden = known.bridge?.changeable === false;
}

/** A button that is for those with the token, and says so to the others. `run` gives what is to be said. */
export function lockedButton(label, run) {
  const said = saidPlace();
  const why = h("span", { class: "quiet" });
  const button = h("button", { type: "button" }, label);
  const lock = () => {
    button.disabled = Boolean(locked());
    why.textContent = locked();
  };
  button.addEventListener("click", async () => {
    if (isBusy(button)) return;
    setBusy(button, true);
    said.textContent = "Sent.";
    said.textContent = await run();
    setBusy(button, false);
  });
  onToken(button, lock);
  lock();
  return [button, " ", why, said];
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
    return failure("the bridge does not answer", "See whether it runs, and what stands here then.");
  }
  if (response.status === 401) {
    sessionStorage.removeItem(KEY);
    tokenChanged();
  }
  try {
    return await response.json();
  } catch {
    return failure(`the bridge answers ${response.status} without a reply`, "Look at its log.");
  }
}

function failure(message, remedy) {
  return { ok: false, error: { kind: "no-answer", message, remedy } };
}

/** Kinds of errors after which the command may have been carried out, or may yet be. */
const OPEN = ["no-answer", "timeout", "internal"];

/** A reply in words. */
export function words(reply, done) {
  if (reply.ok) return done;
  const { kind, message = "refused", remedy = "" } = reply.error ?? {};
  return `${OPEN.includes(kind) ? "Not known whether it is done" : "Not done"}: ${message}. ${remedy}`;
}

/** Calls `listener` when the token has come or gone, as long as `element` is on the page. The element owns it: it goes with it. */
export function onToken(element, listener) {
  element.dataset.locks = "";
  element.addEventListener("token", listener);
}

function tokenChanged() {
  showLock();
  for (const element of document.querySelectorAll("[data-locks]")) element.dispatchEvent(new Event("token"));
}

button.addEventListener("click", () => {
  if (sessionStorage.getItem(KEY)) {
    sessionStorage.removeItem(KEY);
    tokenChanged();
    return;
  }
  document.getElementById("token-text").textContent =
    "The token of the bridge's configuration (http.token or http.token_file). It is kept in this tab until the tab is closed.";
  field.value = "";
  dialog.showModal();
});

document.getElementById("token-close").addEventListener("click", () => dialog.close());
document.getElementById("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = field.value.trim();
  field.value = "";
  // As the configuration has it; nothing else can be sent in a header.
  if (!/^[!-~]*$/.test(token)) {
    document.getElementById("token-text").textContent = "This is not the token: it has letters, digits and signs of ASCII alone.";
    return;
  }
  if (token) sessionStorage.setItem(KEY, token);
  dialog.close();
  tokenChanged();
});
