//! What is retained for a healthy device, and what changes move there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use lantime2mqtt::simulator::{Action, ApiGeneration, Chassis, Clock, Signal};
use serde_json::{Value, json as value};

use crate::support::Seen;
#[cfg(feature = "recordings")]
use crate::support::recordings;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::web_server::{WebServer, answer, authorization};

/// `bridge:simulated`
const BASIC: &str = "Basic YnJpZGdlOnNpbXVsYXRlZA==";

/// The document, which may change, behind HTTP Basic, by another server than the simulator's.
async fn serve(document: &Arc<Mutex<Value>>) -> WebServer {
    let document = Arc::clone(document);
    WebServer::start(
        move |request| match (request.uri.path(), authorization(request)) {
            ("/api/status", BASIC) => answer(200, document.lock().expect("whole").to_string()),
            ("/api/status", _) => answer(401, "{}"),
            _ => answer(404, "{}"),
        },
    )
    .await
}

fn slot<'d>(document: &'d mut Value, id: &str) -> &'d mut Value {
    let slots = document["data"]["chassis0"]["slots"]
        .as_array_mut()
        .expect("a list of slots");
    slots
        .iter_mut()
        .find(|slot| slot["slot-id"] == id)
        .expect("the chassis has the slot")
}

#[cfg(feature = "recordings")]
#[tokio::test]
async fn a_recorded_device_with_a_relay_module() {
    let recording = recordings::read(recordings::M300);
    let mut document: Value = serde_json::from_slice(&recording).expect("a recording is JSON");
    let info =
        value!({ "model": "rel1000", "serial-number": "990011        ", "software-revision": "v1.00" });
    slot(&mut document, "int1")["module"] = value!({ "info": info });
    let sent = document["data"]["notification"]["events"]
        .as_array()
        .unwrap()
        .clone();
    let document = Arc::new(Mutex::new(document));
    let server = serve(&document).await;
    let mut scene = Setup::at(&[Entry::new("m300", &server.url())]).start().await;

    let seen = scene
        .until("the device", |seen| {
            [
                "http/stats",
                "info",
                "state",
                "int1/state",
                "int1/signal/10mhz",
                "event/system-reboot",
            ]
            .iter()
            .all(|topic| seen.topics.contains_key(&format!("lantime/m300/{topic}")))
                && events(seen, "m300").len() == 28
        })
        .await;
    assert_eq!(seen.text("m300/state"), "online");
    assert_eq!(seen.json("m300/int1/signal/clk1")["status"], "ok");
    let relay = seen.json("m300/int1/relay/a");
    assert_eq!(
        (
            &relay["position"],
            &relay["provenance"],
            &relay["fault"],
            &relay["driven_by"]
        ),
        (&value!("NO"), &value!("derived"), &value!(false), &value!("clk1"))
    );
    let slot_info = seen.json("m300/int1/info");
    assert_eq!(slot_info["serial_number"], "990011");
    assert_eq!(slot_info["wiring_source"], "assumed");

    let published = events(&seen, "m300");
    for event in &sent {
        let spelled = event["object-id"].as_str().unwrap();
        let name = if spelled == "faillock:-user-banned" {
            "faillock-user-banned"
        } else {
            spelled
        };
        let event_now = &published[name];
        assert_eq!(event_now["triggered"], event["triggered"] == 1, "{name}");
        assert_eq!(event_now["type"], event["type"], "{name}");
        let on_device = event_now.get("name_on_device").and_then(Value::as_str);
        assert_eq!(on_device, (name != spelled).then_some(spelled));
    }
    assert_eq!(
        published["ntp-sync"]["last_triggered"],
        "2026-03-22T20:23:01.000Z"
    );
    assert_eq!(published["ntp-stopped"].get("last_triggered"), None);

    // The same device, once its module reports its relays.
    let relays =
        value!({ "relay-a": { "state": "no" }, "relay-b": { "state": "nc" }, "relay-c": { "state": "no" } });
    slot(&mut document.lock().unwrap(), "int1")["module"]["relays"] = relays;
    let expected = [("a", "NO"), ("b", "NC"), ("c", "NO")];
    scene
        .until("reported relays", |seen| {
            expected.iter().all(|(relay, position)| {
                let relay = seen.json(&format!("m300/int1/relay/{relay}"));
                relay["provenance"] == "reported" && relay["position"] == *position
            })
        })
        .await;
}

/// The events of a device, by name.
fn events(seen: &Seen, device: &str) -> BTreeMap<String, Value> {
    let prefix = format!("lantime/{device}/event/");
    let names = seen.topics.keys().filter_map(|topic| topic.strip_prefix(&prefix));
    names
        .map(|name| (name.to_owned(), seen.json(&format!("{device}/event/{name}"))))
        .collect()
}

/// Every topic below a device with the keys of its payload; none where it is a word.
fn layout(seen: &Seen, device: &str) -> BTreeMap<String, BTreeSet<String>> {
    let prefix = format!("lantime/{device}/");
    let below = seen
        .topics
        .iter()
        .filter_map(|(topic, payload)| Some((topic.strip_prefix(&prefix)?, payload)));
    below
        .map(|(topic, payload)| {
            let keys = serde_json::from_str::<serde_json::Map<String, Value>>(payload)
                .map(|object| object.keys().cloned().collect());
            (topic.to_owned(), keys.unwrap_or_default())
        })
        .collect()
}

