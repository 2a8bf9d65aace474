//! State that the broker does not take.

use lantime2mqtt::config::{Mqtt, MqttVersion};
use lantime2mqtt::model::{Availability, IncidentKind};

use crate::bridge::{Bridge, available, named, named_json};
use crate::support::Watcher;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::{memory_store, settings};

/// The dead letter about state which the broker does not take.
async fn reported(watcher: &mut Watcher) -> serde_json::Value {
    let topic = "lantime/dead-letter/m1";
    let seen = watcher
        .until("a dead letter", |seen| seen.last(topic).is_some())
        .await;
    let dead_letter: serde_json::Value = serde_json::from_str(seen.last(topic).unwrap()).unwrap();
    assert_eq!(
        (&dead_letter["operation"], &dead_letter["device"]),
        (&"publish".into(), &"m1".into())
    );
    dead_letter
}

#[tokio::test]
async fn a_payload_that_the_broker_would_not_take_harms_no_other() {
    // A broker of MQTT 5 announces its limit; one of 3.1.1 ends the connection, again and again.
    for (version, connections) in [(MqttVersion::V5, 1), (MqttVersion::V311, 6)] {
        let lines = vec!["max_packet_size 2000".to_owned()];
        let broker = Mosquitto::start_with(Options {
            lines,
            ..Options::default()
        });
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let store = memory_store();
        let mut bridge = Bridge::start(mqtt, "b1", &["m1"], &store).await;
        let available = available(Availability::Online);
        bridge.send("m1", vec![named(&"x".repeat(3000)), available]).await;
        watcher
            .until("the other one", |seen| seen.is("lantime/m1/state", "online"))
            .await;
        bridge
            .until("it is given up", |status| {
                status.link.connected && status.link.connections == connections && status.pending == 0
            })
            .await;
        bridge.send("m1", vec![named("short")]).await;
        let dead_letter = reported(&mut watcher).await;
        assert!(
            dead_letter["error"]["message"]
                .as_str()
                .unwrap()
                .contains("lantime/m1/info")
        );
        let open = store.incidents().borrow().clone();
        let mut open = open.into_values();
        let incident = open.find(|incident| incident.key.kind == IncidentKind::Publish);
        let incident = incident.expect("it is open");
        assert_eq!(incident.key.subject.as_deref(), Some("lantime/m1/info"));
        assert_eq!(dead_letter["id"], incident.id.to_string());
        let short = named_json("short");
        watcher
            .until("a shorter one", |seen| seen.is("lantime/m1/info", &short))
            .await;
        assert_eq!(bridge.status.borrow().link.connections, connections);
        bridge.stop().await;
    }
}

#[tokio::test]
async fn a_size_that_the_broker_has_not_taken_costs_no_further_connection() {
    // With 3.1.1 the broker ends the connection; with MQTT 5 it announces nothing of this limit, and refuses by PUBACK.
    for (version, limit, connections) in [
        (MqttVersion::V311, "max_packet_size 2000", 6),
        (MqttVersion::V5, "message_size_limit 2000", 3),
    ] {
        let broker = Mosquitto::start_with(Options {
            lines: vec![limit.to_owned()],
            ..Options::default()
        });
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &["m1", "m2"], &memory_store()).await;
        let available = available(Availability::Online);
        bridge
            .send("m1", vec![named(&"x".repeat(3000)), available.clone()])
            .await;
        let dead_letter = reported(&mut watcher).await;
        let message = dead_letter["error"]["message"].as_str().unwrap();
        assert!(message.contains("lantime/m1/info"), "{dead_letter}");
        let remedy = dead_letter["error"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("packet"), "{dead_letter}");
        let found = bridge
            .until("it is found", |status| {
                status.link.connected && status.pending == 0
            })
            .await;
        assert!(found.link.connections <= connections, "{version:?}: {found:?}");
        // An update of that topic, and another one of that size.
        bridge.send("m1", vec![named(&"y".repeat(3001))]).await;
        bridge.send("m2", vec![named(&"z".repeat(4000)), available]).await;
        watcher
            .until("all else passes", |seen| seen.is("lantime/m2/state", "online"))
            .await;
        bridge.send("m2", vec![named("short")]).await;
        let short = named_json("short");
        watcher
            .until("and what is small enough", |seen| {
                seen.is("lantime/m2/info", &short)
            })
            .await;
        let status = bridge.status.borrow().clone();
        assert_eq!(status.link.connections, found.link.connections, "{version:?}");
        bridge.stop().await;
    }
}

#[tokio::test]
async fn two_messages_far_apart_that_the_broker_does_not_take_harm_no_other() {
    // Of MQTT 5 mosquitto takes 20 messages at a time: the one is not in flight while the other is.
    for (version, limit) in [
        (MqttVersion::V5, "message_size_limit 2000"),
        (MqttVersion::V311, "max_packet_size 2000"),
    ] {
        let broker = Mosquitto::start_with(Options {
            lines: vec![limit.to_owned()],
            ..Options::default()
        });
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let devices: Vec<_> = (10..70).map(|n| format!("m{n}")).collect();
        let configured: Vec<_> = devices.iter().map(String::as_str).collect();
        let store = memory_store();
        let mut bridge = Bridge::start(mqtt, "b1", &configured, &store).await;
        for device in &configured {
            let name = match *device {
                "m20" | "m60" => "x".repeat(3000),
                _ => "short".to_owned(),
            };
            let changes = vec![named(&name), available(Availability::Online)];
            bridge.send(device, changes).await;
        }
        let last = ["lantime/m69/state", "lantime/bridge/b1/state"];
        watcher
            .until("all others, and the bridge", |seen| {
                last.iter().all(|topic| seen.is(topic, "online"))
            })
            .await;
        let status = bridge
            .until("a record", |status| {
                status.link.connected && status.pending == 0 && status.records == 0
            })
            .await;
        assert!(status.link.connections <= 10, "{version:?}: {status:?}");
        bridge.stop().await;
        let dead_letters = store.dead_letters(10).await.unwrap();
        assert!(
            dead_letters
                .iter()
                .all(|dead_letter| !dead_letter.message.contains("client id")),
            "{dead_letters:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_message_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let acl = directory.path().join("acl");
    std::fs::write(&acl, "topic readwrite #\ntopic deny lantime/m1/info\n").unwrap();
    let options = Options {
        lines: vec![format!("acl_file {}", acl.display())],
        ..Options::default()
    };
    let broker = Mosquitto::start_with(options);
    let mut watcher = Watcher::connect(broker.address()).await;
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &memory_store()).await;
    bridge
        .send("m1", vec![named("refused"), available(Availability::Online)])
        .await;
    watcher
        .until("the other one", |seen| seen.is("lantime/m1/state", "online"))
        .await;
    bridge
        .until("nothing is tried for ever", |status| status.pending == 0)
        .await;
    assert!(!watcher.now().topics.contains_key("lantime/m1/info"));
    let dead_letter = reported(&mut watcher).await;
    assert_eq!(dead_letter["error"]["kind"], "rejected", "{dead_letter}");
    bridge.stop().await;
}
