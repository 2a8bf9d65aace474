//! What Home Assistant discovers is at the broker as long as it is so, and is sent again when Home Assistant starts.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use lantime2mqtt::config::{Layout, Mqtt, MqttVersion};
use lantime2mqtt::model::{
    Availability, DeviceTopic, ErrorKind, ErrorReport, EventName, EventState, EventType, HttpSessions,
    HttpStats, Identity, LastTriggered, Operation, Position, Problem, Provenance, Relay, RelayEventsState,
    Signal, SignalState, SlotState, SlotTopic, Status, Update, Via,
};
use serde_json::Value;
use uuid::Uuid;

use crate::bridge::{Bridge, Edit, available, named, relay};
use crate::support::clients::Clients;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::{Seen, Watcher};
use crate::{device, memory_store, settings};

const RELAY: &str = "homeassistant/binary_sensor/lantime_device_m1/io3_relay_a/config";
const REFRESH: &str = "homeassistant/button/lantime_device_m1/refresh/config";
const BRIDGE: &str = "homeassistant/binary_sensor/lantime_bridge_b1/connection/config";

fn first_changes() -> Vec<Edit> {
    vec![
        available(Availability::Online),
        named("ntp-1"),
        relay(Position::No),
    ]
}

fn relay_leaves() -> Vec<Edit> {
    vec![Edit::in_slot(SlotTopic::Relay(Relay::A), |slot| {
        slot.relays.remove(&Relay::A);
    })]
}

fn discovered(seen: &Seen) -> Vec<&str> {
    let topics = seen.topics.keys().map(String::as_str);
    topics
        .filter(|topic| topic.starts_with("homeassistant/"))
        .collect()
}

/// Every topic that an entity reads, in all that is discovered.
fn topics_read(seen: &Seen) -> BTreeSet<String> {
    let configs = discovered(seen).into_iter();
    let configs = configs.map(|topic| serde_json::from_str::<Value>(&seen.topics[topic]).unwrap());
    let topics = configs.flat_map(|config| {
        let availability = config["availability"].as_array().cloned().unwrap_or_default();
        let of_itself = [&config["state_topic"], &config["json_attributes_topic"]].map(Value::clone);
        let of_others = availability.into_iter().map(|entry| entry["topic"].clone());
        of_itself.into_iter().chain(of_others).collect::<Vec<_>>()
    });
    topics
        .filter_map(|topic| topic.as_str().map(str::to_owned))
        .collect()
}

/// A device of which something is known wherever an entity may look.
fn everything() -> Vec<Edit> {
    let since = Timestamp::UNIX_EPOCH;
    let event = EventName::canonical("ntp-not-sync").unwrap();
    let standing = EventState {
        name: event.clone(),
        name_on_device: None,
        triggered: Some(false),
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
    };
    let problem = Problem {
        id: Uuid::nil(),
        operation: Operation::Poll,
        error: ErrorReport::new(ErrorKind::Timeout, "no answer", "look there"),
        first_at: since,
    };
    let identity = Identity {
        firmware: Some("fw_7.06".into()),
        ..Identity::default()
    };
    let selected = RelayEventsState {
        events: Some([event.clone()].into()),
        confirmed: true,
        via: None,
        since,
    };
    let signal = SignalState {
        status: Status::Ok,
        provenance: Provenance::Reported,
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since,
        detail: [].into(),
        last: None,
    };
    vec![
        available(Availability::Online),
        Edit::new(DeviceTopic::Info, move |view| {
            view.identity = Some(identity.clone().into())
        }),
        Edit::new(DeviceTopic::Error, move |view| {
            view.problem = Some(problem.clone())
        }),
        Edit::new(DeviceTopic::Event(event), move |view| {
            view.events = [standing.clone()].into()
        }),
        Edit::in_slot(SlotTopic::State, |slot| slot.state = SlotState::Online),
        Edit::in_slot(SlotTopic::Info, |_| {}),
        relay(Position::No),
        Edit::in_slot(SlotTopic::RelayEvents(Relay::A), move |slot| {
            slot.relay_events.insert(Relay::A, selected.clone());
        }),
        Edit::in_slot(SlotTopic::Signal(Signal::Clk1), move |slot| {
            slot.signals.insert(Signal::Clk1, signal.clone());
        }),
    ]
}

