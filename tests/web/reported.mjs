// What the page says when the bridge refuses it, or is another one than before.

import { at, check, unlock, withPage } from "./script.mjs";

const event = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

await withPage(async (page) => {
  const live = "**/api/live";
  /** Answers every request for events so, until the next one is set. */
  const answer = async (answer) => {
    await page.unroute(live);
    await page.route(live, (route) => route.fulfill(answer));
  };
  const sent = (...events) => answer({ contentType: "text/event-stream", body: events.join("") });

  const error = { kind: "busy", message: "256 clients are receiving changes already", remedy: "close pages that nobody looks at" };
  await answer({ status: 503, contentType: "application/json", body: JSON.stringify({ ok: false, error }) });
  await page.goto(at("#/device/sim-1"));
  await page.waitForSelector("#lost:has-text('256 clients')");
  const text = await page.textContent("#lost");
  check(!text.includes("lost at") && text.includes("close pages"), `it was never connected: ${text}`);

  // Between the roster and the event of its device.
  const bridge = await (await page.request.get(`${process.env.PAGE}/api/bridge`)).json();
  await sent(event("bridge", bridge), event("roster", { devices: ["sim-1"] }));
  await page.reload();
  await page.waitForSelector("#bridge-id:has-text('test')");
  check(!(await page.textContent("#detail")).includes("There is no device"), "it says that the device is not there");
  await sent(event("bridge", bridge), event("roster", { devices: ["sim-7"] }));
  await page.waitForSelector("#detail:has-text('There is no device sim-1')");

  // A bridge whose broker does not answer.
  await sent(event("bridge", { ...bridge, broker: { ...bridge.broker, connected: false } }));
  await page.reload();
  await page.waitForFunction(() => document.title.includes("■ no broker"));

  // A bridge of another version, and then the real one: its own scripts are fetched.
  await sent(event("bridge", { ...bridge, info: { ...bridge.info, version: "0.0.1" } }));
  await page.reload();
  await page.waitForSelector("#bridge-id:has-text('test')");
  await page.evaluate(() => { window.isOld = true; });
  await page.unroute(live);
  await page.waitForFunction(() => !window.isOld && document.getElementById("link").textContent.includes("live"));

  // Numbers that cannot be fetched.
  await page.route("**/api/devices/sim-1", (route) => route.fulfill({ status: 404, contentType: "application/json", body: JSON.stringify({ ok: false, error }) }));
  await page.waitForSelector("#detail :text('What stands here is of before: 256 clients')");

  // What came of a command.
  const words = await page.evaluate(async () => {
    const { words } = await import("/assets/token.js");
    return ["rejected", "timeout", "internal", "no-answer"].map((kind) => words({ ok: false, error: { kind, message: "m", remedy: "r" } }));
  });
  const open = "Not known whether it is done: m. What to do: r.";
  check(words.join() === ["Not done: m. What to do: r.", open, open, open].join(), words.join());
  await unlock(page, "0123456789abcdef\u2026");
  await page.waitForSelector("#token-dialog[open] :text('This is not the token')");
  await page.route("**/api/token", (route) => route.abort());
  await page.fill("#token", "a-token-for-these-tests");
  await page.press("#token", "Enter");
  await page.waitForSelector("#token-dialog[open] :text('The bridge cannot be reached')");
  await page.unroute("**/api/token");
  await page.press("#token", "Enter");
  await page.waitForSelector("#token-dialog", { state: "hidden" });
});
