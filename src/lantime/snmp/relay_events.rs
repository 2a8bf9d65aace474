//! Which events switch the relays of a device by the vendor's MIB: read from the strings of actions, and the smallest
//! change of them. Pure; the requests are the manager's, and in which order they go the device task's.

use std::collections::{BTreeMap, BTreeSet};

use super::actions::{self, RELAY};
use super::oids::{self, NOTIFICATIONS, Notification};
use crate::lantime::choice::{self, list, nearest, refusal};
use crate::model::{ErrorReport, EventName, EventState, EventsChange};

/// What each event does, as the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventActions(BTreeMap<u32, String>);

/// A string of actions that is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionsChange {
    /// Number of the event's object.
    pub number: u32,
    /// Canonical name of the event.
    pub event: &'static str,
    /// As it was read.
    pub from: String,
    /// As it is to be.
    pub to: String,
}

/// The numbers of all objects that hold the actions of an event.
pub fn numbers() -> Vec<u32> {
    NOTIFICATIONS.iter().filter_map(|known| known.actions).collect()
}

impl EventActions {
    /// The strings of actions by the number of their object, as far as the device has them.
    pub fn new(strings: BTreeMap<u32, String>) -> EventActions {
        EventActions(strings)
    }

    /// Whether the device has no such object at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The events that switch the relays.
    pub fn events(&self) -> BTreeSet<EventName> {
        let having = self
            .offered()
            .filter(|(_, _, string)| actions::has(string, RELAY));
        having.filter_map(|(known, ..)| name(known)).collect()
    }

    /// The events that are to switch the relays after the change. `known` are those of the status document.
    ///
    /// # Errors
    /// A refusal, when the device has no event of a name, when one of them cannot be chosen this way, or when one is to
    /// be both added and removed.
    pub fn desired(
        &self,
        change: &EventsChange,
        known: &[EventState],
    ) -> Result<BTreeSet<EventName>, ErrorReport> {
        let now = self.events();
        let mut names: Vec<&str> = known.iter().map(|event| event.name.as_str()).collect();
        names.extend(self.offered().map(|(known, ..)| known.event));
        let desired = choice::desired(now.clone(), change, &names)?;
        self.check(desired.difference(&now))?;
        Ok(desired)
    }

    fn check<'a>(&self, added: impl Iterator<Item = &'a EventName>) -> Result<(), ErrorReport> {
        let able: Vec<&str> = self
            .offered()
            .filter(|(known, ..)| known.takes_relay())
            .map(|(known, ..)| known.event)
            .collect();
        let unable: Vec<_> = added.filter(|event| !able.contains(&event.as_str())).collect();
        let Some(first) = unable.first() else {
            return Ok(());
        };
        let why = match oids::by_event(first.as_str()) {
            None | Some(Notification { actions: None, .. }) => "the vendor's MIB has no object for that",
            Some(known) if !known.takes_relay() => "the vendor's MIB says that it switches no relay",
            Some(_) => "the device's SNMP agent has no such object",
        };
        let near = nearest(unable.iter().map(|event| event.as_str()), &able);
        let remedy = match near.is_empty() {
            true => "leave it out, or choose it in the device's web interface".to_owned(),
            false => format!("leave it out; the nearest that can: {}", near.join(", ")),
        };
        let message = format!(
            "over SNMP nobody can choose that {} switches a relay: {why}",
            list(&unable)
        );
        Err(refusal(message, remedy))
    }

    /// The smallest change after which just the `desired` events switch the relays. All other actions stay.
    pub fn plan(&self, desired: &BTreeSet<EventName>) -> Vec<ActionsChange> {
        let change = |(known, number, string): (&'static Notification, u32, &str)| {
            let is_wanted = name(known).is_some_and(|name| desired.contains(&name));
            (actions::has(string, RELAY) != is_wanted).then(|| ActionsChange {
                number,
                event: known.event,
                from: string.to_owned(),
                to: actions::toggled(string, RELAY),
            })
        };
        self.offered().filter_map(change).collect()
    }

    /// Whether a string of actions is as it was set.
    pub fn has(&self, change: &ActionsChange) -> bool {
        let string = self.0.get(&change.number);
        string.is_some_and(|string| actions::is_same(string, &change.to))
    }

    fn offered(&self) -> impl Iterator<Item = (&'static Notification, u32, &str)> {
        NOTIFICATIONS.iter().filter_map(|known| {
            let number = known.actions?;
            Some((known, number, self.0.get(&number)?.as_str()))
        })
    }
}

