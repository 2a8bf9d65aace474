// The bridge itself: broker, commands, Sparkplug, store, traps.

import { Parts, badge, facts, h, time } from "./dom.js";

const parts = new Parts(document.getElementById("bridge"));

/** Whether all is well with the bridge itself. */
export function isWell({ broker, commands, sparkplug, store }) {
  return broker.connected && commands.subscribed && !commands.refused && !commands.failing && (!sparkplug || sparkplug.born) && !store.failing;
}

export function showBridge(bridge) {
  const { info, broker, commands, sparkplug, store, traps } = bridge;
  const card = (key, data, title, mark, pairs) => [key, data, () => h("section", { class: "panel" }, h("h3", {}, title, " ", mark), facts(pairs))];
  const connection = (link) => link.connected ? badge("ok", "connected") : badge("fault", "not connected");
  const taken = commands.subscribed && !commands.refused && !commands.failing;
  const count = (number) => String(number);
  parts.show([
    card("broker", broker, "Broker", connection(broker), [
      ["since", time(broker.since)],
      ["topics kept there", count(broker.topics)],
      ["messages waiting", count(broker.pending)],
      ["records waiting", count(broker.records)],
      ["connections so far", count(broker.connections)],
      ["last error", broker.last_error],
    ]),
    card("commands", commands, "Commands over MQTT", taken ? badge("ok", "taken") : badge("fault", "not taken"), [
      ["connected", commands.connected ? "yes" : "no"],
      ["since", time(commands.since)],
      ["waiting", count(commands.waiting)],
      ["refused", (commands.refused ?? []).map((refused) => `${refused.filter}: ${refused.reason}`).join("; ")],
      ["cannot be stored", commands.failing],
      ["last error", commands.last_error],
    ]),
    ...(sparkplug ? [card("sparkplug", sparkplug, "Sparkplug B", sparkplug.born ? badge("ok", "born") : badge("fault", "not born"), [
      ["connected", sparkplug.connected ? "yes" : "no"],
      ["since", time(sparkplug.since)],
      ["connections so far", count(sparkplug.connections)],
      ["last error", sparkplug.last_error],
    ])] : []),
    card("store", store, "Store", store.failing ? badge("fault", "cannot be written") : badge("ok", "works"), [
      ["why", store.failing],
      ["records for the broker", `${store.records} (${Math.ceil(store.record_bytes / 1024)} KiB)`],
      ["commands not answered", count(store.commands)],
      ["dead letters", count(store.dead_letters)],
      ["records dropped", count(store.dropped)],
    ]),
    ...(traps ? [card("traps", traps, "Traps and informs", "", Object.entries(traps).map(([name, number]) => [name.replaceAll("_", " "), count(number)]))] : []),
    card("info", info, "This bridge", "", [
      ["id", bridge.id],
      ["version", info.version],
      ["started", time(info.started_at)],
      ["devices", count(info.devices)],
      ["MQTT", info.mqtt_version],
      ["does", (info.capabilities ?? []).join(", ")],
      ["changes over HTTP", bridge.changeable ? "with the token" : "none: no token is configured"],
    ]),
  ]);
}
