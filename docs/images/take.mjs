// Takes the pictures of the manuals, of the demo itself:
//
//   cargo build --release && NPM=target/npm/ node docs/images/take.mjs target/release/lantime2mqtt docs/images
//
// Needs Chromium (or its path in CHROMIUM) and playwright-core in NPM, as the tests of the page do. Take `page-dead-letters.png`
// by hand: it shows dead letters, and the demo has none.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [program, directory] = process.argv.slice(2);
const { chromium } = createRequire(resolve(process.env.NPM ?? "target/npm", "x"))("playwright-core");
const HISTORY = "section[aria-label=History]";
const DESKTOP = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  // Before anything else happens: the scenario begins after 3 s.
  await inDemo([], 0, async (url) => {
    await Promise.all([
      take(url, "history", DESKTOP, "light"),
      take(url, "history-dark", DESKTOP, "dark"),
      take(url, "history-phone", PHONE, "light"),
    ]);
  });
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

async function take(url, name, viewport, colorScheme) {
  const page = await browser.newPage({ viewport, colorScheme, timezoneId: "UTC", locale: "en-GB" });
  await page.goto(`${url}#/device/sim-1`);
  await page.waitForSelector(HISTORY);
  await page.locator(HISTORY).evaluate((element) => element.scrollIntoView({ block: "start" }));
  await page.waitForSelector(`${HISTORY} .timeline path.span-NC`);
  await page.screenshot({ path: join(directory, `${name}.png`) });
  await page.close();
}
