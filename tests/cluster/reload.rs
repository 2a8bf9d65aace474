//! Devices come and leave while bridges run, and while none does.

use crate::members::{Member, cluster};
use crate::support::site::Entry;
use crate::support::{Seen, polls};

#[tokio::test]
async fn devices_that_come_and_leave_are_those_of_all_shards() {
    let mut cluster = cluster(2, 3, |site| site.with("cluster.shards", 4)).await;
    let entries: Vec<_> = cluster
        .fleet
        .devices()
        .iter()
        .map(|device| Entry::of(device))
        .collect();
    for member in &mut cluster.members {
        member.site.set_devices(&entries[..2]);
        member.start();
    }
    let has = |devices: [bool; 3]| {
        move |seen: &Seen| {
            let is_there = |number: usize| seen.is_online(&format!("sim-{number}"));
            [1, 2, 3].map(is_there) == devices
        }
    };
    cluster
        .watcher
        .until("two devices", has([true, true, false]))
        .await;
    for member in &mut cluster.members {
        member.site.set_devices(&entries[1..]);
        member.signal("HUP");
    }
    cluster
        .watcher
        .until("two others", has([false, true, true]))
        .await;
    let is_cleared = |seen: &Seen| {
        !seen
            .topics
            .keys()
            .any(|topic| topic.starts_with("lantime/sim-1/"))
    };
    cluster
        .watcher
        .until("nothing of the one that left", is_cleared)
        .await;
}

#[tokio::test]
async fn devices_that_belong_to_other_shards_now_keep_their_topics() {
    let mut cluster = cluster(1, 3, |site| site).await.started().await;
    cluster.members[0].stop("TERM").await;
    let from = cluster.watcher.now().log.len();
    let Member {
        site,
        etcd: _etcd,
        broker: _broker,
        ..
    } = cluster.members.remove(0);
    let site = site.with("cluster.name", "another").with("cluster.shards", 8);
    let bridge = site.start();
    site.ready().await;
    for device in cluster.fleet.devices() {
        polls(device, 20).await;
    }
    let seen = cluster.watcher.now();
    let is_cleared =
        |(topic, payload): &&(String, String)| topic.starts_with("lantime/sim-") && payload.is_empty();
    assert_eq!(seen.log[from..].iter().find(is_cleared), None);
    bridge.stop("TERM").await;
}

#[tokio::test]
async fn the_next_owner_clears_what_has_left_the_configuration_meanwhile() {
    let mut cluster = cluster(2, 2, |site| site).await;
    cluster.members[0].start();
    cluster.all_polled().await;
    cluster.members[0].stop("TERM").await;
    let entry = Entry::of(&cluster.fleet.devices()[0]);
    cluster.members[1].site.set_devices(&[entry]);
    cluster.members[1].start();
    let is_cleared = |seen: &Seen| {
        seen.is_online("sim-1")
            && !seen
                .topics
                .keys()
                .any(|topic| topic.starts_with("lantime/sim-2/"))
    };
    cluster
        .watcher
        .until("the other device has no topics", is_cleared)
        .await;
}
