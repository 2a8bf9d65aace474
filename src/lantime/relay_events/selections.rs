//! What is known of the events that switch the relays of a device, and of changes of ours that may not be in force
//! there. Pure: what the time is, and what the device says, is told from outside.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::configuration::Staged;
use super::errors::earlier_apply;
use super::place::check_place;
use super::progress::Progress;
use crate::model::derive::{ChosenEvents, RelayEvents, Slots, on_notification};
use crate::model::{DeviceView, ErrorReport, EventName, EventState, RelayPlace, Snapshot, Via};

/// How often the device is asked, if nothing shows a change before.
const READ_EVERY: Duration = Duration::from_secs(300);
/// The event by which a device reports that somebody has changed its configuration.
const CONFIGURATION_CHANGED: &str = "device-configuration-changed";

/// What is known of the events that switch the relays of a device.
#[derive(Debug, Clone)]
pub(crate) struct Selections {
    /// The relays that follow notification events by the configured wiring.
    pub(super) places: Vec<RelayPlace>,
    known: RelayEvents,
    /// When to ask next.
    due: Instant,
    /// How the event that reports a new configuration stood when the device was last asked.
    configuration_event: Option<EventState>,
    /// A change of ours that is on the device, but may not be in force.
    pub(super) staged: Option<Staged>,
    /// Whether a command to apply is in flight that no command from outside waits for any more.
    is_applying: bool,
    /// Whether such a one has been carried out since: then nothing that was set before it has to be applied again.
    pub(super) is_settled: bool,
    /// When it was last reported that they cannot be read.
    failure_reported: Option<Instant>,
}

/// What was read from a device: the events that switch each relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(super) via: Via,
    /// Whether there are changes that the device has not applied yet: then this says nothing of what is in force.
    pub(super) is_pending: bool,
    pub(super) events: Vec<(RelayPlace, BTreeSet<EventName>)>,
}

impl Selections {
    /// For the relays on notification among these slots. `known` is what was read before; `is_applying`, whether a
    /// command to apply, of the task before, is in flight.
    pub(crate) fn new(slots: &Slots, mut known: RelayEvents, is_applying: bool, now: Instant) -> Selections {
        let listed = match slots {
            Slots::Listed(listed) => &listed[..],
            Slots::Auto => &[],
        };
        let on_notification = listed.iter().flat_map(|(slot, wiring)| {
            let relays = wiring.iter().flat_map(|wiring| on_notification(*wiring));
            relays.map(|relay| RelayPlace {
                slot: slot.clone(),
                relay,
            })
        });
        let places: Vec<_> = on_notification.collect();
        known.retain(|(slot, relay), _| {
            let is_it = |place: &RelayPlace| place.slot == *slot && place.relay == *relay;
            places.iter().any(is_it)
        });
        let mut selections = Selections {
            places,
            known,
            due: now,
            configuration_event: None,
            staged: None,
            is_applying,
            is_settled: false,
            failure_reported: None,
        };
        selections.mark_stale(now);
        selections
    }

    /// The events of each relay, as last read.
    pub(crate) fn known(&self) -> &RelayEvents {
        &self.known
    }

    /// The same, for the task that follows.
    pub(crate) fn into_known(self) -> RelayEvents {
        self.known
    }

    /// Whether no relay is on notification, so that there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether to read them, as far as the latest status of the device shows.
    pub(crate) fn is_due(&self, snapshot: &Snapshot, now: Instant) -> bool {
        let is_changed = self.configuration_event.as_ref() != configuration_event(snapshot);
        !self.is_empty() && (now >= self.due || is_changed)
    }

    /// They are about to be read.
    pub(crate) fn begin_reading(&mut self, snapshot: &Snapshot, now: Instant) {
        self.due = now + READ_EVERY;
        self.configuration_event = configuration_event(snapshot).cloned();
    }

    /// They cannot be read: it is not certain any more what switches the relays. Says whether to report that: when
    /// it begins, and as often as `repeat` while it lasts.
    pub(crate) fn read_failed(&mut self, repeat: Duration, now: Instant) -> bool {
        self.unconfirm();
        let is_due = self
            .failure_reported
            .is_none_or(|reported| now.saturating_duration_since(reported) >= repeat);
        if is_due {
            self.failure_reported = Some(now);
        }
        is_due
    }

    /// Takes over what was read. What is staged at the device, but not in force, says nothing; and what a change of
    /// ours has set, but nobody knows to be in force, is not certain.
    pub(crate) fn learn(&mut self, found: &Found) {
        if found.is_pending {
            return self.unconfirm();
        }
        if found.via == Via::Rest {
            self.staged = None;
        }
        for (place, events) in &found.events {
            let chosen = ChosenEvents {
                events: events.clone(),
                via: found.via,
                confirmed: self.staged.is_none(),
            };
            self.known.insert((place.slot.clone(), place.relay), chosen);
        }
    }

    /// What was known may not hold any more: it is read again after the next answer of the device.
    pub(crate) fn mark_stale(&mut self, now: Instant) {
        self.unconfirm();
        self.due = now;
    }

    fn unconfirm(&mut self) {
        self.known
            .values_mut()
            .for_each(|chosen| chosen.confirmed = false);
    }

    /// Whether a command for that relay can be carried out now. `progress` is how far it came before.
    ///
    /// # Errors
    /// A refusal where its wiring does not allow that; busy while an earlier command to apply is in flight.
    pub(crate) fn check(
        &self,
        view: &DeviceView,
        place: &RelayPlace,
        progress: &Progress,
    ) -> Result<(), ErrorReport> {
        if matches!(progress, Progress::Applied(_)) {
            return Ok(());
        }
        check_place(view, &place.slot, place.relay)?;
        match self.is_applying {
            true => Err(earlier_apply()),
            false => Ok(()),
        }
    }

    /// A command, or an attempt at it, has come to its end, or was interrupted; what it has `found`, if it succeeded.
    pub(crate) fn ended(&mut self, progress: &Progress, found: Option<&Found>, now: Instant) {
        match progress {
            Progress::Unwritten => {}
            Progress::Staged(staged) | Progress::Applying(staged, _) => {
                self.staged = Some(staged.clone());
                self.is_settled = false;
            }
            Progress::Applied(_) => self.staged = None,
        }
        self.is_applying |= progress.applying().is_some();
        match found {
            Some(found) => self.learn(found),
            None if progress.has_written() => self.mark_stale(now),
            None => {}
        }
    }

    /// A command to apply that no command from outside waits for has been answered, or never will be.
    pub(crate) fn apply_answered(&mut self, is_applied: bool, now: Instant) {
        self.is_applying = false;
        self.is_settled = is_applied;
        if is_applied {
            self.staged = None;
        }
        self.mark_stale(now);
    }
}

fn configuration_event(snapshot: &Snapshot) -> Option<&EventState> {
    let is_it = |event: &&EventState| event.name.as_str() == CONFIGURATION_CHANGED;
    snapshot.events.iter().find(is_it)
}
