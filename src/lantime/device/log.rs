//! What the log says of a device: what was found there, and what could not be understood.

use litemap::LiteMap;

use super::published::Published;
use crate::model::{DeviceView, Signal, SlotId, SlotState, SlotView, Snapshot, WiringSource};

/// Most texts of a device that are remembered as logged.
const MAX_LOGGED: usize = 256;

/// What was logged of one device.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Whether REST has answered before.
    is_known: bool,
    logged: LiteMap<Box<str>, ()>,
}

impl Log {
    /// A device answers over REST, that was online before or not. Says whether it is the first time.
    pub(super) fn answered(&mut self, published: &Published, was_online: bool) -> bool {
        let Some(snapshot) = &published.snapshot else {
            return false;
        };
        let view = &published.view;
        let is_first = !std::mem::replace(&mut self.is_known, true);
        if is_first {
            log_first_answer(snapshot, view);
        } else if !was_online {
            tracing::info!("device answers again");
        }
        self.findings(snapshot, view);
        is_first
    }

    /// Whether that is logged for the first time.
    fn is_first(&mut self, text: &str) -> bool {
        let is_first = !self.logged.contains_key(text);
        if is_first {
            self.logged.insert(text.into(), ());
        }
        is_first
    }

    /// Says once what could not be understood, and which entries of the profile find nothing.
    fn findings(&mut self, snapshot: &Snapshot, view: &DeviceView) {
        for note in &snapshot.notes {
            if self.logged.len() < MAX_LOGGED && self.is_first(note) {
                tracing::warn!("status document: {note}");
            }
        }
        let profile = &snapshot.identity.profile;
        let mut missing: Vec<_> = snapshot.unresolved.clone();
        missing.retain(|entry| self.is_first(&format!("{profile} {entry}")));
        for entry in &missing {
            tracing::debug!("entry {entry} of API profile {profile} finds nothing at this device");
        }
        // A signal that is not shown for this device is not missed either.
        let is_shown = |signal| view.slots.values().any(|slot| slot.signals.contains_key(&signal));
        missing.retain(|entry| match *entry {
            "relay_module.pps" => is_shown(Signal::Pps),
            "relay_module.10mhz" => is_shown(Signal::TenMhz),
            _ => true,
        });
        if !missing.is_empty() {
            tracing::info!("{}: the device does not report them", consequences(&missing));
        }
    }
}

/// What it means that these entries of a profile find nothing.
fn consequences(entries: &[&'static str]) -> String {
    let meaning = |entry: &&'static str| match *entry {
        "relay_module.relay_a" | "relay_module.relay_b" | "relay_module.relay_c" => {
            "relay positions are derived where possible".to_owned()
        }
        "relay_module.pps" => "PPS is unknown".to_owned(),
        "relay_module.10mhz" => "10 MHz is unknown".to_owned(),
        "rsc.mode" => "the mode of the RSC is not shown".to_owned(),
        other => format!("{other} is not shown"),
    };
    let mut meanings: Vec<_> = entries.iter().map(meaning).collect();
    meanings.dedup();
    meanings.join(", ")
}

/// Says in the log what was found at a device that answers for the first time.
fn log_first_answer(snapshot: &Snapshot, view: &DeviceView) {
    let firmware = snapshot.identity.firmware.as_deref().unwrap_or("unknown");
    let slots: Vec<_> = view.slots.keys().map(SlotId::as_str).collect();
    tracing::info!(firmware, ?slots, "device is online");
    if slots.is_empty() {
        tracing::warn!("no slot holds a relay module; list the slots in the configuration if it has one");
    }
    for (slot, SlotView { state, wiring, .. }) in &view.slots {
        if *state != SlotState::Online {
            let state = state.as_str();
            tracing::warn!(%slot, state, "no relay module in this slot; compare slots in the configuration with the device");
        } else if let Some((_, WiringSource::Assumed)) = wiring {
            tracing::warn!(%slot, "the usual wiring is assumed; compare it with the jumpers, and set relays for this slot in the configuration");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_reported_is_one_line_for_an_operator() {
        let relays = [
            "relay_module.relay_a",
            "relay_module.relay_b",
            "relay_module.relay_c",
        ];
        assert_eq!(
            consequences(&relays),
            "relay positions are derived where possible"
        );
        let others = ["relay_module.relay_c", "relay_module.pps", "rsc.mode"];
        assert_eq!(
            consequences(&others),
            "relay positions are derived where possible, PPS is unknown, the mode of the RSC is not shown"
        );
    }
}
