//! What the task does by itself; against a real etcd it is tested in `tests/etcd`.

use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::cluster::devices_digest::DevicesDigest;
use crate::cluster::election::{Run, StopReason};
use crate::cluster::entries::{Change, Owner, Revision, Token};
use crate::cluster::etcd::{Client, Settings};
use crate::tls::ClientTls;

const SHARD: ShardId = ShardId(0);

/// One of a cluster with one shard, whose etcd nobody reaches.
fn coordinator() -> (Coordinator, Handles) {
    let settings = Settings {
        endpoints: vec!["http://127.0.0.1:9".to_owned()],
        tls: ClientTls::default(),
        login: None,
        timeout: Duration::from_secs(30),
        watch_idle: Duration::from_secs(30),
    };
    Coordinator::new(Setup {
        me: BridgeId::new("a").unwrap(),
        cluster: "test".to_owned(),
        shards: 1,
        ttl: Duration::from_secs(5),
        devices: DevicesDigest::default(),
        url: None,
        client: Client::new(&settings).unwrap(),
    })
}

/// Otherwise the task would spin while etcd does not answer.
#[tokio::test]
async fn while_only_requests_are_waited_for_no_timer_is_due() {
    let (mut coordinator, _handles) = coordinator();
    let mut election = Election::new(coordinator.me.clone(), 1, BootTime::default());
    let mut turn = |input, seconds| {
        let now = BootTime::after_boot(Duration::from_secs(seconds));
        assert_eq!(coordinator.turn(&mut election, input, now), None);
        coordinator.wake_at
    };
    turn(Input::Timer, 60);
    turn(Input::GrantFailed, 60);
    assert!(turn(Input::WatchEnded, 60).is_some());
    // Both are requested again, and neither is answered.
    assert_eq!(turn(Input::Timer, 61), None);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a bug")]
async fn a_panic_of_the_task_that_follows_etcd_goes_on() {
    let (mut coordinator, _handles) = coordinator();
    let (_, heard) = mpsc::channel(1);
    let task = AbortOnDropHandle::new(tokio::spawn(async { panic!("a bug") }));
    coordinator.following = Some(Following { heard, task });
    let next = tokio::time::timeout(Duration::from_secs(1), coordinator.next());
    let _ = next.await;
}

/// However late it is looked at: no order is lost, and none replaces the unit's run.
#[tokio::test]
async fn an_order_stands_until_the_next_run() {
    let (mut coordinator, handles) = coordinator();
    let order = || {
        handles
            .orders
            .borrow()
            .get(&SHARD)
            .map(|order| (order.run, order.stop))
    };
    coordinator.begin(Effect::StartUnit(SHARD, Run(1)));
    assert_eq!(order(), Some((Run(1), None)));
    for reason in [StopReason::HandOver, StopReason::Lost] {
        coordinator.begin(Effect::StopUnit(SHARD, reason));
        assert_eq!(order(), Some((Run(1), Some(reason))));
    }
    coordinator.begin(Effect::StartUnit(SHARD, Run(2)));
    assert_eq!(order(), Some((Run(2), None)));
}

/// Otherwise each renewal would hide that no shard can be claimed.
#[tokio::test]
async fn an_error_stands_until_the_same_activity_succeeds() {
    let (mut coordinator, handles) = coordinator();
    let error = coordinator
        .registry
        .revoke(LeaseId(1), Duration::from_secs(1))
        .await
        .unwrap_err();
    let (lease, ttl, sent) = (LeaseId(1), Duration::from_secs(5), BootTime::default());
    for (input, is_failed, stands) in [
        (Input::Claimed(SHARD, Claimed::Unknown), true, true),
        (Input::Renewed { lease, ttl, sent }, false, true),
        (
            Input::Claimed(SHARD, Claimed::Won(Token(Revision(7)))),
            false,
            false,
        ),
    ] {
        let failure = is_failed.then(|| error.clone().into());
        coordinator.requests.spawn(async { (input, failure) });
        coordinator.next().await;
        let errors = handles.status.borrow().errors.clone();
        assert_eq!(errors.contains_key(&Activity::Shards), stands);
    }
}

/// It may have been won, and nothing more is claimed then.
#[tokio::test]
async fn an_error_of_a_claim_ends_when_each_shard_has_an_owner() {
    let (coordinator, handles) = coordinator();
    let mut election = Election::new(coordinator.me.clone(), 1, BootTime::default());
    let error = coordinator
        .registry
        .revoke(LeaseId(1), Duration::from_secs(1))
        .await
        .unwrap_err();
    coordinator.note(Activity::Shards, Some(error));
    coordinator.show(&election);
    assert!(!handles.status.borrow().errors.is_empty());
    let owner = Owner {
        bridge: BridgeId::new("b").unwrap(),
        lease: LeaseId(2),
        token: Token(Revision(7)),
    };
    let change = Change::Shard(SHARD, Some(owner));
    election.on(Input::Changed(Revision(7), vec![change]), BootTime::default());
    coordinator.show(&election);
    assert!(handles.status.borrow().errors.is_empty());
}
