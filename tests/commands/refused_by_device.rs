//! What a device does not let happen: refused at the deadline or at once, and tried again where that may help.

use std::time::{Duration, Instant};

use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use lantime2mqtt::simulator::{Fault, FleetOptions, SimulatedDevice};
use serde_json::json;

use crate::scene::{Scene, assert_says};
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;

const A: &str = "sim-1/io4/relay/a/events/set";
const REPLACE: &str = r#"{"replace":["antenna-faulty"]}"#;

/// Gives a command up after a second.
fn hasty(device: &SimulatedDevice) -> Entry {
    Entry::writable(device)
        .with("command_timeout", "1s")
        .with("timeout", "500ms")
}

#[tokio::test]
async fn a_device_that_is_unreachable_until_the_deadline() {
    let down = Duration::from_secs(600);
    let cases = [
        (Fault::Hang, "timeout", V10),
        (Fault::Restart { down }, "connect", V20),
        (Fault::ServerError, "http-status", V20),
    ];
    for (fault, kind, api) in cases {
        let mut scene = Scene::of(Setup::redundant(&[api]).entries(hasty)).await;
        scene.device(1).set_fault(Some(fault.clone()));
        let began = Instant::now();
        let dead_letter = scene.refused(A, REPLACE, kind).await;
        assert!(
            began.elapsed() >= Duration::from_secs(1),
            "{fault:?}: {:?}",
            began.elapsed()
        );
        assert_says(&dead_letter, &["given up at the deadline", "nothing was changed"]);
        scene.device(1).set_fault(None);
        let refusals = scene.look(|seen| seen.refusals("sim-1").len());
        assert_eq!(
            (refusals, scene.device(1).counters().configuration_writes),
            (1, 0)
        );
    }
}

#[tokio::test]
async fn a_device_that_is_back_before_the_deadline_is_waited_for() {
    // Nobody waits an hour for the next poll.
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    for fault in [
        Fault::Unavailable,
        Fault::Restart {
            down: Duration::from_millis(300),
        },
    ] {
        let fails = fault == Fault::Unavailable;
        scene.device(1).set_fault(Some(fault));
        let before = scene.look(|seen| seen.replies(A).len());
        let payload = json!({ "replace": [if fails { "ntp-stopped" } else { "ntp-not-sync" }] }).to_string();
        scene
            .clients()
            .publish(&format!("lantime/{A}"), &payload, &[])
            .await;
        if fails {
            wait::until("a try in vain", async || {
                let answer = scene.device(1).last_answer();
                answer.is_some_and(|answer| answer.status == 503)
            })
            .await;
            scene.device(1).set_fault(None);
        }
        let reply = scene.reply(A, before).await;
        assert_eq!(
            (&reply["ok"], &reply["result"]["changed"]),
            (&json!(true), &json!(true)),
            "{reply}"
        );
    }
    assert_eq!(scene.device(1).counters().configuration_writes, 2);
}

#[tokio::test]
async fn a_device_whose_requests_take_longer_than_the_command_may() {
    let entry = |device: &SimulatedDevice| hasty(device).with("timeout", "6500ms").with("poll", "6500ms");
    let mut scene = Scene::of(Setup::redundant(&[V10]).entries(entry)).await;
    scene.device(1).set_fault(Some(Fault::Hang));
    let dead_letter = scene.refused(A, REPLACE, "timeout").await;
    assert_says(&dead_letter, &["given up at the deadline, nothing was changed"]);
}

#[tokio::test]
async fn a_login_that_is_refused_is_not_tried_again() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::Unauthorized));
    scene
        .until("offline", |seen| seen.text("sim-1/state") == "offline")
        .await;
    let logins = scene.device(1).counters().requests;
    let dead_letter = scene.refused(A, REPLACE, "unauthorized").await;
    assert_says(&dead_letter, &["401", "username and password", "every 5 minutes"]);
    assert_eq!(
        scene.device(1).counters().requests,
        logins,
        "a LANTIME bans who keeps trying"
    );
}

#[tokio::test]
async fn a_user_who_may_only_read() {
    let options = |options| FleetOptions {
        may_write: false,
        ..options
    };
    let mut scene = Scene::of(Setup::redundant(&[V20]).options(options)).await;
    let dead_letter = scene.refused(A, REPLACE, "forbidden").await;
    assert_says(&dead_letter, &["403", "this user may only read", "access level"]);
    assert_eq!(dead_letter["error"]["http_status"], 403);
    let url = dead_letter["error"]["url"].as_str().unwrap();
    assert!(url.ends_with("/api/config/notification"), "{url}");
    scene.only_refused(1, 1).await;
    // The device itself is as well as before.
    assert_eq!(scene.send("sim-1/refresh", "").await["ok"], true);
}

