//! Which actions each notification event takes, as applied and as it is to be: the relays follow what is applied.
//!
//! Nobody has seen how a device keeps this, so it does what the shipped API profiles assume. Pure: how it is
//! published is the document's, how requests are answered the responder's.

use super::action::ActionError;
use super::device_kind::{ApiGeneration, DeviceKind, Driver, Relay};
use super::events::Events;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Actions that every event can take, as the vendor's MIB names them.
pub(super) const ACTIONS: [&str; 5] = ["email", "wmail", "snmp", "disp", "own"];
/// An action that, like the relays, not every event can take.
pub(super) const LED: &str = "led";
/// The one event of which the MIB says that it switches no relay and no LED.
const WITHOUT_RELAY: &str = "normal-operation";
/// The action of all relays where a device does not distinguish them: as the MIB has it.
pub(super) const ANY_RELAY: &str = "relais";

/// What a request to change the configuration carries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Write {
    pub(super) data: WriteData,
}

/// Its revision, and the events that are to change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteData {
    pub(super) revision: usize,
    pub(super) events: Vec<EventActions>,
}

/// One event and all the actions that it is to take.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventActions {
    #[serde(rename = "object-id")]
    pub(super) event: String,
    pub(super) actions: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    event: &'static str,
    applied: Vec<String>,
    staged: Vec<String>,
}

/// The actions of all events of one device.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    kind: DeviceKind,
    revision: usize,
    entries: Vec<Entry>,
}

impl Configuration {
    /// As on a device fresh from its installation: some events are mailed or trapped, and the relays on
    /// notification follow the time (A) and the antenna (C).
    pub(super) fn new(kind: DeviceKind, events: &Events) -> Self {
        let entries = events.iter().map(|event| {
            let actions = usual_actions(kind, event.name);
            Entry {
                event: event.name,
                applied: actions.clone(),
                staged: actions,
            }
        });
        Self {
            kind,
            revision: 1,
            entries: entries.collect(),
        }
    }

    /// Rises with each change, applied or not.
    pub(super) fn revision(&self) -> usize {
        self.revision
    }

    /// How many events have a change that is not applied.
    pub(super) fn pending(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.staged != entry.applied)
            .count()
    }

    /// Every event with the actions that it is to take.
    pub(super) fn staged(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.entries.iter().map(|entry| (entry.event, &entry.staged[..]))
    }

    /// The actions that an event is to take; none for an event that there is not.
    pub(super) fn actions(&self, event: &str) -> &[String] {
        let entry = self.entries.iter().find(|entry| entry.event == event);
        entry.map_or(&[], |entry| &entry.staged)
    }

    /// Whether an event takes that action now.
    pub(super) fn has_applied(&self, event: &str, word: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.event == event && entry.applied.iter().any(|action| action == word))
    }

    /// The events that switch a relay now; none for a relay that no event can switch.
    pub(super) fn relay_events(&self, slot: &str, relay: Relay) -> BTreeSet<&'static str> {
        let word = word(self.kind.api, slot, relay);
        let is_on_notification = self.is_on_notification(slot, relay);
        let switching = self
            .entries
            .iter()
            .filter(|entry| is_on_notification && entry.applied.contains(&word));
        switching.map(|entry| entry.event).collect()
    }

    /// Takes changes in, all or none of them; they have no effect before [`Self::apply`].
    pub(super) fn stage(&mut self, changes: &[EventActions]) -> Result<(), ActionError> {
        let mut staged = self.entries.clone();
        for EventActions { event, actions } in changes {
            let entry = staged.iter_mut().find(|entry| entry.event == event);
            let entry = entry.ok_or_else(|| ActionError::NoEvent(event.clone()))?;
            let wrong = actions.iter().find(|action| !takes(self.kind, event, action));
            if let Some(action) = wrong {
                return Err(ActionError::NoAction {
                    event: event.clone(),
                    action: action.clone(),
                });
            }
            entry.staged.clone_from(actions);
        }
        self.entries = staged;
        self.revision += 1;
        Ok(())
    }

    /// Lets all changes take effect, and notes an event if there were any.
    pub(super) fn apply(&mut self, events: &mut Events, now: Timestamp) {
        let has_changed = self.pending() > 0;
        for entry in &mut self.entries {
            entry.applied.clone_from(&entry.staged);
        }
        if has_changed {
            // In a recording, events of its type have a time, but do not stand.
            events.note("device-configuration-changed", now);
        }
    }

    /// The change after which these events, in any spelling, and no others switch a relay.
    pub(super) fn relay_change(
        &self,
        slot: &str,
        relay: Relay,
        names: &[String],
        events: &Events,
    ) -> Result<Vec<EventActions>, ActionError> {
        if !self.is_on_notification(slot, relay) {
            let slot = slot.to_owned();
            return Err(ActionError::NotOnNotification { slot, relay });
        }
        let selection: Result<BTreeSet<_>, _> = names.iter().map(|name| events.name_of(name)).collect();
        let (selection, word) = (selection?, word(self.kind.api, slot, relay));
        let mut changes = Vec::new();
        for (event, actions) in self.staged() {
            let (has, wanted) = (actions.contains(&word), selection.contains(event));
            if has == wanted {
                continue;
            }
            let mut actions = actions.to_vec();
            if wanted {
                actions.push(word.clone());
            } else {
                actions.retain(|action| *action != word);
            }
            let event = event.to_owned();
            changes.push(EventActions { event, actions });
        }
        Ok(changes)
    }

    fn is_on_notification(&self, slot: &str, relay: Relay) -> bool {
        let mut modules = self.kind.chassis.relay_modules().iter();
        modules.any(|module| module.slot == slot && module.driver(relay) == Driver::Notification)
    }
}

/// The action that stands for a relay. From generation 20 on each relay has its own (assumed).
pub(super) fn word(api: ApiGeneration, slot: &str, relay: Relay) -> String {
    if api < ApiGeneration::V20 {
        return ANY_RELAY.to_owned();
    }
    let relay = match relay {
        Relay::A => 'a',
        Relay::B => 'b',
        Relay::C => 'c',
    };
    format!("{slot}-relay-{relay}")
}

/// Whether an event can take an action. No jumper can put B on notification; how those of A and C stand the
/// device does not know.
pub(super) fn takes(kind: DeviceKind, event: &str, action: &str) -> bool {
    let modules = kind.chassis.relay_modules().iter();
    let mut relays = modules.flat_map(|module| [Relay::A, Relay::C].map(|relay| (module.slot, relay)));
    let is_special = action == LED || relays.any(|(slot, relay)| word(kind.api, slot, relay) == action);
    ACTIONS.contains(&action) || (is_special && event != WITHOUT_RELAY)
}

fn usual_actions(kind: DeviceKind, event: &str) -> Vec<String> {
    let others: &[&str] = match event {
        "ntp-not-sync" => &["email", "snmp"],
        "antenna-faulty" | "refclock-1-not-sync" => &["snmp"],
        "network-link-down" | "system-reboot" => &["email"],
        _ => &[],
    };
    let mut actions: Vec<String> = others.iter().map(|action| (*action).to_owned()).collect();
    let relay = match event {
        "ntp-not-sync" | "refclock-1-not-sync" | "refclock-2-not-sync" => Relay::A,
        "antenna-faulty" => Relay::C,
        _ => return actions,
    };
    let modules = kind.chassis.relay_modules().iter();
    for module in modules.filter(|module| module.driver(relay) == Driver::Notification) {
        let word = word(kind.api, module.slot, relay);
        if !actions.contains(&word) {
            actions.push(word);
        }
    }
    actions
}
