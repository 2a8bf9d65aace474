//! What a host writes: the events that switch relays A and C, and what cannot be written.

use std::collections::BTreeSet;

use lantime2mqtt::simulator::{Fault, Relay};
use serde_json::json;

use crate::host::Seen;
use crate::scene::Scene;
use crate::support::clients::{Clients, Subscriber};

/// A slot whose relays A and C follow notification.
const SLOT: &str = "sim-1:io4";
const NTP: &str = "relay/a/events/ntp-not-sync";
const ANTENNA: &str = "relay/a/events/antenna-faulty";
const REFRESH: &str = "Device Control/Refresh";

/// A host that knows what switches relay A, and the dead letters that come.
struct Writing {
    scene: Scene,
    letters: Subscriber,
    /// What the host knew at first.
    before: Seen,
}

impl Writing {
    async fn start() -> Writing {
        let mut scene = Scene::start(1).await;
        let before = scene.client.until_is(SLOT, NTP, true).await;
        let clients = Clients::of(scene.broker.address());
        let letters = clients.subscribe(&["lantime/dead-letter/#"]).await;
        Writing {
            scene,
            letters,
            before,
        }
    }

    fn write(&mut self, device: &str, metrics: &[(&str, bool)]) {
        let metrics: Vec<_> = metrics.iter().map(|(name, flag)| (*name, json!(flag))).collect();
        self.scene.client.write(device, &metrics);
    }

    /// The events that switch relay A, as the device has them.
    fn chosen(&self) -> BTreeSet<String> {
        let chosen = self.scene.device(1).world().relay_events("io4", Relay::A);
        chosen.iter().map(ToString::to_string).collect()
    }

    /// Waits for a dead letter of that device, or of the bridge, whose message has these words.
    async fn until_letter(&mut self, of: &str, words: &str) {
        let topic = format!("lantime/dead-letter/{of}");
        self.letters
            .until(&format!("{words} at {topic}"), |letters| {
                letters.iter().any(|letter| {
                    let message = letter.json()["error"]["message"].clone();
                    letter.topic == topic && message.as_str().is_some_and(|message| message.contains(words))
                })
            })
            .await;
    }
}

#[tokio::test]
async fn a_host_chooses_the_events_of_a_relay() {
    let mut writing = Writing::start().await;
    writing.write(SLOT, &[(ANTENNA, true), (NTP, false)]);
    let told = |seen: &Seen| seen.value(SLOT, ANTENNA) == true && seen.value(SLOT, NTP) == false;
    writing.scene.client.until("they are told as data", told).await;
    let chosen = writing.chosen();
    assert!(
        chosen.contains("antenna-faulty") && !chosen.contains("ntp-not-sync"),
        "{chosen:?}"
    );

    // In order, one after the other.
    for flag in [false, true, false] {
        writing.write(SLOT, &[(ANTENNA, flag)]);
    }
    let last = |seen: &Seen| seen.value(SLOT, ANTENNA) == false && seen.told(SLOT, ANTENNA) >= 4;
    writing.scene.client.until("the last word counts", last).await;
    assert!(!writing.chosen().contains("antenna-faulty"));
}

#[tokio::test]
async fn what_is_written_without_a_change_is_told_again() {
    let mut writing = Writing::start().await;
    writing.write(SLOT, &[(NTP, true)]);
    let host = &mut writing.scene.client;
    let before = host.until_told(&writing.before, 1, SLOT, NTP).await;
    assert_eq!(before.value(SLOT, NTP), true, "it was so already");
    // An event that no device has is refused, and its dead letter tells so.
    writing.write(SLOT, &[(NTP, false), ("relay/a/events/coffee-empty", true)]);
    let seen = writing.scene.client.until_told(&before, 1, SLOT, NTP).await;
    assert_eq!(seen.value(SLOT, NTP), true, "all or nothing");
    writing.until_letter("sim-1", "coffee-empty").await;
}

