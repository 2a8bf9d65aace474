//! Examples of what an election decides. What holds whatever happens is in `tests/properties/cluster.rs`.

mod scene;

use scene::{A, B, SHARD, Scene, WORKING, at, id, owner, permit, token};

use super::{Claimed, Effect, Input, MemberWritten, Run, StopReason};
use crate::cluster::entries::{Change, Intent, LeaseId, Member, MemberState, Revision, ShardId};

const DRAINED: MemberState = MemberState {
    intent: Intent::Drain,
    ..WORKING
};
const CUT_OFF: MemberState = MemberState {
    reaches_broker: false,
    ..WORKING
};

#[test]
fn a_bridge_begins_with_a_lease_and_all_there_is_to_read() {
    let mut scene = Scene::new(1);
    assert_eq!(
        scene.give(Input::Timer),
        [Effect::GrantLease, Effect::ReadSnapshot]
    );
}

#[test]
fn without_etcd_nothing_is_owned_and_both_are_tried_again() {
    let mut scene = Scene::new(1);
    scene.give(Input::Timer);
    for _ in 0..10 {
        assert_eq!(scene.give(Input::GrantFailed), []);
        assert_eq!(scene.give(Input::WatchEnded), []);
        scene.later(0.5);
        assert_eq!(
            scene.give(Input::Timer),
            [Effect::GrantLease, Effect::ReadSnapshot]
        );
    }
}

#[test]
fn an_entry_is_written_before_anything_is_claimed() {
    let mut scene = Scene::new(1);
    scene.give(Input::Timer);
    scene.give(Input::Snapshot(scene.snapshot(5, &[], &[])));
    scene.later(9.0);
    let write = Effect::WriteMember {
        lease: A,
        state: WORKING,
    };
    assert_eq!(scene.grant(), [write]);
    assert_eq!(scene.give(Input::MemberWritten(MemberWritten::Written)), []);
    let shown = Input::Changed(Revision(6), vec![scene.member("a", A, WORKING)]);
    assert_eq!(scene.give(shown), [scene.claim()]);
}

/// It is that of the process before, until its lease ends; or another process has the same id, and goes on.
#[test]
fn an_entry_with_another_lease_is_waited_for() {
    let mut scene = Scene::new(1);
    scene.give(Input::Timer);
    scene.give(Input::Snapshot(scene.snapshot(
        5,
        &[("a", LeaseId(9), WORKING)],
        &[],
    )));
    scene.grant();
    for _ in 0..3 {
        assert_eq!(scene.give(Input::MemberWritten(MemberWritten::Refused)), []);
        scene.later(0.5);
        let write = Effect::WriteMember {
            lease: A,
            state: WORKING,
        };
        assert_eq!(scene.give(Input::Timer), [write]);
    }
}

#[test]
fn who_starts_leaves_time_to_those_that_start_as_well() {
    let mut scene = Scene::joined(1);
    assert_eq!(scene.give(Input::Timer), []);
    scene.later(1.9);
    assert_eq!(scene.give(Input::Timer), [Effect::RenewLease(A)]);
    scene.later(0.1);
    assert_eq!(scene.give(Input::Timer), [scene.claim()]);
}

#[test]
fn what_is_won_is_run_until_the_deadline_of_the_lease() {
    let mut scene = Scene::joined(1);
    scene.later(2.0);
    scene.give(Input::Timer);
    let won = Input::Claimed(SHARD, Claimed::Won(token(11)));
    assert_eq!(
        scene.give(won),
        [permit(11, 4.0), Effect::StartUnit(SHARD, Run(1))]
    );
}

#[test]
fn the_deadline_counts_from_when_the_renewal_was_sent() {
    let mut scene = Scene::owning();
    scene.later(1.5);
    assert_eq!(scene.renew(1.5), [permit(10, 5.5)]);
    // What was sent before, and is answered after, shortens nothing.
    assert_eq!(scene.renew(1.0), []);
}

#[test]
fn a_claim_without_an_answer_is_taken_over_if_it_was_won() {
    let mut scene = Scene::joined(1);
    scene.later(2.0);
    scene.give(Input::Timer);
    assert_eq!(scene.give(Input::Claimed(SHARD, Claimed::Unknown)), []);
    let won = owner("a", A, 11);
    let found = Input::Changed(Revision(11), vec![Change::Shard(SHARD, Some(won))]);
    assert_eq!(
        scene.give(found),
        [permit(11, 4.0), Effect::StartUnit(SHARD, Run(1))]
    );
}

#[test]
fn a_claim_that_is_made_twice_is_won_once() {
    let mut scene = Scene::joined(1);
    scene.later(2.0);
    scene.give(Input::Timer);
    scene.give(Input::Claimed(SHARD, Claimed::Unknown));
    scene.later(0.5);
    assert_eq!(scene.give(Input::Timer), [scene.claim()]);
    let revision = Revision(12);
    let owner = Some(owner("a", A, 11));
    let lost = Input::Claimed(SHARD, Claimed::Lost { revision, owner });
    assert_eq!(
        scene.give(lost),
        [permit(11, 4.0), Effect::StartUnit(SHARD, Run(1))]
    );
}

