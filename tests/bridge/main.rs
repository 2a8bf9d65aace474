//! The real program between simulated devices and a real broker: one file per promise.

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod command_line;
mod documents;
mod faults;
mod login;
mod probe;
mod secrets;
mod state;
mod stop_and_reload;
mod trust_and_proxy;
mod web_servers;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice};
use serde_json::Value;

use support::{PATIENCE, Seen};

/// A fleet of these kinds, on free ports.
async fn fleet(kinds: &[(Chassis, ApiGeneration)]) -> Fleet {
    let kinds: Vec<_> = kinds
        .iter()
        .map(|&(chassis, api)| DeviceKind::new(chassis, api))
        .collect();
    let options = FleetOptions {
        devices: kinds.len(),
        kinds,
        ..FleetOptions::default()
    };
    Fleet::start(options).await.expect("free ports on the loopback")
}

/// The JSON that is retained below the prefix; null for none.
fn json(seen: &Seen, topic: &str) -> Value {
    let payload = seen.topics.get(&format!("lantime/{topic}"));
    payload.map_or(Value::Null, |payload| {
        serde_json::from_str(payload).expect("it is JSON")
    })
}

/// The word that is retained below the prefix; empty for none.
fn word<'s>(seen: &'s Seen, topic: &str) -> &'s str {
    let payload = seen.topics.get(&format!("lantime/{topic}"));
    payload.map_or("", String::as_str)
}

/// Whether a device with one relay module is in normal operation, as far as everybody sees.
fn is_healthy(seen: &Seen, device: &str) -> bool {
    word(seen, &format!("{device}/state")) == "online"
        && word(seen, &format!("{device}/io1/state")) == "online"
        && json(seen, &format!("{device}/io1/relay/a"))["position"] == "NO"
        && json(seen, &format!("{device}/io1/signal/clk1"))["status"] == "ok"
        && !seen.topics.contains_key(&format!("lantime/{device}/error"))
}

/// Waits until something holds that nobody tells of.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, holds).await.is_err() {
        panic!("{what}: never");
    }
}

/// Waits until a device has been asked so many times more.
async fn polls(device: &SimulatedDevice, more: u64) {
    let enough = device.counters().documents + more;
    eventually("polls", || device.counters().documents >= enough).await;
}

/// Kind of the error that stands on a device.
fn error_kind(seen: &Seen, device: &str) -> String {
    let error = json(seen, &format!("{device}/error"));
    error["error"]["kind"].as_str().unwrap_or_default().to_owned()
}
