//! What is shown of shards that come and go.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::super::{Cluster, StoreStatus};
use super::*;
use crate::cluster::coordinator::Status;
use crate::cluster::devices_digest::DevicesDigest;
use crate::command::{CommandStore, Dispatcher};
use crate::contract::state::BridgeInfo;
use crate::contract::topics::Topics;
use crate::model::DeviceId;
use crate::records::store::{Options, Store};

const OWN: ShardId = ShardId(0);

fn id() -> DeviceId {
    DeviceId::new("b1").unwrap()
}

/// Each of its connections has come about so many times, and so many commands were carried out.
async fn unit(store: &Store, connections: u64, carried_out: u64) -> Unit {
    let link = LinkStatus {
        connected: true,
        since: Timestamp::now(),
        last_error: None,
        connections,
    };
    let broker = BrokerStatus {
        link: link.clone(),
        topics: 0,
        pending: 0,
        records: 0,
        restored: 1,
    };
    let commands = CommandsStatus {
        link: link.clone(),
        subscribed: true,
        kept_for: None,
        sessions_lost: 0,
        refused: Vec::new(),
        waiting: 0,
        failing: None,
    };
    let sparkplug = EdgeNodeStatus {
        link,
        born: true,
        old_hosts: 0,
    };
    let counts = Counts {
        carried_out,
        ..Counts::default()
    };
    let routes = watch::channel(Arc::default()).1;
    let (store, topics) = (CommandStore::Local(store.clone()), Topics::new("lantime", id()));
    let (_, inbox) = Dispatcher::new(store, topics, id(), routes, None).await.unwrap();
    Unit {
        broker: watch::channel(broker).1,
        commands: watch::channel(commands).1,
        sparkplug: Some(watch::channel(sparkplug).1),
        command_counts: watch::channel(counts).1,
        kept: Some(watch::channel(StoreStatus::default()).1),
        inbox,
    }
}

async fn shown(store: &Store, units: &watch::Sender<Units>) -> Shown {
    Shown {
        bridge: id(),
        info: BridgeInfo {
            version: "0",
            started_at: Timestamp::now(),
            devices: 0,
            mqtt_version: "5",
            capabilities: Vec::new(),
        },
        fleet: watch::channel(Default::default()).1,
        unit: unit(store, 1, 1).await,
        cluster: Some(Cluster {
            name: "test".to_owned(),
            shards: 1,
            status: watch::channel(Status::new(id(), DevicesDigest::default())).1,
            reports: mpsc::channel(1).0,
            configured: watch::channel(Vec::new()).1,
            devices: watch::channel(BTreeMap::new()).1,
            units: units.subscribe(),
            history: None,
        }),
        traps: None,
        store: store.clone(),
    }
}

/// All counters: the connections by their names and in sum, commands, and restored messages.
fn counters(shown: &Shown) -> (Vec<u64>, [u64; 5]) {
    let by_name: BTreeMap<_, _> = shown.connections().into_iter().collect();
    let names = ["shard-00", "shard-00-commands", "shard-00-sparkplug"];
    let sums = [
        shown.broker().link.connections,
        shown.commands().link.connections,
        shown.sparkplug().unwrap().link.connections,
        shown.command_counts().carried_out,
        shown.broker().restored,
    ];
    (names.map(|name| by_name[name]).to_vec(), sums)
}

#[tokio::test]
async fn counters_do_not_fall_when_a_shard_goes_and_go_on_when_it_comes_back() {
    let (store, units) = (
        Store::in_memory(Options::new(id())),
        watch::Sender::<Units>::default(),
    );
    let shown = shown(&store, &units).await;
    let first = unit(&store, 3, 5).await;
    units.send_modify(|units| units.begin(OWN, first));
    let before = (vec![3, 3, 3], [4, 4, 4, 6, 2]);
    assert_eq!(counters(&shown), before);
    assert_eq!(shown.links().len(), 6);
    units.send_modify(|units| units.end(OWN));
    assert_eq!(counters(&shown), before);
    assert_eq!(shown.links().len(), 3, "connected is only what is there");
    let second = unit(&store, 1, 0).await;
    units.send_modify(|units| units.begin(OWN, second));
    assert_eq!(counters(&shown), (vec![4, 4, 4], [5, 5, 5, 6, 3]));
}
