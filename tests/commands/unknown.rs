//! What is unknown since polls fail: stale at first, offline after that.

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{Fault, SimulatedDevice};
use serde_json::{Value, json};

use crate::scene::{Scene, Seen};
use crate::support::scene::Setup;
use crate::support::site::Entry;

/// Every relay and two signals of a device.
fn values(seen: Seen<'_>, device: &str) -> Vec<Value> {
    let below = ["relay/a", "relay/b", "relay/c", "signal/clk1", "signal/rsc"];
    let topics = below.map(|topic| format!("{device}/io3/{topic}"));
    topics.iter().map(|topic| seen.json(topic)).collect()
}

fn all(seen: Seen<'_>, device: &str, is_so: impl Fn(&Value) -> bool) -> bool {
    values(seen, device).iter().all(is_so)
}

#[tokio::test]
async fn what_stands_is_stale_while_polls_fail_and_unknown_once_the_device_is_offline() {
    // The first one is never given up.
    let entry = |device: &SimulatedDevice| match device.id() {
        "sim-1" => Entry::writable(device)
            .with("poll", "500ms")
            .with("offline_after", 1000),
        _ => Entry::writable(device),
    };
    let mut scene = Scene::of(Setup::redundant(&[V20, V20]).entries(entry)).await;
    let is_well = |value: &Value| {
        let is_known = value["position"] == "NO" || value["status"] == "ok";
        is_known && value.get("stale").is_none() && value.get("unknown_reason").is_none()
    };
    scene
        .until("all is well", |seen| {
            all(seen, "sim-1", is_well) && all(seen, "sim-2", is_well)
        })
        .await;
    let before = scene.look(|seen| values(seen, "sim-1"));
    for number in [1, 2] {
        scene.device(number).set_fault(Some(Fault::Unavailable));
    }
    let is_stale = |value: &Value| value["stale"] == true;
    scene.until("stale", |seen| all(seen, "sim-1", is_stale)).await;
    let is_offline = |value: &Value| value["unknown_reason"] == "offline" && value.get("stale").is_none();
    scene
        .until("offline", |seen| all(seen, "sim-2", is_offline))
        .await;
    scene.look(|seen| {
        assert_eq!(seen.text("sim-1/state"), "online");
        assert_eq!(seen.text("sim-2/state"), "offline");
        // But for the mark what stands is what stood.
        let unmarked = values(seen, "sim-1").into_iter().map(|mut value| {
            value.as_object_mut().unwrap().remove("stale");
            value
        });
        assert_eq!(unmarked.collect::<Vec<_>>(), before);
    });
    for number in [1, 2] {
        scene.device(number).set_fault(None);
    }
    scene
        .until("all is well again", |seen| {
            all(seen, "sim-1", is_well) && all(seen, "sim-2", is_well)
        })
        .await;
    assert_eq!(scene.look(|seen| values(seen, "sim-1")), before);

    for device in ["sim-1", "sim-2"] {
        scene.catch_up(device).await;
    }
    let moves = |device: &str| {
        let topic = format!("{device}/io3/changes");
        scene.look(|seen| {
            let records = seen.at(&topic).map(|message| message.json());
            let of_relay = records.filter(|record| record["relay"] == "a");
            of_relay.map(|record| record["new"].clone()).collect::<Vec<_>>()
        })
    };
    assert_eq!(moves("sim-1"), Vec::<Value>::new(), "it has not moved");
    assert_eq!(moves("sim-2"), [json!("unknown"), json!("NO")]);
}