fn keys(names: &str) -> BTreeSet<String> {
    names.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn every_topic_of_two_devices_of_different_wiring() {
    let mut scene = Setup::of(&[
        (Chassis::M3000, ApiGeneration::V20),
        (Chassis::M500, ApiGeneration::V10),
    ])
    .entries(|device| Entry::of(device).listed(device))
    .start()
    .await;
    // Beside its events a device has four topics, eight or nine for a slot, and one more for each relay that
    // follows events.
    let seen = scene
        .until("both devices", |seen| {
            let count = |device| layout(seen, device).len() - events(seen, device).len();
            count("sim-1") == 4 + 8 + 9 + 2 && count("sim-2") == 4 + 8 && events(seen, "sim-2").len() == 28
        })
        .await;

    assert_eq!(seen.text("bridge/test/state"), "online");
    let info = seen.json("bridge/test/info");
    assert_eq!(
        (&info["devices"], &info["mqtt_version"]),
        (&value!(2), &value!("5"))
    );
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert!(info["started_at"].is_string() && info["capabilities"].is_array());

    let identity = "model serial_number hostname firmware api_version profile web_interface";
    let relay = "position fault driven_by provenance since";
    let slot_info = "model serial_number software_revision wiring wiring_source";
    let expected = |slots: &[(&str, &[&str])]| {
        let mut topics = BTreeMap::from([
            ("state".to_owned(), BTreeSet::new()),
            ("info".to_owned(), keys(identity)),
            (
                "http/stats".to_owned(),
                keys("polls failures rtt_ms last_success"),
            ),
            ("http/sessions".to_owned(), keys("enabled max_count sessions")),
        ]);
        for (slot, signals) in slots {
            topics.insert(format!("{slot}/state"), BTreeSet::new());
            topics.insert(format!("{slot}/info"), keys(slot_info));
            for name in ["a", "b", "c"] {
                topics.insert(format!("{slot}/relay/{name}"), keys(relay));
            }
            for signal in *signals {
                topics.insert(format!("{slot}/signal/{signal}"), keys("status provenance since"));
            }
            if signals.contains(&"notification") {
                for name in ["a", "c"] {
                    let keys = keys("events confirmed via since");
                    topics.insert(format!("{slot}/relay/{name}/events"), keys);
                }
            }
        }
        topics
    };
    let redundant = [
        ("io3", &["clk1", "clk2", "rsc"][..]),
        ("io4", &["clk1", "clk2", "rsc", "notification"][..]),
    ];
    for (device, slots) in [
        ("sim-1", &redundant[..]),
        ("sim-2", &[("io1", &["clk1", "pps", "10mhz"][..])][..]),
    ] {
        let mut found = layout(&seen, device);
        let events: Vec<_> = found
            .keys()
            .filter(|topic| topic.starts_with("event/"))
            .cloned()
            .collect();
        for event in events {
            let names = found.remove(&event).unwrap();
            assert!(names.is_superset(&keys("triggered type")), "{event}: {names:?}");
        }
        // What else is known of a signal depends on its kind.
        found
            .values_mut()
            .for_each(|names| names.retain(|name| name != "detail"));
        let mut expected = expected(slots);
        if device == "sim-2" {
            // Not reported by this generation: it takes a clock to derive a relay.
            for name in ["relay/b", "relay/c", "signal/pps", "signal/10mhz"] {
                let topic = format!("io1/{name}");
                let reason = &seen.json(&format!("sim-2/{topic}"))["unknown_reason"];
                assert_eq!(reason, "not-reported", "{topic}");
                let keys = expected.get_mut(&topic).expect("it is published");
                keys.insert("unknown_reason".to_owned());
            }
            assert_eq!(seen.json("sim-2/io1/relay/b")["position"], "unknown");
            assert_eq!(seen.json("sim-2/io1/relay/b")["fault"], "unknown");
            assert_eq!(seen.json("sim-2/io1/relay/a")["provenance"], "derived");
        } else {
            assert_eq!(seen.json("sim-1/io4/relay/a")["position"], "NO");
            assert_eq!(seen.json("sim-1/io4/relay/a")["provenance"], "reported");
            assert_eq!(seen.json("sim-1/io3/signal/rsc")["detail"]["selected"], "clk1");
        }
        assert_eq!(found, std::mem::take(&mut expected), "{device}");
    }
    let wiring = seen.json("sim-1/io4/info")["wiring"].clone();
    assert_eq!(
        wiring,
        value!({ "a": "notification", "b": "clk2", "c": "notification" })
    );
    assert_eq!(seen.json("sim-1/io4/info")["wiring_source"], "configured");
    assert_eq!(
        seen.json("sim-1/info")["web_interface"],
        scene.fleet.devices()[0].url()
    );
}

#[tokio::test]
async fn a_fault_moves_the_relay_that_it_drives_and_names_its_cause() {
    let mut scene = Setup::of(&[
        (Chassis::M500, ApiGeneration::V10),
        (Chassis::M500, ApiGeneration::V20),
        (Chassis::M3000, ApiGeneration::V10),
    ])
    .entries(|device| Entry::of(device).listed(device))
    .start()
    .await;
    let relay = |seen: &Seen, topic: &str| seen.json(topic);
    scene
        .client
        .until("normal operation", |seen| {
            ["sim-1/io1/relay/a", "sim-2/io1/relay/c", "sim-3/io3/relay/c"]
                .iter()
                .all(|topic| relay(seen, topic)["position"] == "NO")
        })
        .await;
    let [single, reporting, redundant] = scene.fleet.devices() else {
        panic!("three devices")
    };
    // (device, what happens, relay, its provenance, its cause)
    let cases = [
        (
            single,
            Action::LoseSync(Clock::Clk1),
            "sim-1/io1/relay/a",
            "derived",
            "clock-not-sync",
        ),
        (
            reporting,
            Action::FailSignal(Signal::TenMhz),
            "sim-2/io1/relay/c",
            "reported",
            "10mhz-failed",
        ),
        (
            redundant,
            Action::PowerOff("clk2".to_owned()),
            "sim-3/io3/relay/b",
            "derived",
            "clock-absent",
        ),
    ];
    for (device, action, topic, provenance, cause) in cases {
        device.apply(&action).unwrap();
        let seen = scene
            .client
            .until(topic, |seen| relay(seen, topic)["position"] == "NC")
            .await;
        let now = relay(&seen, topic);
        assert_eq!(now["fault"], true, "{topic}");
        assert_eq!(
            (&now["provenance"], &now["cause"]),
            (&value!(provenance), &value!(cause)),
            "{topic}"
        );
        device.apply(&Action::Recover).unwrap();
        let seen = scene
            .client
            .until(topic, |seen| relay(seen, topic)["position"] == "NO")
            .await;
        assert_eq!(relay(&seen, topic).get("cause"), None, "only in a fault");
    }
}

#[tokio::test]
async fn a_clock_without_power_is_absent_and_drops_its_relay() {
    let mut scene = Setup::single(&[ApiGeneration::V10]).start().await;
    scene
        .until("normal operation", |seen| {
            seen.json("sim-1/io1/relay/a")["position"] == "NO"
        })
        .await;
    scene.fleet.devices()[0]
        .apply(&Action::PowerOff("clk1".to_owned()))
        .unwrap();
    let seen = scene
        .until("an absent clock", |seen| {
            seen.json("sim-1/io1/relay/a")["position"] == "NC"
                && seen.json("sim-1/io1/signal/clk1")["status"] == "absent"
        })
        .await;
    assert_eq!(seen.json("sim-1/io1/relay/a")["provenance"], "derived");
    assert_eq!(seen.text("sim-1/state"), "online");
}

#[tokio::test]
async fn a_relay_module_that_loses_its_power_is_absent_and_another_in_its_place_is_none() {
    let fleet = Setup::single(&[ApiGeneration::V20]).fleet().await;
    let healthy: Value = serde_json::from_slice(&fleet.devices()[0].document()).unwrap();
    let document = Arc::new(Mutex::new(healthy.clone()));
    let server = serve(&document).await;
    let entry = |id| Entry::new(id, &server.url()).with("auth", "basic");
    let listed = entry("listed").slot("io1", ["clk1", "pps", "10mhz"]);
    let mut scene = Setup::at(&[entry("auto"), listed]).start().await;
    let both = |seen: &Seen, state: &str| {
        ["auto", "listed"]
            .iter()
            .all(|device| seen.text(&format!("{device}/io1/state")) == state)
    };
    scene.until("modules", |seen| both(seen, "online")).await;

    slot(&mut document.lock().unwrap(), "io1")
        .as_object_mut()
        .unwrap()
        .remove("module");
    let seen = scene
        .until("no modules, so no contacts", |seen| {
            let is_unknown = |device| seen.json(&format!("{device}/io1/relay/c"))["position"] == "unknown";
            both(seen, "absent") && is_unknown("auto") && is_unknown("listed")
        })
        .await;
    assert_eq!(seen.json("auto/io1/relay/c")["fault"], "unknown");
    assert_eq!(seen.json("auto/io1/relay/c")["unknown_reason"], "missing");

    *document.lock().unwrap() = healthy.clone();
    slot(&mut document.lock().unwrap(), "io1")["module"]["info"]["model"] = value!("lno180");
    let seen = scene
        .until("another module", |seen| {
            let is_cleared = !seen
                .topics
                .keys()
                .any(|topic| topic.starts_with("lantime/auto/io1/"));
            seen.text("listed/io1/state") == "mismatch" && is_cleared
        })
        .await;
    assert_eq!(seen.json("listed/io1/relay/a")["position"], "unknown");

    *document.lock().unwrap() = healthy;
    scene.until("the module again", |seen| both(seen, "online")).await;
}
