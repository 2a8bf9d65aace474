//! `events/set`: which notification events switch a relay. Whether the device knows them, and whether the
//! relay is wired so, is for the device's task to say.

use std::collections::HashSet;

use super::payload::{FAIL_FAST, Payload, rejected, wrong};
use crate::model::id::{MAX_ID_LENGTH, to_id};
use crate::model::{DeviceCommand, ErrorReport, EventName, EventsChange, Relay, SlotId};
use crate::wording::quoted;

const KEYS: [&str; 5] = ["id", "replace", "add", "remove", FAIL_FAST];
const EXAMPLE: &str = r#"{"replace":["ntp-not-sync"]}"#;

/// More names than any device has events.
const MAX_NAMES: usize = 200;

pub(super) fn read(slot: &str, relay: &str, payload: Payload) -> Result<DeviceCommand, ErrorReport> {
    let slot = SlotId::new(slot).ok_or_else(|| not_a_slot(slot))?;
    let relay = relay_of(relay)?;
    let members = payload.members(&KEYS, EXAMPLE)?;
    let change = change(
        members.texts("replace")?,
        members.texts("add")?,
        members.texts("remove")?,
    )?;
    Ok(DeviceCommand::RelayEvents { slot, relay, change })
}

/// The command to add and remove events.
pub(super) fn edit(
    slot: SlotId,
    relay: Relay,
    add: Vec<&str>,
    remove: Vec<&str>,
) -> Result<DeviceCommand, ErrorReport> {
    let relay = selectable(relay)?;
    let change = change(None, Some(add), Some(remove))?;
    Ok(DeviceCommand::RelayEvents { slot, relay, change })
}

fn not_a_slot(slot: &str) -> ErrorReport {
    let what = format!("{} in the topic cannot be a slot's id", quoted(slot));
    match to_id(slot) {
        Some(id) => rejected(what, format!("write {id:?} there")),
        None => rejected(
            what,
            "write the slot's id as it is on the device, such as \"io3\"",
        ),
    }
}

fn relay_of(name: &str) -> Result<Relay, ErrorReport> {
    let relay = Relay::from_name(name).ok_or_else(|| {
        let what = format!("there is no relay {}", quoted(name));
        rejected(what, "write a or c in the topic, in lower case")
    })?;
    selectable(relay)
}

fn selectable(relay: Relay) -> Result<Relay, ErrorReport> {
    if relay != Relay::B {
        return Ok(relay);
    }
    let inputs: Vec<_> = Relay::B.possible_inputs().iter().map(|s| s.as_str()).collect();
    let what = format!(
        "relay b cannot follow notification events: a jumper on the module wires it to {}",
        inputs.join(" or ")
    );
    let remedy = "select events for relay a or c, if its jumper is on notification";
    Err(rejected(what, remedy))
}

fn change(
    replace: Option<Vec<&str>>,
    add: Option<Vec<&str>>,
    remove: Option<Vec<&str>>,
) -> Result<EventsChange, ErrorReport> {
    check_names([&replace, &add, &remove].into_iter().flatten().flatten())?;
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    match (replace, add, remove) {
        (Some(events), None, None) => Ok(EventsChange::Replace(owned(events))),
        (Some(_), ..) => {
            let what = "\"replace\" together with \"add\" or \"remove\"";
            let remedy = "write all events into \"replace\", or leave it out and write what changes";
            Err(wrong(what, remedy))
        }
        (None, None, None) => {
            let what = "the command is empty: no \"replace\", \"add\" or \"remove\"";
            Err(wrong(what, format!("send, for example, {EXAMPLE}")))
        }
        (None, add, remove) => {
            let (add, remove) = (add.unwrap_or_default(), remove.unwrap_or_default());
            not_in_both(&add, &remove)?;
            Ok(EventsChange::Edit {
                add: owned(add),
                remove: owned(remove),
            })
        }
    }
}

fn check_names<'a>(mut names: impl Iterator<Item = &'a &'a str> + Clone) -> Result<(), ErrorReport> {
    let count = names.clone().count();
    if count > MAX_NAMES {
        let what = format!("{count} event names");
        return Err(rejected(what, format!("write at most {MAX_NAMES}")));
    }
    match names.find(|name| EventName::canonical(name).is_none()) {
        Some(name) => {
            let what = format!("{} cannot be the name of an event", quoted(name));
            let remedy =
                format!("write names of 1 to {MAX_ID_LENGTH} characters, as in the topics event/NAME");
            Err(rejected(what, remedy))
        }
        None => Ok(()),
    }
}

/// One event may be written in two spellings.
fn not_in_both(add: &[&str], remove: &[&str]) -> Result<(), ErrorReport> {
    let added: HashSet<_> = add.iter().filter_map(|name| EventName::canonical(name)).collect();
    let mut both = remove.iter().filter_map(|name| EventName::canonical(name));
    match both.find(|event| added.contains(event)) {
        Some(event) => {
            let what = format!("{event} is in \"add\" and in \"remove\"");
            Err(wrong(what, "leave it out of one of them"))
        }
        None => Ok(()),
    }
}