#[test]
fn a_claim_that_is_lost_leaves_the_shard_to_its_owner() {
    let mut scene = Scene::joined(1);
    scene.later(2.0);
    scene.give(Input::Timer);
    let revision = Revision(12);
    let owner = Some(owner("b", B, 11));
    scene.give(Input::Claimed(SHARD, Claimed::Lost { revision, owner }));
    scene.later(100.0);
    assert_eq!(scene.renew(101.0), []);
}

/// The answer to a claim comes by another way than what the watch reports.
#[test]
fn what_the_watch_reports_of_the_time_before_a_claim_does_not_count() {
    let mut scene = Scene::owning();
    let before = Change::Shard(SHARD, Some(owner("b", B, 8)));
    assert_eq!(scene.give(Input::Changed(Revision(8), vec![before])), []);
    let removed = Change::Shard(SHARD, None);
    assert_eq!(scene.give(Input::Changed(Revision(9), vec![removed])), []);
}

#[test]
fn what_was_released_is_not_taken_for_own_again() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    scene.drain();
    scene.give(Input::UnitStopped(SHARD, Run(1)));
    scene.give(Input::Released(SHARD, Some(Revision(20))));
    let own = Change::Shard(SHARD, Some(owner("a", A, 10)));
    assert_eq!(scene.give(Input::Changed(Revision(10), vec![own])), []);
}

#[test]
fn without_quorum_the_unit_goes_on_and_writes_again_when_the_lease_has_lived() {
    let mut scene = Scene::owning();
    scene.give(Input::WatchEnded);
    scene.later(60.0);
    let tried = scene.give(Input::Timer);
    assert_eq!(tried, [Effect::RenewLease(A), Effect::ReadSnapshot]);
    scene.give(Input::RenewalFailed);
    scene.give(Input::WatchEnded);
    scene.later(1.0);
    scene.give(Input::Timer);
    assert_eq!(scene.renew(63.0), [permit(10, 67.0)]);
}

#[test]
fn a_lease_that_was_lost_takes_the_permit_with_it() {
    let mut scene = Scene::owning();
    let effects = scene.give(Input::LeaseLost(A));
    assert_eq!(effects, [Effect::GrantLease, Effect::Permit(SHARD, None)]);
}

#[test]
fn what_nobody_owns_after_a_lost_lease_is_claimed_again_and_runs_on() {
    let mut scene = Scene::owning();
    scene.lose_lease(&[]);
    let won = Input::Claimed(SHARD, Claimed::Won(token(31)));
    assert_eq!(scene.give(won), [permit(31, 4.0)]);
}

#[test]
fn what_another_bridge_owns_after_a_lost_lease_is_stopped_at_once() {
    let mut scene = Scene::owning();
    scene.lose_lease(&[(SHARD, owner("b", B, 25))]);
    assert_eq!(scene.stopped(), Some(StopReason::Lost));
    assert_eq!(scene.give(Input::UnitStopped(SHARD, Run(1))), []);
}

