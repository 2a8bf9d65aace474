//! What is published, each kind of it as names and values.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expected::Found;
use crate::host::Host;
use crate::live::live;
use crate::normalise::{self, scalars};
use crate::scene::{COMMUNITY, Scene, TOKEN};
use crate::support::clients::Message;
use crate::support::http::{Answer, ask};
use crate::support::net_snmp::Login;
use crate::support::wait;

/// How commands end, which are the tests' own messages.
const COMMANDS: [&str; 3] = ["/set", "/refresh", "/replay"];
/// Counts that a metric has from the first on, and that are shown up to 10 s later.
const LATE: &str = "lantime2mqtt_device_poll_failures_total";
/// Metrics whose values depend on time.
const MEASURED: [&str; 6] = [
    "process_",
    "lantime2mqtt_broker_pending_messages",
    "lantime2mqtt_store_record_bytes",
    "lantime2mqtt_device_polls",
    "lantime2mqtt_device_last_success",
    "lantime2mqtt_device_round_trip",
];

/// All retained topics, as somebody who comes now gets them.
pub(crate) async fn retained(scene: &Scene, prefix: &str) -> Found {
    let subscriber = scene.client.mqtt.subscribe(&[&format!("{prefix}/#")]).await;
    let messages = subscriber.now().into_iter();
    let retained = messages.filter(|message| message.retained && message.topic.starts_with(prefix));
    retained
        .map(|message| (message.topic.clone(), state(&message)))
        .collect()
}

fn state(message: &Message) -> String {
    let is_measured = message.topic.contains("/http/stats/") && !message.topic.ends_with("last_success");
    match is_measured && message.payload.parse::<f64>().is_ok() {
        true => "<n>".to_owned(),
        false => normalise::payload(&message.payload),
    }
}

/// Records, numbered within their topic.
pub(crate) fn records(messages: &[Message]) -> Found {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let is_command = |message: &&Message| COMMANDS.iter().any(|end| message.topic.ends_with(end));
    let records = messages
        .iter()
        .filter(|message| !message.retained && !is_command(message));
    let mut found = Found::new();
    for message in records {
        let count = counts.entry(&message.topic).or_default();
        *count += 1;
        let correlation = match message.correlation.as_str() {
            "" => String::new(),
            data => format!(" (correlation {data})"),
        };
        let name = format!("{} {count:02}{correlation}", message.topic);
        found.insert(name, record(message));
    }
    found
}

fn record(message: &Message) -> String {
    let is_of_device = ["/events", "/changes"]
        .iter()
        .any(|end| message.topic.ends_with(end));
    match is_of_device {
        // The order of their fields is documented.
        true => normalise::text(&message.payload),
        false => normalise::payload(&message.payload),
    }
}

/// The births of Sparkplug, asked for again: value, type and quality of each metric.
pub(crate) async fn births(host: &mut Host, count: usize) -> Found {
    let before = host.now().births.len();
    host.ask_births();
    let all_are_born = format!("{count} are born again");
    let seen = host
        .until(&all_are_born, |seen| {
            seen.births.len() > before && seen.alive.len() == count
        })
        .await;
    let metrics = seen.alive.iter().flat_map(|(device, metrics)| {
        let device = if device.is_empty() { "(node)" } else { device };
        metrics
            .iter()
            .map(move |(name, metric)| (format!("{device} {name}"), birth(metric)))
    });
    metrics.collect()
}

fn birth(metric: &Value) -> String {
    let mut metric = metric.clone();
    if metric["type"] == "DateTime" && metric["value"].is_number() {
        metric["value"] = "<time>".into();
    }
    normalise::json(metric).to_string()
}

