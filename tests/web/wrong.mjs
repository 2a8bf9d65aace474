// An error that no relay is wired to.

import { at, check, withPage } from "./script.mjs";

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector("#devices li.warning[data-id=sim-1]:has-text('https-certificate-expired')");
  await page.waitForSelector("#detail .title:has-text('Not normal')");
  const overview = await page.textContent("#overview");
  check(overview.includes("1 not normal") && overview.includes("1 normal"), `it counts: ${overview}`);
  await page.check("input[value=bad]");
  check(await page.isVisible("#devices li[data-id=sim-1]"), "the filter hides what is wrong");
  check(await page.isHidden("#devices li[data-id=sim-2]"), "the filter shows what is well");
  const order = await page.locator("#devices li").evaluateAll((rows) => rows.map((row) => row.dataset.id));
  check(order[0] === "sim-1", `what is wrong stands below: ${order}`);
});
