//! The publisher of a shard: another bridge goes on as the same client, and nobody reads that there was a change.

use std::time::Duration;

use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::entries::{Revision, Token};
use lantime2mqtt::cluster::fence::{Gate, Permit};
use lantime2mqtt::config::Mqtt;
use lantime2mqtt::contract::topics::Topics;
use lantime2mqtt::model::{Position, ShardId};
use lantime2mqtt::mqtt::publisher::{Digest, Role, Setup};
use lantime2mqtt::records::store::Store;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bridge::{Bridge, first_changes, relay_switches};
use crate::support::mosquitto::Mosquitto;
use crate::support::{Seen, Watcher};
use crate::{device, memory_store, settings};

const STATE: &str = "lantime/shard/00/state";

/// A bridge that owns the shard, on a host of its own, and has read back what the watcher has seen.
async fn owner(mqtt: &Mqtt, id: &str, store: &Store, seen: &Seen) -> (Bridge, CancellationToken) {
    let hand_over = CancellationToken::new();
    let gate = Gate::closed();
    gate.set(Some(Permit {
        token: Token(Revision(1)),
        until: BootTime::now() + Duration::from_secs(600),
    }));
    let role = Role::Shard {
        shard: ShardId(0),
        fence: gate.fence(),
        taken_at: tokio::time::Instant::now(),
        left: Vec::new(),
        hand_over: hand_over.clone(),
        replies: None,
    };
    let topics = Topics::new("lantime", device(id)).of_shard(ShardId(0));
    let there = seen
        .topics
        .iter()
        .filter(|(topic, _)| topics.parse(topic).is_some());
    let there = there.map(|(topic, payload)| (topic.clone(), Some(Digest::of(payload.as_bytes()))));
    let remembered = there.collect();
    let change = |setup| Setup {
        role,
        remembered,
        ..setup
    };
    let bridge = Bridge::start_with(mqtt.clone(), id, &["m1"], store, change).await;
    (bridge, hand_over)
}

/// The shard's state and its device's, and that nothing waits.
async fn owned(bridge: &mut Bridge, watcher: &mut Watcher) -> Seen {
    bridge.send("m1", first_changes()).await;
    bridge
        .until("connected", |status| status.link.connected && status.pending == 0)
        .await;
    let is_there = |seen: &Seen| seen.is(STATE, "online") && seen.text("m1/io3/relay/a").contains("\"NO\"");
    watcher.until("an owner", is_there).await
}

/// What was published from there on, up to a relay that falls.
async fn published(bridge: &Bridge, watcher: &mut Watcher, from: usize) -> Vec<(String, String)> {
    bridge
        .send("m1", vec![relay_switches(Position::No, Position::Nc)])
        .await;
    let has_fallen = |seen: &Seen| seen.text("m1/io3/relay/a").contains("\"NC\"");
    let seen = watcher.until("a relay that falls", has_fallen).await;
    seen.log[from..].to_vec()
}

#[tokio::test]
async fn after_a_crash_the_next_owner_publishes_what_has_changed_and_nobody_offline() {
    let broker = Mosquitto::start();
    let mqtt = settings(broker.address());
    let mut watcher = Watcher::connect(broker.address()).await;
    let (store, other_store) = (memory_store(), memory_store());
    let (mut first, _) = owner(&mqtt, "b1", &store, &Seen::default()).await;
    let seen = owned(&mut first, &mut watcher).await;
    first.crash().await;
    let (mut second, _) = owner(&mqtt, "b2", &other_store, &seen).await;
    owned(&mut second, &mut watcher).await;
    let published = published(&second, &mut watcher, seen.log.len()).await;
    let [(topic, _)] = &published[..] else {
        panic!("{published:?}");
    };
    assert_eq!(topic, "lantime/m1/io3/relay/a");
}

#[tokio::test]
async fn a_hand_over_says_nothing_and_the_last_owner_offline() {
    let broker = Mosquitto::start();
    let mqtt = settings(broker.address());
    let mut watcher = Watcher::connect(broker.address()).await;
    let (store, other_store) = (memory_store(), memory_store());
    let (mut first, hand_over) = owner(&mqtt, "b1", &store, &Seen::default()).await;
    let seen = owned(&mut first, &mut watcher).await;
    hand_over.cancel();
    first.stop().await;
    let (mut second, _) = owner(&mqtt, "b2", &other_store, &seen).await;
    owned(&mut second, &mut watcher).await;
    second.stop().await;
    let offline = |seen: &Seen| seen.is(STATE, "offline");
    let end = watcher.until("the end", offline).await;
    let published: Vec<_> = end.log[seen.log.len()..].iter().collect();
    assert_eq!(published, [&(STATE.to_owned(), "offline".to_owned())]);
}

#[tokio::test]
async fn records_of_a_shard_go_out_by_the_bridge_whose_store_has_them() {
    let broker = Mosquitto::start();
    let mqtt = settings(broker.address());
    let store = memory_store();
    let (mut shard, _) = owner(&mqtt, "b1", &store, &Seen::default()).await;
    let own = Mqtt {
        client_id: "b1".to_owned(),
        ..mqtt
    };
    let mut bridge = Bridge::start(own, "b1", &[], &store).await;
    let mut watcher = Watcher::connect(broker.address()).await;
    owned(&mut shard, &mut watcher).await;
    let mut records = Vec::new();
    for (from, to) in [(Position::No, Position::Nc), (Position::Nc, Position::No)] {
        shard.send("m1", vec![relay_switches(from, to)]).await;
        let is_last = |record: &Value| record["new"] == to.as_str();
        let has_come = |seen: &Seen| seen.records("m1/io3/changes").last().is_some_and(is_last);
        let seen = watcher.until("the record", has_come).await;
        records = seen.records("m1/io3/changes");
    }
    assert_eq!(records.len(), 2, "each once: {records:?}");
    bridge.until("all have come", |status| status.records == 0).await;
}
