//! The entry of this bridge among the members: what it has to show, and whether it is written.

use super::input::{Effect, MemberWritten};
use super::timing::{BROKER_LOST, RETRY};
use super::turn::Turn;
use crate::boot_time::BootTime;
use crate::cluster::entries::{Intent, LeaseId, Member, MemberState};

/// The entry of this bridge that the watch shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// There is no watch.
    Unknown,
    /// This one, or none.
    Entry(Option<Member>),
}

/// What this bridge shows to the others.
#[derive(Debug)]
pub(super) struct Membership {
    /// Since when the broker has not been reached.
    broker_lost_at: Option<BootTime>,
    is_drained: bool,
    is_leaving: bool,
    written: Option<Member>,
    /// The entry that a request in flight writes.
    requested: Option<Member>,
    /// Whether the entry is to be written again, though it shows what it has to.
    is_outdated: bool,
    retry_at: BootTime,
    /// By then the watch is to show what was written.
    shown_by: BootTime,
}

impl Membership {
    pub(super) fn new(now: BootTime) -> Membership {
        Membership {
            // As if it had been reached until now: all members of a cluster that starts are then alike.
            broker_lost_at: Some(now),
            is_drained: false,
            is_leaving: false,
            written: None,
            requested: None,
            is_outdated: false,
            retry_at: now,
            shown_by: now,
        }
    }

    pub(super) fn intent(&self) -> Intent {
        match (self.is_leaving, self.is_drained) {
            (true, _) => Intent::Leave,
            (_, true) => Intent::Drain,
            _ => Intent::Stay,
        }
    }

    /// The lease under which the entry is written.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        self.written.map(|member| member.lease)
    }

    /// Whether that is the entry, and it shows what this bridge wants.
    pub(super) fn is_shown_by(&self, member: Member) -> bool {
        self.written == Some(member) && member.state.intent == self.intent()
    }

    pub(super) fn broker(&mut self, is_reached: bool, now: BootTime) {
        match is_reached {
            true => self.broker_lost_at = None,
            false => drop(self.broker_lost_at.get_or_insert(now)),
        }
    }

    pub(super) fn drain(&mut self, is_drained: bool) {
        self.is_drained = is_drained;
    }

    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    pub(super) fn ended(&mut self, written: MemberWritten, now: BootTime) {
        let requested = self.requested.take();
        match written {
            MemberWritten::Written => {
                self.written = requested;
                self.shown_by = now + RETRY;
            }
            MemberWritten::Refused | MemberWritten::Unknown => self.is_missing(now),
        }
    }

    /// The entry is to be written again: it was not written, or a claim was refused that only needed it.
    pub(super) fn is_missing(&mut self, now: BootTime) {
        self.written = None;
        self.retry_at = now + RETRY;
    }

    /// What else it shows is not what it is to show. It counts as written all the same.
    pub(super) fn outdated(&mut self) {
        self.is_outdated = true;
    }

    /// Writes it under that lease, if it is not written, or if the watch shows another one: then the lease of before has
    /// ended, or an earlier request came after a later one. If the watch is only behind, it is written once too often.
    pub(super) fn advance(&mut self, lease: Option<LeaseId>, shown: Shown, turn: &mut Turn) {
        let reaches_broker = self
            .broker_lost_at
            .is_none_or(|lost| !turn.is_due(lost + BROKER_LOST));
        let intent = self.intent();
        let state = MemberState {
            reaches_broker,
            intent,
        };
        let Some(lease) = lease else { return };
        let member = Member { lease, state };
        let is_shown = match shown {
            Shown::Unknown => true,
            Shown::Entry(entry) => entry == self.written || !turn.is_due(self.shown_by),
        };
        let is_written = self.written == Some(member) && is_shown && !self.is_outdated;
        if is_written || self.requested.is_some() || !turn.is_due(self.retry_at) {
            return;
        }
        self.requested = Some(member);
        self.is_outdated = false;
        turn.push(Effect::WriteMember { lease, state });
    }
}
