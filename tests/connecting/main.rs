//! The way to devices and brokers: OpenSSL's certificates and its server, and names with several addresses. One file per
//! promise.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod broker;
mod device;
mod signature;
mod sudden_end;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};
use serde_json::Value;

use support::Seen;

/// The status document of a healthy device.
async fn document() -> Vec<u8> {
    let options = FleetOptions {
        devices: 1,
        kinds: vec![DeviceKind::new(Chassis::M500, ApiGeneration::V10)],
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.expect("free ports on the loopback");
    fleet.devices()[0].document().to_vec()
}

/// The error that stands on a device; null for none.
fn error(seen: &Seen, device: &str) -> Value {
    let payload = seen.topics.get(&format!("lantime/{device}/error"));
    payload.map_or(Value::Null, |payload| {
        let report: Value = serde_json::from_str(payload).expect("it is JSON");
        report["error"].clone()
    })
}

fn is_online(seen: &Seen, device: &str) -> bool {
    seen.is(&format!("lantime/{device}/state"), "online")
}
