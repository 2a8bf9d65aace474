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
    dead_letters: Subscriber,
    /// What the host knew at first.
    before: Seen,
}

impl Writing {
    async fn start() -> Writing {
        let mut scene = Scene::start(1).await;
        let before = scene.client.until_is(SLOT, NTP, true).await;
        let clients = Clients::of(scene.broker.address());
        let dead_letters = clients.subscribe(&["lantime/dead-letter/#"]).await;
        Writing {
            scene,
            dead_letters,
            before,
        }
    }

    fn write(&mut self, device: &str, metrics: &[(&str, bool)]) {
        let metrics: Vec<_> = metrics.iter().map(|(name, flag)| (*name, json!(flag))).collect();
        self.scene.client.write(device, &metrics);
    }

    /// The events that switch relay A, as the device has them.
    fn selected(&self) -> BTreeSet<String> {
        let selected = self.scene.device(1).world().relay_events("io4", Relay::A);
        selected.iter().map(ToString::to_string).collect()
    }

    /// Waits for a dead letter of that device, or of the bridge, whose message has these words.
    async fn until_dead_letter(&mut self, of: &str, words: &str) {
        let topic = format!("lantime/dead-letter/{of}");
        self.dead_letters
            .until(&format!("{words} at {topic}"), |dead_letters| {
                dead_letters.iter().any(|dead_letter| {
                    let message = dead_letter.json()["error"]["message"].clone();
                    dead_letter.topic == topic
                        && message.as_str().is_some_and(|message| message.contains(words))
                })
            })
            .await;
    }
}

#[tokio::test]
async fn a_host_chooses_the_events_of_a_relay() {
    let mut writing = Writing::start().await;
    writing.write(SLOT, &[(ANTENNA, true), (NTP, false)]);
    let is_updated = |seen: &Seen| seen.value(SLOT, ANTENNA) == true && seen.value(SLOT, NTP) == false;
    writing.scene.client.until("they come as data", is_updated).await;
    let selected = writing.selected();
    assert!(
        selected.contains("antenna-faulty") && !selected.contains("ntp-not-sync"),
        "{selected:?}"
    );

    // In order, one after the other.
    for flag in [false, true, false] {
        writing.write(SLOT, &[(ANTENNA, flag)]);
    }
    let last = |seen: &Seen| seen.value(SLOT, ANTENNA) == false && seen.updates(SLOT, ANTENNA) >= 4;
    writing.scene.client.until("the last word counts", last).await;
    assert!(!writing.selected().contains("antenna-faulty"));
}

#[tokio::test]
async fn what_is_written_without_a_change_is_published_again() {
    let mut writing = Writing::start().await;
    writing.write(SLOT, &[(NTP, true)]);
    let host = &mut writing.scene.client;
    let before = host.until_updated(&writing.before, 1, SLOT, NTP).await;
    assert_eq!(before.value(SLOT, NTP), true, "it was so already");
    // An event that no device has is refused, and its dead letter says so.
    writing.write(SLOT, &[(NTP, false), ("relay/a/events/coffee-empty", true)]);
    let seen = writing.scene.client.until_updated(&before, 1, SLOT, NTP).await;
    assert_eq!(seen.value(SLOT, NTP), true, "all or nothing");
    writing.until_dead_letter("sim-1", "coffee-empty").await;
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
    let seen = host.until_updated(&writing.before, WRITES, SLOT, NTP).await;
    assert_eq!(seen.value(SLOT, NTP), true);
}

#[tokio::test]
async fn what_cannot_be_written_is_a_dead_letter_and_malformed_bytes_do_no_harm() {
    let mut writing = Writing::start().await;
    for hex in ["", "ff", "0a", "12ff01", "1a05"] {
        writing.scene.client.write_raw(SLOT, hex);
        writing.scene.client.write_raw("", hex);
    }
    writing
        .scene
        .client
        .write("sim-1:io3", &[("relay/a/position", json!("NC"))]);
    writing.until_dead_letter("sim-1", "relay/a/position").await;
    for (device, metric, dead_letter, words) in [
        ("sim-1", "event/ntp-not-sync", "sim-1", "event/ntp-not-sync"),
        ("", "Properties/version", "bridge", "Properties/version"),
        (SLOT, "relay/b/events/ntp-not-sync", "sim-1", "relay b"),
        ("sim-1:io3", NTP, "sim-1", "a jumper wires relay A"),
        // Another bridge's, or none at all: a command for it would be understood.
        ("foreign", REFRESH, "bridge", "no device foreign"),
        ("foreign:io4", NTP, "bridge", "no device foreign"),
    ] {
        writing.write(device, &[(metric, true)]);
        writing.until_dead_letter(dead_letter, words).await;
    }
    // It lives.
    writing.write(SLOT, &[(ANTENNA, true)]);
    writing.scene.client.until_is(SLOT, ANTENNA, true).await;
    let dead_letters = writing.dead_letters.now();
    assert!(
        dead_letters
            .iter()
            .all(|dead_letter| !dead_letter.topic.ends_with("/foreign")),
        "{dead_letters:#?}"
    );
}

#[tokio::test]
async fn what_is_refused_is_published_as_it_is() {
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
        let seen = host.until_updated(&before, 1, device, name).await;
        assert_eq!(seen.value(device, name), is, "{name}");
    }
    // What can be carried out beside it is.
    let metrics = [(ANTENNA, json!(true)), (no_flag, json!("yes"))];
    let host = &mut writing.scene.client;
    host.write(SLOT, &metrics);
    host.until_is(SLOT, ANTENNA, true).await;
    host.until_updated(&before, 2, SLOT, no_flag).await;
}

#[tokio::test]
async fn what_is_written_to_an_unreachable_device_is_a_dead_letter_of_that_device() {
    let mut writing = Writing::start().await;
    writing.scene.device(1).set_fault(Some(Fault::Unavailable));
    let host = &mut writing.scene.client;
    host.until_is("", "devices/sim-1/state", "offline").await;
    writing.write("sim-1", &[("event/antenna-faulty", true)]);
    writing.until_dead_letter("sim-1", "event/antenna-faulty").await;
}

#[tokio::test]
async fn a_host_asks_for_a_poll() {
    let mut writing = Writing::start().await;
    let polls = writing.scene.device(1).counters().documents;
    writing.write("sim-1", &[(REFRESH, true)]);
    let host = &mut writing.scene.client;
    let seen = host.until_updated(&writing.before, 1, "sim-1", REFRESH).await;
    assert_eq!(seen.value("sim-1", REFRESH), false);
    assert!(writing.scene.device(1).counters().documents > polls);
}
