//! An entry, and how a record becomes one: here and nowhere else.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::{Part, Subject, Value};
use crate::contract::topics::Destination;
use crate::model::{DeviceId, EventName, Provenance, Relay, Signal, SlotId, Text};

/// Something has become something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Of the record.
    pub id: Uuid,
    /// When a bridge saw it.
    pub at: Timestamp,
    /// What has changed.
    pub subject: Subject,
    /// Before.
    pub old: Value,
    /// From then on.
    pub new: Value,
    /// How `new` is known, of relays and signals.
    pub provenance: Option<Provenance>,
    /// Why.
    pub cause: Option<Text>,
    /// The signal that switches the relay.
    pub driven_by: Option<Signal>,
    /// Whether it has changed while one bridge took over from another.
    pub takeover: bool,
    /// When the device was last watched before, where nobody did for a while.
    pub not_observed_since: Option<Timestamp>,
}

/// What is read of a `changes` record.
#[derive(Deserialize)]
struct Change<'a> {
    id: Uuid,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    device: Cow<'a, str>,
    #[serde(borrow)]
    slot: Option<Cow<'a, str>>,
    relay: Option<Relay>,
    signal: Option<Signal>,
    #[serde(borrow)]
    old: Cow<'a, str>,
    #[serde(borrow)]
    new: Cow<'a, str>,
    #[serde(borrow)]
    cause: Option<Cow<'a, str>>,
    #[serde(borrow)]
    provenance: Option<Cow<'a, str>>,
    driven_by: Option<Signal>,
    #[serde(default)]
    takeover: bool,
    #[serde(borrow)]
    not_observed_since: Option<Cow<'a, str>>,
}

/// What is read of an `events` record.
#[derive(Deserialize)]
struct Event<'a> {
    id: Uuid,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    device: Cow<'a, str>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    triggered: Option<bool>,
}

/// Longest cause that is kept, in bytes.
const MAX_CAUSE: usize = 128;

impl Entry {
    /// The entry that the record of that destination and payload is; `None` for a record of something else, of an event without
    /// its name or state, or of what a later version may have written.
    pub fn read(destination: &Destination, payload: &[u8]) -> Option<Entry> {
        match destination {
            Destination::Changes(..) => Entry::of_change(serde_json::from_slice(payload).ok()?),
            Destination::Events(_) => Entry::of_event(serde_json::from_slice(payload).ok()?),
            Destination::DeadLetter(_) | Destination::Reply(_) => None,
        }
    }

    fn of_change(change: Change<'_>) -> Option<Entry> {
        let device = DeviceId::new(&*change.device)?;
        let slot = match change.slot {
            Some(slot) => Some(SlotId::new(&*slot)?),
            None => None,
        };
        let part = match (slot, change.relay, change.signal) {
            (None, None, None) => None,
            (Some(slot), None, None) => Some(Part::Slot(slot)),
            (Some(slot), Some(relay), None) => Some(Part::Relay(slot, relay)),
            (Some(slot), None, Some(signal)) => Some(Part::Signal(slot, signal)),
            _ => return None,
        };
        let cause = change.cause.filter(|cause| cause.len() <= MAX_CAUSE);
        Some(Entry {
            id: change.id,
            at: time(&change.at)?,
            subject: Subject { device, part },
            old: Value::from_name(&change.old)?,
            new: Value::from_name(&change.new)?,
            provenance: change.provenance.as_deref().and_then(provenance),
            cause: cause.map(|cause| Text::from(&*cause)),
            driven_by: change.driven_by,
            takeover: change.takeover,
            not_observed_since: change.not_observed_since.as_deref().and_then(time),
        })
    }

    fn of_event(event: Event<'_>) -> Option<Entry> {
        let name = EventName::canonical(&event.event?)?;
        let triggered = event.triggered?;
        Some(Entry {
            id: event.id,
            at: time(&event.at)?,
            subject: Subject::of(DeviceId::new(&*event.device)?, Part::Event(name)),
            old: Value::of_event(!triggered),
            new: Value::of_event(triggered),
            provenance: None,
            cause: None,
            driven_by: None,
            takeover: false,
            not_observed_since: None,
        })
    }
}

/// A time of a record, in milliseconds: so it is kept.
fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    Timestamp::from_millisecond(time.as_millisecond()).ok()
}

fn provenance(name: &str) -> Option<Provenance> {
    match name {
        "reported" => Some(Provenance::Reported),
        "derived" => Some(Provenance::Derived),
        "unknown" => Some(Provenance::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(destination: Destination, json: &str) -> Option<Entry> {
        Entry::read(&destination, json.as_bytes())
    }

    fn changes(slot: Option<&str>) -> Destination {
        Destination::Changes(DeviceId::new("m1").unwrap(), slot.and_then(SlotId::new))
    }

    const HEAD: &str =
        r#"{"id":"0198c2a5-0000-7000-8000-000000000001","at":"2026-02-10T09:45:48.123Z","device":"m1""#;

    #[test]
    fn a_change_becomes_an_entry_with_all_that_it_says() {
        let json = format!(
            r#"{HEAD},"slot":"io3","relay":"a","old":"NO","new":"NC","cause":"clock-not-sync","provenance":"derived","driven_by":"clk1","takeover":true,"later":1}}"#
        );
        let entry = read(changes(Some("io3")), &json).unwrap();
        let expected = Entry {
            id: "0198c2a5-0000-7000-8000-000000000001".parse().unwrap(),
            at: "2026-02-10T09:45:48.123Z".parse().unwrap(),
            subject: "m1/io3/a".parse().unwrap(),
            old: Value::No,
            new: Value::Nc,
            provenance: Some(Provenance::Derived),
            cause: Some("clock-not-sync".into()),
            driven_by: Some(Signal::Clk1),
            takeover: true,
            not_observed_since: None,
        };
        assert_eq!(entry, expected);
        let json = format!(
            r#"{HEAD},"old":"online","new":"online","not_observed_since":"2026-02-10T08:00:00.000Z"}}"#
        );
        let entry = read(changes(None), &json).unwrap();
        assert_eq!(entry.subject.to_string(), "m1");
        let since = "2026-02-10T08:00:00Z".parse().ok();
        assert_eq!((entry.new, entry.not_observed_since), (Value::Online, since));
    }

    #[test]
    fn an_event_becomes_an_entry_where_its_name_and_state_are_known() {
        let events = || Destination::Events(DeviceId::new("m1").unwrap());
        let json =
            format!(r#"{HEAD},"source":"snmp","event":"ntp-not-sync","triggered":true,"varbinds":[]}}"#);
        let entry = read(events(), &json).unwrap();
        assert_eq!(entry.subject.to_string(), "m1/event/ntp-not-sync");
        assert_eq!((entry.old, entry.new), (Value::False, Value::True));
        for without in [r#""event":"x""#, r#""triggered":true"#] {
            assert_eq!(read(events(), &format!("{HEAD},{without}}}")), None, "{without}");
        }
    }

    #[test]
    fn what_is_no_history_is_no_entry() {
        for (destination, json) in [
            (
                Destination::DeadLetter(None),
                format!(r#"{HEAD},"old":"online","new":"offline"}}"#),
            ),
            (changes(None), "{}".to_owned()),
            (
                changes(None),
                format!(r#"{HEAD},"old":"online","new":"of a later version"}}"#),
            ),
            (
                changes(None),
                format!(r#"{HEAD},"relay":"a","old":"NO","new":"NC"}}"#),
            ),
        ] {
            assert_eq!(read(destination, &json), None, "{json}");
        }
    }
}
