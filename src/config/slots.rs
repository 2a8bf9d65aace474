//! `slots` of a device: which are watched, and how their relays are wired.

use std::collections::HashSet;

use super::parse;
use super::problem::{Complaint, complaint};
use super::section::Section;
use crate::model::derive::Slots;
use crate::model::{Relay, Signal, SlotId, Wiring};

/// Every slot with a relay module, unless they are listed.
pub(super) fn read(device: &mut Section<'_>) -> Slots {
    match device.value("slots") {
        None => return Slots::Auto,
        Some(value) if value.as_str() == Some("auto") => return Slots::Auto,
        Some(value) if value.as_array().is_none_or(<[_]>::is_empty) => {
            let remedy = r#"write "auto", or [{ id = "io3" }] with an entry for each relay module"#;
            device.refuse("slots", complaint("not a list of slots", remedy));
            return Slots::Auto;
        }
        Some(_) => {}
    }
    let mut ids = HashSet::new();
    let tables = device.tables("slots").into_iter();
    Slots::Listed(tables.filter_map(|table| read_slot(table, &mut ids)).collect())
}

fn read_slot(mut section: Section<'_>, ids: &mut HashSet<SlotId>) -> Option<(SlotId, Option<Wiring>)> {
    let id = section.parsed("id", |text| {
        SlotId::new(text).ok_or_else(|| parse::id_complaint(text))
    });
    section.need("id", r#"write the slot's name on the device, such as id = "io3""#);
    // Of another kind it is refused as a whole.
    let given = section
        .value("relays")
        .is_some_and(|value| value.as_dict().is_some());
    let mut relays = section.section("relays");
    let wiring = if given { read_wiring(&mut relays) } else { None };
    relays.finish();
    if let Some(id) = &id
        && !ids.insert(id.clone())
    {
        section.refuse("id", complaint("listed twice", "leave one of them out"));
    }
    section.finish();
    Some((id?, wiring))
}

fn read_wiring(relays: &mut Section<'_>) -> Option<Wiring> {
    let [a, b, c] = Relay::ALL.map(|relay| {
        let signal = relays.parsed(relay.as_str(), |text| input(relay, text));
        let inputs = inputs(relay);
        relays.need(
            relay.as_str(),
            &format!("write what its jumper chooses, {inputs}, or leave relays out"),
        );
        signal
    });
    Some(Wiring { a: a?, b: b?, c: c? })
}

fn input(relay: Relay, text: &str) -> Result<Signal, Complaint> {
    let signal = Signal::from_name(text).filter(|signal| relay.possible_inputs().contains(signal));
    signal.ok_or_else(|| {
        let what = format!(
            "relay {relay} cannot be wired to that, its jumper can only choose {}",
            inputs(relay)
        );
        complaint(
            what,
            "write how the jumper on the module stands; nothing else decides",
        )
    })
}

fn inputs(relay: Relay) -> String {
    let names: Vec<_> = relay
        .possible_inputs()
        .iter()
        .map(|signal| format!("\"{signal}\""))
        .collect();
    names.join(" or ")
}