#[test]
fn an_own_key_under_a_lease_that_was_lost_is_left_to_expire() {
    let mut scene = Scene::owning();
    scene.lose_lease(&[(SHARD, owner("a", A, 10))]);
    assert_eq!(scene.stopped(), None);
    let removed = Change::Shard(SHARD, None);
    let effects = scene.give(Input::Changed(Revision(31), vec![removed]));
    let lease = LeaseId(3);
    assert_eq!(effects, [Effect::Claim { shard: SHARD, lease }]);
}

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
fn a_bridge_without_its_broker_hands_over_after_fifteen_seconds() {
    let mut scene = Scene::owning();
    scene.share_with(WORKING);
    scene.give(Input::Broker(false));
    scene.later(9.0);
    assert_eq!(scene.renew(9.0), [permit(10, 13.0)]);
    scene.later(1.0);
    let state = CUT_OFF;
    assert_eq!(
        scene.give(Input::Timer),
        [Effect::WriteMember { lease: A, state }]
    );
    scene.give(Input::MemberWritten(MemberWritten::Written));
    scene.show("a", A, CUT_OFF);
    scene.later(4.9);
    scene.renew(14.9);
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

#[test]
fn a_unit_that_ends_by_itself_is_started_again() {
    let mut scene = Scene::owning();
    let effects = scene.give(Input::UnitStopped(SHARD, Run(1)));
    assert_eq!(effects, [Effect::StartUnit(SHARD, Run(2))]);
}

/// Each stop may be answered, also if one follows the other.
#[test]
fn a_late_report_of_an_earlier_run_changes_nothing() {
    let mut scene = Scene::owning();
    scene.give(Input::UnitStopped(SHARD, Run(1)));
    assert_eq!(scene.give(Input::UnitStopped(SHARD, Run(1))), []);
    scene.give(Input::WatchEnded);
    scene.later(4.0);
    scene.give(Input::Disconnected(SHARD, Run(1)));
    assert_eq!(scene.stopped(), None);
}

#[test]
fn an_entry_that_an_earlier_request_has_replaced_is_written_again() {
    let mut scene = Scene::owning();
    scene.later(1.0);
    let write = Effect::WriteMember {
        lease: A,
        state: WORKING,
    };
    assert_eq!(scene.show("a", A, DRAINED), [write]);
}

#[test]
fn an_entry_that_was_removed_is_written_again_before_the_next_claim() {
    let mut scene = Scene::joined(1);
    scene.later(2.0);
    scene.give(Input::Timer);
    let revision = Revision(11);
    let owner = None;
    scene.give(Input::Claimed(SHARD, Claimed::Lost { revision, owner }));
    scene.later(0.5);
    let write = Effect::WriteMember {
        lease: A,
        state: WORKING,
    };
    assert_eq!(scene.give(Input::Timer), [write]);
    scene.give(Input::MemberWritten(MemberWritten::Written));
    assert_eq!(scene.give(Input::Timer), []);
}

/// Revisions begin again where a backup ends, or with the first one.
#[test]
fn a_snapshot_of_a_restored_etcd_counts() {
    let mut scene = Scene::owning();
    scene.give(Input::WatchEnded);
    scene.later(0.5);
    scene.give(Input::Timer);
    let before = [(SHARD, owner("b", B, 3))];
    let members = [("a", A, WORKING), ("b", B, WORKING)];
    let effects = scene.give(Input::Snapshot(scene.snapshot(4, &members, &before)));
    let lost = Effect::StopUnit(SHARD, StopReason::Lost);
    assert_eq!(effects, [Effect::Permit(SHARD, None), lost]);
    scene.give(Input::UnitStopped(SHARD, Run(1)));
    let own = Change::Shard(SHARD, Some(owner("a", A, 5)));
    let effects = scene.give(Input::Changed(Revision(5), vec![own]));
    assert_eq!(effects, [permit(5, 4.0), Effect::StartUnit(SHARD, Run(2))]);
}

#[test]
fn what_is_answered_of_a_history_that_etcd_has_lost_does_not_count() {
    let mut scene = Scene::joined(1);
    scene.later(2.0);
    assert_eq!(scene.give(Input::Timer), [Effect::RenewLease(A), scene.claim()]);
    scene.renew(2.0);
    scene.give(Input::WatchEnded);
    scene.later(0.5);
    scene.give(Input::Timer);
    scene.give(Input::Snapshot(scene.snapshot(4, &[("a", A, WORKING)], &[])));
    assert_eq!(scene.give(Input::Claimed(SHARD, Claimed::Won(token(11)))), []);
    scene.later(2.0);
    assert!(scene.give(Input::Timer).contains(&scene.claim()));
}

/// What another bridge runs may have ended as well, and its claim comes first.
#[test]
fn after_an_outage_a_shard_that_had_no_owner_is_left_to_others_for_two_seconds() {
    let mut scene = Scene::joined(1);
    scene.give(Input::WatchEnded);
    scene.later(3.0);
    scene.renew(3.0);
    scene.give(Input::Timer);
    scene.give(Input::Snapshot(scene.snapshot(10, &[("a", A, WORKING)], &[])));
    scene.later(1.9);
    scene.renew(4.9);
    assert_eq!(scene.give(Input::Timer), []);
    scene.later(0.1);
    assert_eq!(scene.give(Input::Timer), [scene.claim()]);
}

#[test]
fn a_bridge_that_is_expelled_stops_at_once_and_ends() {
    let mut scene = Scene::owning();
    let effects = scene.give(Input::Expelled);
    let lost = Effect::StopUnit(SHARD, StopReason::Lost);
    assert_eq!(effects[..2], [Effect::Permit(SHARD, None), lost]);
    let release = Effect::Release {
        shard: SHARD,
        token: token(10),
    };
    assert_eq!(scene.give(Input::UnitStopped(SHARD, Run(1))), [release]);
    let released = Input::Released(SHARD, Some(Revision(20)));
    assert_eq!(scene.give(released), [Effect::Leave(Some(A))]);
}

#[test]
fn the_deadline_and_the_members_can_be_shown() {
    let scene = Scene::owning();
    assert_eq!(scene.election.deadline(), Some(at(4.0)));
    let members: Vec<_> = scene.election.view().members().collect();
    let member = Member {
        lease: A,
        state: WORKING,
    };
    assert_eq!(members, [(&id("a"), member)]);
}
