//! The actions of an event as the vendor's MIB writes them: one action for all relays, while a device may distinguish them
//! over REST.

use crate::simulator::action::ActionError;
use crate::simulator::configuration::{ACTIONS, ANY_RELAY, LED, takes, word};
use crate::simulator::device_kind::{ApiGeneration, DeviceKind, Driver, Relay};

/// The string that the object of an event holds. It is empty without any action (assumed), and has the relays' word
/// when the event switches any of them.
pub(super) fn write(actions: &[String]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for action in actions {
        let word = if is_of_mib(action) { action } else { ANY_RELAY };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(",")
}

/// Reads such a string, for a device of that kind: words with commas between them, blanks around them do not count
/// (assumed).
///
/// # Errors
/// With the first word that is not in the MIB's list, or that the event does not take.
pub(super) fn read(kind: DeviceKind, event: &str, text: &str) -> Result<Vec<String>, ActionError> {
    let mut actions: Vec<String> = Vec::new();
    for written in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let refused = || ActionError::NoAction {
            event: event.to_owned(),
            action: written.to_owned(),
        };
        let meant = match written {
            ANY_RELAY => relays(kind),
            other if is_of_mib(other) => vec![other.to_owned()],
            _ => return Err(refused()),
        };
        if meant.is_empty() || meant.iter().any(|action| !takes(kind, event, action)) {
            return Err(refused());
        }
        for action in meant {
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
    }
    Ok(actions)
}

fn is_of_mib(action: &str) -> bool {
    ACTIONS.contains(&action) || [LED, ANY_RELAY].contains(&action)
}

/// What the relays' action stands for. Assumed: if a device distinguishes relays over REST, every relay on
/// notification.
fn relays(kind: DeviceKind) -> Vec<String> {
    if kind.api < ApiGeneration::V20 {
        return vec![ANY_RELAY.to_owned()];
    }
    let modules = kind.chassis.relay_modules().iter();
    modules
        .flat_map(|module| [Relay::A, Relay::B, Relay::C].map(|relay| (module, relay)))
        .filter(|(module, relay)| module.driver(*relay) == Driver::Notification)
        .map(|(module, relay)| word(kind.api, module.slot, relay))
        .collect()
}
