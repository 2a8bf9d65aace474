// The browser's tab: its title and its icon say what is wrong, for who looks at other things.

import { known } from "./live.js";

const NAME = "lantime2mqtt";
const icon = document.querySelector("link[rel=icon]");
const usual = icon.getAttribute("href");
/** Each has another drawing, so that none is shown by its colour alone. */
const DRAWINGS = {
  lost: ["#5b5470", "M9 9L23 23M23 9L9 23"],
  fault: ["#b3111e", "M16 7L26 25H6Z"],
  offline: ["#5b5470", "M7 16H25"],
  broker: ["#8a5a00", "M9 9H23V23H9Z"],
};
let shown;

/** What is wrong, the worst first: kind and words. `counts` are those of the devices. */
export function wrongs(counts) {
  const faults = counts.fault + counts.missing;
  return [
    known.isLost && ["lost", "✕ connection lost"],
    known.bridge?.broker.connected === false && ["broker", "■ no broker"],
    faults > 0 && ["fault", `▲ ${faults} with a fault`],
    counts.offline > 0 && ["offline", `✕ ${counts.offline} offline`],
  ].filter(Boolean);
}

export function showTab(counts) {
  const all = wrongs(counts);
  const title = [...all.map(([, words]) => words), NAME].join(", ");
  if (document.title !== title) document.title = title;
  const kind = all[0]?.[0];
  if (shown === kind) return;
  shown = kind;
  icon.setAttribute("href", kind ? drawn(...DRAWINGS[kind]) : usual);
  icon.dataset.kind = kind ?? "ok";
}

function drawn(colour, path) {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="${colour}"/>`
    + `<path d="${path}" fill="none" stroke="#fff" stroke-width="4" stroke-linejoin="round" stroke-linecap="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}
