//! A bridge stands still between the permission to write and the write, until another one has written: nothing can prevent that
//! it writes then, and somebody must say so.

use std::time::Duration;

use lantime2mqtt::simulator::Fault;

use crate::operator::Scene;
use crate::support::site::Site;
use crate::support::wait;

/// What switches the relays of a device at first.
const AT_FIRST: [&str; 4] = [
    "antenna-faulty",
    "ntp-not-sync",
    "refclock-1-not-sync",
    "refclock-2-not-sync",
];
const STOP_AT: (&str, &str) = ("LANTIME2MQTT_STOP_AT", "checked");

/// The first of two bridges has stopped right before a write for the first command.
async fn stopped(change: impl Fn(Scene) -> Scene) -> Scene {
    let mut scene = change(Scene::of(2, 1, |site: Site| site).await);
    let first = &mut scene.cluster.members[0];
    first.bridge = Some(first.site.start_with(&[], &[STOP_AT]));
    let pid = first.bridge.as_ref().expect("it runs").pid();
    scene.cluster.all_polled().await;
    scene.cluster.members[1].start();
    scene.replace(0, 0, ["network-link-down"].into()).await;
    wait::until("it stands still", async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.contains("State:\tT")
    })
    .await;
    scene
}

#[tokio::test]
async fn a_write_that_comes_too_late_is_refused_by_a_device_that_has_revisions() {
    let mut scene = stopped(|scene| scene).await;
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
    let mut scene = stopped(Scene::over_snmp).await;
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
