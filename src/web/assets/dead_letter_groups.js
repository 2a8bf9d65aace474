// Dead letters that say the same: two hundred devices behind one dead switch are one thing to look at. Pure.

/** What of a message differs from device to device, and from time to time: addresses, numbers, what stands in quotes. */
const VARYING = [
  [/"[^"]*"/g, "\"..\""],
  [/\bhttps?:\/\/[^\s,;)]+/g, ".."],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, ".."],
  [/\[?[0-9a-f]*(:[0-9a-f]*){2,}\]?/gi, ".."],
  [/\d+([.:]\d+)*/g, ".."],
];

/** A message without what varies and the name of its device. */
export function patternOf({ message, device }) {
  const named = device ? message.replaceAll(device, "..") : message;
  return VARYING.reduce((text, [pattern, by]) => text.replace(pattern, by), named);
}

/** Groups of those with the same operation, kind and message, in the order of the newest of each. They come the newest first. */
export function grouped(deadLetters) {
  const groups = new Map();
  for (const deadLetter of deadLetters) {
    const { operation, kind, recovered = false } = deadLetter;
    const key = JSON.stringify([operation, kind, recovered, patternOf(deadLetter)]);
    const group = groups.get(key) ?? { key, all: [] };
    groups.set(key, group);
    group.all.push(deadLetter);
  }
  return [...groups.values()];
}

/** Those that have all the words, are of that kind, if one is selected, and are not handled, if only these are asked for. */
export function filtered(deadLetters, { words, kind, isOpenOnly }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return deadLetters.filter((deadLetter) => {
    if (isOpenOnly && deadLetter.handled) return false;
    if (kind && deadLetter.kind !== kind) return false;
    const { id, device, slot, operation, message, remedy, topic, handled } = deadLetter;
    const text = [id, device ?? "bridge", slot, operation, deadLetter.kind, message, remedy, topic, handled?.by].filter(Boolean).join(" ").toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
