//! A bridge stands still for longer than its lease lives, in the middle of a command. What it then asks etcd for is refused. If it
//! stands still between the permission to write and the write, nothing can prevent that, and somebody must say so.

use std::time::Duration;

use lantime2mqtt::cluster::etcd::Keys;
use lantime2mqtt::simulator::Fault;

use crate::history::client;
use crate::members::Member;
use crate::operator::Scene;
use crate::support::wait;

/// What switches the relays of a device at first.
const AT_FIRST: [&str; 4] = [
    "antenna-faulty",
    "ntp-not-sync",
    "refclock-1-not-sync",
    "refclock-2-not-sync",
];
/// Who owns the one shard.
const OWNER: &str = "/lantime2mqtt/test/election/shards/00";

/// The first bridge has stopped at that point of the first command, and another one runs, if there is one.
async fn stopped(at: &str, mut scene: Scene) -> Scene {
    let first = &mut scene.cluster.members[0];
    let bridge = first.site.start_with(&[], &[("LANTIME2MQTT_STOP_AT", at)]);
    let pid = bridge.pid();
    first.bridge = Some(bridge);
    scene.cluster.all_polled().await;
    scene.cluster.members[1..].iter_mut().for_each(Member::start);
    scene.replace(0, 0, ["network-link-down"].into()).await;
    wait::until("it stands still", async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.contains("State:\tT")
    })
    .await;
    scene
}

async fn bridges(count: usize) -> Scene {
    Scene::of(count, 1, |site| site).await
}

#[tokio::test]
async fn what_is_to_be_kept_with_a_lease_that_has_ended_is_not_kept() {
    let mut scene = stopped("keeping", bridges(1).await).await;
    let client = client(&scene.cluster.etcd);
    wait::until("nobody owns the shard", async || {
        let owner = client.range(&Keys::one(OWNER), None).await.unwrap();
        owner.entries.is_empty()
    })
    .await;
    scene.cluster.members[0].signal("CONT");
    scene.all_answered().await;
    scene.assert_all_is_well().await;
}

#[tokio::test]
async fn a_permission_that_was_asked_for_before_a_take_over_is_not_given_after_it() {
    let mut scene = stopped("checking", bridges(2).await).await;
    scene.all_answered().await;
    scene.cluster.members[0].signal("CONT");
    scene.cluster.members[0].stop("TERM").await;
    scene.assert_all_is_well().await;
}

#[tokio::test]
async fn a_write_that_comes_too_late_is_refused_by_a_device_that_has_revisions() {
    let mut scene = stopped("checked", bridges(2).await).await;
    scene.all_answered().await;
    scene.replace(0, 0, ["ntp-stopped"].into()).await;
    scene.all_answered().await;
    scene.cluster.members[0].signal("CONT");
    // It has noticed, stops as any other does, and has said nothing of the command.
    scene.cluster.members[0].stop("TERM").await;
    scene.assert_all_is_well().await;
    let by_first = scene.device(0).change_requests().into_iter();
    assert_eq!(
        by_first
            .filter(|request| request.host.starts_with("127.0.1.1:"))
            .count(),
        0
    );
}

#[tokio::test]
async fn a_write_over_snmp_that_comes_too_late_is_a_conflict_for_who_writes_at_that_time() {
    let mut scene = stopped("checked", bridges(2).await.over_snmp()).await;
    let before = scene.device(0).counters().snmp_executes;
    scene.all_answered().await;
    assert!(scene.device(0).counters().snmp_executes > before);
    // The other one has everything as it was before, and has that applied just when the first one goes on.
    let by = Duration::from_secs(3600);
    scene.device(0).set_fault(Some(Fault::LateApply { by }));
    scene.replace(0, 0, AT_FIRST.into()).await;
    let executes = before + 2;
    wait::until("the next is being applied", async || {
        scene.device(0).counters().snmp_executes == executes
    })
    .await;
    // The device looks at what is to be set, and does so once it has answered the other one.
    let looks = scene.device(0).counters().snmp_gets;
    scene.cluster.members[0].signal("CONT");
    wait::until("a write that nobody permits", async || {
        scene.device(0).counters().snmp_gets > looks
    })
    .await;
    scene.device(0).set_fault(None);
    scene.all_answered().await;
    let replies = scene.replies();
    assert_eq!(replies["command-0"][0]["ok"], true, "{replies:#?}");
    for reply in &replies["command-1"] {
        assert_eq!(reply["error"]["kind"], "conflict", "{reply}");
    }
}
