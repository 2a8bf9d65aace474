//! One odd value in a document costs its own field, and nothing else.

use std::sync::Arc;

use lantime2mqtt::model::{EventType, LastTriggered, Signal, Snapshot, Status};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::any::{any_json, document, key};
use super::config;
use super::poll::snapshot;

/// A field of the document, and the place that it has in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field {
    System(&'static str),
    Event(usize, &'static str),
    Clock(Signal, &'static str),
}

const SYSTEM_FIELDS: [&str; 4] = ["version", "serial-number", "hostname", "model"];
const EVENT_FIELDS: [&str; 4] = ["object-id", "type", "triggered", "last-triggered"];
/// The first is what the bridge lives on; the others are only passed on.
const CLOCK_FIELDS: [&str; 5] = [
    "/clock-status/clock",
    "/clock-status/oscillator",
    "/clock-idx",
    "/osc-type",
    "/est-time-quality",
];

impl Field {
    /// Where it is: the JSON pointer of the object, and the key in it.
    pub(crate) fn parent_and_key(self, document: &Value) -> (String, &'static str) {
        match self {
            Field::System(key) => ("/system-information".to_owned(), key),
            Field::Event(index, key) => (format!("/data/notification/events/{index}"), key),
            Field::Clock(signal, pointer) => {
                let slots = document["data"]["chassis0"]["slots"].as_array().expect("a list");
                let index = slots.iter().position(|slot| slot["slot-id"] == signal.as_str());
                let index = index.expect("the clock is fitted");
                let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
                (
                    format!("/data/chassis0/slots/{index}/module/sync-status{parent}"),
                    key,
                )
            }
        }
    }

    /// Whether its absence is worth a note.
    pub(crate) fn is_expected(self) -> bool {
        !matches!(self, Field::Clock(_, pointer) if pointer != CLOCK_FIELDS[0])
    }

    /// Takes what the field gave out of a snapshot.
    pub(crate) fn forget(self, snapshot: &mut Snapshot, base: &Snapshot) {
        snapshot.notes.clear();
        match self {
            Field::System("version") => Arc::make_mut(&mut snapshot.identity).firmware = None,
            Field::System("serial-number") => Arc::make_mut(&mut snapshot.identity).serial_number = None,
            Field::System("hostname") => Arc::make_mut(&mut snapshot.identity).hostname = None,
            Field::System(_) => Arc::make_mut(&mut snapshot.identity).model = None,
            Field::Event(index, key) => {
                let name = &base.events[index].name;
                let Some(place) = snapshot.events.iter().position(|event| event.name == *name) else {
                    return;
                };
                let mut events = snapshot.events.to_vec();
                match key {
                    "type" => events[place].kind = EventType::Unknown,
                    "triggered" => events[place].triggered = None,
                    "last-triggered" => events[place].last_triggered = LastTriggered::Unclear,
                    _ => drop(events.remove(place)),
                }
                snapshot.events = events.into();
            }
            Field::Clock(signal, pointer) => {
                let mut clocks = snapshot.clocks.iter_mut();
                let clock = clocks.find(|clock| clock.signal == signal).expect("it is there");
                let key = match pointer {
                    "/clock-status/clock" => "clock",
                    "/clock-status/oscillator" => "oscillator",
                    "/clock-idx" => "selected",
                    "/osc-type" => "osc_type",
                    _ => "time_quality",
                };
                let kept = clock.detail.iter().filter(|(name, _)| *name != key);
                clock.detail = kept.cloned().collect();
                match key {
                    "clock" => clock.status = Status::Unknown,
                    "selected" => clock.selected = None,
                    _ => (),
                }
            }
        }
    }
}

pub(crate) fn document_and_field() -> impl Strategy<Value = (Value, Field)> {
    document().prop_flat_map(|document| {
        let events = document["data"]["notification"]["events"]
            .as_array()
            .map_or(0, Vec::len);
        let is_redundant = document["system-information"]["model"] == "M3000";
        let clocks = if is_redundant {
            &[Signal::Clk1, Signal::Clk2][..]
        } else {
            &[Signal::Clk1]
        };
        let field = prop_oneof![
            select(&SYSTEM_FIELDS[..]).prop_map(Field::System),
            (0..events, select(&EVENT_FIELDS[..])).prop_map(|(index, key)| Field::Event(index, key)),
            (select(clocks), select(&CLOCK_FIELDS[..])).prop_map(|(clock, key)| Field::Clock(clock, key)),
        ];
        (Just(document), field)
    })
}

/// A value that no field of a status document may have; `None` removes the key.
fn odd_value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        (2..i64::MAX).prop_map(|number| Some(number.into())),
        vec(any_json(), 0..3).prop_map(|list| Some(list.into())),
        btree_map(key(), any_json(), 0..3).prop_map(|map| Some(map.into_iter().collect())),
        "[a-z]{257,300}".prop_map(|text| Some(text.into())),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_odd_value_costs_its_field_only((mut document, field) in document_and_field(), odd in odd_value()) {
        let base = snapshot(&document);
        let (parent, key) = field.parent_and_key(&document);
        let is_missing = odd.is_none();
        let parent = document.pointer_mut(&parent).and_then(Value::as_object_mut).expect("an object");
        prop_assert!(parent.contains_key(key), "{:?} is in the document", field);
        match odd {
            Some(odd) => drop(parent.insert(key.to_owned(), odd)),
            None => drop(parent.remove(key)),
        }
        let read = snapshot(&document);
        if field.is_expected() {
            prop_assert_eq!(read.notes.len(), 1, "{:?}", &read.notes);
        } else {
            prop_assert!(!is_missing || read.notes.is_empty(), "{:?}", &read.notes);
        }
        let (mut expected, mut without) = (base.clone(), read.clone());
        field.forget(&mut expected, &base);
        if let Field::Clock(signal, "/clock-status/clock" | "/clock-idx") = field {
            let clock = expected.clocks.iter_mut().find(|clock| clock.signal == signal);
            clock.expect("it is there").is_malformed = !is_missing;
        }
        without.notes.clear();
        prop_assert_eq!(&without, &expected, "what was read lacks the field, and nothing else");
    }

    #[test]
    fn either_version_of_the_api_is_enough(mut document in document(), odd in odd_value(), first in any::<bool>()) {
        let base = snapshot(&document);
        let (parent, key) = match first {
            true => (&mut document["data"]["rest-api"], "api-version"),
            false => (&mut document["system-information"], "API Version"),
        };
        match (odd, parent.as_object_mut()) {
            (Some(odd), Some(parent)) => drop(parent.insert(key.to_owned(), odd)),
            (_, Some(parent)) => drop(parent.remove(key)),
            (_, None) => panic!("an object is there"),
        }
        let read = snapshot(&document);
        prop_assert_eq!(read.identity, base.identity);
    }
}
