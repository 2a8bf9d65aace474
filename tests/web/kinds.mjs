// What is wrong stands first; what a firmware does not report is no fault.

import { at, check, goOn, say, withPage } from "./script.mjs";

const row = (kind, id) => `#devices li.${kind}[data-id=${id}]`;

await withPage(async (page) => {
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector(`${row("stale", "sim-1")}:has-text('Stale')`);
  await page.waitForSelector(`${row("missing", "sim-2")}:has-text('Module missing')`);
  await page.waitForSelector(`${row("ok", "sim-3")}:has-text('B –')`);
  await page.waitForSelector(row("ok", "sim-4"));
  const order = await page.locator("#devices li").evaluateAll((rows) => rows.map((row) => row.dataset.id));
  check(order.join() === "sim-2,sim-1,sim-3,sim-4", `the order is ${order}`);
  check((await page.textContent(row("stale", "sim-1"))).includes("A NO"), "the value does not stand");
  const relay = (letter) => page.textContent(`#detail [data-relay=${letter}].relay`);
  check((await relay("a")).includes("NO, stale"), "the relay is not marked");
  check((await page.title()).startsWith("▲ 1"), "a missing module is no fault in the title");
  await page.goto(at("#/device/sim-2"));
  await page.waitForSelector("#detail .relay.missing:has-text('missing')");
  await page.goto(at("#/faults"));
  await page.waitForSelector("#faults tr:has(a:text-is('sim-2')):has(.badge.missing:has-text('module missing')):has-text('io3'):has-text('not over')");
  await page.goto(at("#/device/sim-3"));
  await page.waitForSelector("#detail .title .badge.ok");
  await page.waitForSelector("#detail .relay.neutral:has-text('not reported')");
  await page.goto(at("#/device/sim-4"));
  await page.waitForSelector("form.chooser[data-relay=a]");
  const types = await page.locator("form.chooser[data-relay=a] .group").evaluateAll((groups) => groups.map((group) => group.dataset.type));
  check(types.join() === "critical,error,warning,action,info", `the groups are ${types}`);
  const group = "form.chooser[data-relay=a] .group[data-type=info]";
  check((await page.textContent(group)).includes("not known whether it switches a relay"), "info events are not marked");
  check(await page.locator(`${group} input[value=ntp-sync]`).count() === 1, "ntp-sync is not among them");
  await say("distinguished");
  await goOn();
});
