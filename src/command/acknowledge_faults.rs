//! `faults/acknowledge`: notes that somebody has seen the last faults of relays.

use super::payload::{FAIL_FAST, Payload, rejected, wrong};
use crate::model::{DeviceCommand, ErrorReport, Relay, SlotId};
use crate::wording::{MAX_NAME, is_name, quoted};

const KEYS: [&str; 5] = ["id", "slot", "relay", "by", FAIL_FAST];
const EXAMPLE: &str = r#"{"slot":"io3","relay":"a","by":"Ada"}"#;

pub(super) fn read(payload: Payload) -> Result<DeviceCommand, ErrorReport> {
    let members = payload.members(&KEYS, EXAMPLE)?;
    let slot = members.checked_text("slot", EXAMPLE)?.map(|slot| {
        let what = || format!("{} cannot be a slot's id", quoted(slot));
        let remedy = "write the slot's id as it is on the device, such as \"io3\"";
        SlotId::new(slot).ok_or_else(|| rejected(what(), remedy))
    });
    let relay = members.checked_text("relay", EXAMPLE)?.map(|relay| {
        let what = || format!("there is no relay {}", quoted(relay));
        Relay::from_name(relay).ok_or_else(|| rejected(what(), "write a, b or c, in lower case"))
    });
    let by = members.checked_text("by", EXAMPLE)?;
    if by.is_some_and(|by| !is_name(by)) {
        let what = format!("\"by\" is not a name of 1 to {MAX_NAME} characters in one line");
        return Err(wrong(what, "write a shorter one, or leave it out"));
    }
    Ok(DeviceCommand::AcknowledgeFaults {
        slot: slot.transpose()?,
        relay: relay.transpose()?,
        by: by.map(str::to_owned),
    })
}
