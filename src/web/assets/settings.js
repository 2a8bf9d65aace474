// What somebody has selected for this browser. One that keeps nothing has it until the page is closed.

const PREFIX = "lantime2mqtt-";
const unkept = new Map();

/** What was selected; empty, if nothing was. */
export function setting(name) {
  try {
    return localStorage.getItem(PREFIX + name) ?? "";
  } catch {
    return unkept.get(name) ?? "";
  }
}

export function keep(name, value) {
  unkept.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // It holds until the page is closed.
  }
}
