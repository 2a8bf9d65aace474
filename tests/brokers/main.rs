//! The bridge at the brokers that sites have, with MQTT 3.1.1, which all of them speak: state is readable by exact topic,
//! commands work, both are back after a broken connection, and what is retained is read back. What differs is in the table
//! of docs/mqtt.md.

#![allow(clippy::unwrap_used)]

mod reader;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::simulator::{Action, ApiGeneration, Clock};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use reader::Reader;
use servers::{Nats, RabbitMq};
use support::PATIENCE;
use support::mosquitto::Mosquitto;
use support::proxy::Proxy;
use support::scene::Setup;
use support::site::{Entry, Site};

const RELAY: &str = "lantime/sim-1/io3/relay/a";
const EVENTS: &str = "lantime/sim-1/io4/relay/a/events";
const COMMAND: &str = "lantime/sim-1/io4/relay/a/events/set";
const REPLY: &str = "lantime/sim-1/io4/relay/a/events/set/reply";
const DEVICE: &str = "lantime/sim-1/state";
const BRIDGE: &str = "lantime/bridge/test/state";

/// What becomes of retained messages when somebody subscribes with a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wildcards {
    GiveRetained,
    /// Only an exact topic does.
    GiveNothing,
}

#[tokio::test]
async fn mosquitto() {
    let broker = Mosquitto::start();
    keeps_its_promises(broker.address(), Wildcards::GiveRetained).await;
}

#[tokio::test]
async fn the_embedded_broker() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let broker = EmbeddedBroker::bind(any, None).await.unwrap();
    let (address, stop) = (broker.address(), CancellationToken::new());
    let served = tokio::spawn(broker.run(stop.clone()));
    keeps_its_promises(address, Wildcards::GiveRetained).await;
    stop.cancel();
    timeout(PATIENCE, served)
        .await
        .expect("it stops")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn nats() {
    let broker = Nats::start().await;
    keeps_its_promises(broker.address(), Wildcards::GiveRetained).await;
}

#[tokio::test]
async fn rabbitmq() {
    let broker = RabbitMq::start().await;
    keeps_its_promises(broker.address(), Wildcards::GiveNothing).await;
}

async fn keeps_its_promises(broker: SocketAddr, wildcards: Wildcards) {
    let proxy = Proxy::start(broker).await;
    let fleet = Setup::redundant(&[ApiGeneration::V20]).fleet().await;
    let device = &fleet.devices()[0];
    let site = Site::new(proxy.address(), &[Entry::writable(device)]).with("mqtt.version", "3.1.1");
    let mut early = Reader::connect(broker, "early", &[RELAY, EVENTS, REPLY, DEVICE, BRIDGE]).await;
    let bridge = site.start();
    early
        .until("all is published", |seen| {
            seen.is(BRIDGE, "online") && seen.json(RELAY)["position"] == "NO"
        })
        .await;
    let mut late = Reader::connect(broker, "late", &[RELAY, BRIDGE]).await;
    late.until("state is readable by exact topic", |seen| {
        seen.is(BRIDGE, "online") && seen.json(RELAY)["position"] == "NO"
    })
    .await;
    retained_come_by_wildcard(broker, wildcards).await;

    site.takes_commands().await;
    command(&mut early, "1", &["ntp-not-sync"]).await;
    proxy.cut();
    device.apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    early
        .until("state after a broken connection", |seen| {
            seen.is(BRIDGE, "online") && seen.json(RELAY)["position"] == "NC"
        })
        .await;
    // The broker keeps it where the bridge is not back yet.
    command(&mut early, "2", &["antenna-faulty"]).await;
    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0), "{}", end.output.stderr);
    let fallen = early.until("offline", |seen| seen.is(BRIDGE, "offline")).await;
    let _bridge = site.start();
    let again = early
        .until("the next run", |seen| {
            seen.is(BRIDGE, "online") && seen.is(DEVICE, "online") && seen.json(RELAY)["position"] == "NC"
        })
        .await;
    assert_eq!(again.json(RELAY), fallen.json(RELAY), "since when, and its cause");
}

/// Sends a command, and waits for its reply and for what it has changed.
async fn command(reader: &mut Reader, id: &str, events: &[&str]) {
    let payload = json!({ "id": id, "replace": events }).to_string();
    reader.publish(COMMAND, payload).await;
    let events = json!(events);
    reader
        .until("the reply, and what was selected", |seen| {
            let reply = seen.json(REPLY);
            reply["id"] == id && reply["ok"] == true && seen.json(EVENTS)["events"] == events
        })
        .await;
}

/// A message that is published after the subscription is in force comes after all retained ones.
async fn retained_come_by_wildcard(broker: SocketAddr, wildcards: Wildcards) {
    let mut reader = Reader::connect(broker, "wildcard", &["lantime/bridge/+/state", "last"]).await;
    reader.publish("last", "yes".to_owned()).await;
    let seen = reader.until("the last one", |seen| seen.is("last", "yes")).await;
    let expected = wildcards == Wildcards::GiveRetained;
    assert_eq!(seen.is(BRIDGE, "online"), expected);
}