#[tokio::test]
async fn what_goes_is_removed_and_what_others_discover_is_not_touched() {
    let broker = Mosquitto::start();
    let foreign = "homeassistant/sensor/lantime_bridge_b2/x/config";
    Clients::of(broker.address())
        .publish(foreign, "{}", &["-r", "-q", "1"])
        .await;
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("the relay is discovered", |seen| {
            seen.topics.contains_key(RELAY) && seen.topics.contains_key(BRIDGE)
        })
        .await;
    bridge.send("m1", relay_leaves()).await;
    watcher
        .until("the relay is cleared, the device is not", |seen| {
            !seen.topics.contains_key(RELAY) && seen.topics.contains_key(REFRESH)
        })
        .await;
    bridge.update(Update::Removed { device: device("m1") }).await;
    watcher
        .until("the device is cleared, and nothing else", |seen| {
            discovered(seen) == [BRIDGE, foreign]
        })
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn an_earlier_run_s_entities_stay_until_their_device_is_seen_and_go_with_discovery() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &store).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("the relay is discovered", |seen| seen.topics.contains_key(RELAY))
        .await;
    bridge.stop().await;

    let mut bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &store).await;
    let offline = vec![available(Availability::Offline), relay(Position::Unknown)];
    bridge.send("m1", offline).await;
    watcher
        .until("the device is unreachable", |seen| {
            seen.is("lantime/m1/state", "offline")
        })
        .await;
    bridge
        .until("all is out", |status| {
            status.link.connected && status.pending == 0
        })
        .await;
    assert!(
        watcher.now().topics.contains_key(RELAY),
        "nobody knows better yet"
    );
    // It comes back without the relay.
    bridge
        .send("m1", [relay_leaves(), vec![named("ntp-1")]].concat())
        .await;
    bridge.update(Update::Settled { device: device("m1") }).await;
    watcher
        .until("the relay is cleared", |seen| {
            !seen.topics.contains_key(RELAY) && seen.topics.contains_key(REFRESH)
        })
        .await;
    bridge.stop().await;

    let bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    watcher
        .until("all is cleared", |seen| discovered(seen).is_empty())
        .await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_device_that_is_forgotten_keeps_the_entities_that_it_still_has() {
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let bridge = Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    watcher
        .until("the relay is discovered", |seen| {
            seen.topics.contains_key(RELAY) && seen.topics.contains_key("lantime/m1/io3/relay/a")
        })
        .await;
    bridge.update(Update::Forgotten { device: device("m1") }).await;
    let seen = watcher
        .until("its state is cleared", |seen| {
            !seen.topics.keys().any(|topic| topic.starts_with("lantime/m1/"))
        })
        .await;
    assert!(seen.topics.contains_key(RELAY) && seen.topics.contains_key(REFRESH));
    // It comes back without the relay.
    let online = vec![available(Availability::Online), named("ntp-1")];
    bridge.send("m1", online).await;
    bridge.update(Update::Settled { device: device("m1") }).await;
    let seen = watcher
        .until("the relay is cleared", |seen| !seen.topics.contains_key(RELAY))
        .await;
    let was_cleared = |topic| {
        seen.log
            .iter()
            .any(|(at, payload)| at == topic && payload.is_empty())
    };
    assert!(was_cleared(RELAY) && !was_cleared(REFRESH));
    bridge.stop().await;
}

#[tokio::test]
async fn a_broker_that_takes_no_discovery_is_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let acl = directory.path().join("acl");
    std::fs::write(&acl, "topic readwrite #\ntopic deny homeassistant/#\n").unwrap();
    let broker = Mosquitto::start_with(Options {
        lines: vec![format!("acl_file {}", acl.display())],
        ..Options::default()
    });
    let mut watcher = Watcher::connect(broker.address()).await;
    let mut bridge =
        Bridge::start_discovered(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge.send("m1", first_changes()).await;
    bridge
        .until("all is answered", |status| {
            // Two of the bridge, three of the device, and its entities, of which there are more.
            status.link.connected && status.pending == 0 && status.topics > 10
        })
        .await;
    // It gives all dead letters to the broker first.
    bridge.stop().await;
    let seen = watcher
        .until("the end", |seen| seen.is("lantime/bridge/b1/state", "offline"))
        .await;
    let dead_letters = seen.log.iter();
    let dead_letters = dead_letters.filter(|(topic, _)| topic.starts_with("lantime/dead-letter/"));
    assert_eq!(dead_letters.count(), 1, "{:#?}", seen.log);
}

