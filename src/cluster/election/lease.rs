//! The lease of this bridge: granted, renewed, lost.

use std::time::Duration;

use super::input::Effect;
use super::timing::{self, RETRY};
use super::turn::Turn;
use crate::boot_time::BootTime;
use crate::cluster::entries::LeaseId;

/// At most one lease, and one request for it at a time.
#[derive(Debug, Default)]
pub(super) struct Lease {
    held: Option<Held>,
    is_requested: bool,
    /// When the next request is due.
    next: BootTime,
}

/// A lease that was granted, and of which etcd has not said that it no longer exists.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: LeaseId,
    /// Until when it permits to write.
    deadline: BootTime,
}

impl Lease {
    /// The lease, whether it still permits to write or not.
    pub(super) fn id(&self) -> Option<LeaseId> {
        self.held.map(|held| held.id)
    }

    /// Until when it permits to write.
    pub(super) fn deadline(&self) -> Option<BootTime> {
        self.held.map(|held| held.deadline)
    }

    /// The lease, if it permits to write.
    pub(super) fn valid(&self, now: BootTime) -> Option<LeaseId> {
        self.held.filter(|held| now < held.deadline).map(|held| held.id)
    }

    pub(super) fn granted(&mut self, id: LeaseId, ttl: Duration, sent: BootTime) {
        let deadline = timing::deadline(sent, ttl);
        self.held = Some(Held { id, deadline });
        self.answered(timing::renewal(sent, ttl));
    }

    pub(super) fn renewed(&mut self, id: LeaseId, ttl: Duration, sent: BootTime) {
        if let Some(held) = self.held.as_mut().filter(|held| held.id == id) {
            held.deadline = held.deadline.max(timing::deadline(sent, ttl));
        }
        self.answered(timing::renewal(sent, ttl));
    }

    pub(super) fn failed(&mut self, now: BootTime) {
        self.answered(now + RETRY);
    }

    pub(super) fn lost(&mut self, id: LeaseId) {
        self.held = self.held.filter(|held| held.id != id);
        self.answered(BootTime::default());
    }

    fn answered(&mut self, next: BootTime) {
        self.is_requested = false;
        self.next = next;
    }

    pub(super) fn advance(&mut self, turn: &mut Turn) {
        if self.is_requested || !turn.is_due(self.next) {
            return;
        }
        self.is_requested = true;
        turn.push(match self.id() {
            Some(id) => Effect::RenewLease(id),
            None => Effect::GrantLease,
        });
    }
}
