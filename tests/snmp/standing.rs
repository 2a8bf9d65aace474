//! An event that a trap has reported stands until the device can show otherwise, is repeated without a new record, and is
//! cleared without a detour.

use lantime2mqtt::simulator::{Action, ApiGeneration, Fault};
use serde_json::Value;

use crate::scene::{CHANGED, MESSAGE, NOT_SYNC, SYNC, Scene, trap_records};
use crate::storms::{number, until_counted};
use crate::support::Seen;
use crate::tools::succeeds;

const EVENT: &str = "lantime/sim-1/event/ntp-not-sync";
/// A relay that `ntp-not-sync` is selected to switch.
const RELAY: &str = "lantime/sim-1/io4/relay/a";

/// How the event stood, one time after the other.
fn states(seen: &Seen) -> Vec<Value> {
    let log = seen.log.iter().filter(|(topic, _)| topic == EVENT);
    let json = log.map(|(_, payload)| serde_json::from_str::<Value>(payload).expect("JSON"));
    json.map(|state| state["triggered"].clone()).collect()
}

async fn sends_not_sync(scene: &mut Scene) {
    let to = scene.receiver();
    let trap = ["-v", "2c", "-c", "public", to.as_str(), "", NOT_SYNC];
    scene.sends("snmptrap", &trap).await;
}

#[tokio::test]
async fn a_poll_that_shows_things_of_before_a_trap_does_not_undo_it() {
    let mut scene = Scene::start().await;
    let polls = scene.polls();
    scene.device(1).set_fault(Some(Fault::StaleStatus));
    sends_not_sync(&mut scene).await;
    // At once, after a second, and then as far behind as the device says to be.
    scene.until_polled(polls + 4).await;
    scene
        .until("what was expected", |seen| states(seen).ends_with(&[true.into()]))
        .await;
    // Now the device shows the present, in which nothing of the kind has happened.
    scene.device(1).set_fault(None);
    let seen = scene
        .until("what was expected", |seen| {
            states(seen).ends_with(&[true.into(), false.into()])
        })
        .await;
    let stood = states(&seen);
    assert_eq!(
        stood.iter().filter(|stood| **stood == true).count(),
        1,
        "{stood:?}"
    );
}

#[tokio::test]
async fn a_device_that_does_not_say_how_old_its_answers_are_has_ten_seconds() {
    let mut scene = Scene::start_with(ApiGeneration::V16).await;
    let polls = scene.polls();
    sends_not_sync(&mut scene).await;
    scene
        .until("what was expected", |seen| {
            states(seen).ends_with(&[true.into(), false.into()])
        })
        .await;
    assert_eq!(scene.polls() - polls, 3, "at once, after a second, and after ten");
}

#[tokio::test]
async fn a_standing_error_that_the_device_repeats_is_one_record() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let message = |words: &'static str| {
        let common = [
            "-v",
            "2c",
            "-c",
            "public",
            to.as_str(),
            "",
            NOT_SYNC,
            MESSAGE,
            "s",
        ];
        [&common[..], &[words]].concat()
    };
    let device = &scene.device(1);
    device
        .apply(&Action::FireEvent("ntp-not-sync".to_owned()))
        .expect("it has that event");
    // It stands in the device's document, whatever traps say after this.
    device.set_fault(Some(Fault::StaleStatus));
    scene.sends("snmptrap", &message("not synchronized")).await;
    for tool in ["snmptrap", "snmpinform", "snmptrap"] {
        // An inform is acknowledged: the tool fails otherwise.
        succeeds(scene.site.directory(), tool, &message("not synchronized")).await;
    }
    let counts = until_counted(&scene, "all of them", |counts| number(counts, "taken") == 4).await;
    assert_eq!(number(&counts, "repeated"), 3);
    // Another message, one after it was cleared, and what is no standing error: each is an event.
    let other = scene
        .sends("snmptrap", &message("not synchronized: stratum 16"))
        .await;
    assert_eq!(other["message"], "not synchronized: stratum 16");
    scene.clears().await;
    scene.sends("snmptrap", &message("not synchronized")).await;
    for _ in 0..2 {
        let changed = ["-v", "2c", "-c", "public", to.as_str(), "", CHANGED];
        scene.sends("snmptrap", &changed).await;
    }
    let events: Vec<_> = trap_records(&scene.client.now())
        .iter()
        .map(|record| record["event"].as_str().unwrap_or_default().to_owned())
        .collect();
    let changed = "device-configuration-changed";
    let expected = [
        "ntp-not-sync",
        "ntp-not-sync",
        "ntp-sync",
        "ntp-not-sync",
        changed,
        changed,
    ];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_name_that_is_made_from_the_mib_is_said_to_be() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let trap = |oid: &'static str| ["-v", "2c", "-c", "public", to.as_str(), "", oid].map(str::to_owned);
    for (oid, event, named_by) in [
        (
            "1.3.6.1.4.1.5597.30.3.0.12",
            "power-supply-failure",
            Value::from("mib"),
        ),
        (NOT_SYNC, "ntp-not-sync", Value::Null),
    ] {
        let trap = trap(oid);
        let trap: Vec<_> = trap.iter().map(String::as_str).collect();
        let record = scene.sends("snmptrap", &trap).await;
        assert_eq!(
            (&record["event"], &record["event_named_by"]),
            (&event.into(), &named_by)
        );
    }
    let seen = scene.client.now();
    assert!(
        !seen
            .topics
            .contains_key("lantime/sim-1/event/power-supply-failure")
    );
}

#[tokio::test]
async fn a_relay_whose_event_a_trap_clears_has_no_unknown_cause_before_no() {
    let mut scene = Scene::start().await;
    let to = scene.receiver();
    let trap = |oid: &'static str| vec!["-v", "2c", "-c", "public", to.as_str(), "", oid];
    let relay = |seen: &Seen| -> Value {
        let payload = seen.topics.get(RELAY).map_or("null", String::as_str);
        serde_json::from_str(payload).expect("JSON")
    };
    let device = &scene.device(1);
    device
        .apply(&Action::FireEvent("ntp-not-sync".to_owned()))
        .expect("it has that event");
    scene.sends("snmptrap", &trap(NOT_SYNC)).await;
    scene
        .until("what was expected", |seen| {
            relay(seen)["position"] == "NC" && relay(seen)["cause"] == "ntp-not-sync"
        })
        .await;
    // What the device shows is behind, as it may be, when its trap comes.
    let device = &scene.device(1);
    device.set_fault(Some(Fault::StaleStatus));
    device
        .apply(&Action::ClearEvent("ntp-not-sync".to_owned()))
        .expect("it has that event");
    let polls = scene.polls();
    scene.sends("snmptrap", &trap(SYNC)).await;
    scene.until_polled(polls + 2).await;
    scene.device(1).set_fault(None);
    let seen = scene
        .until("what was expected", |seen| relay(seen)["position"] == "NO")
        .await;
    let fell = seen
        .log
        .iter()
        .skip_while(|(topic, payload)| topic != RELAY || !payload.contains("\"NC\""));
    let unknown: Vec<_> = fell
        .filter(|(topic, payload)| topic == RELAY && payload.contains("unknown"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
