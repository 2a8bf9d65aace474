// A bridge that has no token.

import { at, check, withPage } from "./script.mjs";

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector("#detail .panel:has-text('HTTP Communication') >> text=Nothing can be changed here");
  check(await page.isHidden("#token-button"), "it asks for a token that there is none of");
  check(await page.isDisabled("text=Poll now"), "it lets commands be sent");
});
