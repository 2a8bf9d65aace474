//! The broker is killed three times while 10,000 records and 200 commands go through, near by and over a long way
//! that is cut as well: no record is lost, their order is kept, duplicates carry the same id, every command is
//! answered.
//!
//! A subscriber alone cannot know whose loss it was: mosquitto acknowledges a message before it has given it to
//! everybody, and before it is in its file. What counts is therefore what a proxy between the bridge and the broker has
//! seen on the wire: that each record was acknowledged, by a broker that was alive then. The subscriber, who is back each
//! time before the bridge may connect again, is asked too: what it misses must be what the broker had acknowledged in the
//! moment before it was killed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantime2mqtt::simulator::{Action, ApiGeneration, SimulatedDevice};
use serde_json::{Value, json as value};
use tokio::task::JoinSet;

use crate::scene::Scene;
use crate::support::mosquitto::Options;
use crate::support::proxy::Proxy;
use crate::support::requester::Requester;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::tap::{Noted, Tap, changes};
use crate::support::wait;

const DEVICES: usize = 40;
/// Events of which nothing else follows: no counterpart, no relay.
const EVENTS: [&str; 5] = [
    "ntp-stopped",
    "sync-monitor",
    "system-reboot",
    "https-certificate-expired",
    "https-certificate-expire-warning",
];
/// How often each event of each device changes.
const CHANGES: usize = 50;
const RECORDS: usize = DEVICES * EVENTS.len() * CHANGES;
const COMMANDS: usize = 200;
const KILLS: usize = 3;
/// How long before it is killed a broker may have acknowledged what it has not given to a subscriber.
const MOMENT: Duration = Duration::from_secs(1);

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Lets each event come and go, in turn; each time the bridge has seen it before it goes on.
async fn change(device: Arc<SimulatedDevice>) {
    for change in 0..CHANGES {
        let mut generation = 0;
        for event in EVENTS.map(str::to_owned) {
            let action = match change % 2 {
                0 => Action::FireEvent(event),
                _ => Action::ClearEvent(event),
            };
            generation = device.apply(&action).expect("the device has the event");
        }
        let what = format!("{}: change {change} is in a document", device.id());
        wait::until_holds(&what, || device.answered_at(generation).is_some()).await;
    }
}

/// A command, by its number.
fn command(number: usize) -> (String, String) {
    let device = format!("sim-{}", number % DEVICES + 1);
    let id = format!("command {number}");
    match number % 4 {
        0 => (
            format!("lantime/{device}/refresh"),
            value!({ "id": id }).to_string(),
        ),
        1 => {
            let payload = value!({ "id": id, "enabled": true, "max_count": number + 1 });
            (format!("lantime/{device}/http/sessions/set"), payload.to_string())
        }
        _ => {
            let event = ["network-link-down", "low-system-resources", "antenna-faulty"][number % 3];
            let payload = value!({ "id": id, "replace": [event] });
            (
                format!("lantime/{device}/io4/relay/c/events/set"),
                payload.to_string(),
            )
        }
    }
}

async fn kills_lose_nothing(delay: Duration, cuts: bool) {
    let options = Options {
        persistence: true,
        lines: vec!["max_inflight_messages 1000".to_owned()],
        ..Options::default()
    };
    // Each answer is one that the bridge has taken, however busy the machine is.
    let entry = |device: &SimulatedDevice| {
        let entry = Entry::writable(device).with("poll", "200ms");
        entry.with("timeout", "60s")
    };
    let setup = Setup::redundant(&[ApiGeneration::V20; DEVICES]);
    let mut scene = Scene::of(setup.broker(options).entries(entry)).await;
    let (proxy, tap) = Proxy::tapped(scene.broker.address()).await;
    proxy.delay(delay);
    let url = format!("mqtt://{}", proxy.address());
    scene.site = scene.site.with("mqtt.url", url);
    let mut listener = Requester::listen(scene.broker.address(), &["lantime/+/events"]).await;
    let bridge = scene.site.start();
    // What is so at first is no change.
    let is_known = |device: &Arc<SimulatedDevice>| device.counters().documents >= 2;
    wait::until("every device is known", async || {
        scene.fleet.devices().iter().all(is_known)
    })
    .await;

    let mut devices = JoinSet::new();
    for device in scene.fleet.devices() {
        devices.spawn(change(device.clone()));
    }
    let mut kills = Vec::new();
    let mut sent = 0;
    let mut cut = 0;
    while sent < COMMANDS || kills.len() < KILLS {
        let acknowledged = tap.acknowledged_changes();
        if sent < COMMANDS && acknowledged * COMMANDS >= sent * RECORDS {
            let (topic, payload) = command(sent);
            scene.client.send(&topic, payload).await;
            sent += 1;
        } else if acknowledged * (KILLS + 1) >= (kills.len() + 1) * RECORDS && kills.len() < KILLS {
            kills.push(Instant::now());
            kill(&mut scene, &proxy, &mut listener).await;
        } else if cuts && acknowledged * (KILLS + 1) * 2 >= (2 * cut + 1) * RECORDS && cut <= KILLS {
            proxy.cut();
            cut += 1;
        } else {
            tap.noted().await;
        }
    }
    while let Some(done) = devices.join_next().await {
        done.expect("every device is polled");
    }
    every_command_is_answered(&mut scene, &tap).await;
    // A stop sends what is left.
    wait::until("almost all is acknowledged", async || is_almost_done(&tap)).await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
    scene.nothing_is_left().await;
    nothing_is_lost(&tap.messages());
    the_subscriber_has_it(&tap.messages(), &listener, &kills);
}

