//! What a host gets: births with everything, data with what changes, deaths of unreachable devices.

use lantime2mqtt::simulator::{Action, Clock, Fault};
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::site::Entry;

#[tokio::test]
async fn births_have_everything_and_data_what_changes() {
    let mut scene = Scene::start(1).await;
    let seen = scene
        .client
        .until_is("sim-1:io4", "relay/a/events_confirmed", true)
        .await;
    for (device, metric, value) in [
        ("", "Node Control/Rebirth", json!(false)),
        ("", "bdSeq", json!(0)),
        ("", "devices/sim-1/state", json!("online")),
        ("", "devices/sim-1/error", Value::Null),
        ("sim-1", "info/model", json!("M3000")),
        ("sim-1", "event/ntp-not-sync", json!(false)),
        ("sim-1:io3", "state", json!("online")),
        ("sim-1:io3", "info/wiring_source", json!("configured")),
        ("sim-1:io3", "relay/a/position", json!("NO")),
        ("sim-1:io3", "relay/a/fault", json!(false)),
        ("sim-1:io3", "relay/a/driven_by", json!("clk1")),
        ("sim-1:io3", "relay/a/cause", Value::Null),
        ("sim-1:io3", "signal/clk1/status", json!("ok")),
        ("sim-1:io4", "relay/a/events/ntp-not-sync", json!(true)),
        ("sim-1:io4", "relay/a/events/antenna-faulty", json!(false)),
    ] {
        assert_eq!(seen.value(device, metric), value, "{device} {metric}: {seen:#?}");
    }
    assert_eq!(seen.metric("sim-1:io3", "relay/a/fault")["quality"], 192);
    let births = seen.count("DBIRTH");

    scene.device(1).apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    let seen = scene
        .client
        .until("the relay falls", |seen| {
            seen.value("sim-1:io3", "relay/a/position") == "NC"
                && seen.value("sim-1", "event/refclock-1-not-sync") == true
        })
        .await;
    assert_eq!(seen.value("sim-1:io3", "relay/a/fault"), true);
    assert_eq!(seen.value("sim-1:io3", "signal/clk1/status"), "fail");
    assert_eq!(seen.value("sim-1:io3", "relay/b/position"), "NO");
    assert!(!seen.value("sim-1:io3", "relay/a/cause").is_null());
    assert_eq!(seen.count("DBIRTH"), births, "data, and no births");
    assert_eq!(
        seen.updates("sim-1:io3", "relay/b/position"),
        0,
        "only what has changed"
    );
}

#[tokio::test]
async fn an_unreachable_device_is_dead_and_is_born_again() {
    let mut scene = Scene::start(2).await;
    scene.device(1).set_fault(Some(Fault::Unavailable));
    let seen = scene
        .client
        .until("its devices are dead", |seen| {
            !["sim-1", "sim-1:io3", "sim-1:io4"]
                .iter()
                .any(|name| seen.alive.contains_key(*name))
        })
        .await;
    assert_eq!(seen.value("", "devices/sim-1/state"), "offline");
    assert!(
        seen.value("", "devices/sim-1/error")
            .as_str()
            .unwrap()
            .contains("503")
    );
    assert!(seen.alive.contains_key("sim-2:io3"), "the other one lives");
    scene.device(1).set_fault(None);
    scene.until_born().await;
    let seen = scene
        .client
        .until_is("", "devices/sim-1/error", Value::Null)
        .await;
    assert_eq!(seen.count("NBIRTH"), 1);
}

#[tokio::test]
async fn a_module_that_vanishes_is_absent_and_its_relays_are_no_good() {
    let mut scene = Scene::start(1).await;
    scene
        .device(1)
        .apply(&Action::PowerOff("io3".to_owned()))
        .unwrap();
    let seen = scene.client.until_is("sim-1:io3", "state", "absent").await;
    assert_eq!(seen.value("sim-1:io3", "relay/a/position"), "unknown");
    let fault = seen.metric("sim-1:io3", "relay/a/fault");
    assert_eq!((&fault["value"], &fault["quality"]), (&Value::Null, &json!(0)));
}

#[tokio::test]
async fn a_device_that_leaves_the_configuration_is_dead_and_named_no_more() {
    let mut scene = Scene::start(2).await;
    scene.reload(&[Entry::writable(scene.device(2))]);
    let seen = scene
        .client
        .until("the edge node names one device", |seen| {
            seen.count("NBIRTH") == 2 && seen.alive.contains_key("sim-2:io4")
        })
        .await;
    assert!(!seen.alive.contains_key("sim-1") && seen.value("", "devices/sim-1/state").is_null());
    assert_eq!(seen.count("DDEATH"), 3);
    assert_eq!(seen.births, [0, 0], "in the same session");
}
