// A wall screen: all devices without scrolling, what is wrong first, and whether what stands there is old.

import { at, check, goOn, say, withPage } from "./script.mjs";

const COUNT = 40;
const all = ".kiosk-all";
const fits = (page) => page.evaluate((selector) => {
  const box = document.querySelector(selector);
  return box.scrollHeight <= box.clientHeight && document.documentElement.scrollHeight <= innerHeight;
}, all);
const elements = (page) => page.evaluate(() => document.querySelectorAll("*").length);

await withPage(async (page) => {
  await page.setViewportSize({ width: 1280, height: 720 });
  await page.goto(at("?kiosk&utc"));
  await page.waitForFunction((count) => document.querySelectorAll(".tile.ok").length === count, COUNT);
  await page.waitForSelector(`.kiosk-numbers:has-text('${COUNT} of ${COUNT} normal')`);
  check(await fits(page), "all is well, and it does not fit");
  check((await page.locator("a, button, input, select, dialog").count()) === 0, "it has controls");
  check(/^\d+:\d\d:\d\d.* UTC$/.test(await page.textContent(".kiosk-clock")), "the clock has no zone");
  check(await page.isHidden(".kiosk-alarm"), "it warns of something");
  const before = await elements(page);
  await say("all well");
  await page.waitForSelector(".kiosk-numbers:has-text('1 fault'):has-text('1 offline'):has-text('38 of 40 normal')");
  const wrong = await page.locator(".kiosk-wrong .tile").evaluateAll((tiles) => tiles.map(({ dataset, textContent }) => `${dataset.id}: ${textContent}`));
  check(wrong.length === 2 && /^sim-20: ▲sim-20NC \d+ s.*clock-not-sync/.test(wrong[0]) && /^sim-30: ✕sim-30offline \d+ s/.test(wrong[1]), `these are wrong: ${wrong.join("; ")}`);
  check((await page.title()).startsWith("▲ 1 with a fault, ✕ 1 offline"), "the title does not say it");
  const size = await page.evaluate(() => parseFloat(getComputedStyle(document.querySelector(".kiosk-wrong strong")).fontSize));
  check(size >= 20, `what is wrong is written ${size} px high`);
  check(await fits(page), "it does not fit with what is wrong");
  // A small screen: the tiles shrink.
  await page.setViewportSize({ width: 480, height: 320 });
  check(await fits(page), "it does not fit on a small screen");
  await page.setViewportSize({ width: 1280, height: 720 });
  await say("wrong");
  await page.waitForSelector(`.kiosk-numbers:has-text('${COUNT} of ${COUNT} normal')`);
  check((await elements(page)) === before, "elements are left of what was wrong");
  await say("well again");
  await page.waitForSelector(".kiosk-alarm.lost:has-text('Connection to the bridge lost')");
  await page.waitForSelector(".kiosk-alarm:has-text('what stands here is old')");
  check((await page.title()).startsWith("✕ connection lost"), "the title does not say that it is lost");
  check(await fits(page), "it does not fit with the warning");
  await say("lost");
  await goOn();
});
