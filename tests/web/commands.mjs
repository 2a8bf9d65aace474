// Somebody changes the events of relay A: without the token, with a wrong one, and with the right one.

import { at, check, goOn, say, withPage } from "./script.mjs";

const form = "form.chooser[data-relay=a]";
const box = `${form} input[value=antenna-faulty]`;

async function unlock(page, token) {
  await page.click("#token-button");
  await page.fill("#token", token);
  await page.press("#token", "Enter");
}

await withPage(async (page, browser) => {
  await page.goto(at("#/device/sim-1"));
  await page.click(`${form} summary`);
  check(await page.isDisabled(box), "a box can be changed without the token");
  check(await page.isDisabled(`${form} button`), "it can be applied without the token");
  await unlock(page, "this-is-not-the-token");
  await page.check(box);
  await page.click(`${form} button`);
  await page.waitForSelector(`${form} .said:has-text("this is not the token")`);
  await page.waitForSelector("#token-button:has-text('Unlock')");
  await say("refused");
  await goOn();
  await unlock(page, "a-token-for-these-tests");
  await page.waitForSelector(`${box}:enabled`);
  await page.check(box);
  await page.click(`${form} button`);
  await page.waitForSelector(`${form} .said:has-text("Done: changed, for io4 relay A")`);
  await page.waitForSelector(`${form} p:has-text("antenna-faulty")`);
  await say("changed");
  await goOn();
  await page.click("text=Keep requests");
  await page.waitForSelector("svg.plot");
  await page.waitForSelector("table td.path");
  await say("plotted");
  await goOn();
  // What a message carries is shown as text, whatever it says.
  await page.goto(at("#/dead-letters"));
  await page.waitForSelector(".letter:has-text('<img')");
  await page.click(".letter summary");
  await page.waitForSelector(".letter pre:has-text('onerror')");
  check(await page.locator(".letter img").count() === 0, "text became markup");
  await page.click(".letter:has-text('<img') >> text=Run once more");
  await page.waitForSelector(".letter .said:has-text('Not done')");
  // Another tab knows nothing of the token.
  const other = await browser.newPage();
  await other.goto(at("#/device/sim-1"));
  await other.waitForSelector("#token-button:has-text('Unlock')");
  check(!page.url().includes("token"), "the token stands in the address");
});
