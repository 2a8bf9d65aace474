// A relay falls while somebody looks at it.

import { at, check, goOn, say, withPage } from "./script.mjs";

const contact = (position) => `[aria-label="Relays of slot io3"] [data-relay=a] svg[data-position=${position}]`;

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector(contact("NO"));
  await page.waitForSelector("#link:has-text('live')");
  await page.evaluate(() => { window.isTheSame = true; });
  await say("ready");
  await page.waitForSelector(contact("NC"));
  await say("fell");
  check(await page.evaluate(() => window.isTheSame), "the page was loaded again");
  check((await page.textContent("[aria-label='Relays of slot io3'] [data-relay=a]")).includes("clock-not-sync"), "no cause");
  check((await page.textContent("#devices li.fault")).includes("A NC"), "the list does not show it");
  check((await page.textContent("#alarm")).includes("relay A: fault, in NC"), "nothing is said aloud");
  check((await page.title()).startsWith("▲ 1"), "the title does not show it");
  await say("shown");
  await goOn();
  await page.waitForSelector(contact("NO"));
});
