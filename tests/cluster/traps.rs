//! Devices send to every bridge: the one that polls a device takes its traps.

use serde_json::Value;

use crate::members::{Cluster, cluster};
use crate::support::net_snmp::free_address;
use crate::support::{Seen, wait};
use crate::tools::{run, succeeds};

/// Somebody has changed the device's configuration: each trap of it is an event.
const CHANGED: &str = "1.3.6.1.4.1.5597.30.3.0.8";

async fn two_bridges() -> Cluster {
    let takes_traps = |site: crate::support::site::Site| {
        site.with("snmp.traps.listen", free_address().to_string())
            .with("snmp.communities", vec!["public".to_owned()])
    };
    cluster(2, 1, takes_traps).await.started().await
}

/// The arguments that send an event to that bridge.
fn to(cluster: &Cluster, member: usize) -> Vec<String> {
    let receiver = cluster.members[member]
        .site
        .address("snmp.traps.listen")
        .to_string();
    let arguments = [
        "-v",
        "2c",
        "-c",
        "public",
        "-r",
        "0",
        "-t",
        "5",
        receiver.as_str(),
        "",
        CHANGED,
    ];
    arguments.map(str::to_owned).to_vec()
}

async fn send(cluster: &Cluster, tool: &str, member: usize) -> bool {
    let arguments = to(cluster, member);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let directory = cluster.members[member].site.directory();
    run(directory, tool, &arguments).await.status.success()
}

fn trap_records(seen: &Seen) -> Vec<Value> {
    let records = seen.records("sim-1/events").into_iter();
    records.filter(|record| record["oid"] == CHANGED).collect()
}

#[tokio::test]
async fn the_bridge_that_polls_the_device_takes_its_traps_and_acknowledges_its_informs() {
    let mut cluster = two_bridges().await;
    let (owner, other) = (cluster.owner(), 1 - cluster.owner());
    assert!(!send(&cluster, "snmpinform", other).await, "not acknowledged");
    assert!(send(&cluster, "snmptrap", other).await);
    assert!(send(&cluster, "snmpinform", owner).await, "acknowledged");
    let seen = cluster
        .watcher
        .until("a record", |seen| !trap_records(seen).is_empty())
        .await;
    assert_eq!(trap_records(&seen).len(), 1, "the other one records none");
    // Nor is its sender unknown there.
    let incidents = cluster.members[other].site.socket();
    let answer = crate::support::http::get_at(&incidents, "/api/incidents")
        .await
        .unwrap();
    assert_eq!(answer.json(), serde_json::json!([]));
}

#[tokio::test]
async fn who_takes_over_takes_the_traps_that_came_just_before() {
    let mut cluster = two_bridges().await;
    let (owner, other) = (cluster.owner(), 1 - cluster.owner());
    cluster.members[owner].stop("KILL").await;
    let arguments = to(&cluster, other);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    succeeds(cluster.members[other].site.directory(), "snmptrap", &arguments).await;
    cluster.taken_over_from(owner).await;
    let seen = cluster
        .watcher
        .until("a record", |seen| !trap_records(seen).is_empty())
        .await;
    assert_eq!(trap_records(&seen).len(), 1);
    wait::until("it takes informs now", async || {
        send(&cluster, "snmpinform", other).await
    })
    .await;
}
