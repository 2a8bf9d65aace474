// The page of a bridge that stands by: why it has no devices, who has them, and that etcd does not answer.

import { at, check, goOn, say, withPage } from "./script.mjs";

await withPage(async (page) => {
  await page.goto(at("#/"));
  await page.waitForSelector("#standby:has-text('This bridge stands by')");
  const link = page.locator("#standby a");
  await link.waitFor();
  check(await page.isHidden("#view-devices"), "an empty list is shown");
  check(await page.isVisible("#cluster:has-text('stands by')"), "the strip does not say it");
  await say("stands by", await link.textContent(), await link.getAttribute("href"));
  await link.click();
  await page.waitForSelector("#devices li:nth-child(2)");
  check(await page.isHidden("#standby"), "the other one does not stand by");
  check(await page.isVisible("#cluster:has-text('owns shard 00')"), "it does not say what it owns");
  await say("devices");
  await page.goto(at("#/bridge"));
  await page.waitForSelector("#members tbody tr:nth-child(2)");
  check(await page.isHidden("#cluster [role=alert]"), "something is wrong");
  await page.goto(at("#/device/sim-1"));
  await say("members");
  await goOn();
  await page.waitForSelector("#cluster [role=alert]:has-text('etcd does not answer')");
  check(await page.isVisible("#standby:has-text('works for the devices')"), "it was heard last who works");
});
