// Who sees little, or uses the keyboard: contrast in light and dark, names of everything, no sideways scrolling on a phone.

import { at, check, say, withPage } from "./script.mjs";

/** Texts whose contrast with what is behind them is below 4.5 (WCAG AA). */
function tooFaint() {
  const numbers = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const part = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const ownText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!ownText || element.closest(".unseen, :disabled, option, noscript, svg") || !element.checkVisibility()) continue;
    const [one, other] = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.push(`${element.tagName} "${element.textContent.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return faint;
}

/** Controls and drawings without a name. */
function nameless() {
  const isNamed = (element) => element.textContent.trim() || element.getAttribute("aria-label") || element.getAttribute("aria-hidden")
    || element.labels?.length || element.closest("[hidden]");
  return [...document.querySelectorAll("a, button, input, summary, svg, img:not([alt])")].filter((element) => !isNamed(element)).map((element) => element.outerHTML.slice(0, 80));
}

await withPage(async (page) => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const hash of ["#/device/sim-1", "#/device/sim-2", "#/device/sim-3", "#/faults", "#/dead-letters", "#/bridge", "#/", "?kiosk", "?"]) {
      await page.goto(at(hash));
      if (hash === "?kiosk") await page.waitForSelector(".tile.warning");
      else await page.waitForSelector("#link:has-text('live')");
      await page.waitForSelector("li.warning", { state: "attached" });
      if (hash === "?") await page.click("#alerts-button");
      if (hash === "#/dead-letters") await page.click(".dead-letter.many .each-of:not([open]) > summary");
      if (hash === "#/faults") await page.waitForSelector("#faults tbody tr");
      if (hash === "#/device/sim-1") {
        await page.locator("section[aria-label=History]").scrollIntoViewIfNeeded();
        await page.click("section[aria-label=History] summary");
        await page.waitForSelector("section[aria-label=History] tbody tr");
      }
      const faint = await page.evaluate(tooFaint);
      check(faint.length === 0, `too faint in ${colorScheme} at ${hash}: ${faint.join("; ")}`);
      const unnamed = await page.evaluate(nameless);
      check(unnamed.length === 0, `without a name at ${hash}: ${unnamed.join("; ")}`);
    }
  }
  await say("readable");
  // With the keyboard alone from the top to a device.
  await page.goto(at("#/"));
  await page.waitForSelector("#devices li");
  for (let step = 0; step < 20; step += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.matches("#devices a"))) break;
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  check(outline === "solid", `the focus is not seen: ${outline}`);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#detail-title:focus");
  await page.setViewportSize({ width: 360, height: 740 });
  for (const hash of ["#/", "#/device/sim-1", "#/faults", "#/dead-letters", "#/bridge"]) {
    await page.goto(at(hash));
    await page.waitForSelector("#devices li", { state: "attached" });
    const [width, wanted] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
    check(wanted <= width, `a phone has to scroll sideways at ${hash}: ${wanted} of ${width}`);
  }
});
