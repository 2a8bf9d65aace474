// The form says whom it was done for, and still says so after it was made again.

import { at, withPage } from "../web/script.mjs";

await withPage(async (page) => {
  await page.goto(at(""));
  const form = await page.waitForSelector("form[data-name='sim-1/io4/a']:has(button)");
  const choice = "input[name=antenna-faulty]";
  await form.$eval(choice, (input) => input.click());
  const expected = (await form.$eval(choice, (input) => input.checked)) ? ":checked" : ":not(:checked)";
  await form.$eval("button", (set) => set.click());
  await page.waitForFunction((old) => !old.isConnected, form);
  for (const relay of ["a", "c"]) await page.waitForSelector(`form[data-name='sim-1/io4/${relay}'] ${choice}${expected}`);
  await page.waitForSelector("form[data-name='sim-1/io4/a'] output:text-is('done, for A and C')");
});
