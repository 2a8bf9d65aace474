//! What one bridge of a cluster decides: given what has happened, what is to be done. Pure: no future, no channel, no clock.
//!
//! Facts come in as inputs; after each one, all that is known is compared with all that is wanted, and what is missing becomes
//! effects. So an answer that comes late, twice (from the watch and from a transaction) or never only changes when
//! something is done. What each shard is done for is in `slot`.

mod input;
mod lease;
mod membership;
mod reading;
mod slot;
#[cfg(test)]
mod tests;
mod timing;
mod turn;
mod view;

pub use input::{Claimed, Effect, Input, MemberWritten, Run, StopReason};
pub use timing::renewal_timeout;
pub use view::View;

use self::lease::Lease;
use self::membership::{Membership, Shown};
use self::reading::Reading;
use self::slot::{Key, Situation, Slot};
use self::timing::{CLAIM_STEP, NEWCOMER, SETTLING, UNSUITED};
use self::turn::Turn;
use super::assignment::{Plan, next_move};
use super::entries::{BridgeId, Intent, Owner, Revision, ShardId};
use crate::boot_time::BootTime;

/// All that one bridge knows of its cluster.
#[derive(Debug)]
pub struct Election {
    me: BridgeId,
    lease: Lease,
    reading: Reading,
    view: View,
    plan: Plan,
    membership: Membership,
    slots: Vec<Slot>,
    /// Since when another member has been more suitable than this one.
    unsuited_since: Option<BootTime>,
    /// The shard that is handed over for equal shares.
    moving: Option<ShardId>,
    has_left: bool,
}

impl Election {
    /// The bridge `me`, which has just started, in a cluster of so many shards. Its first input is a [`Input::Timer`].
    pub fn new(me: BridgeId, shards: u16, now: BootTime) -> Election {
        Election {
            me,
            lease: Lease::default(),
            reading: Reading::default(),
            view: View::new(shards, now),
            plan: Plan::default(),
            membership: Membership::new(now),
            slots: ShardId::all(shards).map(Slot::new).collect(),
            unsuited_since: None,
            moving: None,
            has_left: false,
        }
    }

    /// What is known of the cluster. It may be old while etcd is not reached.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether [`view`](Election::view) is what etcd has, as far as the watch has come.
    pub fn is_current(&self) -> bool {
        self.reading.is_fresh()
    }

    /// Something has happened; gives what is to be done, in that order.
    pub fn on(&mut self, input: Input, now: BootTime) -> Vec<Effect> {
        if self.has_left {
            return Vec::new();
        }
        let mut turn = Turn::new(now);
        self.take(input, &mut turn);
        self.lease.advance(&mut turn);
        if self.reading.advance(&mut turn) {
            self.view.requested();
        }
        self.membership
            .advance(self.lease.valid(now), self.shown(), &mut turn);
        self.balance(&mut turn);
        self.advance_slots(&mut turn);
        self.leave(&mut turn);
        turn.into_effects()
    }

    /// Notes what is new.
    fn take(&mut self, input: Input, turn: &mut Turn) {
        let now = turn.now;
        match input {
            Input::Granted { lease, ttl, sent } => self.lease.granted(lease, ttl, sent),
            Input::Renewed { lease, ttl, sent } => self.lease.renewed(lease, ttl, sent),
            Input::GrantFailed | Input::RenewalFailed => self.lease.failed(now),
            Input::LeaseLost(lease) => self.lease.lost(lease),
            Input::Snapshot(snapshot) => {
                self.reading.read();
                if self.view.read(snapshot, now) {
                    self.slots.iter_mut().for_each(Slot::forget_request);
                }
            }
            Input::Changed(revision, changes) => {
                for change in changes {
                    self.view.change(revision, change, now);
                }
            }
            Input::WatchEnded => self.reading.ended(now),
            Input::MemberWritten(written) => self.membership.ended(written, now),
            Input::Outdated => self.membership.outdated(),
            Input::Claimed(shard, claimed) => self.claimed(shard, claimed, now),
            Input::Released(shard, revision) => self.released(shard, revision, now),
            Input::Broker(is_reached) => self.membership.broker(is_reached, now),
            Input::Disconnected(shard, run) => self.disconnected(shard, run, turn),
            Input::UnitStopped(shard, run) => {
                if let Some(slot) = self.slot(shard) {
                    slot.unit_stopped(run);
                }
            }
            Input::Drain(is_drained) => self.membership.drain(is_drained),
            Input::Stop => self.membership.leave(),
            Input::Expelled => {
                self.membership.leave();
                for slot in &mut self.slots {
                    slot.lose(turn);
                }
            }
            Input::Timer => {}
        }
    }