#[tokio::test]
async fn a_device_that_is_busy_is_asked_again_and_no_more_often_than_it_is_polled() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("command_timeout", "2s");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    scene.device(1).set_fault(Some(Fault::BusyConfiguration));
    let before = scene.begin(A, REPLACE).await;
    let reads = scene.device(1).counters().configuration_reads;
    wait::until("another try", async || {
        scene.device(1).counters().configuration_reads > reads
    })
    .await;
    scene.device(1).set_fault(None);
    assert_eq!(scene.reply(A, before).await["ok"], true);
    assert_eq!(scene.device(1).counters().configuration_writes, 1);

    scene.device(1).set_fault(Some(Fault::BusyConfiguration));
    let requests = scene.device(1).counters().requests;
    let dead_letter = scene.refused(A, r#"{"replace":[]}"#, "busy").await;
    assert_says(
        &dead_letter,
        &[
            "given up at the deadline",
            "503",
            "busy",
            "send the command again",
        ],
    );
    // Ten polls a second, each with two more requests.
    let asked = scene.device(1).counters().requests - requests;
    assert!((20..100).contains(&asked), "{asked} requests in two seconds");
    let device = scene.device(1);
    assert_eq!(
        (
            device.counters().configuration_writes,
            device.world().pending_changes()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn eight_commands_wait_and_more_are_refused() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::Hang));
    let topic = format!("lantime/{A}");
    for number in 0..12 {
        let payload = json!({ "replace": [], "id": number.to_string() }).to_string();
        // Acknowledged one by one, so that they come in this order.
        scene.clients().publish(&topic, payload, &["-q", "1"]).await;
    }
    scene.until("refusals", |seen| seen.replies(A).len() == 3).await;
    scene.device(1).set_fault(None);
    scene
        .until("all replies", |seen| seen.replies(A).len() == 12)
        .await;
    let ids = |ok: bool| {
        scene.look(|seen| {
            let replies = seen.replies(A).into_iter().filter(|reply| reply["ok"] == ok);
            replies
                .map(|reply| reply["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
    };
    let mut refused = ids(false);
    // They wait for nothing, not even for one another.
    refused.sort();
    assert_eq!(refused, ["10", "11", "9"]);
    assert_eq!(
        ids(true),
        ["0", "1", "2", "3", "4", "5", "6", "7", "8"],
        "in order"
    );
    let dead_letters = scene.look(|seen| seen.refusals("sim-1"));
    assert_eq!(dead_letters.len(), 3);
    assert_says(
        &dead_letters[0],
        &["8 commands are waiting for this device", "wait for their replies"],
    );
}

#[tokio::test]
async fn a_command_that_does_not_wait_is_refused_at_once_while_the_device_is_offline() {
    // Nothing that waits is given up while this test runs, and no poll but the first three is due soon.
    let entry = |device: &SimulatedDevice| {
        let entry = Entry::writable(device)
            .with("command_timeout", "600s")
            .with("poll", "200ms");
        match device.id() {
            "sim-2" => entry.with("fail_fast", true),
            _ => entry,
        }
    };
    let mut scene = Scene::of(Setup::redundant(&[V20, V20]).entries(entry)).await;
    for number in [1, 2] {
        scene.device(number).set_fault(Some(Fault::Unavailable));
        let topic = format!("sim-{number}/state");
        scene.until(&topic, |seen| seen.text(&topic) == "offline").await;
    }
    // Behind one that waits.
    scene
        .clients()
        .publish(&format!("lantime/{A}"), REPLACE, &[])
        .await;
    let at_once = r#"{"replace":["antenna-faulty"],"fail_fast":true}"#;
    let dead_letter = scene.refused(A, at_once, "http-status").await;
    assert_says(&dead_letter, &["offline", "fail_fast", "nothing was changed"]);
    scene
        .refused("sim-1/refresh", r#"{"fail_fast":true}"#, "http-status")
        .await;
    // As the configuration of the device says, unless the command says otherwise.
    scene.refused("sim-2/refresh", "", "http-status").await;
    let dead_letter = scene
        .refused("sim-2/io4/relay/a/events/set", REPLACE, "http-status")
        .await;
    let replay = format!(r#"{{"id":{},"fail_fast":true}}"#, dead_letter["id"]);
    let reply = scene.send("bridge/test/dead-letters/replay", &replay).await;
    assert_eq!(reply["error"]["kind"], "http-status", "{reply}");
    let sessions = "sim-2/http/sessions/set";
    assert_eq!(scene.send(sessions, r#"{"enabled":true}"#).await["ok"], true);
    let waits = r#"{"fail_fast":false}"#;
    scene.clients().publish("lantime/sim-2/refresh", waits, &[]).await;
    scene.device(2).set_fault(None);
    scene
        .until("the refresh that waited", |seen| {
            seen.replies("sim-2/refresh")
                .iter()
                .any(|reply| reply["ok"] == true)
        })
        .await;
    // Online again: there is nothing to wait for.
    let reply = scene.send("sim-2/refresh", r#"{"fail_fast":true}"#).await;
    assert_eq!(reply["ok"], true, "{reply}");
}

#[tokio::test]
async fn a_command_that_waits_ends_when_the_device_goes_offline_if_it_is_not_to_wait_for_that() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("command_timeout", "600s");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    scene.device(1).set_fault(Some(Fault::Unavailable));
    let dead_letter = scene
        .refused("sim-1/refresh", r#"{"fail_fast":true}"#, "http-status")
        .await;
    assert_says(&dead_letter, &["offline", "nothing was changed"]);
    assert_eq!(scene.look(|seen| seen.text("sim-1/state").to_owned()), "offline");
}
