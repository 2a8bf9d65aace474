// Somebody works with the keyboard while relays fall, polls are counted, and dead letters come.

import { at, check, say, unlock, withPage } from "./script.mjs";

const panel = "section[aria-label='HTTP communication']";
const polls = `${panel} dd`;

/** Focuses an element, and says what the focus is on afterwards. */
const focus = (page, selector) => page.focus(selector);
const focused = (page) => page.evaluate(() => document.activeElement.closest("[data-id]")?.dataset.id ?? document.activeElement.textContent.slice(0, 40));

async function isFocused(page, what, when) {
  const now = await focused(page);
  check(now.startsWith(what), `the focus is not on ${what} but on ${now}, ${when}`);
}

/** Waits until the polls are counted again. */
async function counted(page) {
  const before = await page.textContent(polls);
  await page.waitForFunction(([selector, text]) => document.querySelector(selector).textContent !== text, [polls, before]);
}

await withPage(async (page) => {
  await page.goto(at("#/device/sim-3"));
  await unlock(page, "a-token-for-these-tests");
  await page.click("text=Keep requests");
  await page.waitForSelector(`${panel} td.path`);
  await focus(page, "#detail button:has-text('Poll now')");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#detail .said:has-text('Polled.')");
  await isFocused(page, "Poll now", "after it was pressed");
  await page.evaluate((selector) => { document.querySelector(selector).scrollTop = 40; }, `${panel} .scroll`);
  const summary = "section[aria-label='Notification events'] summary";
  await page.click(summary);
  await focus(page, `${panel} button:has-text('Stop keeping requests')`);
  await counted(page);
  await isFocused(page, "Stop keeping requests", "after the polls were counted again");
  const scrolled = await page.evaluate((selector) => document.querySelector(selector).scrollTop, `${panel} .scroll`);
  check(scrolled === 40, `the table is scrolled to ${scrolled}`);

  // The part that it stands in is made again.
  await focus(page, summary);
  await say("at the events");
  await page.waitForSelector("section[aria-label='Notification events'] tr:has(.badge.fault):has-text('refclock-1-not-sync')");
  await isFocused(page, "The other", "after an event");
  check(await page.evaluate((selector) => document.querySelector(selector).parentElement.open, summary), "what was open is closed");

  // Its row goes from the first place to the last one, and no other row moves.
  await page.waitForSelector("#devices li.fault[data-id=sim-3]");
  await focus(page, "#devices li[data-id=sim-3] a");
  await page.evaluate(() => {
    window.moves = new Set();
    new MutationObserver((records) => {
      for (const record of records) for (const node of record.addedNodes) if (node.dataset?.id) window.moves.add(node.dataset.id);
    }).observe(document.getElementById("devices"), { childList: true, subtree: true });
  });
  await say("at the row");
  await page.waitForSelector("#devices li.ok[data-id=sim-3]");
  await isFocused(page, "sim-3", "after its row has moved");
  const moves = await page.evaluate(() => [...window.moves].join());
  check(moves === "sim-3", `these rows have moved: ${moves}`);

  await page.goto(at("#/dead-letters"));
  await page.waitForSelector(".dead-letter >> nth=1");
  await page.click(".dead-letter summary");
  await focus(page, ".dead-letter button");
  const message = ".dead-letter p:nth-of-type(2)";
  const before = await page.textContent(message);
  await say("at the dead letter");
  // The archive is full: their number stays.
  await page.waitForFunction(([selector, text]) => document.querySelector(selector).textContent !== text, [message, before]);
  await isFocused(page, "Run again", "after another dead letter has come");
  check((await page.locator(".dead-letter details[open]").count()) === 1, "the dead letter that was open is closed");
});
