// What the scripts share: the browser, and the talk with the test.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(process.env.NPM)("playwright-core");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Reports to the test, and waits until it lets the script go on. */
export async function say(...words) {
  console.log(...words);
}

export async function goOn() {
  await lines.next();
}

/** Runs `steps` with a page; whatever the page complains of is a failure. */
export async function withPage(steps, options = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => {
      // A refused request and a lost connection are part of what is tested.
      if (message.type() === "error" && !message.text().includes("Failed to load resource")) problems.push(message.text());
    });
    await steps(page, browser);
    if (problems.length) throw new Error(`the page complains: ${problems.join("; ")}`);
    await say("done");
  } finally {
    await browser.close();
  }
  process.exit(0);
}

/** Types a token into the dialog. */
export async function unlock(page, token) {
  await page.click("#token-button");
  await page.fill("#token", token);
  await page.press("#token", "Enter");
}

/** The address of a view. */
export const at = (hash) => `${process.env.PAGE}/${hash}`;

export function check(condition, what) {
  if (!condition) throw new Error(what);
}
