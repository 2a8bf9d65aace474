// Forty devices, some of them in trouble: what is seen in the list and in the tab, and that the reader keeps the place.

import { at, check, goOn, say, withPage } from "./script.mjs";

const COUNT = 40;
const isThere = (page) => page.waitForFunction((count) => document.querySelectorAll("#devices li").length === count, COUNT);
const groups = (page) => page.locator("#devices .group:visible").evaluateAll((all) => all.map((group) => group.querySelector("h3").textContent.trim()));
const top = (page, selector) => page.evaluate((selector) => document.querySelector(selector).scrollTop, selector);

await withPage(async (page, browser) => {
  await page.goto(at("#/"));
  await isThere(page);
  await page.waitForSelector("#link:has-text('live')");
  check((await page.title()) === "lantime2mqtt", `all is well, and the title is ${await page.title()}`);
  check((await page.getAttribute("link[rel=icon]", "href")) === "assets/icon.svg", "all is well, and the icon is another one");
  await page.evaluate(() => {
    window.made = new Set();
    new MutationObserver((records) => {
      for (const { addedNodes } of records) for (const node of addedNodes) if (node.dataset?.id) window.made.add(node.dataset.id);
    }).observe(document.getElementById("devices"), { childList: true, subtree: true });
  });
  await say("all well");

  await page.waitForFunction(() => document.title === "▲ 1 with a fault, ✕ 1 offline, lantime2mqtt");
  const icon = await page.getAttribute("link[rel=icon]", "href");
  check(icon.startsWith("data:image/svg+xml"), `the icon is ${icon}`);
  check((await page.getAttribute("link[rel=icon]", "data-kind")) === "fault", "the icon does not show the worst");
  const order = await groups(page);
  check(order.join("; ") === "▲ Fault 1; ✕ Offline 1; ● Normal 38", `the groups are ${order.join("; ")}`);
  const made = await page.evaluate(() => [...window.made].sort().join());
  check(made === "sim-20,sim-30", `these rows were drawn again: ${made}`);
  const fault = await page.textContent("#devices li[data-id=sim-20] .why");
  check(/^NC \d+ s, .*clock-not-sync/.test(fault), `the fault shows: ${fault}`);
  const offline = await page.textContent("#devices li[data-id=sim-30] .why");
  check(/^offline \d+ s, http-status$/.test(offline), `the outage shows: ${offline}`);
  const overview = await page.textContent("#overview");
  check(overview.includes("1 fault") && overview.includes("1 offline") && overview.includes("38 normal"), `it counts: ${overview}`);
  const seen = await page.locator("#devices li").evaluateAll((rows) => rows.filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length);
  check(seen >= 25, `${seen} rows fit on the screen`);

  // The device's own page, from its row and from its part.
  const own = await page.getAttribute("#devices li[data-id=sim-20] a.web", "href");
  check(own.startsWith("http://127.0.0.1:"), `the row leads to ${own}`);
  await page.evaluate(() => { document.getElementById("devices").scrollTop = 150; });
  await page.locator("#devices li[data-id=sim-28] a >> nth=0").click();
  await page.waitForSelector("#detail-title:has-text('sim-28')");
  check((await top(page, "#devices")) === 150, "the list has moved");
  check(await page.isVisible("#detail .title .web a"), "the device's own page is hidden");

  // What says only that all is as it should be does not shine.
  const events = "section[aria-label='Notification events'] tr";
  await page.waitForSelector(`${events}:has-text('ntp-sync') .badge.info`);
  check((await page.locator(`${events} .badge.ok`).count()) === 0, "an event shines");
  await page.goto(at("#/device/sim-20"));
  await page.waitForSelector(`${events}:has-text('refclock-1-not-sync') .badge.fault:has-text('▲')`);

  // A group that is folded hides nothing from a search.
  await page.click("#devices .group.ok h3 button");
  check(await page.isHidden("#devices li[data-id=sim-7]"), "the group is not folded");
  await page.fill("#filter", "SIM-7");
  check(await page.isVisible("#devices li[data-id=sim-7]"), "what is found is hidden");
  await page.fill("#filter", "refclock-1-not-sync");
  await page.waitForSelector(`#filtered:has-text('1 of ${COUNT} devices')`);
  check(await page.isVisible("#devices li[data-id=sim-20]"), "no event is found");
  await page.fill("#filter", new URL(own).host);
  await page.waitForSelector(`#filtered:has-text('1 of ${COUNT} devices')`);
  await page.click("text=Show all");
  await page.click("#devices .group.ok h3 button");

  // On a phone the device takes the place of the list, and going back leads to where it was.
  const phone = await browser.newPage({ viewport: { width: 390, height: 844 } });
  await phone.goto(at("#/"));
  await isThere(phone);
  await phone.evaluate(() => window.scrollTo(0, 700));
  await phone.locator("#devices li[data-id=sim-19] a >> nth=0").click();
  await phone.waitForSelector("#detail-title:has-text('sim-19')");
  check((await phone.evaluate(() => scrollY)) === 0, "the device is not at its beginning");
  await phone.goBack();
  await phone.waitForSelector("#devices li[data-id=sim-19]");
  const place = await phone.evaluate(() => scrollY);
  check(Math.abs(place - 700) < 5, `going back leads to ${place}`);
  await say("looked at");
  await goOn();
});
