//! A command that failed is in the archive of the bridge that was to carry it out, and any bridge runs it again that works for
//! its device.

use lantime2mqtt::simulator::Fault;

use crate::members::cluster;
use crate::support::Seen;

#[tokio::test]
async fn a_command_that_failed_at_one_bridge_is_run_again_by_the_next_owner_alone() {
    let mut cluster = cluster(2, 1, |site| site).await.started().await;
    let (owner, other) = (cluster.owner(), 1 - cluster.owner());
    let device = cluster.fleet.devices()[0].clone();
    device.set_fault(Some(Fault::ServerError));
    let is_offline = |seen: &Seen| seen.text("sim-1/state") == "offline";
    cluster.watcher.until("it is offline", is_offline).await;
    let refresh = "/api/devices/sim-1/refresh";
    let failed = cluster.members[owner]
        .post(refresh, r#"{"fail_fast":true}"#)
        .await;
    let dead_letter = failed.json()["dead_letter"].as_str().expect("an id").to_owned();
    device.set_fault(None);
    let is_online = |seen: &Seen| seen.is_online("sim-1");
    cluster.watcher.until("it answers again", is_online).await;

    let archived = format!("/api/dead-letters/{dead_letter}");
    let shown = cluster.members[owner].json(&archived).await;
    assert_eq!(shown["origin"]["topic"], "lantime/sim-1/refresh");
    assert_eq!(
        cluster.members[owner].json("/api/dead-letters").await[0]["id"],
        *dead_letter
    );
    let replay = format!("{archived}/replay");
    let refused = cluster.members[other].post(&replay, "{}").await;
    assert_eq!(refused.status, 404, "{refused}");
    let whose = format!("bridge {} works for that shard", cluster.members[owner].id);
    assert!(refused.body.contains(&whose), "{refused}");

    cluster.members[owner].cluster(&["drain"], 0).await;
    cluster.taken_over_from(owner).await;
    let carried_out = cluster.members[other].post(&replay, "{}").await;
    assert_eq!(carried_out.status, 200, "{carried_out}");
    let result = &carried_out.json()["result"];
    assert_eq!(result["topic"], "lantime/sim-1/refresh");
    let unknown = replay.replace(&dead_letter[..8], "00000000");
    let refused = cluster.members[other].post(&unknown, "{}").await;
    assert_eq!(refused.kind(), "not-found", "{refused}");
    let dead_letters = cluster.watcher.now();
    let published = dead_letters
        .log
        .iter()
        .filter(|(_, text)| text.contains(&dead_letter) && text.contains("\"origin\""));
    assert_eq!(published.count(), 1, "it is published once");
}
