//! What an operator sees of a cluster, and draining: by the command line, which asks the API.

use serde_json::Value;

use crate::members::{Cluster, cluster, of_shards, polled_by};
use crate::support::http::get_at;
use crate::support::{polls, wait};

fn intent_of(shown: &Value, member: &str) -> Value {
    let members = shown["members"].as_array().into_iter().flatten();
    let mut members = members.filter(|shown| shown["id"] == member);
    members.next().expect("it is a member")["intent"].clone()
}

async fn two() -> Cluster {
    let cluster = cluster(2, 3, |site| site.with("cluster.shards", 2)).await;
    let mut cluster = cluster.started().await;
    for member in &cluster.members {
        member
            .shows("both members", |shown| {
                shown["members"].as_array().map(Vec::len) == Some(2)
            })
            .await;
    }
    cluster.all_polled().await;
    cluster
}

#[tokio::test]
async fn a_bridge_that_is_drained_owns_nothing_when_the_command_ends_and_until_that_is_undone() {
    let cluster = two().await;
    let (owner, from) = (cluster.owner(), cluster.watcher.now().log.len());
    let (drained, other) = (&cluster.members[owner], &cluster.members[1 - owner]);
    let refreshed = drained.post("/api/devices/sim-1/refresh", "{}").await;
    assert_eq!(refreshed.status, 200, "{refreshed}");
    let carried_out = "lantime2mqtt_commands_carried_out_total 1";
    assert!(drained.text("/metrics").await.contains(carried_out));
    let said = drained.cluster(&["drain"], 0).await;
    assert!(
        said.contains("waiting until another bridge owns shard 0"),
        "{said}"
    );
    let shown = drained.json("/api/cluster").await;
    for shard in 0..2 {
        assert_eq!(shown["shards"][shard]["owner"], *other.id, "{shown}");
        assert_eq!(shown["shards"][shard]["own"], false);
    }
    let devices = |shard: usize| shown["shards"][shard]["devices"].as_u64().unwrap();
    assert_eq!(devices(0) + devices(1), 3);
    assert_eq!(intent_of(&shown, &drained.id), "drain");
    assert_eq!(intent_of(&shown, &other.id), "stay");
    other
        .shows("it owns all", |shown| {
            (0..2).all(|shard| shown["shards"][shard]["own"] == true)
        })
        .await;
    // Shards come and leave; what was counted of them stays.
    let metrics = drained.text("/metrics").await;
    assert!(metrics.contains(carried_out), "{metrics}");
    assert!(
        metrics.contains("lantime2mqtt_shard_owned{shard=\"00\"} 0"),
        "{metrics}"
    );
    assert!(!metrics.contains("connection=\"shard-00\""), "{metrics}");
    let ready = get_at(&drained.site.socket(), "/readyz").await.unwrap();
    assert_eq!(ready.status, 200, "it stands by: {ready}");
    let status = drained.cluster(&["status"], 0).await;
    let line = format!("00     {}", other.id);
    assert!(status.contains(&line) && status.contains("drain"), "{status}");
    let json = drained.cluster(&["status", "--format", "json"], 0).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["shards"], shown["shards"]);
    drained.cluster(&["drain", "--undo"], 0).await;
    let shown = drained.json("/api/cluster").await;
    assert_eq!(intent_of(&shown, &drained.id), "stay");
    assert_eq!(of_shards(&cluster.watcher.now(), from), Vec::new());
}

#[tokio::test]
async fn a_bridge_that_is_alone_stays_the_owner_and_the_command_says_so() {
    let cluster = cluster(1, 1, |site| site).await.started().await;
    let bridge = &cluster.members[0];
    let said = bridge.cluster(&["drain"], 1).await;
    assert!(said.contains("no other bridge can take over"), "{said}");
    let device = cluster.fleet.devices()[0].clone();
    polls(&device, 5).await;
    bridge.cluster(&["status"], 0).await;
    let shown = bridge.json("/api/cluster").await;
    assert_eq!(shown["shards"][0]["own"], true);
    let seen = cluster.watcher.now();
    assert_eq!(polled_by(&seen, "sim-1"), "b1");
}

#[tokio::test]
async fn while_etcd_does_not_answer_the_status_says_so_and_is_a_failure() {
    let mut cluster = cluster(1, 1, |site| site).await.started().await;
    let before = cluster.members[0].json("/api/cluster").await;
    assert_eq!(before["etcd"]["connected"], true, "{before}");
    assert!(before.get("problems").is_none(), "{before}");
    cluster.etcd.kill(0);
    let bridge = &cluster.members[0];
    let is_lost = |shown: &Value| shown["etcd"]["connected"] == false;
    let shown = bridge.shows("etcd is not reached", is_lost).await;
    assert_eq!(shown["problems"][0]["subject"], "etcd");
    assert_ne!(shown["etcd"]["since"], before["etcd"]["since"]);
    assert_eq!(shown["shards"][0]["owner"], "b1", "as it was heard last");
    let status = bridge.cluster(&["status"], 1).await;
    assert!(
        status.contains("NOT CONNECTED") && status.contains("problem: etcd"),
        "{status}"
    );
    cluster.etcd.restart(0);
    let bridge = &cluster.members[0];
    let is_back = |shown: &Value| shown["etcd"]["connected"] == true;
    let shown = bridge.shows("etcd is reached again", is_back).await;
    assert!(shown.get("problems").is_none(), "{shown}");
}

#[tokio::test]
async fn before_etcd_has_answered_no_owner_is_known_and_the_bridge_is_not_ready() {
    let mut cluster = cluster(1, 1, |site| site).await;
    cluster.etcd.kill(0);
    let bridge = &mut cluster.members[0];
    bridge.start();
    wait::until("it answers", async || {
        get_at(&bridge.site.socket(), "/api/cluster").await.is_some()
    })
    .await;
    let status = bridge.cluster(&["status"], 1).await;
    assert!(status.contains("not known"), "{status}");
    let ready = async || get_at(&bridge.site.socket(), "/readyz").await.unwrap();
    assert_eq!(ready().await.status, 503);
    assert_eq!(bridge.json("/healthz").await["cluster"], "disconnected");
    cluster.etcd.restart(0);
    wait::until("it is ready", async || ready().await.status == 200).await;
    assert_eq!(bridge.json("/readyz").await["cluster"], "ok");
    wait::until("it polls and takes commands", async || {
        let health = bridge.json("/healthz").await;
        health["cluster"] == "connected" && health["commands"] == "taken"
    })
    .await;
}
