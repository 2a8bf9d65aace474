// A wall screen of three devices: what is wrong is as large as the screen allows, and each tile says which device, where, and which relays.

import { at, check, say, withPage } from "./script.mjs";

const tile = (id) => `.tile[data-id=${id}]`;

await withPage(async (page) => {
  await page.setViewportSize({ width: 1280, height: 720 });
  await page.goto(at("?kiosk&utc"));
  await page.waitForSelector(`${tile("sim-1")}.fault:has-text('Relay room'):has-text('sim-1, North'):has-text('io3 A')`);
  await page.waitForSelector(`${tile("sim-1")}:has-text('clock-not-sync'):has-text('is not synchronised')`);
  await page.waitForSelector(`${tile("sim-3")}.fault`);
  // It has never answered: the configuration knows it.
  await page.waitForSelector(`${tile("sim-2")}.offline:has-text('Studio'):has-text('sim-2, South'):has-text('HTTP error')`);
  await page.waitForSelector(".kiosk-numbers:has-text('2 faults'):has-text('1 offline')");
  const size = await page.evaluate(() => parseFloat(getComputedStyle(document.querySelector(".tile.fault strong")).fontSize));
  check(size >= 32, `there is room, and what is wrong is written ${size} px high`);
  const cut = await page.locator(".tile span, .tile strong").evaluateAll((all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map(({ textContent }) => textContent));
  check(cut.length === 0, `these are cut off: ${cut.join("; ")}`);
  const [wanted, there] = await page.evaluate(() => [document.querySelector(".kiosk-all").scrollHeight, document.querySelector(".kiosk-all").clientHeight]);
  check(wanted <= there, "it does not fit");
  await say("wrong");
  // Nobody has acknowledged it yet.
  await page.waitForSelector(`${tile("sim-1")}.ok:has-text('was in NC: io3 A')`);
});
