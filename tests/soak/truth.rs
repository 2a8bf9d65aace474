//! That what is retained is what is so at the devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use lantime2mqtt::simulator::{Driver, Position, Relay, RelayModule, SimulatedDevice};
use serde_json::Value;

use crate::support::wait::none_left;
use crate::support::{Seen, Watcher};

/// Waits until everything is published as it is. What is not known may be published as such where the device does not report it.
pub(crate) async fn is_published(watcher: &mut Watcher, devices: &[Arc<SimulatedDevice>]) {
    let lies = || -> Vec<String> {
        let seen = watcher.now();
        devices
            .iter()
            .flat_map(|device| lies_about(&seen, device))
            .collect()
    };
    if !none_left(|| lies().len()).await {
        let lies = lies();
        panic!(
            "{} topics are wrong: {:#?}",
            lies.len(),
            &lies[..lies.len().min(20)]
        );
    }
}

fn json(seen: &Seen, topic: &str) -> Value {
    let payload = seen.topics.get(&format!("lantime/{topic}"));
    payload.map_or(Value::Null, |payload| {
        serde_json::from_str(payload).unwrap_or_else(|_| payload.as_str().into())
    })
}

/// What is published of a device, and is not so.
fn lies_about(seen: &Seen, device: &SimulatedDevice) -> Vec<String> {
    let id = device.id();
    let mut lies = Vec::new();
    let mut check = |topic: String, published: &Value, is_so: bool, truth: String| {
        if !is_so {
            lies.push(format!("{topic}: {published}, and not {truth}"));
        }
    };
    let state = json(seen, &format!("{id}/state"));
    check(
        format!("{id}/state"),
        &state,
        state == "online",
        "online".to_owned(),
    );
    let error = json(seen, &format!("{id}/error"));
    check(format!("{id}/error"), &error, error.is_null(), "none".to_owned());
    let document: Value = serde_json::from_slice(&device.document()).expect("it is JSON");
    for event in document["data"]["notification"]["events"]
        .as_array()
        .expect("a list")
    {
        let topic = format!(
            "{id}/event/{}",
            canonical(event["object-id"].as_str().expect("a name"))
        );
        let (published, truth) = (json(seen, &topic), event["triggered"] == 1);
        check(
            topic,
            &published,
            published["triggered"] == truth,
            truth.to_string(),
        );
    }
    let world = device.world();
    for module in device.kind().chassis.relay_modules() {
        let slot = format!("{id}/{}", module.slot);
        let has_power = world.has_power(module.slot);
        let (published, truth) = (
            json(seen, &format!("{slot}/state")),
            if has_power { "online" } else { "absent" },
        );
        check(
            format!("{slot}/state"),
            &published,
            published == truth,
            truth.to_owned(),
        );
        for (relay, dead_letter) in [(Relay::A, "a"), (Relay::B, "b"), (Relay::C, "c")] {
            let topic = format!("{slot}/relay/{dead_letter}");
            let published = json(seen, &topic);
            let truth = position(device, module, relay);
            check(
                topic,
                &published,
                published["position"] == truth,
                truth.to_owned(),
            );
            if module.driver(relay) == Driver::Notification {
                let topic = format!("{slot}/relay/{dead_letter}/events");
                let published = json(seen, &topic);
                let truth = world.relay_events(module.slot, relay);
                let truth: BTreeSet<_> = truth.iter().map(|event| canonical(event)).collect();
                let names = published["events"].as_array().cloned().unwrap_or_default();
                let names: BTreeSet<_> = names.iter().filter_map(Value::as_str).collect();
                check(topic, &published, names == truth, format!("{truth:?}"));
            }
        }
    }
    lies
}

/// What can be known of where a relay stands.
fn position(device: &SimulatedDevice, module: &RelayModule, relay: Relay) -> &'static str {
    let world = device.world();
    let is_supervised = matches!(module.driver(relay), Driver::Pps | Driver::TenMhz);
    if !world.has_power(module.slot) || (is_supervised && !device.kind().reports_relays) {
        return "unknown";
    }
    match world.relay(module.slot, relay) {
        Some(Position::No) => "NO",
        Some(Position::Nc) => "NC",
        None => "unknown",
    }
}

fn canonical(name: &str) -> &str {
    match name {
        "leapsecond-announced" => "leap-second-announced",
        "faillock:-user-banned" => "faillock-user-banned",
        name => name,
    }
}