    fn slot(&mut self, shard: ShardId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(shard.0))
    }

    fn claimed(&mut self, shard: ShardId, claimed: Claimed, now: BootTime) {
        let Some(lease) = self.slot(shard).and_then(|slot| slot.claimed(&claimed, now)) else {
            return;
        };
        match claimed {
            Claimed::Won(token) => {
                let bridge = self.me.clone();
                let owner = Owner { bridge, lease, token };
                self.view.set_owner(shard, token.0, Some(owner), now);
            }
            Claimed::Lost { revision, owner } => {
                // Then it was the entry of this bridge that did not fit.
                if owner.is_none() {
                    self.membership.is_missing(now);
                }
                self.view.set_owner(shard, revision, owner, now);
            }
            Claimed::Unknown => {}
        }
    }

    fn released(&mut self, shard: ShardId, revision: Option<Revision>, now: BootTime) {
        let slot = self.slot(shard);
        let counts = slot.is_some_and(|slot| slot.released(revision.is_some(), now));
        let is_own = matches!(self.key(shard), Key::Own(_));
        if let Some(revision) = revision.filter(|_| counts && is_own) {
            self.view.set_owner(shard, revision, None, now);
        }
    }

    /// With a valid lease the shard is this bridge's: whoever took its id is wrong, and the connection comes back. Without
    /// one, another bridge may own the shard.
    fn disconnected(&mut self, shard: ShardId, run: Run, turn: &mut Turn) {
        if self.lease.valid(turn.now).is_some() {
            return;
        }
        let slot = self.slot(shard).filter(|slot| slot.run() == run);
        if slot.is_some_and(|slot| slot.lose(turn)) {
            self.reading.begin_again();
        }
    }

    /// Whose the key of a shard is.
    fn key(&self, shard: ShardId) -> Key {
        match self.view.owner(shard) {
            None => Key::Absent,
            Some(owner) if owner.bridge != self.me => Key::Foreign,
            Some(owner) if Some(owner.lease) == self.lease.id() => Key::Own(owner.token),
            Some(_) => Key::Expiring,
        }
    }

    /// The entry of this bridge, as all see it.
    fn shown(&self) -> Shown {
        match self.reading.is_fresh() {
            true => Shown::Entry(self.view.member(&self.me)),
            false => Shown::Unknown,
        }
    }

    /// Whether all bridges see this one as it is.
    fn is_member(&self) -> bool {
        matches!(self.shown(), Shown::Entry(Some(entry)) if self.membership.is_shown_by(entry))
    }

    /// Selects a shard to hand over, if this bridge has more than its share, and nothing else moves.
    fn balance(&mut self, turn: &mut Turn) {
        self.moving = self
            .moving
            .filter(|shard| matches!(self.key(*shard), Key::Own(_)));
        let is_quiet = self.moving.is_none() && self.slots.iter().all(Slot::is_quiet);
        let may_move = is_quiet && self.is_member() && self.lease.valid(turn.now).is_some();
        if !may_move || !turn.is_due(self.view.moved_at() + SETTLING) {
            return;
        }
        let members = self.view.members_since();
        let settled = members.filter(|(_, since)| turn.is_due(*since + NEWCOMER));
        let settled = settled.map(|(bridge, _)| bridge).collect();
        let found = next_move(&self.view.eligible(), &settled, &self.view.owners());
        let own = found
            .filter(|found| found.from == &self.me)
            .map(|found| found.shard);
        self.moving = own.filter(|shard| matches!(self.key(*shard), Key::Own(_)));
    }

    fn advance_slots(&mut self, turn: &mut Turn) {
        let is_unsuited = self.is_unsuited(turn);
        if self.reading.is_fresh() {
            self.plan.update(&self.view.eligible(), &self.view.owners());
        }
        let mut slots = std::mem::take(&mut self.slots);
        for slot in &mut slots {
            let shard = slot.shard();
            let situation = Situation {
                key: self.key(shard),
                is_fresh: self.reading.is_fresh(),
                lease: self.lease.valid(turn.now),
                deadline: self.lease.deadline(),
                is_to_hand_over: is_unsuited || self.moving == Some(shard),
                is_leaving: self.membership.intent() == Intent::Leave,
                claim_at: self.claim_at(slot, turn.now),
            };
            slot.advance(&situation, turn);
        }
        self.slots = slots;
    }

    /// Whether this bridge has to hand over all its shards.
    fn is_unsuited(&mut self, turn: &mut Turn) -> bool {
        let intent = self.membership.intent();
        if intent == Intent::Leave {
            return true;
        }
        if !self.is_member() || self.view.eligible().contains(&self.me) {
            self.unsuited_since = None;
            return false;
        }
        let since = *self.unsuited_since.get_or_insert(turn.now);
        intent == Intent::Drain || turn.is_due(since + UNSUITED)
    }

    fn may_claim(&self, now: BootTime) -> bool {
        let lease = self.lease.valid(now);
        lease.is_some() && self.membership.lease() == lease && self.membership.intent() != Intent::Leave
    }

    /// From when on this bridge is to claim a shard.
    fn claim_at(&self, slot: &Slot, now: BootTime) -> Option<BootTime> {
        if !self.may_claim(now) {
            return None;
        }
        // Its state is published all the time: nobody is nearer to it.
        if slot.is_running() {
            return Some(now);
        }
        let before = self
            .plan
            .position(slot.shard(), &self.me)
            .filter(|_| self.is_member())?;
        let step = CLAIM_STEP * u32::try_from(before).unwrap_or(u32::MAX);
        Some(self.view.claims_from(slot.shard())? + step)
    }

    /// Ends, once it is to and all units have stopped.
    fn leave(&mut self, turn: &mut Turn) {
        let is_leaving = self.membership.intent() == Intent::Leave;
        if is_leaving && self.slots.iter().all(Slot::is_left) {
            self.has_left = true;
            turn.push(Effect::Leave(self.lease.id()));
        }
    }
}
