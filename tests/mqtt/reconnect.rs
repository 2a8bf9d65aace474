//! Brokers and networks that fail, and ends of the bridge itself.

use std::net::SocketAddr;

use lantime2mqtt::config::{Layout, Mqtt, MqttVersion};
use lantime2mqtt::model::{Availability, Position};
use lantime2mqtt::mqtt::publisher::Setup;

use crate::bridge::{Bridge, available, expected, first_changes, named, named_json, relay, without_info};
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::{PATIENCE, Seen, Watcher};
use crate::{memory_store, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lost_everything_has_it_back() {
    let mut broker = Mosquitto::start();
    let store = memory_store();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is there", |status| {
            status.link.connected && status.pending == 0 && status.topics == 5
        })
        .await;
    broker.kill9();
    bridge
        .until("the loss is noticed", |status| !status.link.connected)
        .await;
    // Taken during the outage.
    bridge
        .send("m1", vec![relay(Position::Nc), relay(Position::No)])
        .await;
    let failed = bridge.until("it tries", |status| {
        status
            .link
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("refused"))
    });
    let error = failed.await.link.last_error.unwrap();
    assert!(
        error.contains(&broker.address().to_string()) && error.contains("mqtt.url"),
        "{error}"
    );
    broker.restart();
    let mut watcher = Watcher::connect(broker.address()).await;
    let expected = expected(Layout::Json);
    watcher
        .until("all is back", |seen| without_info(&seen.topics) == expected)
        .await;
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_given_up_and_found_again() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", first_changes()).await;
        bridge
            .until("all is there", |status| status.pending == 0 && status.topics == 5)
            .await;
        broker.freeze();
        bridge.send("m1", vec![named("during")]).await;
        let status = bridge
            .until("the silence is noticed", |status| !status.link.connected)
            .await;
        let error = status.link.last_error.unwrap();
        assert!(error.contains("silent") || error.contains("ping"), "{error}");
        broker.thaw();
        bridge
            .until("it is back", |status| {
                status.link.connections == 2 && status.pending == 0
            })
            .await;
        let mut watcher = Watcher::connect(broker.address()).await;
        let during = named_json("during");
        watcher
            .until("the change", |seen| seen.is("lantime/m1/info", &during))
            .await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_given_up() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is there", |status| status.pending == 0 && status.topics == 5)
        .await;
    proxy.hold(true);
    bridge.until("given up", |status| !status.link.connected).await;
    bridge.send("m1", vec![relay(Position::Nc)]).await;
    proxy.hold(false);
    bridge
        .until("back", |status| {
            status.link.connections == 2 && status.pending == 0
        })
        .await;
    let mut watcher = Watcher::connect(broker.address()).await;
    watcher
        .until("the change", |seen| {
            seen.topics
                .get("lantime/m1/io3/relay/a")
                .is_some_and(|relay| relay.contains("NC"))
        })
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_crash_says_offline_and_a_clean_stop_too() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let state = "lantime/bridge/b1/state";
    let store = memory_store();

    let bridge = Bridge::start(settings(broker.address()), "b1", &[], &store).await;
    watcher.until("online", |seen| seen.is(state, "online")).await;
    bridge.crash().await;
    watcher
        .until("offline by the will of a crashed one", |seen| {
            seen.is(state, "offline")
        })
        .await;

    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &[], &store).await;
    watcher
        .until("online again", |seen| seen.is(state, "online"))
        .await;
    bridge.until("all is there", |status| status.pending == 0).await;
    let before = watcher.now().log.len();
    proxy.cut();
    watcher.until("offline, then online", |seen| {
        let words: Vec<_> = seen.log[before..].iter().filter(|(topic, _)| topic == state).collect();
        matches!(&words[..], [(_, offline), .., (_, online)] if offline == "offline" && online == "online")
    })
    .await;

    bridge.send("m9", vec![available(Availability::Online)]).await;
    bridge.stop().await;
    let seen = watcher
        .until("offline by a clean stop", |seen| seen.is(state, "offline"))
        .await;
    assert!(
        seen.is("lantime/m9/state", "online"),
        "what was to be sent was sent before"
    );
}