#[tokio::test]
async fn the_birth_of_home_assistant_brings_its_entities_again_and_nothing_else() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        // A stored copy is no birth: it would come with each connection.
        clients
            .publish("homeassistant/status", "online", &["-r", "-q", "1"])
            .await;
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start_discovered(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", first_changes()).await;
        bridge
            .until("all is out", |status| {
                status.link.connected && status.pending == 0
            })
            .await;
        watcher
            .until("the relay is there", |seen| {
                seen.topics.contains_key("lantime/m1/io3/relay/a") && seen.topics.contains_key(RELAY)
            })
            .await;
        let before = watcher.now().log.len();
        // Retained, as Home Assistant may be set to.
        clients
            .publish("homeassistant/status", "online", &["-r", "-q", "1"])
            .await;
        let entities = discovered(&watcher.now()).len() - 1;
        let again = |seen: &Seen| -> Vec<String> {
            let again = seen.log[before..].iter().map(|(topic, _)| topic.clone());
            again.filter(|topic| topic != "homeassistant/status").collect()
        };
        let seen = watcher
            .until("they come again", |seen| again(seen).len() >= entities)
            .await;
        let mut again = again(&seen);
        again.sort_unstable();
        again.dedup();
        assert_eq!(again.len(), entities, "each once");
        assert!(
            again.iter().all(|topic| topic.starts_with("homeassistant/")),
            "{again:?}"
        );
        bridge.stop().await;
    }
}

#[tokio::test]
async fn entities_read_topics_that_there_are_in_every_layout() {
    for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
        let broker = Mosquitto::start();
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            layout,
            ..settings(broker.address())
        };
        let bridge = Bridge::start_discovered(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", everything()).await;
        let mut stats = HttpStats::default();
        stats.succeeded(Duration::from_millis(20), Timestamp::UNIX_EPOCH);
        bridge
            .update(Update::HttpStats {
                device: device("m1"),
                summary: stats.summary().into(),
            })
            .await;
        let seen = watcher
            .until("all entities, and all that they read", |seen| {
                // Those of these_are_the_entities, with one switch, and the bridge.
                discovered(seen).len() == 11
                    && topics_read(seen)
                        .iter()
                        .all(|topic| seen.topics.contains_key(topic))
            })
            .await;
        let config: Value = serde_json::from_str(&seen.topics[RELAY]).unwrap();
        let is_of_a_field = config["state_topic"].as_str().unwrap().ends_with("/fault");
        assert_eq!(is_of_a_field, layout == Layout::Scalar);
        bridge.stop().await;
    }
}

/// No payload is kept: what is sent again is made again, and has to be the same.
#[tokio::test]
async fn a_broker_that_lost_everything_gets_the_same_in_every_layout() {
    for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
        let mut broker = Mosquitto::start();
        let mqtt = Mqtt {
            layout,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start_discovered(mqtt, "b1", &["m1"], &memory_store()).await;
        bridge.send("m1", everything()).await;
        bridge
            .update(Update::HttpStats {
                device: device("m1"),
                summary: HttpStats::default().summary().into(),
            })
            .await;
        let log = HttpSessions::new(true, 10);
        bridge
            .update(Update::HttpSessions {
                device: device("m1"),
                log,
            })
            .await;
        let mut watcher = Watcher::connect(broker.address()).await;
        watcher
            .until("the last one is there", |seen| {
                let mut topics = seen.topics.keys();
                topics.any(|topic| topic.starts_with("lantime/m1/http/sessions"))
            })
            .await;
        bridge
            .eventually("all is out", |status| status.pending == 0)
            .await;
        let topics = bridge.status.borrow().topics;
        let before = watcher
            .until("all is there", |seen| seen.topics.len() == topics)
            .await;
        broker.kill9();
        bridge
            .until("the loss is noticed", |status| !status.link.connected)
            .await;
        broker.restart();
        let mut watcher = Watcher::connect(broker.address()).await;
        watcher
            .until("all is back", |seen| seen.topics == before.topics)
            .await;
        bridge.stop().await;
    }
}
