//! At simulated devices: relays that move, answers that are late or do not come, and credentials that are wrong.

use std::time::Duration;

use lantime2mqtt::simulator::{Action, Fault, Position, Relay, SimulatedDevice, SnmpOptions};
use serde_json::json;

use super::scene::{A, C, dead_letters, refusals, replies, setup, with_community, with_user};
use super::{replace, text};
use crate::scene::Scene;
use crate::support::site::Entry;
use crate::support::{PATIENCE, polls, wait};

/// Events that switch the relays of a device fresh from its installation.
const AT_FIRST: [&str; 4] = [
    "antenna-faulty",
    "ntp-not-sync",
    "refclock-1-not-sync",
    "refclock-2-not-sync",
];

fn entry(device: &SimulatedDevice) -> Entry {
    let address = device.snmp_address().expect("it has an agent").to_string();
    Entry::of(device).listed(device).with("snmp.address", address)
}

async fn scene(entry: impl Fn(&SimulatedDevice) -> Entry) -> Scene {
    Scene::writing(setup(Some(SnmpOptions::default())).entries(entry)).await
}

/// Waits until the simulated device has got the command to apply so often.
async fn executed(device: &SimulatedDevice, times: u64) {
    let has_it = async || device.counters().snmp_executes >= times;
    wait::until("the command to apply", has_it).await;
}

fn late(seconds: u64) -> Option<Fault> {
    let by = Duration::from_secs(seconds);
    Some(Fault::LateApply { by })
}

#[tokio::test]
async fn while_the_answer_to_apply_is_late_polls_go_on_and_the_relays_follow() {
    let mut scene = scene(|device| with_community(entry(device)).with("command_timeout", "1m")).await;
    scene.retained(&AT_FIRST, true).await;
    scene.device(1).set_fault(late(600));
    let before = scene.begin(A, &replace(&["network-link-down"])).await;
    executed(scene.device(1), 1).await;
    // It has been applied, but not answered: what happens meanwhile is seen.
    let fire = Action::FireEvent("network-link-down".to_owned());
    scene.device(1).apply(&fire).expect("it has this event");
    let fallen = |relay| scene.device(1).world().relay("io4", relay) == Some(Position::Nc);
    assert!(fallen(Relay::A) && fallen(Relay::C));
    let event = "sim-1/event/network-link-down";
    scene
        .until("a poll", |seen| seen.json(event)["triggered"] == true)
        .await;
    assert!(
        replies(&scene.client.now(), A).len() == before,
        "nothing is said yet"
    );

    scene.device(1).set_fault(None);
    let reply = scene.reply(A, before).await;
    assert_eq!(
        (&reply["result"]["events"], &reply["result"]["via"]),
        (&json!(["network-link-down"]), &json!("snmp")),
        "{reply}"
    );
    scene.retained(&["network-link-down"], true).await;
    scene
        .until("both have fallen", |seen| {
            [A, C].iter().all(|relay| seen.json(relay)["position"] == "NC")
        })
        .await;
    let counters = scene.device(1).counters();
    assert_eq!((counters.snmp_executes, counters.applies), (1, 1));
    assert_eq!(counters.configuration_writes, 0, "nothing went over REST");
    assert!(dead_letters(&scene.client.now()).is_empty());
}

#[tokio::test]
async fn an_answer_to_apply_after_the_deadline_makes_no_second_one() {
    let mut scene = scene(|device| with_community(entry(device)).with("command_timeout", "2s")).await;
    scene.retained(&AT_FIRST, true).await;
    scene.device(1).set_fault(late(600));
    let error = scene.refused(A, &replace(&["antenna-faulty"]), "timeout").await;
    assert!(text(&error).contains("may have been sent"), "{error}");
    assert!(text(&error).contains("up to 120 s"), "{error}");
    // It is read again, and not certain.
    scene.retained(&["antenna-faulty"], false).await;
    // Nor is another sent while the device is busy with the first.
    let error = scene.refused(C, &replace(&["ntp-not-sync"]), "busy").await;
    assert!(text(&error).contains("earlier command to apply"), "{error}");
    assert_eq!(scene.device(1).counters().snmp_executes, 1);
    scene.device(1).set_fault(None);
    scene.retained(&["antenna-faulty"], true).await;
    assert_eq!(scene.device(1).counters().snmp_executes, 1);
    let reply = scene.send(C, &replace(&["ntp-not-sync"])).await;
    assert_eq!(reply["ok"], true, "{reply}");
    scene.retained(&["ntp-not-sync"], true).await;
    assert_eq!(scene.device(1).counters().snmp_executes, 2);
    assert_eq!(refusals(&scene.client.now()).len(), 2);
}

