// Five hundred devices: how long until they stand there, and until a filter has done its work.

import { at, check, say, withPage } from "./script.mjs";

const COUNT = 500;

/** Milliseconds until `done` holds after `act`, the painting included. */
function timed(act, done) {
  return new Promise((resolve) => {
    const begin = performance.now();
    act();
    const look = () => (done() ? requestAnimationFrame(() => resolve(performance.now() - begin)) : requestAnimationFrame(look));
    look();
  });
}

await withPage(async (page) => {
  await page.goto(at("#/device/sim-250"));
  await page.waitForFunction((count) => document.querySelectorAll("#devices li").length === count, COUNT, { timeout: 120_000 });
  const first = await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now()))));
  const filter = await page.evaluate(`(${timed})(
    () => { const box = document.getElementById("filter"); box.value = "sim-42"; box.dispatchEvent(new Event("input")); },
    () => document.querySelectorAll("#devices li:not([hidden])").length === 11)`);
  const back = await page.evaluate(`(${timed})(
    () => { const box = document.getElementById("filter"); box.value = ""; box.dispatchEvent(new Event("input")); },
    () => document.querySelectorAll("#devices li:not([hidden])").length === ${COUNT})`);
  const open = await page.evaluate(`(${timed})(
    () => { location.hash = "#/device/sim-321"; },
    () => document.getElementById("detail-title")?.textContent.startsWith("sim-321"))`);
  check((await page.locator("#detail .relay").count()) === 6, "more than the selected device is drawn");
  await say("times", JSON.stringify({ first, filter, back, open }));
});
