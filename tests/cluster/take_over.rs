//! An owner ends in this way or that: another bridge goes on where it was.

use lantime2mqtt::simulator::{Action, Clock};

use crate::members::{Member, cluster, of_devices, of_shards, polled_by};
use crate::support::site::Site;
use crate::support::{PATIENCE, Seen, polls, wait};

fn nothing() -> Vec<(String, String)> {
    Vec::new()
}

#[tokio::test]
async fn who_reads_topics_notices_nothing_of_a_bridge_that_is_killed() {
    let all_there_is = |site: Site| {
        site.with("mqtt.layout", "both")
            .with("homeassistant.enabled", true)
    };
    let mut cluster = cluster(2, 2, all_there_is).await.started().await;
    let is_discovered = |seen: &Seen| {
        let mut entities = seen.topics.iter();
        let is_of_shard = |payload: &str| payload.contains("lantime/shard/00/state");
        entities.any(|(topic, payload)| topic.contains("/lantime_device_sim-2") && is_of_shard(payload))
    };
    cluster.watcher.until("its entities", is_discovered).await;
    let device = cluster.fleet.devices()[1].clone();
    polls(&device, 20).await;
    for _ in 0..2 {
        let (owner, from) = (cluster.owner(), cluster.watcher.now().log.len());
        cluster.members[owner].stop("KILL").await;
        let seen = cluster.taken_over_from(owner).await;
        assert_eq!(of_devices(&seen, from), nothing());
        assert_eq!(of_shards(&seen, from), nothing());
        cluster.members[owner].start();
    }
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_published_by_the_next_one() {
    let mut cluster = cluster(2, 1, |site| site).await.started().await;
    let (owner, before) = (cluster.owner(), cluster.watcher.now());
    cluster.members[owner].stop("KILL").await;
    let device = &cluster.fleet.devices()[0];
    device.apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    let has_fallen = |seen: &Seen| seen.json("sim-1/io3/relay/a")["position"] == "NC";
    let seen = cluster.watcher.until("the relay has fallen", has_fallen).await;
    let since = |seen: &Seen| seen.json("sim-1/io3/relay/a")["since"].clone();
    assert_ne!(since(&seen), since(&before));
    let has_record = |seen: &Seen| {
        let mut records = seen.records("sim-1/io3/changes").into_iter();
        records.any(|record| record["relay"] == "a" && record["new"] == "NC" && record["takeover"] == true)
    };
    let seen = cluster.watcher.until("the record of it", has_record).await;
    let other = seen.json("sim-1/io3/relay/b")["since"].clone();
    assert_eq!(other, before.json("sim-1/io3/relay/b")["since"]);
}

#[tokio::test]
async fn a_bridge_that_stops_hands_over_and_the_last_one_says_offline() {
    let mut cluster = cluster(2, 2, |site| site.with("cluster.shards", 2))
        .await
        .started()
        .await;
    let (owner, from) = (cluster.owner(), cluster.watcher.now().log.len());
    cluster.members[owner].stop("TERM").await;
    let seen = cluster.taken_over_from(owner).await;
    assert_eq!(of_devices(&seen, from), nothing());
    assert_eq!(of_shards(&seen, from), nothing());
    cluster.members[1 - owner].stop("TERM").await;
    let is_over = |seen: &Seen| {
        let shards = ["00", "01"];
        shards
            .iter()
            .all(|shard| seen.text(&format!("shard/{shard}/state")) == "offline")
    };
    cluster
        .watcher
        .until("nobody works for the shards", is_over)
        .await;
}

#[tokio::test]
async fn bridges_that_all_end_at_once_leave_nothing_online() {
    let mut cluster = cluster(2, 1, |site| site).await.started().await;
    for member in &cluster.members {
        member.signal("TERM");
    }
    for member in &mut cluster.members {
        member.bridge.take().unwrap().end(PATIENCE).await;
    }
    let is_offline = |seen: &Seen| seen.text("shard/00/state") == "offline";
    // The will waits for half a minute.
    let patience = 2 * PATIENCE;
    cluster
        .watcher
        .until_within(patience, "nobody works for the shard", is_offline)
        .await;
}

#[tokio::test]
async fn a_bridge_that_was_frozen_finds_another_one_in_its_place_and_does_not_return() {
    let mut cluster = cluster(2, 2, |site| site).await.started().await;
    let (owner, from) = (cluster.owner(), cluster.watcher.now().log.len());
    cluster.members[owner].signal("STOP");
    cluster.taken_over_from(owner).await;
    cluster.members[owner].signal("CONT");
    // It stops as well as any other member.
    let other = 1 - owner;
    cluster.members[owner].stop("TERM").await;
    let device = &cluster.fleet.devices()[0];
    device.apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    let has_fallen = |seen: &Seen| seen.json("sim-1/io3/relay/a")["position"] == "NC";
    let seen = cluster.watcher.until("the relay has fallen", has_fallen).await;
    assert_eq!(polled_by(&seen, "sim-1"), cluster.members[other].id);
    assert_eq!(of_shards(&seen, from), nothing());
}

/// What hosts publish and read there is no text: of who watches only etcd is asked.
#[tokio::test]
async fn the_next_one_counts_sessions_of_the_edge_node_on() {
    let mut cluster = cluster(2, 1, |site| site.with("sparkplug.enabled", true)).await;
    cluster.members.iter_mut().for_each(Member::start);
    for session in ["0", "1", "2"] {
        let get = |key: &str| {
            let key = format!("/lantime2mqtt/test/{key}/00");
            cluster.etcd.control(&["get", "--print-value-only", &key])
        };
        wait::until("the number of the session is kept", async || {
            get("bdseq").trim() == session
        })
        .await;
        let owner = get("election/shards");
        let is_owner = |member: &&mut Member| owner.contains(&format!("\"{}\"", member.id));
        let owner = cluster.members.iter_mut().find(is_owner).unwrap();
        owner.stop("KILL").await;
        owner.start();
    }
}
