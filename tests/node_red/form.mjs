// What switches a relay is not known, then known, then not known again.

import { at, check, goOn, say, withPage } from "../web/script.mjs";

const form = "form[data-name='other-1/io3/a']";

await withPage(async (page) => {
  await page.goto(at(""));
  await page.waitForSelector(`${form}:has-text('Not known')`);
  check((await page.locator(`${form} :is(input, button)`).count()) === 0, "events can be selected");
  await say("not known");
  await goOn();
  await page.waitForSelector(`${form} button`);
  check(await page.isChecked(`${form} input[name=ntp-not-sync]`), "what is selected is not shown");
  await say("selected");
  await goOn();
  await page.waitForSelector(`${form}:has-text('Not known')`);
  check((await page.locator(`${form} button`).count()) === 0, "events can be selected again");
});
