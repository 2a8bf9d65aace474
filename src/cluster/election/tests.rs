//! Examples of what an election decides. What holds whatever happens is in `tests/properties/cluster.rs`.

mod handing_over;
mod scene;
mod surprises;

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
    scene.later(3.0);
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
