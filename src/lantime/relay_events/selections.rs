//! What is known of the events that switch the relays of a device, and of changes of ours that may not be in force
//! there. Pure: what the time is, and what the device says, comes from outside.

use std::time::Duration;

use tokio::time::Instant;

use super::configuration::Staged;
use super::progress::Progress;
use crate::model::derive::{RelayEvents, Slots, on_notification};
use crate::model::{EventState, RelayPlace, Snapshot, Via};

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
    /// When to ask next; at once, for `None`.
    due: Option<Instant>,
    /// How the event that reports a new configuration stood when the device was last asked.
    configuration_event: Option<Box<EventState>>,
    /// A change of ours that is on the device, but may not be in force.
    pub(super) staged: Option<Box<Staged>>,
    /// Whether a command to apply is in flight that no command from outside waits for any more.
    pub(super) is_applying: bool,
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
    pub(super) events: RelayEvents,
}

impl Selections {
    /// For the relays on notification among these slots. `known` is what was read before; `is_applying`, whether a
    /// command to apply, of the task before, is in flight.
    pub(crate) fn new(slots: &Slots, mut known: RelayEvents, is_applying: bool) -> Selections {
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
        let mut places: Vec<_> = on_notification.collect();
        places.shrink_to_fit();
        let kept = places
            .iter()
            .map(|place| (place.slot.clone(), place.relay))
            .filter_map(|key| known.remove(&key).map(|events| (key, events)));
        let known = kept.collect();
        let mut selections = Selections {
            places,
            known,
            due: None,
            configuration_event: None,
            staged: None,
            is_applying,
            is_settled: false,
            failure_reported: None,
        };
        selections.unconfirm();
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
        let is_changed = self.configuration_event.as_deref() != configuration_event(snapshot);
        !self.is_empty() && (self.due.is_none_or(|due| now >= due) || is_changed)
    }