fn name(known: &Notification) -> Option<EventName> {
    EventName::canonical(known.event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ErrorKind, EventType, LastTriggered};

    /// `ntp-not-sync`, `antenna-faulty` and `normal-operation`, and what the document lists beside them.
    fn device() -> (EventActions, Vec<EventState>) {
        let strings = [(1, "n/a"), (2, "Email, relais,snmp"), (12, "siren")];
        let strings = strings.map(|(number, string)| (number, string.to_owned()));
        let listed = ["ntp-not-sync", "faillock-user-banned", "fan-down"].map(|event| EventState {
            name: EventName::canonical(event).unwrap(),
            name_on_device: None,
            triggered: Some(false),
            kind: EventType::Error,
            last_triggered: LastTriggered::Never,
        });
        (EventActions::new(strings.into()), listed.into())
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn names(names: &[&str]) -> BTreeSet<EventName> {
        names
            .iter()
            .filter_map(|name| EventName::canonical(name))
            .collect()
    }

    #[test]
    fn only_what_has_to_change_is_set_and_other_actions_stay() {
        let (actions, listed) = device();
        assert_eq!(actions.events(), names(&["ntp-not-sync"]));
        let replaced = EventsChange::Replace(texts(&["antenna-faulty"]));
        let desired = actions.desired(&replaced, &listed).unwrap();
        let plan = actions.plan(&desired);
        let told: Vec<_> = plan
            .iter()
            .map(|change| (change.event, change.to.as_str()))
            .collect();
        assert_eq!(
            told,
            [("ntp-not-sync", "Email,snmp"), ("antenna-faulty", "siren,relais")]
        );
        assert!(actions.plan(&actions.events()).is_empty());
        assert!(!actions.has(&plan[0]));
        let after = EventActions::new([(2, "snmp,email".to_owned()), (12, "siren".to_owned())].into());
        assert!(after.has(&plan[0]) && !after.has(&plan[1]));
    }

    #[test]
    fn an_event_that_cannot_be_chosen_is_refused_by_name() {
        let (actions, listed) = device();
        for (event, why) in [
            ("faillock-user-banned", "MIB has no object"),
            ("normal-operation", "MIB says that it switches no relay"),
            ("fan-down", "agent has no such object"),
            ("coffee-empty", "no event \"coffee-empty\""),
        ] {
            let change = EventsChange::Edit {
                add: texts(&[event, "antenna-faulty"]),
                remove: Vec::new(),
            };
            let refused = actions.desired(&change, &listed).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Rejected);
            assert!(refused.message.contains(event), "{}", refused.message);
            assert!(refused.message.contains(why), "{}", refused.message);
        }
        let near = EventsChange::Replace(texts(&["antenna-faulted"]));
        let refused = actions.desired(&near, &listed).unwrap_err();
        assert!(refused.remedy.contains("antenna-faulty"), "{}", refused.remedy);
        // It switches nothing, and so it is gone already.
        let removed = EventsChange::Edit {
            add: Vec::new(),
            remove: texts(&["faillock-user-banned", "normal-operation"]),
        };
        assert_eq!(actions.desired(&removed, &listed), Ok(actions.events()));
    }

    #[test]
    fn each_object_belongs_to_one_event() {
        let mut all = numbers();
        let many = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), many);
    }
}