#[tokio::test]
async fn a_stop_without_a_broker_does_not_wait_for_one() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let patient = |setup| Setup {
        stop_within: 100 * PATIENCE,
        ..setup
    };
    let mut bridge = Bridge::start_with(settings(nobody), "b1", &["m1"], &memory_store(), patient).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("it tries", |status| status.link.last_error.is_some())
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_stop_with_a_silent_broker_ends_in_time() {
    let broker = Mosquitto::start();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge
        .until("online", |status| status.link.connected && status.pending == 0)
        .await;
    broker.freeze();
    bridge.send("m1", first_changes()).await;
    bridge.stop().await;
    broker.thaw();
    // The socket was closed without DISCONNECT.
    let mut watcher = Watcher::connect(broker.address()).await;
    watcher
        .until("offline by the will", |seen| {
            seen.is("lantime/bridge/b1/state", "offline")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_number_of_crashes_the_broker_has_what_the_bridge_has() {
    const DEVICES: usize = 5_000;
    let mut broker = Mosquitto::start();
    let names: Vec<_> = (0..DEVICES).map(|n| format!("d{n}")).collect();
    let ids: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &ids, &memory_store()).await;
    for round in 0..4 {
        bridge
            .until("connected", |status| {
                status.link.connected && status.link.connections >= round.max(1)
            })
            .await;
        for (n, id) in ids.iter().enumerate() {
            // In the middle of it, with a full window.
            if round > 0 && n == DEVICES / 2 {
                broker.restart();
            }
            bridge.send(id, vec![named(&format!("r{round}"))]).await;
        }
    }
    bridge
        .until("all is sent", |status| {
            status.link.connections == 4 && status.pending == 0
        })
        .await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let last = named_json("r3");
    watcher
        .until("all of the last round", |seen| {
            seen.topics.len() == DEVICES + 2
                && ids.iter().all(|id| seen.is(&format!("lantime/{id}/info"), &last))
        })
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn online_is_said_when_what_stands_beside_it_is_so() {
    const DEVICE: &str = "lantime/m1/state";
    const RELAY: &str = "lantime/m1/io3/relay/a";
    const BRIDGE: &str = "lantime/bridge/b1/state";
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("all is there", |seen| {
            seen.is(BRIDGE, "online") && seen.topics.contains_key(RELAY)
        })
        .await;
    bridge.crash().await;
    watcher
        .until("the crash", |seen| seen.is(BRIDGE, "offline"))
        .await;

    // The next run has not heard of the device when it is online itself.
    let before = watcher.now().log.len();
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &["m1"], &store).await;
    let seen = watcher
        .until("it is back", |seen| seen.is(BRIDGE, "online"))
        .await;
    let place = |seen: &Seen, from: usize, topic: &str, payload: &str| {
        let log = seen.log[from..].iter();
        let mut log = log.map(|(at, what)| at == topic && what.contains(payload));
        log.position(|is_it| is_it).expect("it has come")
    };
    assert!(place(&seen, before, DEVICE, "offline") < place(&seen, before, BRIDGE, "online"));
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is out", |status| {
            status.link.connected && status.pending == 0
        })
        .await;

    // What changes while there is no connection is out before it is online again.
    proxy.refuse(true);
    bridge.until("cut", |status| !status.link.connected).await;
    watcher.until("the cut", |seen| seen.is(BRIDGE, "offline")).await;
    bridge.send("m1", vec![relay(Position::Nc)]).await;
    let before = watcher.now().log.len();
    proxy.refuse(false);
    let seen = watcher
        .until("it is back", |seen| seen.is(BRIDGE, "online"))
        .await;
    assert!(place(&seen, before, RELAY, "NC") < place(&seen, before, BRIDGE, "online"));
    bridge.stop().await;
}