#[tokio::test]
async fn a_reload_in_the_middle_of_an_apply_makes_no_second_one() {
    let mut scene = scene(|device| with_community(entry(device)).with("command_timeout", "1m")).await;
    scene.retained(&AT_FIRST, true).await;
    scene.device(1).set_fault(late(600));
    let before = scene.begin(A, &replace(&["network-link-down"])).await;
    executed(scene.device(1), 1).await;
    let config = std::fs::read_to_string(scene.site.config()).expect("it is ours");
    let other = config.replace(r#"poll = "100ms""#, r#"poll = "150ms""#);
    assert_ne!(config, other);
    scene.site.overwrite(&other);
    scene.bridge.signal("HUP");
    // The command is given to the task that follows, which polls.
    polls(scene.device(1), 20).await;
    assert_eq!(scene.device(1).counters().snmp_executes, 1);
    scene.device(1).set_fault(None);
    let reply = scene.reply(A, before).await;
    assert_eq!(reply["result"]["events"], json!(["network-link-down"]), "{reply}");
    assert_eq!(scene.device(1).counters().snmp_executes, 1);
}

#[tokio::test]
async fn an_agent_that_is_silent_costs_the_command_and_nothing_else() {
    let mut scene = scene(|device| with_community(entry(device)).with("command_timeout", "3s")).await;
    scene.retained(&AT_FIRST, true).await;
    scene.device(1).set_fault(Some(Fault::SnmpSilence));
    scene.device(1).wait_answering(false).await;
    let error = scene.refused(A, &replace(&["antenna-faulty"]), "timeout").await;
    assert!(text(&error).contains("nothing was changed"), "{error}");
    assert!(text(&error).contains("snmp.address"), "{error}");
    assert_eq!(scene.device(1).counters().snmp_sets, 0);
    let state = |scene: &Scene| scene.client.now().is_online("sim-1");
    assert!(state(&scene), "REST answers");
    scene.device(1).set_fault(None);
    scene.device(1).wait_answering(true).await;
    let reply = scene.send(A, &replace(&["antenna-faulty"])).await;
    assert_eq!(reply["ok"], true, "{reply}");
    scene.retained(&["antenna-faulty"], true).await;
}

#[tokio::test]
async fn wrong_credentials_are_reported_in_a_dead_letter_and_in_the_reply() {
    let mut scene =
        scene(|device| with_user(entry(device), "simulator", "guessed-auth", "guessed-priv")).await;
    let seen = scene
        .until("a dead letter of reading", |seen| !dead_letters(seen).is_empty())
        .await;
    let dead_letter = dead_letters(&seen).remove(0);
    assert_eq!(dead_letter["operation"], "snmp-get", "{dead_letter}");
    assert_eq!(dead_letter["error"]["kind"], "unauthorized", "{dead_letter}");
    let error = scene
        .refused(A, &replace(&["antenna-faulty"]), "unauthorized")
        .await;
    assert!(text(&error).contains("snmp.user"), "{error}");
    assert!(!text(&error).contains("guessed"), "{error}");
    let selected = scene.client.now().json(&format!("{A}/events"));
    assert_eq!(selected["confirmed"], false, "{selected}");
}

#[tokio::test]
async fn a_community_that_may_only_read_changes_nothing() {
    let mut scene = scene(|device| entry(device).with("snmp.community", "public")).await;
    scene.retained(&AT_FIRST, true).await;
    let error = scene.refused(C, &replace(&["antenna-faulty"]), "forbidden").await;
    assert!(text(&error).contains("snmp.write_community"), "{error}");
    let counters = scene.device(1).counters();
    assert_eq!((counters.snmp_sets, counters.snmp_executes), (0, 0));
}

#[tokio::test]
async fn with_events_over_rest_snmp_is_not_asked() {
    let entry = |device: &SimulatedDevice| {
        let entry = with_community(entry(device)).with("snmp.events", "rest");
        entry.with("allow_unverified_writes", true)
    };
    let mut scene = scene(entry).await;
    let reply = scene.send(A, &replace(&["antenna-faulty"])).await;
    assert_eq!(reply["result"]["via"], "rest", "{reply}");
    let counters = scene.device(1).counters();
    assert_eq!((counters.snmp_gets, counters.snmp_sets), (0, 0));
}

#[tokio::test]
async fn what_was_set_before_the_bridge_was_killed_is_applied_by_the_next() {
    let mut scene = scene(|device| with_community(entry(device))).await;
    scene.bridge.signal("TERM");
    scene.bridge.ended(PATIENCE).await;
    scene.bridge = scene
        .site
        .start_with(&[], &[("LANTIME2MQTT_ABORT_AT", "written")]);
    scene.site.takes_commands().await;
    let before = scene.begin(A, &replace(&["antenna-faulty"])).await;
    scene.bridge.ended(PATIENCE).await;
    let counters = scene.device(1).counters();
    assert_eq!((counters.snmp_sets, counters.snmp_executes), (3, 0));
    scene.bridge = scene.site.start();
    let reply = scene.reply(A, before).await;
    assert_eq!(
        (&reply["result"]["events"], &reply["result"]["changed"]),
        (&json!(["antenna-faulty"]), &json!(true)),
        "{reply}"
    );
    scene.retained(&["antenna-faulty"], true).await;
    let counters = scene.device(1).counters();
    assert_eq!((counters.snmp_executes, counters.applies), (1, 1));
    assert_eq!(
        scene.device(1).world().relay_events("io4", Relay::A),
        ["antenna-faulty"].into()
    );
}
