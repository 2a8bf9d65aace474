// A phone: no word is broken, nothing is cut off. And a list in which nothing is found.

import { at, check, say, unlock, withPage } from "./script.mjs";

/** Words that go on in the next line, other than after a hyphen. */
function broken() {
  const found = [];
  const walker = document.createTreeWalker(document.getElementById("detail"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.checkVisibility() || node.parentElement.closest("svg, .unseen")) continue;
    for (const { 0: word, index } of node.data.matchAll(/[^\s-]+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) found.push(word);
    }
  }
  return found;
}

await withPage(async (page, browser) => {
  for (const locale of ["en-US", "en-GB"]) {
    const phone = await browser.newPage({ viewport: { width: 360, height: 780 }, locale });
    await phone.goto(at("#/device/sim-1"));
    await unlock(phone, "a-token-for-these-tests");
    await phone.waitForSelector("#token-dialog", { state: "hidden" });
    if (locale === "en-US") await phone.click("text=Keep requests");
    await phone.waitForSelector("table td.path");
    const words = await phone.evaluate(broken);
    check(words.length === 0, `broken with the times of ${locale}: ${words}`);
    const cut = await phone.evaluate(() => [...document.querySelectorAll(".scroll")].filter((box) => box.scrollWidth > box.clientWidth).length);
    check(cut === 0, `${cut} tables are cut off`);
    const high = await phone.evaluate(() => Math.max(...[...document.querySelectorAll(".lines dd:has(time)")].map((value) => value.getClientRects()[0].height)));
    check(high < 30, `a time takes ${high} px`);
    await phone.close();
  }
  await say("fits");
  await page.goto(at("#/"));
  await page.waitForSelector("#devices li");
  await page.fill("#filter", "no such device");
  await page.waitForSelector("#filtered:has-text('None of 1 device fits the filter')");
  await page.click("text=Show all");
  check(await page.isVisible("#devices li"), "it is still filtered");
  check(await page.isHidden("text=Show all"), "there is nothing to clear any more");
  await page.waitForSelector("#filter:focus");
});
