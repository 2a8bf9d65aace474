// Somebody changes the events of relay A: without the token, with a wrong one, and with the right one.

import { at, check, goOn, say, unlock, withPage } from "./script.mjs";

const form = "form.chooser[data-relay=a]";
const box = `${form} input[value=antenna-faulty]`;

await withPage(async (page, browser) => {
  await page.goto(at("#/device/sim-1"));
  await page.click(`${form} summary`);
  check(await page.isDisabled(box), "a box can be changed without the token");
  check(await page.isDisabled(`${form} button`), "it can be applied without the token");
  await unlock(page, "this-is-not-the-token");
  await page.waitForSelector("#token-said:has-text('This is not the token of the bridge')");
  check(await page.isVisible("#token-dialog"), "the dialog takes a wrong token");
  check((await page.textContent("#token-button")) === "Unlock", "it looks unlocked");
  check(await page.isDisabled(box), "a wrong token unlocks");
  await say("refused");
  await goOn();
  await page.fill("#token", "a-token-for-these-tests");
  await page.press("#token", "Enter");
  await page.waitForSelector("#token-dialog", { state: "hidden" });
  await page.waitForSelector(`${box}:enabled`);
  await page.check(box);
  await page.focus(`${form} button`);
  await page.keyboard.press("Enter");
  await page.waitForSelector(`${form} .said:has-text("Done: changed, for io4 relay A")`);
  await page.waitForSelector(`${form} fieldset > p:has-text("antenna-faulty")`);
  check((await page.textContent(`${form} details p`)) === "", "beside what is done stands that nothing is changed");
  check(await page.evaluate(() => document.activeElement.textContent === "Apply"), "the focus has left the button");
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  check((await page.textContent(`${form} .said`)).startsWith("Done"), "with nothing to apply the button does something");
  await say("changed");
  await goOn();
  await page.click("text=Keep requests");
  await page.waitForSelector("svg.plot");
  await page.waitForSelector("table td.path");
  await say("plotted");
  await goOn();
  // What a message carries is shown as text, whatever it says.
  await page.goto(at("#/dead-letters"));
  await page.waitForSelector(".dead-letter:has-text('<img')");
  check(/What to do: \w+/.test(await page.textContent(".dead-letter:has-text('<img')")), "what to do stands in the whole dead letter alone");
  await page.click(".dead-letter summary");
  await page.waitForSelector(".dead-letter pre:has-text('onerror')");
  check(await page.locator(".dead-letter img").count() === 0, "text became markup");
  await page.click(".dead-letter:has-text('<img') >> text=Run again");
  await page.waitForSelector(".dead-letter .said:has-text('Not done')");
  // Another tab knows nothing of the token.
  const other = await browser.newPage();
  await other.goto(at("#/device/sim-1"));
  await other.waitForSelector("#token-button:has-text('Unlock')");
  check(!page.url().includes("token"), "the token stands in the address");
});
