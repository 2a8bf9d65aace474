//! What one poll says of a signal or a relay: the value, how it is known, what holds a relay in NC, and why a value is
//! unknown.

use super::{Poll, on_notification};
use crate::model::{
    Clock, Detail, Details, EventState, EventType, Position, Provenance, Relay, RelayModule, Signal, Status,
    UnknownReason, Wiring,
};

/// A value, how it is known, and why it is so.
pub(super) struct Finding<T> {
    pub(super) value: T,
    pub(super) provenance: Provenance,
    /// What puts a relay in NC, the one that came first at the beginning; empty for any other value.
    pub(super) causes: Vec<String>,
    /// Why the value is unknown, where it is.
    pub(super) unknown_reason: Option<UnknownReason>,
}

impl<T> Finding<T> {
    /// A value that is known so.
    fn known(value: T, provenance: Provenance, causes: Vec<String>) -> Finding<T> {
        Finding {
            value,
            provenance,
            causes,
            unknown_reason: None,
        }
    }

    /// No value, for that reason. `value` is what stands for unknown.
    pub(super) fn unknown(value: T, reason: UnknownReason) -> Finding<T> {
        Finding {
            value,
            provenance: Provenance::Unknown,
            causes: Vec::new(),
            unknown_reason: Some(reason),
        }
    }
}

impl Poll<'_> {
    pub(super) fn position(&self, module: &RelayModule, relay: Relay, driver: Signal) -> Finding<Position> {
        match module.position(relay) {
            None => self.derived_position(module, relay, driver),
            // The device does say, but nobody knows what: to conclude something else would be a guess.
            Some(Position::Unknown) => Finding::unknown(Position::Unknown, UnknownReason::Unclear),
            Some(Position::Nc) => {
                let causes = self.derived_position(module, relay, driver).causes;
                Finding::known(Position::Nc, Provenance::Reported, causes)
            }
            Some(Position::No) => Finding::known(Position::No, Provenance::Reported, Vec::new()),
        }
    }

    fn derived_position(&self, module: &RelayModule, relay: Relay, driver: Signal) -> Finding<Position> {
        let found = match driver {
            Signal::Notification => self.notification([relay]),
            _ => self.monitored(Some(module), driver),
        };
        let (value, provenance) = match found.value {
            Status::Ok => (Position::No, Provenance::Derived),
            Status::Fail | Status::Absent => (Position::Nc, Provenance::Derived),
            Status::Unknown => (Position::Unknown, Provenance::Unknown),
        };
        Finding {
            value,
            provenance,
            causes: found.causes,
            unknown_reason: found.unknown_reason,
        }
    }

    pub(super) fn status(
        &self,
        module: Option<&RelayModule>,
        signal: Signal,
        wiring: Wiring,
    ) -> Finding<Status> {
        match signal {
            Signal::Notification => self.notification(on_notification(wiring)),
            _ => self.monitored(module, signal),
        }
    }

    /// A signal that hardware gives; [`Signal::Notification`] is not one.
    fn monitored(&self, module: Option<&RelayModule>, signal: Signal) -> Finding<Status> {
        match (signal, module) {
            (Signal::Clk1 | Signal::Clk2, _) => self.clock(signal),
            (Signal::Rsc, _) => self.rsc(),
            (Signal::Pps | Signal::TenMhz, None) => Finding::unknown(Status::Unknown, UnknownReason::Missing),
            (Signal::Pps | Signal::TenMhz, Some(module)) => match module.signal(signal) {
                None => not_reported(),
                Some(status) => reported(status, UnknownReason::Unclear, || format!("{signal}-failed")),
            },
            (Signal::Notification, _) => not_reported(),
        }
    }

    fn clock(&self, signal: Signal) -> Finding<Status> {
        // Without such a slot nothing is known: it may have another name in this chassis.
        let Some(clock) = self.snapshot.clock(signal) else {
            return self.without_clock(false);
        };
        let cause = match clock.status {
            Status::Absent => "clock-absent",
            _ => "clock-not-sync",
        };
        reported(clock.status, reason_of_unknown(clock), || cause.to_owned())
    }

    /// `ok` while the clock that it has selected is. No interface is known that reports its own state.
    fn rsc(&self) -> Finding<Status> {
        let Some(selected) = self.selected_clock() else {
            let says_something = |clock: &Clock| clock.selected.is_some() || clock.is_malformed;
            return self.without_clock(self.snapshot.clocks.iter().any(says_something));
        };
        match selected.status {
            Status::Unknown => Finding::unknown(Status::Unknown, reason_of_unknown(selected)),
            Status::Ok => Finding::known(Status::Ok, Provenance::Derived, Vec::new()),
            Status::Fail | Status::Absent => {
                let causes = vec!["selected-clock-not-sync".to_owned()];
                Finding::known(Status::Fail, Provenance::Derived, causes)
            }
        }
    }

    /// The clock that counts is not in the document: it counts as not reported only if the document says nothing about
    /// it, and all of the document was read.
    fn without_clock(&self, is_something_said: bool) -> Finding<Status> {
        match is_something_said || !self.snapshot.all_slots_seen {
            true => unclear(),
            false => not_reported(),
        }
    }

    fn selected_clock(&self) -> Option<&Clock> {
        let mut clocks = self.snapshot.clocks.iter();
        clocks.find(|clock| clock.selected == Some(true))
    }

    /// In fault while one of the events that switch these relays is triggered. Unknown where it is not known which
    /// events are selected, or whether one of them is triggered, and while only events are triggered that are of type
    /// info or of none that is known.
    fn notification(&self, relays: impl IntoIterator<Item = Relay>) -> Finding<Status> {
        let mut triggered = Vec::new();
        let (mut is_selected, mut is_whole) = (true, true);
        for relay in relays {
            let Some(selection) = self.relay_events.get(&(self.slot.clone(), relay)) else {
                is_selected = false;
                continue;
            };
            for name in selection.events.iter() {
                let event = self.snapshot.events.iter().find(|event| event.name == *name);
                is_whole &= event.is_some_and(|event| event.triggered.is_some());
                triggered.extend(event.filter(|event| event.triggered == Some(true)));
            }
        }
        let is_other = |event: &&EventState| matches!(event.kind, EventType::Info | EventType::Unknown);
        let (other, triggered): (Vec<_>, Vec<_>) = triggered.into_iter().partition(is_other);
        if !triggered.is_empty() {
            return Finding::known(Status::Fail, Provenance::Derived, names_by_age(triggered));
        }
        if other.iter().any(|event| event.kind == EventType::Unknown) {
            unclear()
        } else if !other.is_empty() {
            Finding::unknown(Status::Unknown, UnknownReason::InfoOnly)
        } else if !is_whole {
            unclear()
        } else if !is_selected {
            not_reported()
        } else {
            Finding::known(Status::Ok, Provenance::Derived, Vec::new())
        }
    }

    pub(super) fn detail(&self, signal: Signal) -> Details {
        match signal {
            Signal::Clk1 | Signal::Clk2 => self
                .snapshot
                .clock(signal)
                .map_or_else(Details::default, |clock| clock.detail.clone()),
            Signal::Rsc => {
                let selected = self
                    .selected_clock()
                    .map(|clock| ("selected", Detail::Text(clock.signal.as_str().into())));
                let rsc = self.snapshot.rsc.iter();
                let reported = rsc.flat_map(|rsc| rsc.detail.iter().cloned());
                selected.into_iter().chain(reported).collect()
            }
            Signal::Pps | Signal::TenMhz | Signal::Notification => Details::default(),
        }
    }
}

