// Open incidents are listed while there are any.

import { at, check, say, withPage } from "./script.mjs";

await withPage(async (page) => {
  await page.goto(at("#/bridge"));
  await page.waitForSelector("#link:has-text('live')");
  await page.waitForSelector("#bridge section");
  check(await page.isHidden("#incidents-open"), "there is a list of nothing");
  await say("none");
  await page.waitForSelector("#incidents li:has-text('sim-1')");
  const name = await page.getAttribute("#incidents-open", "aria-labelledby");
  check((await page.textContent(`#${name}`)) === "Open incidents", "the list has no name");
  const text = await page.textContent("#incidents li");
  check(text.includes("http-status") && text.includes("poll, since") && text.includes("What to do: "), `it says: ${text}`);
});
