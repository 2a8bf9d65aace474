// Devices at two sites and one at none: the list of one site, and all faults of it that are over are acknowledged at once.

import { at, check, goOn, say, unlock, withPage } from "./script.mjs";

const site = "#filter-site";
const acknowledge = "#unacknowledged button";
const visible = (page) => page.locator("#devices li:visible").evaluateAll((rows) => rows.map((row) => row.dataset.id).sort().join());
const says = (page, words) => page.waitForSelector(`#unacknowledged:has-text('${words}')`);

await withPage(async (page, browser) => {
  let sent = [];
  page.on("request", (request) => {
    if (request.method() === "POST") sent.push(`${new URL(request.url()).pathname} ${request.postData()}`);
  });
  await page.goto(at("#/"));
  await page.waitForSelector("#devices li[data-id=sim-4]");
  const sites = await page.locator(`${site} option`).allTextContents();
  check(sites.join() === "every site,no site,North,South", `the sites are ${sites}`);
  check((await page.getByLabel("Site").count()) === 1, "the filter has no name");
  await says(page, "5 faults are over, not acknowledged");
  check(await page.isDisabled(acknowledge), "they can be acknowledged without the token");

  // With the keyboard alone.
  await page.focus(site);
  await page.keyboard.press("S");
  check((await visible(page)) === "sim-3", `South shows ${await visible(page)}`);
  await page.waitForSelector("#filtered:has-text('1 of 4 devices')");
  await says(page, "2 faults are over");
  await page.selectOption(site, { label: "no site" });
  check((await visible(page)) === "sim-4", `no site shows ${await visible(page)}`);
  await page.waitForSelector(acknowledge, { state: "hidden" });
  await page.selectOption(site, "North");
  check((await visible(page)) === "sim-1,sim-2", `North shows ${await visible(page)}`);
  await page.fill("#filter", "sim-2");
  check((await visible(page)) === "sim-2", "the search is not within the site");
  await page.fill("#filter", "");

  await unlock(page, "a-token-for-these-tests");
  await page.waitForSelector("#token-dialog", { state: "hidden" });
  await says(page, "3 faults are over");
  sent = [];
  await page.focus(acknowledge);
  await page.keyboard.press("Enter");
  await says(page, "Acknowledged.");
  await page.waitForSelector(acknowledge, { state: "hidden" });
  check(await page.evaluate(() => document.activeElement.id === "roster-title"), "the keyboard is nowhere");
  const wanted = [["sim-1", "io3"], ["sim-2", "io3"], ["sim-2", "io4"]].map(([id, slot]) => `/api/devices/${id}/faults/acknowledge {"slot":"${slot}","relay":"a"}`);
  check(sent.join("; ") === wanted.join("; "), `it has sent ${sent.join("; ")}`);
  check((await page.locator("#devices li:visible .was-fault").count()) === 0, "a flag has stayed");
  await say("acknowledged");
  await goOn();

  await page.click("text=Show all");
  check((await visible(page)) === "sim-1,sim-2,sim-3,sim-4", "it is still filtered");
  await says(page, "2 faults are over");
  await page.route("**/faults/acknowledge", (route) => route.fulfill({ status: 503, json: { ok: false, error: { kind: "busy", message: "no time", remedy: "wait" } } }));
  await page.click(acknowledge);
  await says(page, "Not done: no time. What to do: wait.");

  const phone = await browser.newPage({ viewport: { width: 360, height: 740 } });
  await phone.goto(at("#/"));
  await phone.waitForSelector(acknowledge);
  const [width, needed] = await phone.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
  check(needed <= width, `a phone has to scroll sideways: ${needed} of ${width}`);
});
