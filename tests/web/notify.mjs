// A notification and a sound, for who wants them.

import { at, check, goOn, say, withPage } from "./script.mjs";

/** A browser that allows notifications and keeps what it was given. */
function standIn() {
  window.shown = [];
  window.tones = 0;
  window.Notification = class {
    static permission = sessionStorage.getItem("permission") ?? "default";
    static async requestPermission() {
      window.Notification.permission = "granted";
      sessionStorage.setItem("permission", "granted");
      return "granted";
    }
    constructor(title, { body }) {
      window.shown.push(`${title}: ${body}`);
    }
    addEventListener() {}
  };
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...times) {
    window.tones += 1;
    return start.apply(this, times);
  };
}

const shown = (page) => page.evaluate(() => window.shown);

await withPage(async (page) => {
  await page.addInitScript(standIn);
  await page.goto(at("#/"));
  await page.waitForFunction(() => document.querySelectorAll("#devices li").length === 3);
  check((await page.textContent("#alerts-button")) === "Alerts: off", "it is not off at first");
  await say("off");
  // Nobody wants it.
  await page.waitForFunction(() => document.title.startsWith("▲ 1"));
  await say("fell");
  await page.waitForFunction(() => document.title === "lantime2mqtt");
  await page.click("#alerts-button");
  await page.click("#alerts button:has-text('Notifications')");
  await page.waitForSelector("#alerts button[aria-pressed=true]:has-text('Notifications: on')");
  await page.click("#alerts button:has-text('Sound')");
  await page.waitForSelector("#alerts button[aria-pressed=true]:has-text('Sound: on')");
  await page.waitForSelector("#alerts-button:has-text('Alerts: on')");
  check((await shown(page)).length === 0, `there were: ${await shown(page)}`);
  const tones = await page.evaluate(() => window.tones);
  check(tones === 2, `${tones} tones to try it`);
  await say("on");
  await page.waitForFunction(() => window.shown.length > 0, undefined, { timeout: 60_000 });
  check((await page.evaluate(() => window.tones)) === 4, "it makes no sound");
  await say("reported", JSON.stringify(await shown(page)));
  await goOn();
  // What was so at first sight is no news; what was selected stays.
  await page.reload();
  await page.waitForFunction(() => document.title.startsWith("▲ 2"));
  await page.waitForSelector("#alerts-button:has-text('Alerts: on')");
  await say("again");
  await page.waitForFunction(() => window.shown.length > 0, undefined, { timeout: 60_000 });
  check((await shown(page)).join() === "1 with a fault: sim-3", `it reports: ${await shown(page)}`);
});
