//! etcd is away for longer than a lease lives, or a minute: commands wait at the broker, and each is carried out once.

use std::time::Duration;

use tokio::time::Instant;

use crate::operator::Scene;
use crate::support::polls;

/// Commands come while etcd is away, some of them just when it goes.
async fn each_is_carried_out_once(for_so_long: Duration, go: impl Fn(&mut Scene, bool)) {
    let mut scene = Scene::of(2, 1, |site| site).await.started().await;
    let owner = scene.cluster.owner();
    scene.select(0, 0).await;
    scene.select(0, 1).await;
    go(&mut scene, true);
    let since = Instant::now();
    for relay in [0, 1, 0] {
        scene.select(0, relay).await;
    }
    while since.elapsed() < for_so_long {
        polls(scene.device(0), 10).await;
    }
    assert!(scene.replies().len() <= 2, "it does not know of them");
    go(&mut scene, false);
    scene.all_answered().await;
    scene.assert_all_is_well().await;
    assert_eq!(scene.device(0).counters().configuration_writes, 5);
    assert!(scene.replies().values().all(|replies| replies.len() == 1));
    assert_eq!(scene.cluster.owner(), owner);
}

fn kill(scene: &mut Scene, is_away: bool) {
    match is_away {
        true => scene.cluster.etcd.kill(0),
        false => scene.cluster.etcd.restart(0),
    }
}

fn hold(scene: &mut Scene, is_away: bool) {
    for member in &scene.cluster.members {
        member.etcd.hold(is_away);
    }
}

#[tokio::test]
async fn commands_that_come_while_etcd_does_not_run_are_carried_out_once_it_does() {
    each_is_carried_out_once(Duration::from_secs(5), kill).await;
}

#[tokio::test]
async fn commands_whose_transactions_arrive_late_are_carried_out_once() {
    each_is_carried_out_once(Duration::from_secs(5), hold).await;
}

#[cfg(feature = "stress")]
#[tokio::test]
async fn the_same_after_a_minute() {
    let minute = Duration::from_secs(60);
    tokio::join!(
        each_is_carried_out_once(minute, kill),
        each_is_carried_out_once(minute, hold)
    );
}
