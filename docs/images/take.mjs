// Takes the pictures of the manuals, of the demo itself:
//
//   cargo build --release && NPM=target/npm/ node docs/images/take.mjs target/release/lantime2mqtt docs/images
//
// Needs Chromium (at /usr/bin/chromium, or at CHROMIUM), and playwright-core in NPM, as the tests of the page do. A name after the
// directory takes the pictures with that in their names alone.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [program, directory, only = ""] = process.argv.slice(2);
const { chromium } = createRequire(resolve(process.env.NPM ?? "target/npm", "x"))("playwright-core");
const HISTORY = "section[aria-label=History]";
/** So that a file has less than 150 KB. */
const DESKTOP = { width: 1120, height: 680 };
const SMALL = { width: 1080, height: 560 };
const WALL = { width: 1120, height: 630 };
const PHONE = { width: 390, height: 844 };
const NIGHT = ["#/device/sim-1", HISTORY];
/**
 * Name, seconds after the start, options of the demo, what to open and what of it to scroll to, size, colours. In its first seconds
 * nothing happens to sim-1, nor at the end of each minute.
 */
const PICTURES = [
  ["page-history", 0, [], NIGHT, DESKTOP, "light"],
  ["page-phone", 0, [], NIGHT, PHONE, "light"],
  ["page-dark", 56, ["--devices", "40"], ["#/device/sim-1"], SMALL, "dark"],
  ["page-desktop", 56, ["--devices", "40"], NIGHT, DESKTOP, "light"],
  ["page-kiosk", 56, ["--devices", "40"], ["?kiosk&utc"], WALL, "light"],
  ["page-dead-letters", 56, ["--devices", "40"], ["#/dead-letters"], DESKTOP, "light"],
];
/** The token of the demo. */
const TOKEN = "only-for-the-demo";

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (const seconds of new Set(PICTURES.map(([, seconds]) => seconds))) {
    const wanted = PICTURES.filter((picture) => picture[1] === seconds && picture[0].includes(only));
    if (!wanted.length) continue;
    const pages = await Promise.all(wanted.map(([, , , , viewport, colorScheme]) => browser.newPage({ viewport, colorScheme, timezoneId: "UTC", locale: "en-GB" })));
    await inDemo(wanted[0][2], seconds, async (url) => {
      if (wanted.some(([name]) => name === "page-dead-letters")) await sendWrongCommands(url);
      await Promise.all(wanted.map(([name, , , place], index) => take(pages[index], url, place, name)));
    });
  }
} finally {
  await browser.close();
}

/** Runs `steps` with the address of a demo that has run for so many seconds. */
async function inDemo(options, seconds, steps) {
  const demo = spawn(program, ["demo", "--mqtt-port", "0", "--http-port", "0", ...options], { env: { ...process.env, TZ: "UTC" } });
  const ended = once(demo, "exit");
  try {
    const url = await addressOf(demo);
    await new Promise((done) => setTimeout(done, seconds * 1_000));
    await steps(url);
  } finally {
    demo.kill("SIGTERM");
    await ended;
  }
}

/** Somebody has sent what makes no sense: several dead letters of one kind, and one that was seen to. */
async function sendWrongCommands(url) {
  const post = async (path, body) => {
    const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };
    return (await fetch(`${url}api/${path}`, { method: "POST", headers, body })).json();
  };
  await post("devices/sim-1/io4/relay/a/events", "{");
  for (let number = 1; number <= 4; number += 1) {
    for (const device of ["sim-1", "sim-3"]) await post(`devices/${device}/io4/relay/a/events`, JSON.stringify({ add: [`no-such-event-${number}`] }));
  }
  const all = await (await fetch(`${url}api/dead-letters?limit=100`)).json();
  const ids = all.filter(({ kind }) => kind === "decode").map(({ id }) => id);
  await post("dead-letters/handled", JSON.stringify({ ids, by: "Ada" }));
}

/** The address of the page. The demo ends when nobody reads it, so all of it is read. */
function addressOf(demo) {
  return new Promise((found, failed) => {
    let output = "";
    demo.on("exit", () => failed(new Error(`the demo has ended: ${output}`)));
    demo.stdout.on("data", (part) => {
      output += part;
      if (output.includes("What happens")) found(output.match(/page +(http:\S+)/)[1]);
    });
  });
}

async function take(page, url, [address, part], name) {
  await page.goto(`${url}${address}`);
  await page.waitForSelector(".tile.fault, #detail .relay, .dead-letter");
  if (part) {
    await page.locator(part).evaluate((element) => element.scrollIntoView({ block: "start" }));
    await page.waitForSelector(`${part} path.span-NC`);
  }
  await page.screenshot({ path: join(directory, `${name}.png`) });
}