/// Whether the broker has acknowledged as many records as there are to come at least.
fn is_almost_done(tap: &Tap) -> bool {
    let messages = tap.messages();
    let acknowledged = messages
        .iter()
        .filter(|message| message.is_change() && message.acknowledged_at.is_some());
    let ids: HashSet<_> = acknowledged.map(|message| message.id()).collect();
    ids.len() >= RECORDS
}

/// Kills the broker; whoever watches is back before the bridge.
async fn kill(scene: &mut Scene, proxy: &Proxy, listener: &mut Requester) {
    let before = (scene.client.connection(), listener.connection());
    scene.broker.kill9();
    proxy.refuse(true);
    scene.broker.restart();
    scene.client.subscribed(before.0).await;
    listener.subscribed(before.1).await;
    proxy.refuse(false);
}

/// Every change is a record, once but for duplicates, in order.
fn nothing_is_lost(messages: &[Noted]) {
    let mut reported = BTreeMap::<(String, String), Vec<bool>>::new();
    for record in changes(messages).iter().map(Noted::json) {
        if EVENTS.contains(&text(&record["event"]).as_str()) {
            let triggered = record["triggered"].as_bool().expect("true or false");
            let of = (text(&record["device"]), text(&record["event"]));
            reported.entry(of).or_default().push(triggered);
        }
    }
    // It came, it went, it came, ..
    let expected: Vec<_> = (0..CHANGES).map(|change| change % 2 == 0).collect();
    assert_eq!(reported.len(), DEVICES * EVENTS.len());
    for (of, reported) in reported {
        assert_eq!(reported, expected, "{of:?}");
    }
}

/// But for what the broker took with it.
fn the_subscriber_has_it(messages: &[Noted], listener: &Requester, kills: &[Instant]) {
    let id = |payload: &[u8]| {
        let record: Value = serde_json::from_slice(payload).expect("a record is JSON");
        text(&record["id"])
    };
    let got: BTreeSet<_> = listener
        .received()
        .iter()
        .map(|message| id(&message.payload))
        .collect();
    let mut missing = HashMap::<String, Vec<Instant>>::new();
    for message in messages
        .iter()
        .filter(|message| message.by_client && message.topic.ends_with("/events"))
    {
        let id = id(&message.payload);
        if !got.contains(&id) {
            missing.entry(id).or_default().extend(message.acknowledged_at);
        }
    }
    println!(
        "{} of {RECORDS} records went down with the broker that had acknowledged them",
        missing.len()
    );
    for (id, acknowledged) in missing {
        let is_last_moment = |at: &Instant| {
            kills
                .iter()
                .any(|kill| *at < *kill + MOMENT && *kill < *at + MOMENT)
        };
        assert!(acknowledged.iter().any(is_last_moment), "{id} did not arrive");
    }
}

/// Every command that the bridge has acknowledged has one answer, which the broker has acknowledged. One that has not got so
/// far, since the broker has lost it, is sent again, as its sender would do.
async fn every_command_is_answered(scene: &mut Scene, tap: &Tap) {
    let with_ids = |by_client: bool| -> Vec<(String, Noted)> {
        let messages = tap.messages().into_iter();
        messages
            .filter(|message| message.by_client == by_client && !message.is_change())
            .map(|message| (message.id(), message))
            .collect()
    };
    // The broker gives them in order: when the last one is answered, the bridge has had all.
    scene.settle("sim-1").await;
    let acknowledged = with_ids(false)
        .into_iter()
        .filter(|(_, command)| command.acknowledged_at.is_some());
    let taken: HashSet<_> = acknowledged.map(|(id, _)| id).collect();
    let mut lost = 0;
    for number in 0..COMMANDS {
        if !taken.contains(&format!("command {number}")) {
            let (topic, payload) = command(number);
            scene.client.send(&topic, payload).await;
            lost += 1;
        }
    }
    println!("{lost} of {COMMANDS} commands went down with the broker that had acknowledged them");
    let mut replies = BTreeMap::<String, Vec<Noted>>::new();
    wait::until("every command is answered", async || {
        replies.clear();
        for (id, reply) in with_ids(true) {
            if id.starts_with("command ") && reply.acknowledged_at.is_some() {
                replies.entry(id).or_default().push(reply);
            }
        }
        replies.len() == COMMANDS
    })
    .await;
    for (id, replies) in replies {
        assert_eq!(replies[0].json()["ok"], true, "{id}: {replies:?}");
        assert!(
            replies.iter().all(|reply| reply.payload == replies[0].payload),
            "{id}: {replies:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_costs_no_record_and_no_command() {
    kills_lose_nothing(Duration::ZERO, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_at_the_end_of_a_long_way_that_is_cut() {
    kills_lose_nothing(Duration::from_millis(50), true).await;
}
