//! What is retained outlives the bridge: what stands as it stood when the bridge before has ended has its time and its
//! cause, and is not published again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{Action, Clock, Fault};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::clients::Clients;
use crate::support::program::Program;
use crate::support::scene::{Setup, Stage};
use crate::support::site::Entry;
use crate::support::{PATIENCE, Seen, Watcher};

/// Since when each relay and signal is as it is, and what switches relays, in any layout.
fn times(seen: &Seen) -> BTreeMap<String, String> {
    let of_slots = seen
        .topics
        .iter()
        .filter(|(topic, _)| topic.contains("/relay/") || topic.contains("/signal/"));
    let time = |(topic, payload): (&String, &String)| match topic.strip_suffix("/since") {
        Some(object) => Some((object.to_owned(), payload.clone())),
        None => {
            let object: Value = serde_json::from_str(payload).ok()?;
            Some((topic.clone(), object.get("since")?.as_str()?.to_owned()))
        }
    };
    of_slots.filter_map(time).collect()
}

/// What is there at the topic of an object and at those of its fields.
fn object(seen: &Seen, topic: &str) -> BTreeMap<String, String> {
    let topic = format!("lantime/{topic}");
    let is_of_it = |(at, _): &(&String, &String)| {
        at.strip_prefix(&topic)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let of_it = seen.topics.iter().filter(is_of_it);
    of_it
        .map(|(topic, payload)| (topic.clone(), payload.clone()))
        .collect()
}

fn position(seen: &Seen, relay: &str) -> String {
    match seen.text(&format!("sim-1/io3/relay/{relay}/position")) {
        "" => {
            let json = seen.json(&format!("sim-1/io3/relay/{relay}"));
            json["position"].as_str().unwrap_or_default().to_owned()
        }
        position => position.to_owned(),
    }
}

/// Whether all that the layout says of it shows that relay A has fallen.
fn has_fallen(seen: &Seen, layout: &str) -> bool {
    let relay = "sim-1/io3/relay/a";
    let by_fields = ["cause", "causes"].map(|field| seen.text(&format!("{relay}/{field}")));
    let is_known = |text: &str| text == "clock-not-sync";
    // The last field that comes.
    let is_whole = !seen.text(&format!("{relay}/last_fault/since")).is_empty();
    (layout == "json" || is_whole && by_fields.into_iter().all(is_known) && position(seen, "a") == "NC")
        && (layout == "scalar" || seen.json(relay)["cause"].as_str().is_some_and(is_known))
}

/// A run of the bridge, of which `condition` holds in the end.
async fn run(stage: &Stage, condition: impl Fn(&Seen) -> bool) -> (Program, Watcher, Seen) {
    let mut watcher = Watcher::connect(stage.broker.address()).await;
    watcher
        .until("no bridge runs", |seen| {
            seen.text("bridge/test/state") != "online"
        })
        .await;
    let bridge = stage.site.start();
    // It comes last of all that there is when the connection begins.
    let seen = watcher
        .until("a run", |seen| {
            seen.text("bridge/test/state") == "online" && condition(seen)
        })
        .await;
    (bridge, watcher, seen)
}

fn is_healthy(seen: &Seen) -> bool {
    seen.is_online("sim-1") && position(seen, "a") == "NO" && position(seen, "c") == "NO"
}

#[tokio::test]
async fn what_did_not_change_keeps_its_time_in_every_layout() {
    for (layout, signal) in [("json", "TERM"), ("scalar", "KILL"), ("both", "KILL")] {
        let setup = Setup::redundant(&[V20]).site(|site| site.with("mqtt.layout", layout));
        let stage = setup.stage().await;
        let device = &stage.fleet.devices()[0];
        let (bridge, _, first) = run(&stage, is_healthy).await;
        let first = times(&first);
        assert!(first.len() > 10, "{first:?}");
        bridge.stop(signal).await;

        let (bridge, mut watcher, second) = run(&stage, is_healthy).await;
        assert_eq!(times(&second), first, "{layout}");
        device.apply(&Action::LoseSync(Clock::Clk1)).unwrap();
        let fallen = watcher.until("a fault", |seen| has_fallen(seen, layout)).await;
        let fault = object(&fallen, "sim-1/io3/relay/a");
        bridge.stop(signal).await;

        let is_fault = |seen: &Seen| seen.is_online("sim-1") && has_fallen(seen, layout);
        let (bridge, _, third) = run(&stage, is_fault).await;
        assert_eq!(
            object(&third, "sim-1/io3/relay/a"),
            fault,
            "{layout}: with its cause"
        );
        bridge.stop(signal).await;

        device.apply(&Action::RegainSync(Clock::Clk1)).unwrap();
        let (_bridge, _, fourth) = run(&stage, is_healthy).await;
        let (before, after) = (times(&third), times(&fourth));
        let relay = "lantime/sim-1/io3/relay/a";
        assert!(
            after[relay] > before[relay],
            "{layout}: it has changed while no bridge ran"
        );
        assert_eq!(
            after["lantime/sim-1/io3/relay/c"],
            first["lantime/sim-1/io3/relay/c"]
        );
    }
}

/// Ends the bridge, and lets `meanwhile` happen before the next one. The topics of the device at which that one publishes
/// up to the answer of a command that follows its first polls, but for how polls went.
async fn published_after_a_restart(
    (bridge, watcher, stage): (Program, &mut Watcher, &Stage),
    signal: &str,
    meanwhile: impl FnOnce(),
) -> (Program, BTreeSet<String>) {
    bridge.stop(signal).await;
    let is = |state: &'static str| move |seen: &Seen| seen.text("bridge/test/state") == state;
    let before = watcher.until("its end", is("offline")).await.log.len();
    meanwhile();
    let bridge = stage.site.start();
    watcher.until("another run", is("online")).await;
    let clients = Clients::of(stage.broker.address());
    clients.publish("lantime/sim-1/refresh", "{}", &[]).await;
    let reply = "lantime/sim-1/refresh/reply";
    let has_reply = |seen: &Seen| seen.log[before..].iter().any(|(topic, _)| topic == reply);
    let seen = watcher.until("the answer to a command", has_reply).await;
    // A record may come twice.
    let is_new = |message: &&(String, String)| {
        !message.0.ends_with("/changes") || !seen.log[..before].contains(message)
    };
    let topics = seen.log[before..].iter().filter(is_new);
    let topics = topics.map(|(topic, _)| topic.as_str());
    let of_device = topics.filter_map(|topic| topic.strip_prefix("lantime/sim-1/"));
    let of_device = of_device.filter(|topic| !topic.starts_with("http/") && !topic.starts_with("refresh"));
    (bridge, of_device.map(str::to_owned).collect())
}

#[tokio::test]
async fn another_run_publishes_what_has_changed_meanwhile_and_no_more() {
    for (layout, signal) in [("json", "KILL"), ("both", "TERM")] {
        let setup = Setup::redundant(&[V20]).site(|site| site.with("mqtt.layout", layout));
        let stage = setup.stage().await;
        let device = &stage.fleet.devices()[0];
        let is_recorded = |seen: &Seen| is_healthy(seen) && !seen.records("sim-1/changes").is_empty();
        let (bridge, mut watcher, _) = run(&stage, is_recorded).await;

        let run = (bridge, &mut watcher, &stage);
        let (bridge, topics) = published_after_a_restart(run, signal, || {}).await;
        assert_eq!(topics, BTreeSet::new(), "{layout}");

        let run = (bridge, &mut watcher, &stage);
        let loses = || assert_ne!(device.apply(&Action::LoseSync(Clock::Clk1)).unwrap(), 0);
        let (_bridge, topics) = published_after_a_restart(run, signal, loses).await;
        let has = |topic: &str| topics.contains(topic);
        assert!(has("io3/relay/a") && has("io3/signal/clk1"), "{topics:?}");
        assert!(!has("io3/relay/c") && !has("state") && !has("info"), "{topics:?}");
    }
}

#[tokio::test]
async fn a_device_that_says_nothing_is_offline_before_the_bridge_is_online() {
    let setup = Setup::redundant(&[V20, V20])
        .entries(|device| Entry::of(device).with("timeout", "30s").with("poll", "40s"));
    let stage = setup.stage().await;
    let is_healthy = |seen: &Seen| is_healthy(seen) && seen.is_online("sim-2");
    let (bridge, mut watcher, _) = run(&stage, is_healthy).await;
    bridge.stop("KILL").await;
    stage.fleet.devices()[1].set_fault(Some(Fault::Hang));
    let is_offline = |seen: &Seen| seen.text("bridge/test/state") == "offline";
    let before = watcher.until("its end", is_offline).await.log.len();
    let _bridge = stage.site.start();
    let is_online = |seen: &Seen| seen.text("bridge/test/state") == "online";
    let seen = watcher.until("another run", is_online).await;
    let states = seen.log[before..]
        .iter()
        .filter(|(topic, _)| topic.ends_with("/state"));
    let states: Vec<_> = states
        .map(|(topic, state)| (topic.as_str(), state.as_str()))
        .collect();
    let silent = ("lantime/sim-2/state", "offline");
    assert!(states.contains(&silent), "{states:?}");
    assert!(
        !states
            .iter()
            .any(|(topic, _)| topic.starts_with("lantime/sim-1/")),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_device_that_stays_offline_has_been_so_since_then() {
    let setup = Setup::redundant(&[V20]).entries(|device| Entry::of(device).with("offline_after", 1));
    let stage = setup.stage().await;
    let (bridge, mut watcher, _) = run(&stage, is_healthy).await;
    stage.fleet.devices()[0].set_fault(Some(Fault::ServerError));
    let relay = "sim-1/io3/relay/a";
    let is_offline =
        |seen: &Seen| seen.text("sim-1/state") == "offline" && seen.json(relay)["position"] == "unknown";
    let offline = watcher.until("an outage", is_offline).await.json(relay);
    bridge.stop("TERM").await;

    // What drives it is not known to this run.
    let is_of_this_run = |seen: &Seen| is_offline(seen) && seen.json(relay)["driven_by"].is_null();
    let (bridge, _, seen) = run(&stage, is_of_this_run).await;
    let still = seen.json(relay);
    assert_eq!(
        (&still["since"], &still["last"]),
        (&offline["since"], &offline["last"])
    );
    assert_eq!(still["last"]["position"], "NO");
    bridge.stop("TERM").await;
}

#[tokio::test]
async fn with_a_broker_that_has_lost_all_it_begins_again() {
    let mut stage = Setup::redundant(&[V20]).stage().await;
    let (bridge, _, first) = run(&stage, is_healthy).await;
    bridge.stop("TERM").await;
    stage.broker.restart();
    let (_bridge, _, second) = run(&stage, is_healthy).await;
    let (first, second) = (times(&first), times(&second));
    assert!(first.keys().eq(second.keys()));
    assert!(
        first.iter().all(|(topic, since)| second[topic] > *since),
        "{first:?}, {second:?}"
    );
}

#[tokio::test]
async fn a_device_at_another_address_is_another_one() {
    let mut stage = Setup::redundant(&[V20, V20]).stage().await;
    let [here, elsewhere] = [0, 1].map(|number| stage.fleet.devices()[number].clone());
    stage.site.set_devices(&[Entry::of(&here)]);
    let (bridge, _, first) = run(&stage, is_healthy).await;
    bridge.stop("TERM").await;
    stage
        .site
        .set_devices(&[Entry::of(&here).with("url", elsewhere.url())]);
    let (_bridge, _, second) = run(&stage, is_healthy).await;
    let (first, second) = (times(&first), times(&second));
    assert!(
        first.iter().all(|(topic, since)| second[topic] > *since),
        "{first:?}, {second:?}"
    );
}

#[tokio::test]
async fn a_broker_that_says_nothing_holds_up_no_stop() {
    let stage = Setup::redundant(&[V20]).stage().await;
    let (bridge, _, _) = run(&stage, is_healthy).await;
    bridge.stop("TERM").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let site = stage.site.with("mqtt.url", format!("mqtt://{address}"));
    let bridge = site.start();
    let _connection = timeout(PATIENCE, silent.accept()).await.expect("it reads back");
    bridge.signal("TERM");
    assert_eq!(bridge.end(Duration::from_secs(5)).await.code, Some(0));
}
