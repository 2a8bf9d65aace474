// A host application, made of what others have written: mqtt.js, and the decoder of sparkplug-payload.
//
// It follows every edge node, holds what it says against the specification, and writes each message as a line of JSON.
// Lines that come in are published: {"topic", "metrics"} as Sparkplug B, {"topic", "text"} and {"topic", "hex"} as they
// are, with "retain" where the broker is to keep them.
"use strict";

const readline = require("node:readline");
const mqtt = require("mqtt");
const sparkplug = require("sparkplug-payload").get("spBv1.0");

// One that comes late knows nothing of an edge node until its next birth.
const isLate = process.argv[3] === "late";
const client = mqtt.connect(process.argv[2], { protocolVersion: 5, clientId: "host", reconnectPeriod: 0 });
const report = (line) => process.stdout.write(JSON.stringify(line) + "\n");

// What is known of the edge node: its session, the number that comes next, and the metrics that births have named.
let session = null;
let next = null;
let births = new Map();

const value = (metric) => {
  if (metric.isNull || metric.value === null || metric.value === undefined) return null;
  return typeof metric.value === "object" ? Number(metric.value) : metric.value;
};

const byName = (payload) => {
  const metrics = {};
  for (const metric of payload.metrics ?? []) {
    const quality = metric.properties?.Quality;
    metrics[metric.name] = { value: value(metric), type: metric.type, quality: quality?.value };
  }
  return metrics;
};

const check = (kind, device, payload, metrics, packet) => {
  const wrong = [];
  const seq = payload.seq === undefined || payload.seq === null ? null : Number(payload.seq);
  if (packet.retain) wrong.push("it is retained");
  if (kind === "NDEATH") {
    if (seq !== null) wrong.push("a death of the edge node has a seq");
    return wrong;
  }
  if (!Number(payload.timestamp)) wrong.push("no timestamp");
  for (const metric of payload.metrics ?? []) {
    if (!Number(metric.timestamp)) wrong.push(`no timestamp: ${metric.name}`);
  }
  if (packet.qos !== 0) wrong.push(`QoS ${packet.qos}`);
  const expected = kind === "NBIRTH" ? 0 : next;
  if (seq !== expected) wrong.push(`seq ${seq} where ${expected} is next`);
  next = (seq + 1) % 256;
  if (kind === "DDATA" || kind === "NDATA" || kind === "DDEATH") {
    const known = births.get(device);
    if (!known) wrong.push(`${device} was not born`);
    for (const [name, metric] of Object.entries(known ? metrics : {})) {
      if (known[name]?.type !== metric.type) wrong.push(`${name} is not of the birth`);
    }
  }
  return wrong;
};

const follow = (kind, device, metrics) => {
  if (kind === "NBIRTH") {
    session = metrics.bdSeq?.value;
    births = new Map([[device, metrics]]);
  }
  if (kind === "DBIRTH") births.set(device, metrics);
  if (kind === "DDEATH") births.delete(device);
  // A death of another session is none of this one.
  if (kind === "NDEATH" && metrics.bdSeq?.value === session) births.clear();
};

client.on("message", (topic, bytes, packet) => {
  const [namespace, group, kind, node, device = ""] = topic.split("/");
  if (group === "STATE" || kind.endsWith("CMD")) return;
  let payload;
  try {
    payload = sparkplug.decodePayload(bytes);
  } catch (error) {
    return report({ topic, wrong: [`cannot be decoded: ${error.message}`] });
  }
  if (isLate && session === null && kind !== "NBIRTH") return;
  const metrics = byName(payload);
  const wrong = check(kind, device, payload, metrics, packet);
  if (namespace !== "spBv1.0") wrong.push("another namespace");
  const isOfSession = metrics.bdSeq?.value === session;
  follow(kind, device, metrics);
  report({ group, kind, node, device, seq: Number(payload.seq), metrics, wrong, isOfSession });
});

client.on("connect", () => {
  client.subscribe("spBv1.0/#", { qos: 1 }, (error) => report(error ? { wrong: [error.message] } : { ready: true }));
});
client.on("error", (error) => report({ wrong: [error.message] }));

const encoded = (line) => {
  if (line.metrics) return Buffer.from(sparkplug.encodePayload({ timestamp: Date.now(), metrics: line.metrics }));
  return line.hex === undefined ? line.text : Buffer.from(line.hex, "hex");
};

readline.createInterface({ input: process.stdin }).on("line", (text) => {
  const line = JSON.parse(text);
  client.publish(line.topic, encoded(line), { qos: line.retain ? 1 : 0, retain: line.retain ?? false });
});
