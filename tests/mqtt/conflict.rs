//! Connections with one client id: of two bridges, as a cloned machine or container has it, and of one, where the broker
//! makes it so.

use lantime2mqtt::config::{Credentials, Mqtt, MqttVersion};
use lantime2mqtt::model::{IncidentKey, IncidentKind};
use tokio::time::timeout;

use crate::bridge::Bridge;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::{PATIENCE, Watcher};
use crate::taker::Taker;
use crate::{memory_store, settings};

#[tokio::test]
async fn two_bridges_with_one_id_report_it_and_make_few_connections() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let broker = Mosquitto::start();
        let mut watcher = Watcher::connect(broker.address()).await;
        let mqtt = Mqtt {
            version,
            ..settings(broker.address())
        };
        let stores = [memory_store(), memory_store()];
        let one = Bridge::start(mqtt.clone(), "b1", &["m1"], &stores[0]).await;
        let other = Bridge::start(mqtt, "b1", &["m1"], &stores[1]).await;
        let topic = "lantime/dead-letter/bridge";
        // Six connections with pauses that grow, of two who kick each other.
        let seen = watcher
            .until_within(4 * PATIENCE, "a dead letter", |seen| seen.last(topic).is_some())
            .await;
        let dead_letter: serde_json::Value = serde_json::from_str(seen.last(topic).unwrap()).unwrap();
        let error = &dead_letter["error"];
        assert!(
            error["message"].as_str().unwrap().contains("same client id"),
            "{dead_letter}"
        );
        let remedy = error["remedy"].as_str().unwrap();
        for named in ["bridge.id", "mqtt.client_id", "use_username_as_clientid"] {
            assert!(remedy.contains(named), "{dead_letter}");
        }
        // It was found before there were many.
        let connections: u64 = [&one, &other]
            .map(|bridge| bridge.status.borrow().link.connections)
            .iter()
            .sum();
        assert!(connections <= 20, "{version:?}: {connections}");
        one.crash().await;
        other.crash().await;
        for store in stores {
            let dead_letters = store.dead_letters(10).await.unwrap();
            assert!(dead_letters.len() <= 1, "once: {dead_letters:?}");
        }
    }
}

#[tokio::test]
async fn one_bridge_whose_user_name_is_its_client_id_reports_it() {
    let broker = Mosquitto::start_with(Options {
        lines: vec!["use_username_as_clientid true".to_owned()],
        ..Options::default()
    });
    let mqtt = Mqtt {
        credentials: Some(Credentials {
            username: "bridge".to_owned(),
            password: None,
        }),
        ..settings(broker.address())
    };
    let store = memory_store();
    let mut records = store.newest_record();
    let bridge = Bridge::start(mqtt.clone(), "b1", &["m1"], &store).await;
    let taker = Taker::begin(mqtt, &["m1"]);
    timeout(PATIENCE, records.wait_for(|newest| *newest > 0))
        .await
        .expect("it is found")
        .unwrap();
    let dead_letters = store.dead_letters(10).await.unwrap();
    assert!(
        dead_letters[0].remedy.contains("use_username_as_clientid"),
        "{dead_letters:?}"
    );
    let open = store.incidents().borrow().clone();
    assert!(
        open.contains_key(&IncidentKey::new(IncidentKind::Connection)),
        "{open:?}"
    );
    bridge.crash().await;
    taker.crash().await;
}
