// A failure that lasts, and its end.

import { at, check, goOn, say, withPage } from "../web/script.mjs";

await withPage(async (page) => {
  await page.goto(at(""));
  await say("there");
  await goOn();
  await page.waitForSelector("#letters tr:nth-child(3)");
  const shown = await page.locator("#letters tr td:nth-child(4)").allInnerTexts();
  const expected = ["recovered after 1 failure: too slow", "41 failures so far: too slow", "too slow"];
  check(JSON.stringify(shown) === JSON.stringify(expected), `shown: ${shown}`);
  const remedies = await page.locator("#letters tr td:nth-child(5)").allInnerTexts();
  check(remedies[0] === "" && remedies[1] === "look", `remedies: ${remedies}`);
});
