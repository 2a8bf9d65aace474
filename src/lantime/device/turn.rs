//! One pass of an input through the state.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::command::Reply;
use super::input::{Effect, Now};
use crate::incidents::{Incidents, Seen};
use crate::model::{
    DeadLetter, DeviceId, ErrorReport, Incident, IncidentKey, IncidentKind, IncidentReport, Operation, Place,
    Update,
};
use crate::records::dead_letter;

/// What is configured, and stays.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) id: DeviceId,
    pub(super) url: String,
    /// What the operator says of it.
    pub(super) place: Arc<Place>,
    /// How often a failure that lasts is reported again.
    pub(super) repeat: Duration,
    /// Whether entries of a profile are written that nobody has seen on a device.
    pub(super) allow_unverified_writes: bool,
}

/// When an input came, and what it has led to.
pub(super) struct Turn {
    pub(super) settings: Arc<Settings>,
    pub(super) now: Now,
    pub(super) incidents: Incidents,
    pub(super) effects: Vec<Effect>,
    /// The latest moment at which to poll.
    poll_at: Option<Instant>,
}

impl Turn {
    pub(super) fn new(settings: Arc<Settings>, incidents: Incidents, now: Now) -> Turn {
        Turn {
            settings,
            now,
            incidents,
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

    /// Something about this device went wrong once.
    pub(super) fn dead_letter(&mut self, operation: Operation, error: ErrorReport) {
        let dead_letter = DeadLetter {
            device: Some(self.settings.id.clone()),
            ..dead_letter::new(operation, error, self.now.wall)
        };
        self.publish(Update::DeadLetter(Box::new(dead_letter)));
    }

    fn key(&self, kind: IncidentKind) -> IncidentKey {
        IncidentKey::of_device(kind, &self.settings.id)
    }

    /// A condition of this device is seen.
    pub(super) fn raise(&mut self, kind: IncidentKind, operation: Operation, error: ErrorReport) {
        let seen = Seen::once(operation, error);
        let Now { wall, instant, .. } = self.now;
        let report = self.incidents.raise(self.key(kind), seen, wall, instant);
        self.report(report);
    }

    /// It does not hold now.
    pub(super) fn well(&mut self, kind: IncidentKind) {
        if !self.incidents.is_empty() {
            self.incidents.well(&self.key(kind), self.now.instant);
        }
    }

    /// What it was about is not there any more.
    pub(super) fn withdraw(&mut self, kind: IncidentKind) {
        if !self.incidents.is_empty() {
            let report = self.incidents.withdraw(&self.key(kind));
            self.report(report);
        }
    }

    /// The open incident of that kind.
    pub(super) fn incident(&self, kind: IncidentKind) -> Option<&Incident> {
        self.incidents.get(&self.key(kind))
    }

    pub(super) fn report(&mut self, reports: impl IntoIterator<Item = IncidentReport>) {
        let updates = reports
            .into_iter()
            .map(|report| Update::Incident(Box::new(report)));
        self.effects.extend(updates.map(Effect::Publish));
    }

    /// A poll is wanted at that time at the latest.
    pub(super) fn poll_at(&mut self, at: Instant) {
        self.poll_at = Some(self.poll_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn take_poll_at(&mut self) -> Option<Instant> {
        self.poll_at.take()
    }
}
