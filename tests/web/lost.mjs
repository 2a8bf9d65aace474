// The bridge goes away and comes back.

import { at, goOn, say, withPage } from "./script.mjs";

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector("#link:has-text('live')");
  await page.waitForSelector("#lost", { state: "hidden" });
  await say("live");
  await page.waitForSelector("#lost:has-text('Connection to the bridge lost')");
  await page.waitForSelector("#link:has-text('connection lost')");
  await say("lost");
  await page.waitForSelector("#link:has-text('live')", { timeout: 60_000 });
  await page.waitForSelector("#lost", { state: "hidden" });
  await goOn();
});
