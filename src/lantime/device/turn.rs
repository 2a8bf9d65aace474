//! One pass of an input through the state.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::command::Reply;
use super::input::{Effect, Now};
use crate::model::{DeadLetter, DeviceId, ErrorReport, Operation, Update};
use crate::records::dead_letter;

/// What is configured, and stays.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) id: DeviceId,
    pub(super) url: String,
    /// How often a failure that lasts is reported again.
    pub(super) repeat: Duration,
    /// Whether entries of a profile are written that nobody has seen on a device.
    pub(super) allow_unverified_writes: bool,
}

/// When an input came, and what it has led to.
pub(super) struct Turn {
    pub(super) settings: Arc<Settings>,
    pub(super) now: Now,
    pub(super) effects: Vec<Effect>,
    /// The latest moment at which to poll.
    poll_at: Option<Instant>,
}

impl Turn {
    pub(super) fn new(settings: Arc<Settings>, now: Now) -> Turn {
        Turn {
            settings,
            now,
            effects: Vec::new(),
            poll_at: None,
        }
    }

    pub(super) fn push(&mut self, effect: impl Into<Option<Effect>>) {
        self.effects.extend(effect.into());
    }

    pub(super) fn publish(&mut self, update: impl Into<Option<Update>>) {
        self.effects.extend(update.into().map(Effect::Publish));
    }

    pub(super) fn reply(&mut self, reply: Option<Reply>) {
        self.effects.extend(reply.map(Effect::Reply));
    }

    /// A dead letter about this device.
    pub(super) fn dead_letter(&self, operation: Operation, error: ErrorReport) -> DeadLetter {
        DeadLetter {
            device: Some(self.settings.id.clone()),
            ..dead_letter::new(operation, error, self.now.wall)
        }
    }

    pub(super) fn report(&mut self, dead_letter: Option<DeadLetter>) {
        self.publish(dead_letter.map(|dead_letter| Update::DeadLetter(Box::new(dead_letter))));
    }

    /// A poll is wanted at that time at the latest.
    pub(super) fn poll_at(&mut self, at: Instant) {
        self.poll_at = Some(self.poll_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn take_poll_at(&mut self) -> Option<Instant> {
        self.poll_at.take()
    }
}
