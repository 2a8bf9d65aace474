//! The real program between simulated devices and a real broker: one file per promise.

#[allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; the lint only sees functions marked so"
)]
#[path = "../common/mod.rs"]
mod common;

mod faults;
mod state;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};
use serde_json::Value;

use common::{PATIENCE, Seen};

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