#[tokio::test]
async fn each_of_many_writes_at_once_is_answered_by_data() {
    const WRITES: usize = 500;
    let mut writing = Writing::start().await;
    // More than may wait: those are not carried out, but the host gets to know how it is.
    for _ in 0..WRITES {
        writing.write(SLOT, &[(NTP, true)]);
    }
    let host = &mut writing.scene.client;
    let seen = host.until_told(&writing.before, WRITES, SLOT, NTP).await;
    assert_eq!(seen.value(SLOT, NTP), true);
}

#[tokio::test]
async fn what_cannot_be_written_is_a_dead_letter_and_garbage_does_no_harm() {
    let mut writing = Writing::start().await;
    for hex in ["", "ff", "0a", "12ff01", "1a05"] {
        writing.scene.client.write_raw(SLOT, hex);
        writing.scene.client.write_raw("", hex);
    }
    writing
        .scene
        .client
        .write("sim-1:io3", &[("relay/a/position", json!("NC"))]);
    writing.until_letter("sim-1", "relay/a/position").await;
    for (device, metric, letter, words) in [
        ("sim-1", "event/ntp-not-sync", "sim-1", "event/ntp-not-sync"),
        ("", "Properties/version", "bridge", "Properties/version"),
        (SLOT, "relay/b/events/ntp-not-sync", "sim-1", "relay b"),
        ("sim-1:io3", NTP, "sim-1", "a jumper wires relay A"),
        // Another bridge's, or none at all: a command for it would be understood.
        ("stranger", REFRESH, "bridge", "no device stranger"),
        ("stranger:io4", NTP, "bridge", "no device stranger"),
    ] {
        writing.write(device, &[(metric, true)]);
        writing.until_letter(letter, words).await;
    }
    // It lives.
    writing.write(SLOT, &[(ANTENNA, true)]);
    writing.scene.client.until_is(SLOT, ANTENNA, true).await;
    let letters = writing.letters.now();
    assert!(
        letters.iter().all(|letter| !letter.topic.ends_with("/stranger")),
        "{letters:#?}"
    );
}

#[tokio::test]
async fn what_is_refused_is_told_as_it_is() {
    let mut writing = Writing::start().await;
    let before = writing.before.clone();
    let no_flag = "relay/c/events/ntp-not-sync";
    for (device, name, value, is) in [
        ("sim-1:io3", "relay/a/position", json!("NC"), json!("NO")),
        (SLOT, no_flag, json!("yes"), before.value(SLOT, no_flag)),
        ("", "devices/sim-1/state", json!("offline"), json!("online")),
    ] {
        let host = &mut writing.scene.client;
        host.write(device, &[(name, value)]);
        let seen = host.until_told(&before, 1, device, name).await;
        assert_eq!(seen.value(device, name), is, "{name}");
    }
    // What can be carried out beside it is.
    let metrics = [(ANTENNA, json!(true)), (no_flag, json!("yes"))];
    let host = &mut writing.scene.client;
    host.write(SLOT, &metrics);
    host.until_is(SLOT, ANTENNA, true).await;
    host.until_told(&before, 2, SLOT, no_flag).await;
}

#[tokio::test]
async fn what_is_written_to_a_device_that_is_away_is_a_dead_letter_of_that_device() {
    let mut writing = Writing::start().await;
    writing.scene.device(1).set_fault(Some(Fault::Unavailable));
    let host = &mut writing.scene.client;
    host.until_is("", "devices/sim-1/state", "offline").await;
    writing.write("sim-1", &[("event/antenna-faulty", true)]);
    writing.until_letter("sim-1", "event/antenna-faulty").await;
}

#[tokio::test]
async fn a_host_asks_for_a_poll() {
    let mut writing = Writing::start().await;
    let polls = writing.scene.device(1).counters().documents;
    writing.write("sim-1", &[(REFRESH, true)]);
    let host = &mut writing.scene.client;
    let seen = host.until_told(&writing.before, 1, "sim-1", REFRESH).await;
    assert_eq!(seen.value("sim-1", REFRESH), false);
    assert!(writing.scene.device(1).counters().documents > polls);
}
