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
  await page.click(`${row("sim-1")} a`);
  await page.waitForSelector("#detail-title:has-text('sim-1')");
});
