// A relay falls and recovers. Who comes later sees when, why and for how long, and acknowledges it.

import { readFile } from "node:fs/promises";

import { at, check, goOn, say, withPage } from "./script.mjs";

const panel = "section[aria-label=History]";
const row = `${panel} tbody tr:has(th:text-is('io3 relay A'))`;
const card = "[aria-label='Relays of slot io3'] [data-relay=a]";
const flag = "#devices li[data-id=sim-1] .was-fault[title*='io3 relay A']";

/** An answer with one relay and so many spans within a day. */
function many(count) {
  const to = Date.now();
  const time = (index) => new Date(to - 86_400_000 + (86_400_000 / count) * index).toISOString();
  const values = ["NO", "NC", "unknown", "offline", "not-observed"];
  const spans = Array.from({ length: count }, (_, index) => ({ at: time(index), until: time(index + 1), value: values[index % values.length] }));
  return { id: "sim-1", from: time(0), to: time(count), slots: { io3: { state: [], relays: { a: spans, b: spans }, signals: {} } }, events: {}, device: [] };
}

await withPage(async (page) => {
  let requests = 0;
  page.on("request", (request) => { requests += request.url().includes("/api/timeline") ? 1 : 0; });
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector(card);
  check(requests === 0, "the history is requested before anybody looks at it");
  await page.locator(panel).scrollIntoViewIfNeeded();
  await page.waitForSelector(`${panel} .timeline svg path.span-NO`);
  check((await page.locator(`${panel} path.span-NC`).count()) === 0, "a fault is drawn before there was one");
  await page.click(`${panel} summary`);
  await say("ready");

  // It follows what happens, also while it is looked at.
  await page.waitForSelector(`${row}:has(.badge.fault):has-text('clock-not-sync'):has-text('still so')`);
  check((await page.locator(flag).count()) === 0, "a fault that lasts is marked as over");
  await say("fell");
  await page.waitForSelector(`${row}:has(.badge.fault):has-text('clock-not-sync'):not(:has-text('still so'))`);
  const values = await page.locator(row).evaluateAll((rows) => rows.map((row) => row.children[2].textContent.trim()).join("; "));
  check(values === "● NO; ▲ NC; ● NO", `the table has ${values}`);
  await page.waitForSelector(`${panel} .timeline path.span-NC`);
  const figures = await page.textContent(`${panel} .facts div:has(dt:text-is('io3 relay A')) dd`);
  check(/^\d[\d.]* %, 1 fault, longest [\d.]+ s$/.test(figures), `the figures are ${figures}`);
  await page.waitForSelector(`${card} .last-fault:has-text(', clock-not-sync'):has-text(' to ')`);
  await page.waitForSelector(flag, { state: "attached" });
  const button = `${card} .last-fault button`;
  check(await page.isDisabled(button), "it can be acknowledged without the token");
  check((await page.getAttribute(button, "title")).includes("Unlock with the token"), "the button does not say why it is locked");
  check(!(await page.innerText(card)).includes("Unlock"), "each button says beside itself why it is locked");
  await say("recovered");
  await goOn();
  const way = "#detail .actions button:text-is('Unlock')";
  check((await page.innerText("#detail .actions")).includes("Unlock with the token first."), "it is said nowhere");
  await page.focus(way);
  await page.keyboard.press("Enter");
  await page.fill("#token", "a-token-for-these-tests");
  await page.press("#token", "Enter");
  await page.waitForSelector("#token-button:focus:has-text('Lock')");
  await page.waitForSelector(way, { state: "hidden" });
  await page.click(button);
  await page.waitForSelector(`${card} .last-fault:has-text('acknowledged')`);
  await page.waitForSelector(button, { state: "detached" });
  await page.waitForSelector(flag, { state: "detached" });
  await say("acknowledged");
  await goOn();

  // The table of what somebody looks for, and a way to it.
  await page.locator("#detail").evaluate((detail) => detail.scrollTo(0, 0));
  await page.click("#detail button:has-text('History')");
  await page.waitForSelector(`${panel} h3:focus`);
  check(await page.locator(`${panel} h3`).evaluate((title) => title.getBoundingClientRect().top < innerHeight), "the history is not in view");
  await page.waitForSelector(`${panel} .timeline text:text-is('slot io3')`, { state: "attached" });
  const named = () => page.locator(`${panel} tbody th`).allTextContents();
  for (const [words, name] of [["signals", "io3 clk1"], ["events", "refclock-1-not-sync"], ["device and slots", "device"], ["relays", "io3 relay A"]]) {
    await page.selectOption(`${panel} select`, { label: words });
    const names = await named();
    check(names.includes(name), `${name} is not among the ${words}: ${names}`);
    const kind = (name) => name.includes(" relay ") ? "relays" : / (clk\d|rsc|pps|10mhz|notification)$/.test(name) ? "signals" : /^(device$|slot )/.test(name) ? "device and slots" : "events";
    check(names.every((name) => kind(name) === words), `among the ${words} are ${names}`);
  }

  // What is exported is what is shown.
  for (const [range, hours] of [["24 h", 24], ["1 h", 1]]) {
    await page.click(`${panel} button:has-text('${range}')`);
    await page.waitForFunction(([panel, hours]) => {
      const query = new URL(document.querySelector(`${panel} .ranges a`).href).searchParams;
      return Math.abs(Date.parse(query.get("to")) - Date.parse(query.get("from")) - hours * 3_600_000) < 60_000;
    }, [panel, hours]);
  }
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click("text=Export CSV")]);
  check(saved.suggestedFilename() === "sim-1-history.csv", `it is saved as ${saved.suggestedFilename()}`);
  check((await readFile(await saved.path(), "utf8")).includes(",NO,NC,clock-not-sync,"), "the fault is missing in the file");

  // However much has happened: a few elements, and the keyboard leads into it.
  await page.route("**/api/timeline*", (route) => route.fulfill({ json: many(10_000) }));
  await page.click(`${panel} button:has-text('24 h')`);
  const label = () => page.getAttribute(`${panel} .timeline svg`, "aria-label");
  await page.waitForFunction((panel) => document.querySelector(`${panel} .timeline svg`).ariaLabel.startsWith("2 relays"), panel);
  const paths = await page.locator(`${panel} .timeline path:not(.grid)`).count();
  check(paths > 0 && paths <= 40, `10,000 spans are drawn as ${paths} paths`);
  check((await page.locator(`${panel} tbody tr`).count()) === 500, "the table has no limit");
  const whole = await label();
  await page.focus(`${panel} .timeline`);
  await page.keyboard.press("+");
  const near = await label();
  await page.keyboard.press("ArrowLeft");
  check(new Set([whole, near, await label()]).size === 3, "the keyboard changes nothing");
  await page.keyboard.press("0");
  check((await label()) === whole, "0 does not show all");
  const box = await page.locator(`${panel} .timeline`).boundingBox();
  await page.mouse.move(box.x + box.width - 200, box.y + 8);
  const pointed = await page.textContent(`${panel} .timeline svg > title`);
  check(/^io3 relay A: NC, .* to .*, 8\.6 s$/.test(pointed), `the drawing says ${pointed}`);

  // Two fingers zoom, one moves it, and both ways it can be moved back.
  const session = await page.context().newCDPSession(page);
  const touch = (type, ...at) => session.send("Input.dispatchTouchEvent", { type, touchPoints: at.map((x, id) => ({ x: box.x + x, y: box.y + 10, id })) });
  const middle = box.width - 300;
  await touch("touchStart", middle - 40, middle + 40);
  await touch("touchMove", middle - 80, middle + 80);
  await touch("touchEnd");
  const pinched = await label();
  check(pinched !== whole, "two fingers change nothing");
  await touch("touchStart", middle);
  await touch("touchMove", middle + 100);
  await touch("touchEnd");
  check(![whole, pinched].includes(await label()), "a finger moves nothing");
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 300, box.y + 8);
  await page.mouse.up();
  check((await label()) === pinched, "the mouse does not move it back");

  // The device scrolls, and not the page behind it.
  await page.setViewportSize({ width: 1100, height: 600 });
  await page.locator(panel).evaluate((element) => element.scrollIntoView({ block: "start" }));
  const [scrolled, behind] = await page.evaluate(() => ["detail", "main"].map((id) => document.getElementById(id).scrollTop));
  check(scrolled > 0 && behind === 0, `the device is scrolled by ${scrolled}, the page by ${behind}`);
});
