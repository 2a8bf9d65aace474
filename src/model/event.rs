//! A notification event as a device reports it.

use jiff::Timestamp;
use serde::Serialize;

use super::{EventName, Text};

/// Type of an event, as the device classifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// Information. Whether such an event switches a relay that it is selected for is not published.
    Info,
    /// Somebody did something.
    Action,
    /// Warning.
    Warning,
    /// Error.
    Error,
    /// Critical.
    Critical,
    /// A type that nobody has documented, or none at all.
    Unknown,
}

impl EventType {
    /// The type of that name; [`EventType::Unknown`] for any other.
    pub fn from_name(name: &str) -> EventType {
        match name {
            "info" => EventType::Info,
            "action" => EventType::Action,
            "warning" => EventType::Warning,
            "error" => EventType::Error,
            "critical" => EventType::Critical,
            _ => EventType::Unknown,
        }
    }

    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Info => "info",
            EventType::Action => "action",
            EventType::Warning => "warning",
            EventType::Error => "error",
            EventType::Critical => "critical",
            EventType::Unknown => "unknown",
        }
    }
}

/// A notification event as a device reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventState {
    /// Canonical name.
    pub name: EventName,
    /// The device's own spelling, where it differs. One pointer: each device has some thirty events.
    pub name_on_device: Option<Box<Text>>,
    /// Whether it stands now; `None` where the device does not say.
    pub triggered: Option<bool>,
    /// The device's classification.
    pub kind: EventType,
    /// When it was last triggered.
    pub last_triggered: LastTriggered,
}

/// When an event was last triggered, as the device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastTriggered {
    /// Never so far.
    Never,
    /// Then.
    At(Moment),
    /// It does not say, or not so that it can be read.
    Unclear,
}

/// A time to the microsecond, in eight bytes that lie anywhere: each device has some thirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment([u8; 8]);

impl Moment {
    /// The time itself.
    pub fn time(self) -> Timestamp {
        // It was made of a time: it is in the range of times.
        Timestamp::from_microsecond(i64::from_ne_bytes(self.0)).unwrap_or_default()
    }
}

impl LastTriggered {
    /// Then.
    pub fn at(time: Timestamp) -> LastTriggered {
        LastTriggered::At(Moment(time.as_microsecond().to_ne_bytes()))
    }

    /// The time, where one is known.
    pub fn time(self) -> Option<Timestamp> {
        match self {
            LastTriggered::At(moment) => Some(moment.time()),
            LastTriggered::Never | LastTriggered::Unclear => None,
        }
    }

    /// Whether the event has come again since it was last triggered at `old`, as far as both are known.
    fn is_newer_than(self, old: LastTriggered) -> bool {
        match (old, self) {
            (LastTriggered::Never, LastTriggered::At(_)) => true,
            (LastTriggered::At(old), LastTriggered::At(new)) => new.time() > old.time(),
            _ => false,
        }
    }
}

impl EventState {
    /// How the event went from `old` to this: each time whether it stood then.
    pub fn transitions(&self, old: &EventState) -> &'static [bool] {
        // A newer time says that it came again between two polls.
        let came = self.last_triggered.is_newer_than(old.last_triggered);
        match (old.triggered, self.triggered) {
            (Some(false), Some(true)) => &[true],
            (Some(true), Some(false)) => &[false],
            (Some(true), Some(true)) if came => &[true],
            (Some(false), Some(false)) if came => &[true, false],
            _ => &[],
        }
    }

    /// This, with what was known `before` in place of what is not known now.
    pub fn or_known(&self, before: &EventState) -> EventState {
        if self.triggered.is_none() {
            return before.clone();
        }
        let last_triggered = match self.last_triggered {
            LastTriggered::Unclear => before.last_triggered,
            known => known,
        };
        EventState {
            last_triggered,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_could_not_be_read_makes_no_event_come() {
        let at = |second| LastTriggered::at(Timestamp::from_second(second).unwrap());
        let event = |triggered, last_triggered| EventState {
            name: EventName::canonical("ntp-stopped").unwrap(),
            name_on_device: None,
            triggered: Some(triggered),
            kind: EventType::Error,
            last_triggered,
        };
        let (never, unclear) = (LastTriggered::Never, LastTriggered::Unclear);
        for (old, new, came) in [
            (never, at(1), true),
            (at(1), at(2), true),
            (at(1), at(1), false),
            (at(1), never, false),
            (at(1), unclear, false),
            (unclear, at(1), false),
        ] {
            let (again, and_over): (&[bool], &[bool]) = if came {
                (&[true], &[true, false])
            } else {
                (&[], &[])
            };
            assert_eq!(
                event(true, new).transitions(&event(true, old)),
                again,
                "{old:?}, {new:?}"
            );
            assert_eq!(
                event(false, new).transitions(&event(false, old)),
                and_over,
                "{old:?}, {new:?}"
            );
        }
        // What was known before the damage counts on.
        let damaged = event(false, unclear).or_known(&event(false, at(1)));
        assert_eq!(event(false, at(1)).transitions(&damaged), [true; 0]);
        assert_eq!(event(false, at(2)).transitions(&damaged), [true, false]);
    }
}
