// The bridge gets another token while somebody has the old one.

import { at, check, goOn, say, unlock, withPage } from "./script.mjs";

const poll = "#detail p:has(> button:text('Poll now'))";

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await unlock(page, "a-token-for-these-tests");
  await page.waitForSelector(`${poll} button:enabled`);
  await say("unlocked");
  await goOn();
  await page.waitForSelector("#link:has-text('live')");
  await page.click(`${poll} button`);
  await page.waitForSelector("#token-dialog[open] :text('does not take the token of this tab any more')");
  check((await page.textContent("#token-button")) === "Unlock", "it looks unlocked");
  check(await page.isDisabled(`${poll} button`), "it is not locked");
  // Spaces between the texts, and what to do for somebody before a page.
  const said = await page.innerText(poll);
  check(said.includes("first. Not done: ") && !said.includes("Bearer"), `it says: ${said}`);
  check(await page.locator(`${poll} .said.bad`).isVisible(), "it is not marked as refused");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#token-button:focus");
  await page.keyboard.press("Enter");
  check((await page.textContent("#token-said")) === "", "it still says why it asked before");
  await page.fill("#token", "another-token-for-tests");
  await page.press("#token", "Enter");
  await page.waitForSelector("#token-dialog", { state: "hidden" });
  await page.click(`${poll} button`);
  await page.waitForSelector(`${poll} :text('Polled.')`);
});
