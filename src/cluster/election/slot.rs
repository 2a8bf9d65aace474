//! One shard, as this bridge has to do with it: its unit, and the requests for its key.

use super::input::{Claimed, Effect, Run, StopReason};
use super::timing::RETRY;
use super::turn::Turn;
use crate::boot_time::BootTime;
use crate::cluster::entries::{LeaseId, ShardId, Token};
use crate::cluster::fence::Permit;

/// What this bridge does for a shard.
#[derive(Debug)]
pub(super) struct Slot {
    shard: ShardId,
    unit: Unit,
    /// The last start of the unit.
    run: Run,
    request: Option<Request>,
    /// The key whose release was requested. It may be deleted at any time, so nothing is done with it but to release it.
    given_up: Option<Token>,
    retry_at: BootTime,
    /// As it was last given to the unit.
    permit: Option<Permit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Stopped,
    Running,
    Stopping(StopReason),
}

/// A request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Claim(LeaseId),
    Release,
    /// Of a history that etcd has lost: its answer does not count.
    Forgotten,
}

/// What a slot has to know of everything else.
#[derive(Debug)]
pub(super) struct Situation {
    /// As last heard.
    pub(super) key: Key,
    /// Whether a watch follows what was last heard.
    pub(super) is_fresh: bool,
    /// The lease, if it permits to write.
    pub(super) lease: Option<LeaseId>,
    /// Until when it does.
    pub(super) deadline: Option<BootTime>,
    /// Whether another bridge is to have the shard.
    pub(super) is_to_hand_over: bool,
    /// Whether the process is to end.
    pub(super) is_leaving: bool,
    /// From when on this bridge is to claim a shard without an owner.
    pub(super) claim_at: Option<BootTime>,
}

/// Whose the key of the shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// There is none.
    Absent,
    /// This bridge's, under its lease.
    Own(Token),
    /// This bridge's, under a lease that it no longer has: etcd is about to remove it.
    Expiring,
    /// Another bridge's.
    Foreign,
}

impl Slot {
    pub(super) fn new(shard: ShardId) -> Slot {
        Slot {
            shard,
            unit: Unit::Stopped,
            run: Run::default(),
            request: None,
            given_up: None,
            retry_at: BootTime::default(),
            permit: None,
        }
    }

    pub(super) fn shard(&self) -> ShardId {
        self.shard
    }

    pub(super) fn run(&self) -> Run {
        self.run
    }

    pub(super) fn is_running(&self) -> bool {
        self.unit == Unit::Running
    }

    /// Whether the unit may write, as far as its state is concerned: a command in progress ends before a hand-over.
    fn is_working(&self) -> bool {
        matches!(self.unit, Unit::Running | Unit::Stopping(StopReason::HandOver))
    }

    /// Whether nothing of the shard is left on this bridge.
    pub(super) fn is_left(&self) -> bool {
        self.unit == Unit::Stopped && self.request != Some(Request::Release)
    }

    /// Whether it waits for nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.request.is_none() && !matches!(self.unit, Unit::Stopping(_))
    }

    /// The claim has ended; gives the lease under which it was made.
    pub(super) fn claimed(&mut self, claimed: &Claimed, now: BootTime) -> Option<LeaseId> {
        if matches!(claimed, Claimed::Unknown | Claimed::Lost { owner: None, .. }) {
            self.retry_at = now + RETRY;
        }
        match self.request.take() {
            Some(Request::Claim(lease)) => Some(lease),
            _ => None,
        }
    }

    /// The release has ended; gives whether its answer counts.
    pub(super) fn released(&mut self, is_answered: bool, now: BootTime) -> bool {
        if !is_answered {
            self.retry_at = now + RETRY;
        }
        self.request.take() == Some(Request::Release)
    }

    /// What etcd answers to a request in flight may be of a history that it has lost.
    pub(super) fn forget_request(&mut self) {
        self.request = self.request.map(|_| Request::Forgotten);
    }

    pub(super) fn unit_stopped(&mut self, run: Run) {
        if run == self.run {
            self.unit = Unit::Stopped;
        }
    }

    /// The unit stops at once, if it still works. Gives whether it did.
    pub(super) fn lose(&mut self, turn: &mut Turn) -> bool {
        let is_working = self.is_working();
        if is_working {
            let stop = self.stop(StopReason::Lost);
            self.permit(None, turn);
            turn.push(stop);
        }
        is_working
    }

    /// Does what is due; at most one thing, which an input answers.
    pub(super) fn advance(&mut self, situation: &Situation, turn: &mut Turn) {
        let effect = self.next(situation, turn);
        let permit = match (situation.key, situation.deadline) {
            (Key::Own(token), Some(until)) if self.is_working() => Some(Permit { token, until }),
            _ => None,
        };
        self.permit(permit, turn);
        turn.push(effect);
    }

    fn next(&mut self, situation: &Situation, turn: &mut Turn) -> Option<Effect> {
        let is_fresh = situation.is_fresh;
        match (self.unit, situation.key) {
            (Unit::Running | Unit::Stopping(StopReason::HandOver), Key::Foreign) if is_fresh => {
                Some(self.stop(StopReason::Lost))
            }
            (Unit::Running, _) if situation.is_to_hand_over => Some(self.stop(StopReason::HandOver)),
            (Unit::Stopped, Key::Own(token)) if situation.is_to_hand_over || self.given_up == Some(token) => {
                self.release(token, situation.is_leaving, turn)
            }
            (Unit::Stopped, Key::Own(_)) if is_fresh && situation.lease.is_some() => {
                self.unit = Unit::Running;
                self.run.0 += 1;
                Some(Effect::StartUnit(self.shard, self.run))
            }
            (Unit::Stopped | Unit::Running, Key::Absent) if is_fresh => self.claim(situation, turn),
            _ => None,
        }
    }

    fn stop(&mut self, reason: StopReason) -> Effect {
        self.unit = Unit::Stopping(reason);
        Effect::StopUnit(self.shard, reason)
    }

    /// Who leaves tries once: when the lease is revoked, the key is deleted as well.
    fn release(&mut self, token: Token, is_leaving: bool, turn: &mut Turn) -> Option<Effect> {
        let was_tried = is_leaving && self.given_up == Some(token);
        if self.request.is_some() || was_tried || !turn.is_due(self.retry_at) {
            return None;
        }
        self.request = Some(Request::Release);
        self.given_up = Some(token);
        let shard = self.shard;
        Some(Effect::Release { shard, token })
    }

    fn claim(&mut self, situation: &Situation, turn: &mut Turn) -> Option<Effect> {
        let (lease, at) = (situation.lease?, situation.claim_at?);
        if self.request.is_some() || !turn.is_due(at.max(self.retry_at)) {
            return None;
        }
        self.request = Some(Request::Claim(lease));
        let shard = self.shard;
        Some(Effect::Claim { shard, lease })
    }

    fn permit(&mut self, permit: Option<Permit>, turn: &mut Turn) {
        if self.permit != permit {
            self.permit = permit;
            turn.push(Effect::Permit(self.shard, permit));
        }
    }
}
