//! etcd or the broker is not reached, by one bridge or by all.

use lantime2mqtt::simulator::{Action, Clock};

use crate::members::{Cluster, cluster, of_shards, polled_by};
use crate::support::{Seen, polls, wait};

/// A relay falls, and its topic shows that. Or it is there again.
async fn moves(cluster: &mut Cluster, action: Action, position: &str) -> Seen {
    cluster.fleet.devices()[0].apply(&action).unwrap();
    let has_moved = |seen: &Seen| seen.json("sim-1/io3/relay/a")["position"] == position;
    cluster.watcher.until("the relay has moved", has_moved).await
}

#[tokio::test]
async fn a_bridge_that_loses_the_broker_alone_hands_its_devices_over_for_good() {
    let mut cluster = cluster(2, 1, |site| site).await.started().await;
    let owner = cluster.owner();
    cluster.members[owner].broker.refuse(true);
    let seen = cluster.taken_over_from(owner).await;
    assert_eq!(of_shards(&seen, 0).last().unwrap().1, "online");
    let from = seen.log.len();
    cluster.members[owner].broker.refuse(false);
    let other = cluster.members[1 - owner].id.clone();
    let is_back = |seen: &Seen| seen.text(&format!("bridge/{}/state", ["b1", "b2"][owner])) == "online";
    cluster.watcher.until("its own connection is back", is_back).await;
    let seen = moves(&mut cluster, Action::LoseSync(Clock::Clk1), "NC").await;
    assert_eq!(polled_by(&seen, "sim-1"), other);
    assert_eq!(of_shards(&seen, from), Vec::new(), "nobody has thrown it out");
}

#[tokio::test]
async fn without_etcd_the_owner_publishes_on_and_nothing_moves() {
    let mut cluster = cluster(2, 1, |site| site).await.started().await;
    let (owner, from) = (cluster.owner(), cluster.watcher.now().log.len());
    cluster.etcd.kill(0);
    // Longer than any lease.
    let device = cluster.fleet.devices()[0].clone();
    polls(&device, 60).await;
    moves(&mut cluster, Action::LoseSync(Clock::Clk1), "NC").await;
    cluster.etcd.restart(0);
    moves(&mut cluster, Action::RegainSync(Clock::Clk1), "NO").await;
    polls(&device, 60).await;
    let seen = cluster.watcher.now();
    assert_eq!(polled_by(&seen, "sim-1"), cluster.members[owner].id);
    assert_eq!(of_shards(&seen, from), Vec::new());
}

#[tokio::test]
async fn a_bridge_that_is_cut_off_from_etcd_is_replaced_and_does_not_come_back_by_itself() {
    let mut cluster = cluster(2, 1, |site| site).await.started().await;
    let (owner, from) = (cluster.owner(), cluster.watcher.now().log.len());
    cluster.members[owner].etcd.hold(true);
    let seen = cluster.taken_over_from(owner).await;
    assert_eq!(of_shards(&seen, from), Vec::new());
    cluster.members[owner].etcd.hold(false);
    let seen = moves(&mut cluster, Action::LoseSync(Clock::Clk1), "NC").await;
    assert_eq!(polled_by(&seen, "sim-1"), cluster.members[1 - owner].id);
    assert_eq!(of_shards(&seen, from), Vec::new());
}

#[tokio::test]
async fn a_bridge_that_starts_without_etcd_polls_nothing_until_it_is_there() {
    let mut cluster = cluster(1, 1, |site| site).await;
    cluster.etcd.kill(0);
    let member = &mut cluster.members[0];
    member.start();
    let device = cluster.fleet.devices()[0].clone();
    let is_up = |seen: &Seen| seen.text("bridge/b1/state") == "online";
    cluster.watcher.until("the bridge is there", is_up).await;
    assert_eq!(device.counters().documents, 0);
    cluster.etcd.restart(0);
    wait::until("it polls", async || device.counters().documents > 0).await;
}
