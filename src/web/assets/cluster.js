// The cluster, where the bridge belongs to one: which bridges there are, and who works for which shard.

import { Parts, badge, h, sentence, time } from "./dom.js";

/** Shards that are listed by their numbers; more are counted. */
const LISTED = 8;
const INTENTS = { drain: "drained", leave: "stops" };

const strip = document.getElementById("cluster");
const parts = new Parts(strip);
const standby = new Parts(document.getElementById("standby"));
const section = document.getElementById("cluster-members");
const tables = new Parts(document.getElementById("members"));

/** Shows it; nothing without a cluster. */
export function showCluster(cluster) {
  strip.hidden = section.hidden = !cluster;
  if (!cluster) return;
  const { etcd, shards, members, problems = [] } = cluster;
  const ownerless = shards.filter(({ owner }) => !owner);
  parts.show([
    ...(etcd.connected ? [] : [["etcd", [etcd, problems], () => disconnected(etcd, problems)]]),
    ...problems.filter(({ subject }) => subject !== "etcd").map(({ subject, error }) => [subject, error, () => problem(error)]),
    ...(etcd.connected && ownerless.length ? [["ownerless", ownerless, () => h("p", { class: "trouble", role: "alert" }, h("strong", {}, noOwner(ownerless)))]] : []),
    ["summary", [cluster.name, cluster.bridge, shards, members], () => summary(cluster)],
  ]);
  standby.show([["standby", [etcd.connected, shards, members], () => h("p", { class: "hint" }, standsBy(cluster))]]);
  tables.show([["members", [cluster.bridge, shards, members], () => table(cluster)]]);
}

/** Whether this bridge owns no shard, and so has no devices to show. */
export function standsByIn(cluster) {
  return Boolean(cluster) && !cluster.shards.some(({ own }) => own);
}

/** The bridges beside this one, with links to their pages. */
export function others({ bridge, members }) {
  return list(members.filter(({ id }) => id !== bridge).map(link));
}

function disconnected({ since }, problems) {
  const error = problems.find(({ subject }) => subject === "etcd")?.error;
  return h(
    "p",
    { class: "trouble", role: "alert" },
    h("strong", {}, "etcd does not answer, since ", time(since), "."), " What is shown of the cluster is as it was heard last, and no shard moves. ",
    error && [sentence(error.message), " What to do: ", sentence(error.remedy)],
  );
}

function problem({ message, remedy }) {
  return h("p", { class: "trouble", role: "alert" }, h("strong", {}, sentence(message)), " What to do: ", sentence(remedy));
}

function noOwner(shards) {
  const devices = shards.reduce((sum, shard) => sum + shard.devices, 0);
  const some = shards.length === 1 ? `Shard ${shards[0].shard} has` : `${shards.length} shards have`;
  return `${some} no owner: nobody polls ${devices === 1 ? "1 device" : `${devices} devices`}.`;
}

function summary(cluster) {
  const { name, bridge, shards, members } = cluster;
  const own = shards.filter((shard) => shard.own);
  const mark = own.length ? badge("ok", `owns ${named(own, shards.length)}`) : badge("neutral", "stands by");
  const beside = members.filter(({ id }) => id !== bridge);
  return h(
    "p",
    { class: "members" },
    h("span", {}, "Cluster ", h("strong", {}, name)),
    h("span", {}, "This bridge ", mark, noted(troubles(members.find(({ id }) => id === bridge)))),
    h("span", {}, "Other bridges: ", beside.length ? list(beside.map((member) => [link(member), noted([owned(member, shards), ...troubles(member)])])) : "none"),
  );
}

/** `shard 00`, `shards 00, 03`, `5 of 8 shards`. */
function named(shards, all) {
  if (all > 1 && shards.length === all) return `all ${all} shards`;
  if (shards.length > LISTED) return `${shards.length} of ${all} shards`;
  return `${shards.length === 1 ? "shard" : "shards"} ${shards.map(({ shard }) => shard).join(", ")}`;
}

/** What is not as usual with a bridge; with none, before it has written its entry. */
function troubles(member) {
  return member ? [INTENTS[member.intent], member.broker === "disconnected" && "no broker", member.other_devices && "other devices"].filter(Boolean) : ["takes no part yet"];
}

function owned({ id }, shards) {
  const own = shards.filter(({ owner }) => owner === id);
  return own.length ? `owns ${named(own, shards.length)}` : "stands by";
}

function noted(words) {
  return words.length ? ` (${words.join(", ")})` : "";
}

function standsBy({ etcd, shards, members }) {
  const owners = new Set(shards.map(({ owner }) => owner).filter(Boolean));
  if (owners.size === 0) {
    return etcd.connected ? "This bridge stands by, and no bridge works for the devices now." : "This bridge polls no devices until etcd has answered.";
  }
  const links = [...owners].map((owner) => link(members.find(({ id }) => id === owner) ?? { id: owner }));
  return ["This bridge stands by: ", list(links), owners.size === 1 ? " works" : " work", " for the devices."];
}

function link({ id, url }) {
  return url ? h("a", { href: url }, id) : h("strong", {}, id);
}

function list(items) {
  return items.flatMap((item, index) => [index === 0 ? "" : index === items.length - 1 ? " and " : ", ", item]);
}

function table({ bridge, shards, members }) {
  const row = (member) => {
    const own = shards.filter(({ owner }) => owner === member.id);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, link(member), member.id === bridge && h("span", { class: "quiet" }, " this one")),
      h("td", { "data-name": "shards" }, own.length ? own.map(({ shard }) => shard).join(", ") : "none"),
      h("td", {}, member.broker === "connected" ? badge("ok", "broker connected") : badge("fault", "no broker")),
      h("td", {}, member.other_devices ? badge("warning", "other devices") : "same devices"),
      h("td", {}, INTENTS[member.intent] ?? "takes part"),
      h("td", { "data-name": "version" }, member.version),
    );
  };
  const head = ["Bridge", "Shards", "Broker", "Configuration", "State", "Version"].map((name) => h("th", { scope: "col" }, name));
  return h("div", { class: "panel scroll" }, h("table", { class: "stacked" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, members.map(row))));
}
