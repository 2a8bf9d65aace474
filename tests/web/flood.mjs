// Dead letters that say the same: one group, a filter, and marks of what is handled.

import { at, check, goOn, say, unlock, withPage } from "./script.mjs";

const COUNT = 24;
const group = ".dead-letter.many";

await withPage(async (page) => {
  await page.goto(at("#/dead-letters"));
  await page.waitForSelector(`${group}[data-count="${COUNT}"]`);
  check((await page.locator("#dead-letters > li").count()) === 2, "there are others beside the group and the single one");
  const text = await page.textContent(group);
  check(text.includes(`${COUNT} times`) && text.includes("relay-events: sim-2, sim-1") && / from .* to /.test(` ${text}`), `the group says: ${text}`);
  check(await page.isHidden(`${group} [data-dead-letter] >> nth=0`), "the group is open");
  await page.click(`${group} .each-of > summary`);
  check((await page.locator(`${group} [data-dead-letter]`).count()) === 10, "not ten at first");
  await page.click(`${group} button:has-text('More: 14')`);
  check((await page.locator(`${group} [data-dead-letter]`).count()) === COUNT, "there are no more");

  await page.fill("#dead-letters-filter", "sim-2");
  await page.waitForSelector(`${group}[data-count="${COUNT / 2}"]`);
  await page.fill("#dead-letters-filter", "");
  await page.selectOption("#dead-letters-kind", "decode");
  await page.waitForSelector("#dead-letters > li.dead-letter:not(.many)");
  check((await page.locator("#dead-letters > li").count()) === 1, "another kind is shown");
  await page.selectOption("#dead-letters-kind", "");

  await unlock(page, "a-token-for-these-tests");
  await page.waitForSelector("#token-dialog", { state: "hidden" });
  await page.fill("#dead-letters-by", "anna");
  await page.click(`${group} button:has-text('Mark ${COUNT} as handled')`);
  await page.waitForSelector("#dead-letters-status:has-text('24 handled')");
  await page.check("#dead-letters-open");
  check((await page.locator("#dead-letters > li").count()) === 1, "what is handled is still shown");
  await page.click("#dead-letters button:has-text('Run again')");
  await page.waitForSelector(".replayed:has-text('run again: failed') .said:has-text('Not done')");
  await say("handled");
  await goOn();

  // Another bridge, with the same store.
  await page.reload();
  await page.waitForSelector("#link:has-text('live')");
  await page.waitForSelector("#dead-letters-status:has-text('24 handled')");
  check((await page.inputValue("#dead-letters-by")) === "anna", "the name is asked for again");
  await page.click(`${group}[data-count="${COUNT}"] .each-of > summary`);
  check((await page.textContent(`${group}[data-count="${COUNT}"] .handled`)).includes("by anna"), "it does not say by whom");
  await page.waitForSelector(".replayed:has-text('run again: failed')", { state: "attached" });
  await page.click(`${group} button:has-text('Mark ${COUNT} as not handled')`);
  await page.waitForSelector("#dead-letters-status:has-text(' 0 handled')");
});
