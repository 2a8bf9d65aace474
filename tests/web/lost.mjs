// The bridge ends and comes back.

import { at, check, goOn, say, withPage } from "./script.mjs";

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector("#link:has-text('live')");
  await page.waitForSelector("#lost", { state: "hidden" });
  await say("live");
  await page.waitForSelector("#lost:has-text('Connection to the bridge lost')");
  await page.waitForSelector("#link:has-text('connection lost')");
  check((await page.title()).startsWith("✕ connection lost"), `the title is ${await page.title()}`);
  check((await page.getAttribute("link[rel=icon]", "data-kind")) === "lost", "the icon does not show it");
  await say("lost");
  await page.waitForSelector("#link:has-text('live')", { timeout: 60_000 });
  await page.waitForSelector("#lost", { state: "hidden" });
  check((await page.title()) === "lantime2mqtt", "the title still says that it is lost");
  const live = Date.now();
  await goOn();
  // Now it says nothing any more, and does not hang up.
  await say("waits");
  await goOn();
  const begin = Date.now();
  await page.waitForSelector("#lost:has-text('Connection to the bridge lost')");
  const noticed = Date.now();
  const clock = (await page.textContent("#lost")).match(/lost at (.*?)\. What/)[1];
  const said = Date.parse(`${new Date(noticed).toDateString()} ${clock}`);
  // The bridge says something every 5 s, and the clock has no milliseconds.
  const [earliest, latest] = [live - 6_000, begin].map((at) => new Date(at).toLocaleTimeString());
  check(said > live - 7_000 && said <= begin, `it says ${clock}, and was last heard between ${earliest} and ${latest}`);
});