    /// They are about to be read.
    pub(crate) fn begin_reading(&mut self, snapshot: &Snapshot, now: Instant) {
        self.due = Some(now + READ_EVERY);
        self.configuration_event = configuration_event(snapshot).cloned().map(Box::new);
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
    pub(crate) fn learn(&mut self, found: Found) {
        if found.is_pending {
            return self.unconfirm();
        }
        if found.via == Via::Rest {
            self.staged = None;
        }
        self.known = found.events;
        if self.staged.is_some() {
            self.unconfirm();
        }
    }

    /// What was known may not hold any more: it is read again after the next answer of the device.
    pub(crate) fn mark_stale(&mut self) {
        self.unconfirm();
        self.due = None;
    }

    fn unconfirm(&mut self) {
        self.known
            .iter_mut()
            .for_each(|(_, selection)| selection.confirmed = false);
    }

    /// A command, or an attempt at it, has come to its end, or was interrupted; what it has `found`, if it succeeded.
    pub(crate) fn ended(&mut self, progress: &Progress, found: Option<Found>) {
        match progress {
            Progress::Unwritten => {}
            Progress::Staged(staged) | Progress::Applying(staged, _) => {
                self.staged = Some(Box::new(staged.clone()));
                self.is_settled = false;
            }
            Progress::Applied(_) => self.staged = None,
        }
        self.is_applying |= progress.applying().is_some();
        match found {
            Some(found) => self.learn(found),
            None if progress.has_written() => self.mark_stale(),
            None => {}
        }
    }

    /// A command to apply that no command from outside waits for has been answered, or never will be.
    pub(crate) fn apply_answered(&mut self, is_applied: bool) {
        self.is_applying = false;
        self.is_settled = is_applied;
        if is_applied {
            self.staged = None;
        }
        self.mark_stale();
    }
}

fn configuration_event(snapshot: &Snapshot) -> Option<&EventState> {
    let is_it = |event: &&EventState| event.name.as_str() == CONFIGURATION_CHANGED;
    snapshot.events.iter().find(is_it)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::sync::watch;

    use super::*;
    use crate::lantime::relay_events::configuration::{EventActions, Plan, RelayConfig};
    use crate::lantime::relay_events::progress::Applying;
    use crate::model::derive::SelectedEvents;
    use crate::model::{EventName, EventType, LastTriggered, Relay, Signal, SlotId, Wiring};

    const MINUTE: Duration = Duration::from_secs(60);

    fn slots() -> Slots {
        let wiring = Wiring {
            a: Signal::Clk1,
            b: Signal::Pps,
            c: Signal::Notification,
        };
        let slot = |name| SlotId::new(name).unwrap();
        Slots::Listed(vec![(slot("io4"), Some(wiring)), (slot("io5"), None)])
    }

    fn place() -> (SlotId, Relay) {
        (SlotId::new("io4").unwrap(), Relay::C)
    }

    fn names(name: &str) -> BTreeSet<EventName> {
        EventName::canonical(name).into_iter().collect()
    }

    fn events(name: &str, via: Via) -> RelayEvents {
        let selection = SelectedEvents {
            events: names(name).into_iter().collect(),
            via,
            confirmed: true,
        };
        [(place(), selection)].into_iter().collect()
    }

    fn found(name: &str, via: Via, is_pending: bool) -> Found {
        let events = events(name, via);
        Found {
            via,
            is_pending,
            events,
        }
    }

    /// A plan that gives `antenna-faulty` to the relays.
    fn plan() -> Plan {
        let events = names("antenna-faulty");
        let actions = |name: &EventName| EventActions {
            name: name.clone(),
            name_on_device: name.as_str().to_owned(),
            actions: Vec::new(),
        };
        let config = RelayConfig {
            via: Via::Snmp,
            revision: None,
            is_pending: false,
            events: events.iter().map(actions).collect(),
        };
        config.plan("relais", &events)
    }

    fn staged() -> Progress {
        Progress::Staged(plan().staged().clone())
    }

    fn applying() -> Progress {
        Progress::Applying(plan().staged().clone(), Applying(watch::channel(None).1))
    }

    fn selections() -> Selections {
        Selections::new(&slots(), events("ntp-not-sync", Via::Rest), false)
    }

    /// The event that switches the relay, and whether that is certain.
    fn known(selections: &Selections) -> (&str, bool) {
        let selection = &selections.known()[&place()];
        (selection.events.first().unwrap().as_str(), selection.confirmed)
    }

    #[test]
    fn only_relays_on_notification_are_read_and_what_was_known_is_not_certain() {
        let now = Instant::now();
        let mut before = events("ntp-not-sync", Via::Rest);
        let selection = before[&place()].clone();
        before.insert((place().0, Relay::A), selection);
        let selections = Selections::new(&slots(), before, false);
        assert_eq!(selections.places.len(), 1);
        assert_eq!(selections.known().len(), 1);
        assert_eq!(known(&selections), ("ntp-not-sync", false));
        let none = Selections::new(&Slots::Auto, events("ntp-not-sync", Via::Rest), false);
        assert!(none.is_empty() && none.known().is_empty());
        assert!(!none.is_due(&Snapshot::default(), now));
    }

    #[test]
    fn they_are_read_now_and_then_and_when_the_device_reports_a_change() {
        let now = Instant::now();
        let mut selections = selections();
        let quiet = Snapshot::default();
        let changed = EventState {
            name: EventName::canonical(CONFIGURATION_CHANGED).unwrap(),
            name_on_device: None,
            triggered: Some(true),
            kind: EventType::Action,
            last_triggered: LastTriggered::Never,
        };
        let reported = Snapshot {
            events: [changed].into(),
            ..Snapshot::default()
        };
        assert!(selections.is_due(&quiet, now));
        selections.begin_reading(&quiet, now);
        for (snapshot, minutes, is_due) in [
            (&quiet, 0, false),
            (&quiet, 4, false),
            (&quiet, 5, true),
            (&reported, 0, true),
        ] {
            let at = now + minutes * MINUTE;
            assert_eq!(selections.is_due(snapshot, at), is_due, "{minutes} minutes");
        }
        selections.begin_reading(&reported, now);
        assert!(!selections.is_due(&reported, now));
        selections.mark_stale();
        assert!(selections.is_due(&reported, now));
    }

    #[test]
    fn a_failure_to_read_is_reported_when_it_begins_and_while_it_lasts() {
        let now = Instant::now();
        let mut selections = selections();
        selections.learn(found("antenna-faulty", Via::Rest, false));
        assert_eq!(known(&selections), ("antenna-faulty", true));
        for (minutes, is_reported) in [(0, true), (1, false), (14, false), (15, true), (29, false)] {
            let at = now + minutes * MINUTE;
            assert_eq!(
                selections.read_failed(15 * MINUTE, at),
                is_reported,
                "{minutes} minutes"
            );
            assert_eq!(known(&selections), ("antenna-faulty", false));
        }
    }

    #[test]
    fn what_was_read_is_certain_unless_something_is_not_in_force() {
        let staged = staged();
        for (left, via, is_pending, expected, is_staged) in [
            (None, Via::Rest, false, ("fan-down", true), false),
            // What is pending says nothing of what is in force.
            (None, Via::Rest, true, ("ntp-not-sync", false), false),
            (Some(&staged), Via::Rest, true, ("ntp-not-sync", false), true),
            // REST says that nothing is pending, so ours is in force, or discarded.
            (Some(&staged), Via::Rest, false, ("fan-down", true), false),
            (None, Via::Snmp, false, ("fan-down", true), false),
            (Some(&staged), Via::Snmp, false, ("fan-down", false), true),
        ] {
            let mut selections = selections();
            left.iter().for_each(|left| selections.ended(left, None));
            selections.learn(found("fan-down", via, is_pending));
            let is = (known(&selections), selections.staged.is_some());
            assert_eq!(is, (expected, is_staged), "{left:?} {via:?} {is_pending}");
        }
    }

    #[test]
    fn what_a_command_leaves_depends_on_how_far_it_came() {
        let now = Instant::now();
        let success = || Some(found("antenna-faulty", Via::Snmp, false));
        for (progress, found, expected, is_staged, is_applying) in [
            (Progress::Unwritten, None, ("ntp-not-sync", true), false, false),
            (
                Progress::Unwritten,
                success(),
                ("antenna-faulty", true),
                false,
                false,
            ),
            (staged(), None, ("ntp-not-sync", false), true, false),
            (applying(), None, ("ntp-not-sync", false), true, true),
            (
                Progress::Applied(plan()),
                None,
                ("ntp-not-sync", false),
                false,
                false,
            ),
            (
                Progress::Applied(plan()),
                success(),
                ("antenna-faulty", true),
                false,
                false,
            ),
        ] {
            let mut selections = selections();
            selections.learn(super::tests::found("ntp-not-sync", Via::Snmp, false));
            selections.begin_reading(&Snapshot::default(), now);
            selections.ended(&progress, found);
            let is = (selections.staged.is_some(), selections.is_applying);
            assert_eq!(
                (known(&selections), is),
                (expected, (is_staged, is_applying)),
                "{progress:?}"
            );
            let is_stale = !known(&selections).1;
            assert_eq!(
                selections.is_due(&Snapshot::default(), now),
                is_stale,
                "{progress:?}"
            );
        }
    }

    #[test]
    fn an_apply_that_was_given_up_settles_what_was_set_before_it_if_it_succeeds() {
        for is_applied in [true, false] {
            let mut selections = selections();
            selections.ended(&applying(), None);
            selections.apply_answered(is_applied);
            let is = (
                selections.is_applying,
                selections.is_settled,
                selections.staged.is_none(),
            );
            assert_eq!(is, (false, is_applied, is_applied));
            selections.ended(&staged(), None);
            assert!(!selections.is_settled && selections.staged.is_some());
        }
        // The one of the task before.
        let mut selections = Selections::new(&slots(), RelayEvents::new(), true);
        assert!(selections.is_applying);
        selections.apply_answered(true);
        assert!(!selections.is_applying && selections.is_settled);
    }
}
