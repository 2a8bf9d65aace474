//! Records that the broker does not take: reported by a dead letter, and nobody else has to wait.

use std::time::Duration;

use lantime2mqtt::config::{Mqtt, MqttVersion};
use lantime2mqtt::model::{Availability, Update};
use lantime2mqtt::records::Record;
use lantime2mqtt::records::store::Store;
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use tokio::time::Instant;

use crate::bridge::{Bridge, available};
use crate::fake_broker::FakeBroker;
use crate::records::{Collected, TOPIC, dead_letter, numbered, reply, until_count, until_sent};
use crate::support::Watcher;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::taker::VERSIONS;
use crate::{memory_store, settings};

/// The dead letters of the bridge itself that came, as JSON.
fn dead_letters_of_the_bridge(watcher: &Watcher) -> Vec<serde_json::Value> {
    let log = watcher.now().log.into_iter();
    log.filter(|(topic, _)| topic == "lantime/dead-letter/bridge")
        .map(|(_, payload)| serde_json::from_str(&payload).unwrap())
        .collect()
}

/// A store with a record that the broker does not take between two that it does, and what is reported of it.
async fn is_reported_and_holds_up_nobody(
    mqtt: Mqtt,
    store: &Store,
    bad: Record,
    watcher: &mut Watcher,
) -> serde_json::Value {
    let mut records = numbered(0..2);
    records.insert(1, bad);
    store.append(records).await;
    let mut bridge = Bridge::start(mqtt, "b1", &["m1"], store).await;
    until_count(watcher, 2).await;
    watcher
        .until("the dead letter", |seen| {
            seen.last("lantime/dead-letter/bridge").is_some()
        })
        .await;
    until_sent(&mut bridge).await;
    bridge.stop().await;
    let mut collected = Collected::default();
    collected.add(watcher);
    collected.is_complete(2);
    let dead_letters = dead_letters_of_the_bridge(watcher);
    assert_eq!(dead_letters.len(), 1, "{dead_letters:#?}");
    assert_eq!(dead_letters[0]["operation"], "publish");
    dead_letters.into_iter().next().unwrap()
}

/// A broker that lets nobody publish below `denied`.
fn broker_that_denies(denied: &str, acl: &std::path::Path) -> Mosquitto {
    std::fs::write(acl, format!("topic readwrite #\ntopic deny {denied}\n")).unwrap();
    Mosquitto::start_with(Options {
        lines: vec![format!("acl_file {}", acl.display())],
        ..Options::default()
    })
}

