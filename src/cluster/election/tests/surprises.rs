//! What comes late, is no longer there, or was never expected.

use super::*;

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
fn an_outdated_entry_is_written_again_and_counts_meanwhile() {
    let mut scene = Scene::joined(1);
    let write = Effect::WriteMember {
        lease: A,
        state: WORKING,
    };
    assert_eq!(
        scene.give(Input::Outdated).as_slice(),
        std::slice::from_ref(&write)
    );
    // The first request may have been made before that.
    assert_eq!(scene.give(Input::Outdated), []);
    scene.later(2.0);
    assert!(scene.give(Input::Timer).contains(&scene.claim()));
    assert_eq!(scene.give(Input::MemberWritten(MemberWritten::Written)), [write]);
    assert_eq!(scene.give(Input::MemberWritten(MemberWritten::Written)), []);
    scene.later(1.0);
    assert_eq!(scene.show("a", A, WORKING), []);
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
fn the_members_can_be_shown_with_the_deadline_of_the_lease() {
    let scene = Scene::owning();
    assert_eq!(scene.election.lease.deadline(), Some(at(4.0)));
    let members: Vec<_> = scene.election.view().members().collect();
    let member = Member {
        lease: A,
        state: WORKING,
    };
    assert_eq!(members, [(&id("a"), member)]);
}