/// All samples of `/metrics`.
pub(crate) async fn metrics(scene: &Scene) -> Found {
    let answer = get(scene, "/metrics").await;
    let lines = answer.body.lines().filter(|line| !line.starts_with(LATE));
    let samples = lines.filter_map(|line| {
        let (name, value) = match line.strip_prefix("# ") {
            // # HELP name text
            Some(comment) => line.split_at(line.len() - comment.splitn(3, ' ').nth(2)?.len()),
            None => line.rsplit_once(' ')?,
        };
        let is_measured = !name.starts_with('#') && MEASURED.iter().any(|start| name.starts_with(start));
        let value = if is_measured { "<n>" } else { value };
        Some((normalise::text(name.trim_end()), value.to_owned()))
    });
    samples.collect()
}

/// All objects of the bridge as an SNMP agent.
pub(crate) async fn walk(scene: &Scene) -> Found {
    let login = Login::Community(COMMUNITY);
    let mut found = Found::new();
    for root in ["LANTIME2MQTT-MIB::lantime2mqttMIB", "SNMPv2-MIB::system"] {
        let walked = scene.client.manager.output("snmpwalk", login, &[root]).await;
        let objects = walked.lines().filter_map(|line| line.split_once(" = "));
        found.extend(objects.map(|(name, value)| (name.to_owned(), object(name, value))));
    }
    found
}

fn object(name: &str, value: &str) -> String {
    match value.split_once(": ") {
        Some((kind, _)) if name.contains("RoundTrip") => format!("{kind}: <n>"),
        Some((kind @ ("Counter32" | "Counter64" | "Timeticks"), _)) => format!("{kind}: <n>"),
        // DateAndTime.
        Some((kind, time)) if time.ends_with(",+0:0") => format!("{kind}: <time>"),
        _ => normalise::text(value),
    }
}

/// What can be asked for with GET.
pub(crate) async fn api(scene: &Scene) -> Found {
    let dead_letters = get(scene, "/api/dead-letters?limit=1000").await.json();
    let dead_letters: Vec<_> = dead_letters.as_array().unwrap().iter().rev().cloned().collect();
    let mut found = live(scene).await;
    for path in paths(scene) {
        add(&mut found, &path, &get(scene, &path).await);
    }
    for (number, dead_letter) in dead_letters.into_iter().enumerate() {
        let name = format!("/api/dead-letters {:02}", number + 1);
        let path = format!("/api/dead-letters/{}", dead_letter["id"].as_str().unwrap());
        add_json(&mut found, &format!("{name} listed"), dead_letter);
        add(&mut found, &name, &get(scene, &path).await);
    }
    found
}

fn paths(scene: &Scene) -> Vec<String> {
    let devices = scene.fleet.devices().iter();
    let devices = devices.flat_map(|device| {
        let path = format!("/api/devices/{}", device.id());
        [format!("{path}/http/sessions"), path]
    });
    let others = [
        "/healthz",
        "/readyz",
        "/api/bridge",
        "/api/token",
        "/api/devices",
        "/api/devices/nobody",
        "/api/dead-letters?limit=0",
        "/api/dead-letters/nothing",
        "/api/nothing",
    ];
    devices.chain(others.map(str::to_owned)).collect()
}

pub(crate) async fn get(scene: &Scene, path: &str) -> Answer {
    let host = scene.site.http();
    let head = format!("Host: {host}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close");
    let answer = ask(host, format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n")).await;
    answer.expect("it answers")
}

fn add(found: &mut Found, name: &str, answer: &Answer) {
    let kind = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "));
    let status = format!("{} {}", answer.status, kind.unwrap_or("(nothing)"));
    found.insert(name.to_owned(), status);
    if !answer.body.is_empty() {
        add_json(found, name, answer.json());
    }
}

fn add_json(found: &mut Found, name: &str, value: Value) {
    let scalars = scalars(&normalise::json(value)).into_iter();
    found.extend(scalars.map(|(path, value)| (format!("{name} {path}"), value)));
}

/// Waits until all that was published is acknowledged, so that what counts it stands still.
pub(crate) async fn settled(scene: &Scene) {
    wait::until("the broker has acknowledged everything", async || {
        let bridge = get(scene, "/api/bridge").await.json();
        bridge["broker"]["pending"] == 0 && bridge["store"]["records"] == 0
    })
    .await;
}
