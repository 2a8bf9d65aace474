// All times say in which zone they are, and which one that is can be selected.

import { at, check, withPage } from "./script.mjs";

await withPage(async (_, browser) => {
  const context = await browser.newContext({ timezoneId: "Asia/Kolkata", locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(at("#/device/sim-1"));
  const since = "#detail .relay time >> nth=0";
  await page.waitForSelector(since);
  await page.waitForSelector("#zone:has-text('GMT+5:30')");
  const clock = async () => (await page.textContent(since)).match(/(\d+):(\d\d):\d\d (\S+)/).slice(1);
  const iso = new Date(await page.getAttribute(since, "datetime"));
  const [hour, minute, zone] = await clock();
  const india = new Date(iso.getTime() + 5.5 * 3600_000);
  check(zone === "GMT+5:30" && Number(hour) === india.getUTCHours() && Number(minute) === india.getUTCMinutes(), `it shows ${hour}:${minute} ${zone} for ${iso.toISOString()}`);
  await page.click("#zone");
  const inUtc = async () => {
    const [hour, minute, zone] = await clock();
    check(zone === "UTC" && Number(hour) === iso.getUTCHours() && Number(minute) === iso.getUTCMinutes(), `it shows ${hour}:${minute} ${zone} for ${iso.toISOString()}`);
    check((await page.getAttribute("#zone", "aria-pressed")) === "true", "the switch is not pressed");
  };
  await inUtc();
  await page.reload();
  await page.waitForSelector(since);
  await inUtc();
  await page.click("#zone");
  check((await clock())[2] === "GMT+5:30", "it cannot be undone");
  // How long that is: each second in the first minute.
  const spans = await page.evaluate(async () => {
    const { span } = await import("/assets/clock.js");
    return [-1, 999, 8_900, 59_999, 60_000, 3_600_000].map(span);
  });
  check(spans.join() === "0 s,0 s,8 s,59 s,1 min,60 min", `it counts ${spans}`);
});
