//! Who gives a shard up, and who takes it.

use super::*;

#[test]
fn a_connection_that_is_lost_without_a_valid_lease_stops_the_unit() {
    let mut scene = Scene::owning();
    scene.later(4.0);
    let effects = scene.give(Input::Disconnected(SHARD, Run(1)));
    let expected = [
        Effect::Permit(SHARD, None),
        Effect::StopUnit(SHARD, StopReason::Lost),
        Effect::RenewLease(A),
        Effect::ReadSnapshot,
    ];
    assert_eq!(effects, expected);
    // The lease lives; but first it is read whose the shard is.
    scene.give(Input::UnitStopped(SHARD, Run(1)));
    assert_eq!(scene.renew(4.0), []);
    let own = (SHARD, owner("a", A, 10));
    let read = Input::Snapshot(scene.snapshot(12, &[("a", A, WORKING)], &[own]));
    assert_eq!(
        scene.give(read),
        [permit(10, 8.0), Effect::StartUnit(SHARD, Run(2))]
    );
}

#[test]
fn a_connection_that_is_lost_with_a_valid_lease_comes_back() {
    let mut scene = Scene::owning();
    assert_eq!(scene.give(Input::Disconnected(SHARD, Run(1))), []);
}

#[test]
fn a_bridge_without_its_broker_hands_over_after_nine_seconds() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    scene.give(Input::Broker(false));
    scene.later(3.0);
    assert_eq!(scene.renew(3.0), [permit(10, 7.0)]);
    scene.later(1.0);
    let state = CUT_OFF;
    assert_eq!(
        scene.give(Input::Timer),
        [Effect::WriteMember { lease: A, state }]
    );
    scene.give(Input::MemberWritten(MemberWritten::Written));
    scene.show("a", A, CUT_OFF);
    scene.later(4.9);
    scene.renew(8.9);
    assert_eq!(scene.stopped(), None);
    scene.later(0.1);
    let stop = Effect::StopUnit(SHARD, StopReason::HandOver);
    assert_eq!(scene.give(Input::Timer), [stop]);
}

#[test]
fn a_bridge_without_its_broker_stays_if_no_other_has_one() {
    let mut scene = Scene::owning();
    scene.share_with(CUT_OFF);
    scene.give(Input::Broker(false));
    scene.later(10.0);
    scene.give(Input::Timer);
    scene.give(Input::MemberWritten(MemberWritten::Written));
    scene.show("a", A, CUT_OFF);
    scene.later(100.0);
    scene.renew(110.0);
    assert_eq!(scene.stopped(), None);
}

#[test]
fn a_drained_bridge_stops_its_unit_before_it_releases_the_shard() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    assert_eq!(scene.drain(), [Effect::StopUnit(SHARD, StopReason::HandOver)]);
    // A command in progress may end: the permit stands.
    assert_eq!(scene.renew(1.0), [permit(10, 5.0)]);
    let release = Effect::Release {
        shard: SHARD,
        token: token(10),
    };
    let stopped = scene.give(Input::UnitStopped(SHARD, Run(1)));
    assert_eq!(stopped, [Effect::Permit(SHARD, None), release.clone()]);
    assert_eq!(scene.give(Input::Released(SHARD, None)), []);
    scene.later(0.5);
    assert_eq!(scene.give(Input::Timer), [release]);
    assert_eq!(scene.give(Input::Released(SHARD, Some(Revision(20)))), []);
}

/// The first request may come to etcd at any time.
#[test]
fn a_key_whose_release_was_requested_is_not_used_again() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    scene.drain();
    scene.give(Input::UnitStopped(SHARD, Run(1)));
    let release = Effect::Release {
        shard: SHARD,
        token: token(10),
    };
    scene.give(Input::Drain(false));
    scene.give(Input::MemberWritten(MemberWritten::Written));
    scene.show("a", A, WORKING);
    assert_eq!(scene.give(Input::Released(SHARD, None)), []);
    scene.later(0.5);
    assert_eq!(scene.give(Input::Timer), [release]);
}

#[test]
fn a_hand_over_that_is_no_longer_wanted_starts_the_unit_again() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    scene.drain();
    scene.give(Input::Drain(false));
    let started = scene.give(Input::UnitStopped(SHARD, Run(1)));
    assert_eq!(started, [Effect::StartUnit(SHARD, Run(2))]);
}

#[test]
fn a_drained_bridge_stays_if_there_is_no_other() {
    let mut scene = Scene::owning();
    assert_eq!(scene.drain(), []);
    assert_eq!(scene.stopped(), None);
}

