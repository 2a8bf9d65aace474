//! What a history is of: a device, a slot, a relay, a signal or an event.

use std::fmt;
use std::str::FromStr;

use crate::model::{DeviceId, EventName, Relay, Signal, SlotId};

/// What a history is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Which device, or of which one.
    pub device: DeviceId,
    /// Which part of it; `None` for the device itself.
    pub part: Option<Part>,
}

/// A part of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// A notification event.
    Event(EventName),
    /// A slot.
    Slot(SlotId),
    /// A relay of the module in a slot.
    Relay(SlotId, Relay),
    /// A signal that this module monitors.
    Signal(SlotId, Signal),
}

impl Subject {
    /// The device itself.
    pub fn device(device: DeviceId) -> Subject {
        Subject { device, part: None }
    }

    /// A part of it.
    pub fn of(device: DeviceId, part: Part) -> Subject {
        let part = Some(part);
        Subject { device, part }
    }

    /// The slot that it is, or that it belongs to.
    pub fn slot(&self) -> Option<&SlotId> {
        match self.part.as_ref()? {
            Part::Slot(slot) | Part::Relay(slot, _) | Part::Signal(slot, _) => Some(slot),
            Part::Event(_) => None,
        }
    }

    /// The relay that it is.
    pub fn relay(&self) -> Option<Relay> {
        match self.part {
            Some(Part::Relay(_, relay)) => Some(relay),
            _ => None,
        }
    }

    /// The signal that it is.
    pub fn signal(&self) -> Option<Signal> {
        match self.part {
            Some(Part::Signal(_, signal)) => Some(signal),
            _ => None,
        }
    }

    /// The event that it is.
    pub fn event(&self) -> Option<&EventName> {
        match &self.part {
            Some(Part::Event(event)) => Some(event),
            _ => None,
        }
    }
}

/// `m1`, `m1/io3`, `m1/io3/a`, `m1/io3/clk1`, `m1/event/ntp-not-sync`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.device;
        match &self.part {
            None => write!(f, "{device}"),
            Some(Part::Event(event)) => write!(f, "{device}/event/{event}"),
            Some(Part::Slot(slot)) => write!(f, "{device}/{slot}"),
            Some(Part::Relay(slot, relay)) => write!(f, "{device}/{slot}/{relay}"),
            Some(Part::Signal(slot, signal)) => write!(f, "{device}/{slot}/{signal}"),
        }
    }
}

/// That text names no subject.
#[derive(Debug, PartialEq, Eq)]
pub struct NoSubject;

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(text: &str) -> Result<Subject, NoSubject> {
        let levels: Vec<_> = text.split('/').collect();
        let part = match *levels.get(1..).unwrap_or_default() {
            [] => None,
            ["event", event] => Some(Part::Event(EventName::canonical(event).ok_or(NoSubject)?)),
            [slot] => Some(Part::Slot(SlotId::new(slot).ok_or(NoSubject)?)),
            [slot, below] => {
                let slot = SlotId::new(slot).ok_or(NoSubject)?;
                let relay = Relay::from_name(below).map(|relay| Part::Relay(slot.clone(), relay));
                let signal = || Signal::from_name(below).map(|signal| Part::Signal(slot, signal));
                Some(relay.or_else(signal).ok_or(NoSubject)?)
            }
            _ => return Err(NoSubject),
        };
        let device = DeviceId::new(levels[0]).ok_or(NoSubject)?;
        Ok(Subject { device, part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_come_back_as_they_were() {
        for text in [
            "m1",
            "m1/io3",
            "m1/io3/a",
            "m1/io3/10mhz",
            "m1/event/ntp-not-sync",
        ] {
            let subject: Subject = text.parse().unwrap();
            assert_eq!(subject.to_string(), text);
        }
        for text in ["", "m1/", "m1/io3/x", "m1/io3/a/b", "M1", "m1/event/"] {
            assert_eq!(text.parse::<Subject>(), Err(NoSubject), "{text}");
        }
        let relay: Subject = "m1/io3/a".parse().unwrap();
        assert_eq!(relay.slot().map(SlotId::as_str), Some("io3"));
        assert_eq!(
            (relay.relay(), relay.signal(), relay.event()),
            (Some(Relay::A), None, None)
        );
    }
}
