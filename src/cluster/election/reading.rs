//! Whether what is known of the cluster follows etcd.

use super::input::Effect;
use super::timing::RETRY;
use super::turn::Turn;
use crate::boot_time::BootTime;

/// A snapshot was read and is watched since then, or is to be read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    is_fresh: bool,
    is_requested: bool,
    retry_at: BootTime,
}

impl Reading {
    /// Whether a watch follows a snapshot.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    pub(super) fn read(&mut self) {
        self.is_requested = false;
        self.is_fresh = true;
    }

    pub(super) fn ended(&mut self, now: BootTime) {
        self.is_requested = false;
        self.is_fresh = false;
        self.retry_at = now + RETRY;
    }

    /// What is known does not count until it was read again.
    pub(super) fn begin_again(&mut self) {
        self.is_fresh = false;
    }

    /// Gives whether a snapshot is requested now.
    pub(super) fn advance(&mut self, turn: &mut Turn) -> bool {
        if self.is_fresh || self.is_requested || !turn.is_due(self.retry_at) {
            return false;
        }
        self.is_requested = true;
        turn.push(Effect::ReadSnapshot);
        true
    }
}