/// The names of triggered events, the one that was triggered first at the beginning: where several came between two
/// polls, it is the one that has moved the relay. Those without a time come last.
fn names_by_age(mut events: Vec<&EventState>) -> Vec<String> {
    let age = |event: &&EventState| {
        let time = event.last_triggered.time();
        (time.is_none(), time, event.name.clone())
    };
    events.sort_by_key(age);
    events.dedup_by_key(|event| &event.name);
    events.iter().map(|event| event.name.to_string()).collect()
}

/// Why the status of a clock that is there is unknown: it says something that nobody has documented or that cannot be
/// read (or REST and SNMP contradict each other), or nothing.
fn reason_of_unknown(clock: &Clock) -> UnknownReason {
    let says_something = |(key, _): &(&str, Detail)| matches!(*key, "clock" | "substate");
    match clock.is_malformed || clock.detail.iter().any(says_something) {
        true => UnknownReason::Unclear,
        false => UnknownReason::NotReported,
    }
}

fn not_reported() -> Finding<Status> {
    Finding::unknown(Status::Unknown, UnknownReason::NotReported)
}

fn unclear() -> Finding<Status> {
    Finding::unknown(Status::Unknown, UnknownReason::Unclear)
}

/// What the device says itself; `reason` says why it is unknown where it is, `cause` names the fault where it is one.
fn reported(status: Status, reason: UnknownReason, cause: impl FnOnce() -> String) -> Finding<Status> {
    match status {
        Status::Unknown => Finding::unknown(Status::Unknown, reason),
        Status::Ok => Finding::known(Status::Ok, Provenance::Reported, Vec::new()),
        Status::Fail | Status::Absent => Finding::known(status, Provenance::Reported, vec![cause()]),
    }
}
