// Relays fall at two devices. The list of faults follows, finds them again, and is saved.

import { readFile } from "node:fs/promises";

import { at, check, say, withPage } from "./script.mjs";

const row = (device) => `#faults tbody tr:has(a:text-is('${device}')):has-text('io3 relay A')`;

await withPage(async (page) => {
  await page.goto(at("#/"));
  await page.click("nav a[data-view=faults]");
  await page.waitForSelector("#faults-status:has-text('No fault since')");
  await say("none");

  // It follows what happens while it is looked at.
  await page.waitForSelector(`${row("sim-1")}:has-text('not over'):has-text('clock-not-sync')`);
  const meaning = "the clock that drives the relay is not synchronised";
  check((await page.getAttribute(`${row("sim-1")} [title]:text-is('clock-not-sync')`, "title")) === meaning, "the mouse does not show what the cause means");
  await page.focus("#view-faults .legend summary");
  await page.keyboard.press("Enter");
  await page.waitForSelector(`#view-faults .legend div:has(dt:text-is('clock-not-sync')):has-text('${meaning}')`);
  await say("fell");
  await page.waitForSelector(`${row("sim-1")}:not(:has-text('not over'))`);
  await page.waitForSelector(`${row("sim-2")}:has-text('not over')`);
  check((await page.textContent("#faults-status")).includes("of 2 devices"), "the devices are not counted");
  await page.fill("#faults-filter", "sim-2 clock");
  await page.waitForSelector(row("sim-1"), { state: "detached" });
  check((await page.locator(row("sim-2")).count()) === 1, "what is searched is not there");
  await page.fill("#faults-filter", "relay b");
  await page.waitForSelector(row("sim-2"), { state: "detached" });
  await page.fill("#faults-filter", "no-such-thing");
  await page.waitForSelector("#faults-status:has-text('None of the faults')");
  await page.fill("#faults-filter", "");
  await page.click("#faults-ranges button:text-is('30 d')");
  await page.waitForSelector(row("sim-1"));

  const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#faults-csv")]);
  check(saved.suggestedFilename() === "faults-30d.csv", `it is saved as ${saved.suggestedFilename()}`);
  check((await readFile(await saved.path(), "utf8")).includes("sim-1,io3,a,NC,"), "the fault is missing in the file");

  // The address keeps range and search: a reload and the way back lead to the same.
  await page.fill("#faults-filter", "sim-1 relay a");
  await page.waitForFunction(() => location.hash === "#/faults?range=30d&search=sim-1+relay+a");
  const isKept = async (after) => {
    await page.waitForSelector(row("sim-1"));
    check((await page.inputValue("#faults-filter")) === "sim-1 relay a", `the search is lost after ${after}`);
    check((await page.getAttribute("#faults-ranges button:text-is('30 d')", "aria-pressed")) === "true", `the range is lost after ${after}`);
    check((await page.locator(row("sim-2")).count()) === 0, `another device is listed after ${after}`);
  };
  await page.reload();
  await isKept("a reload");
  const times = await page.locator(`${row("sim-1")} time`).evaluateAll((all) => all.map(({ textContent, dateTime }) => [textContent, String(new Date(dateTime).getFullYear())]));
  check(times.length === 2 && times.every(([text, year]) => text.includes(year)), `without a date: ${times}`);

  // Each leads to the history at its time.
  const [from, to] = await page.locator(`${row("sim-1")} time`).evaluateAll((all) => all.map(({ dateTime }) => Date.parse(dateTime)));
  await page.click(`${row("sim-1")} a`);
  await page.waitForSelector("#detail-title:has-text('sim-1')");
  await page.waitForSelector("section[aria-label=History] h3:focus");
  await page.waitForSelector("section[aria-label=History] .timeline path.span-NC");
  const label = await page.getAttribute("section[aria-label=History] .timeline svg", "aria-label");
  const [start, end] = label.match(/ from (.*) to (.*);/).slice(1).map((text) => Date.parse(text));
  check(start <= from && to <= end + 1_000 && end - start <= 601_000, `the fault from ${from} to ${to} is looked for in ${label}`);
  await page.goBack();
  await isKept("the way back");
}, { timezoneId: "UTC" });
