//! `slots` of a device: which are watched, and how their relays are wired.

use std::collections::HashSet;

use super::parse;
use super::problem::Problem;
use super::section::Section;
use crate::model::derive::Slots;
use crate::model::{Relay, Signal, SlotId, Wiring};

/// Every slot with a relay module, unless they are listed.
pub(super) fn read(device: &Section<'_>) -> Slots {
    match device.value("slots") {
        None => return Slots::Auto,
        Some(value) if value.as_str() == Some("auto") => return Slots::Auto,
        Some(value) if value.as_array().is_none_or(<[_]>::is_empty) => {
            let remedy = r#"write "auto", or [{ id = "io3" }] with an entry for each relay module"#;
            device.refuse("slots", Problem::new("not a list of slots", remedy));
            return Slots::Auto;
        }
        Some(_) => {}
    }
    let mut ids = HashSet::new();
    let tables = device.tables("slots");
    let slots = tables.iter().filter_map(|table| read_slot(table, &mut ids));
    let mut slots: Vec<_> = slots.collect();
    slots.shrink_to_fit();
    Slots::Listed(slots)
}

fn read_slot(section: &Section<'_>, ids: &mut HashSet<SlotId>) -> Option<(SlotId, Option<Wiring>)> {
    let id = section.parsed("id", |text| {
        SlotId::new(text).ok_or_else(|| parse::id_problem(text))
    });
    // Of another kind it is refused as a whole.
    let given = section
        .value("relays")
        .is_some_and(|value| value.as_dict().is_some());
    let relays = section.section("relays");
    let wiring = if given { read_wiring(&relays) } else { None };
    if let Some(id) = &id
        && !ids.insert(id.clone())
    {
        section.refuse("id", Problem::new("listed twice", "leave one of them out"));
    }
    Some((id?, wiring))
}

fn read_wiring(relays: &Section<'_>) -> Option<Wiring> {
    let [a, b, c] = Relay::ALL.map(|relay| relays.read(relay.as_str(), |text| input(relay, text)));
    Some(Wiring { a: a?, b: b?, c: c? })
}

fn input(relay: Relay, text: &str) -> Option<Signal> {
    Signal::from_name(text).filter(|signal| relay.possible_inputs().contains(signal))
}
