// A bridge that does not run, then an unreachable device: their lamps say how it was, and not how it is.

import { at, check, goOn, say, withPage } from "../web/script.mjs";

const button = "form[data-name='sim-1/io4/a'] button";

await withPage(async (page) => {
  const shows = (what) => page.waitForFunction((lamp) => document.querySelectorAll(lamp).length === 6, what);
  await page.goto(at(""));
  await shows(".lamp.NO");
  await page.waitForSelector(button);
  await say("runs");
  await goOn();
  await shows(".lamp.unknown");
  const texts = await page.locator(".lamp").allInnerTexts();
  check(texts.every((text) => text.includes("unknown, was NO\n")), `how it was is not shown: ${texts}`);
  check((await page.locator("form button").count()) === 0, "events can be selected while nobody takes them");
  await say("does not run");
  await goOn();
  await shows(".lamp.NO");
  await page.waitForSelector(button);
  await say("runs again");
  await goOn();
  await shows(".lamp.unknown");
  const since = await page.locator(".lamp").first().innerText();
  check(/unknown, was NO at .*\d/.test(since), `when it was so is not shown: ${since}`);
});