#[tokio::test]
async fn a_refused_record_becomes_a_dead_letter() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker_that_denies("my/inbox", &directory.path().join("acl"));
    let mut watcher = Watcher::connect(broker.address()).await;
    let bad = reply("my/inbox", r#"{"ok":true}"#);
    let mqtt = settings(broker.address());
    let dead_letter = is_reported_and_holds_up_nobody(mqtt, &memory_store(), bad, &mut watcher).await;
    assert_eq!(dead_letter["error"]["kind"], "rejected");
    assert!(
        dead_letter["error"]["message"]
            .as_str()
            .unwrap()
            .contains("not authorized"),
        "{dead_letter}"
    );
    assert_eq!(dead_letter["origin"]["topic"], "my/inbox");
    assert_eq!(dead_letter["origin"]["payload"], r#"{"ok":true}"#);
}

#[tokio::test]
async fn a_record_at_no_topic_becomes_a_dead_letter() {
    let broker = Mosquitto::start();
    for version in VERSIONS {
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let bad = reply("my/#", "x");
        let dead_letter = is_reported_and_holds_up_nobody(mqtt, &memory_store(), bad, &mut watcher).await;
        assert_eq!(dead_letter["error"]["kind"], "rejected");
    }
}

#[tokio::test]
async fn a_record_that_is_too_large_becomes_a_dead_letter() {
    // A broker of MQTT 5 announces its limit; one of 3.1.1 ends the connection, again and again.
    for (version, kind) in [(MqttVersion::V5, "too-large"), (MqttVersion::V311, "rejected")] {
        let broker = Mosquitto::start_with(Options {
            lines: vec!["max_packet_size 2000".to_owned()],
            ..Options::default()
        });
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let bad = reply("my/inbox", "x".repeat(3_000));
        let dead_letter = is_reported_and_holds_up_nobody(mqtt, &memory_store(), bad, &mut watcher).await;
        assert_eq!(dead_letter["error"]["kind"], kind);
        assert_eq!(dead_letter["origin"]["payload_length"], 3_000);
    }
}

#[tokio::test]
async fn a_refused_dead_letter_makes_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker_that_denies("lantime/dead-letter/#", &directory.path().join("acl"));
    let mut watcher = Watcher::connect(broker.address()).await;
    let store = memory_store();
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &["m1"], &store).await;
    let dead_letter = dead_letter("m1");
    bridge
        .update(Update::DeadLetter(Box::new(dead_letter.clone())))
        .await;
    store.append(numbered(0..1)).await;
    until_count(&mut watcher, 1).await;
    until_sent(&mut bridge).await;
    bridge.stop().await;
    assert!(store.dead_letter(dead_letter.id).await.unwrap().is_some());
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
    assert_eq!(dead_letters_of_the_bridge(&watcher).len(), 0);
}

#[tokio::test]
async fn a_topic_at_which_a_record_ends_the_connection_costs_no_more_connections() {
    let broker = FakeBroker::start().await;
    let store = memory_store();
    let mut records = numbered(0..2);
    let denied = "my/inbox";
    records.splice(1..1, ["1", "2", "3"].map(|payload| reply(denied, payload)));
    store.append(records).await;
    let bridge = Bridge::start(broker.settings(), "b1", &["m1"], &store).await;
    let (mut ended, mut got) = (0, Vec::new());
    let is_reported = |got: &[String]| got.iter().any(|topic| topic == "lantime/dead-letter/bridge");
    while !is_reported(&got) {
        let mut conversation = broker.accept().await;
        loop {
            let Some((topic, _)) = conversation.take_unless(denied).await else {
                ended += 1;
                break;
            };
            got.push(topic);
            if is_reported(&got) {
                store.append(vec![reply("my/other", "4")]).await;
                let other = conversation.take_unless(denied).await;
                assert_eq!(other.map(|(topic, _)| topic).as_deref(), Some("my/other"));
                bridge
                    .eventually("two wait to be tried again", |status| status.records == 2)
                    .await;
                break;
            }
        }
    }
    assert_eq!(ended, 5);
    assert!(got.iter().filter(|topic| *topic == TOPIC).count() >= 2, "{got:?}");
    bridge.crash().await;
}

#[tokio::test]
async fn a_broker_without_room_is_asked_again_and_gets_the_state_meanwhile() {
    let broker = FakeBroker::start().await;
    let store = memory_store();
    let bridge = Bridge::start(broker.settings(), "b1", &["m1"], &store).await;
    let mut conversation = broker.accept().await;
    for _ in 0..2 {
        conversation.take(|_| PubAckReason::Success).await;
    }
    store.append(numbered(0..1)).await;
    let (topic, first) = conversation.take(|_| PubAckReason::QuotaExceeded).await;
    assert_eq!(topic, TOPIC);
    let refused = Instant::now();
    bridge.send("m1", vec![available(Availability::Online)]).await;
    let (topic, _) = conversation.take(|_| PubAckReason::Success).await;
    assert_eq!(topic, "lantime/m1/state");
    let (_, again) = conversation.take(|_| PubAckReason::Success).await;
    assert_eq!(again, first);
    assert!(
        refused.elapsed() >= Duration::from_secs(3),
        "{:?}",
        refused.elapsed()
    );
    bridge.crash().await;
}
