//! What a host writes: the events that switch relays A and C, and what cannot be written.

use lantime2mqtt::simulator::Relay;
use serde_json::{Value, json};

use crate::common::clients::{Clients, Subscriber};
use crate::scene::Scene;

const NTP: &str = "relay/a/events/ntp-not-sync";
const ANTENNA: &str = "relay/a/events/antenna-faulty";

#[tokio::test]
async fn a_host_chooses_the_events_of_a_relay() {
    let mut scene = Scene::start(1).await;
    scene
        .host
        .until("the events of relay A", |seen| {
            seen.value("sim-1:io4", NTP) == true
        })
        .await;
    scene
        .host
        .write("sim-1:io4", &[(ANTENNA, json!(true)), (NTP, json!(false))]);
    scene
        .host
        .until("they are told as data", |seen| {
            seen.value("sim-1:io4", ANTENNA) == true && seen.value("sim-1:io4", NTP) == false
        })
        .await;
    let chosen = scene.device().world().relay_events("io4", Relay::A);
    assert!(
        chosen.contains("antenna-faulty") && !chosen.contains("ntp-not-sync"),
        "{chosen:?}"
    );

    // In order, one after the other.
    for flag in [false, true, false] {
        scene.host.write("sim-1:io4", &[(ANTENNA, json!(flag))]);
    }
    scene
        .host
        .until("the last word counts", |seen| {
            seen.value("sim-1:io4", ANTENNA) == false && seen.told("sim-1:io4", ANTENNA) >= 4
        })
        .await;
    assert!(
        !scene
            .device()
            .world()
            .relay_events("io4", Relay::A)
            .contains("antenna-faulty")
    );
}

#[tokio::test]
async fn what_is_written_without_a_change_is_told_again() {
    let mut scene = Scene::start(1).await;
    scene
        .host
        .until("the events of relay A", |seen| {
            seen.value("sim-1:io4", NTP) == true
        })
        .await;
    let before = scene.host.now().told("sim-1:io4", NTP);
    scene.host.write("sim-1:io4", &[(NTP, json!(true))]);
    let seen = scene
        .host
        .until("it is so already", |seen| seen.told("sim-1:io4", NTP) > before)
        .await;
    assert_eq!(seen.value("sim-1:io4", NTP), true);
    // An event that no device has is refused, and its dead letter tells so.
    let mut letters = letters(&scene).await;
    scene.host.write(
        "sim-1:io4",
        &[(NTP, json!(false)), ("relay/a/events/coffee-empty", json!(true))],
    );
    let seen = scene
        .host
        .until("it was refused", |seen| seen.told("sim-1:io4", NTP) > before + 1)
        .await;
    assert_eq!(seen.value("sim-1:io4", NTP), true, "all or nothing");
    letters
        .until("the dead letter", |letters| {
            letters
                .iter()
                .any(|letter| letter.payload.contains("coffee-empty"))
        })
        .await;
}

#[tokio::test]
async fn what_cannot_be_written_is_a_dead_letter_and_garbage_does_no_harm() {
    let mut scene = Scene::start(1).await;
    let mut letters = letters(&scene).await;
    for hex in ["", "ff", "0a", "12ff01", "1a05"] {
        scene.host.write_raw("sim-1:io4", hex);
        scene.host.write_raw("", hex);
    }
    for (device, metric, value, topic, words) in [
        (
            "sim-1:io3",
            "relay/a/position",
            json!("NC"),
            "sim-1",
            "relay/a/position",
        ),
        (
            "sim-1",
            "event/ntp-not-sync",
            json!(true),
            "sim-1",
            "event/ntp-not-sync",
        ),
        (
            "",
            "Properties/version",
            json!(true),
            "bridge",
            "Properties/version",
        ),
        (
            "sim-1:io4",
            "relay/b/events/ntp-not-sync",
            json!(true),
            "sim-1",
            "relay b",
        ),
        ("sim-1:io3", NTP, json!(true), "sim-1", "a jumper wires relay A"),
    ] {
        scene.host.write(device, &[(metric, value)]);
        let topic = format!("lantime/dead-letter/{topic}");
        letters
            .until(words, |letters| {
                let message =
                    |letter: &Value| letter["error"]["message"].as_str().unwrap_or_default().to_owned();
                let mut there = letters.iter().filter(|letter| letter.topic == topic);
                there.any(|letter| message(&letter.json()).contains(words))
            })
            .await;
    }
    // It lives.
    scene.host.write("sim-1:io4", &[(ANTENNA, json!(true))]);
    scene
        .host
        .until("a command after all that", |seen| {
            seen.value("sim-1:io4", ANTENNA) == true
        })
        .await;
}

#[tokio::test]
async fn a_host_asks_for_a_poll() {
    let mut scene = Scene::with(1, |site| site).await;
    scene.until_born().await;
    let before = scene.host.now().told("sim-1", "Device Control/Refresh");
    let polls = scene.device().counters().documents;
    scene
        .host
        .write("sim-1", &[("Device Control/Refresh", json!(true))]);
    let seen = scene
        .host
        .until("it has come to its end", |seen| {
            seen.told("sim-1", "Device Control/Refresh") > before
        })
        .await;
    assert_eq!(seen.value("sim-1", "Device Control/Refresh"), false);
    assert!(scene.device().counters().documents > polls);
}

async fn letters(scene: &Scene) -> Subscriber {
    let clients = Clients::of(scene.broker.address());
    clients.subscribe(&["lantime/dead-letter/#"]).await
}