#[test]
fn a_hand_over_becomes_a_loss_if_another_owns_the_shard() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    scene.drain();
    let lost = Change::Shard(SHARD, Some(owner("b", B, 25)));
    scene.give(Input::Changed(Revision(25), vec![lost]));
    assert_eq!(scene.stopped(), Some(StopReason::Lost));
    assert_eq!(scene.give(Input::UnitStopped(SHARD, Run(1))), []);
}

#[test]
fn a_bridge_that_ends_stops_its_unit_then_releases_then_revokes() {
    let mut scene = Scene::owning();
    let state = MemberState {
        intent: Intent::Leave,
        ..WORKING
    };
    let expected = [
        Effect::WriteMember { lease: A, state },
        Effect::StopUnit(SHARD, StopReason::HandOver),
    ];
    assert_eq!(scene.give(Input::Stop), expected);
    scene.give(Input::MemberWritten(MemberWritten::Written));
    let release = Effect::Release {
        shard: SHARD,
        token: token(10),
    };
    let stopped = scene.give(Input::UnitStopped(SHARD, Run(1)));
    assert_eq!(stopped, [Effect::Permit(SHARD, None), release]);
    let released = Input::Released(SHARD, Some(Revision(20)));
    assert_eq!(scene.give(released), [Effect::Leave(Some(A))]);
    assert_eq!(scene.give(Input::Timer), []);
}

/// Otherwise it could go on for ever with several shards: there would always be one whose release is in flight.
#[test]
fn a_bridge_that_ends_tries_each_release_once() {
    let mut scene = Scene::new(2);
    let shards = [SHARD, ShardId(1)];
    scene.join(&[("a", A)], &shards.map(|shard| (shard, owner("a", A, 10))));
    scene.give(Input::Stop);
    for shard in shards {
        scene.give(Input::UnitStopped(shard, Run(1)));
    }
    assert_eq!(scene.give(Input::Released(SHARD, None)), []);
    scene.later(0.5);
    assert_eq!(scene.give(Input::Timer), []);
    let last = scene.give(Input::Released(ShardId(1), None));
    assert_eq!(last, [Effect::Leave(Some(A))]);
}

#[test]
fn a_bridge_that_ends_without_etcd_waits_for_its_unit_alone() {
    let mut scene = Scene::owning();
    scene.give(Input::LeaseLost(A));
    scene.give(Input::Stop);
    assert_eq!(scene.stopped(), Some(StopReason::HandOver));
    assert_eq!(
        scene.give(Input::UnitStopped(SHARD, Run(1))),
        [Effect::Leave(None)]
    );
}

#[test]
fn the_next_in_order_claims_at_once_and_others_later() {
    let claimed_after = |me: &str| {
        let mut scene = Scene::of(me, 1);
        scene.join(&[("a", A), ("b", B)], &[(SHARD, owner("c", LeaseId(7), 4))]);
        scene.later(100.0);
        scene.renew(100.0);
        let removed = [Change::Member(id("c"), None), Change::Shard(SHARD, None)];
        let mut effects = scene.give(Input::Changed(Revision(30), removed.to_vec()));
        let is_claim = |effect: &Effect| matches!(effect, Effect::Claim { .. });
        for waited in 0..10 {
            if effects.iter().any(is_claim) {
                return Some(waited);
            }
            scene.later(1.0);
            effects = scene.renew(101.0 + f64::from(waited));
        }
        None
    };
    let mut waited = [claimed_after("a"), claimed_after("b")];
    waited.sort_unstable();
    assert_eq!(waited, [Some(0), Some(3)]);
}

#[test]
fn a_new_member_is_handed_one_shard_after_the_other_after_a_minute() {
    let mut scene = Scene::of("a", 4);
    let all = [0, 1, 2, 3].map(|shard| (ShardId(shard), owner("a", A, 10 + i64::from(shard))));
    scene.join(&[("a", A)], &all);
    scene.later(10.0);
    scene.show("b", B, WORKING);
    scene.later(59.9);
    scene.renew(69.9);
    assert_eq!(scene.stops(), []);
    scene.later(0.1);
    scene.give(Input::Timer);
    let [moved] = scene.stops()[..] else {
        panic!("one shard moves: {:?}", scene.stops());
    };
    scene.give(Input::UnitStopped(moved, Run(1)));
    scene.give(Input::Released(moved, Some(Revision(40))));
    let taken = Change::Shard(moved, Some(owner("b", B, 41)));
    scene.give(Input::Changed(Revision(41), vec![taken]));
    scene.later(9.9);
    scene.renew(79.9);
    assert_eq!(scene.stops().len(), 1);
    scene.later(0.1);
    scene.give(Input::Timer);
    assert_eq!(scene.stops().len(), 2);
}
