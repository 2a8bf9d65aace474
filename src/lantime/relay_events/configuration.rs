//! The configuration that chooses which events switch a relay, whichever way it was read: what a command makes of it,
//! the smallest change for that, and what a read-back shows. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::actions;
use super::desired_events::{self, list, nearest, refusal};
use crate::lantime::snmp::oids::{self, Notification};
use crate::model::{ErrorReport, EventName, EventState, EventsChange, Via};

/// What each event does, as a device is configured: changes included that it has not applied yet.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayConfig {
    pub(super) via: Via,
    pub(super) revision: Option<Value>,
    pub(super) is_pending: bool,
    pub(super) events: Vec<EventActions>,
}

/// What one event does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventActions {
    pub(super) name: EventName,
    pub(super) name_on_device: String,
    /// As the device writes them, in its order.
    pub(super) actions: Vec<String>,
}

/// A change to be written: the events that it concerns, with all their actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(super) revision: Option<Value>,
    pub(super) changes: Vec<Change>,
    staged: Staged,
}

/// What the change is for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: EventActions,
    pub(super) to: EventActions,
}

/// The events that are to have an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staged {
    action: String,
    pub(super) events: BTreeSet<EventName>,
}

impl RelayConfig {
    /// Whether there are changes that the device has not applied yet; `false` where it does not say.
    pub fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// The events that have this action.
    pub fn events_of(&self, action: &str) -> BTreeSet<EventName> {
        let having = self.events.iter().filter(|event| event.has(action));
        having.map(|event| event.name.clone()).collect()
    }

    /// The events that are to have this action after the change. `known` are those of the status document.
    ///
    /// # Errors
    /// A refusal, when the device has no event of a name, when one of them cannot be selected this way, or when one is
    /// to be both added and removed.
    pub fn desired(
        &self,
        action: &str,
        change: &EventsChange,
        known: &[EventState],
    ) -> Result<BTreeSet<EventName>, ErrorReport> {
        let mut names: Vec<&str> = known.iter().map(|event| event.name.as_str()).collect();
        if self.via == Via::Snmp {
            // A device has the events of which its agent has the objects.
            names.extend(self.events.iter().map(|event| event.name.as_str()));
        }
        let now = self.events_of(action);
        let desired = desired_events::desired(now.clone(), change, &names)?;
        self.check(desired.difference(&now))?;
        Ok(desired)
    }

    fn check<'a>(&self, added: impl Iterator<Item = &'a EventName>) -> Result<(), ErrorReport> {
        let unable: Vec<_> = added.filter(|event| self.why_not(event).is_some()).collect();
        let Some(why) = unable.first().and_then(|event| self.why_not(event)) else {
            return Ok(());
        };
        let able = self.events.iter().map(|event| &event.name);
        let able = able.filter(|event| self.why_not(event).is_none());
        let near = nearest(
            unable.iter().map(|event| event.as_str()),
            &able.map(EventName::as_str).collect::<Vec<_>>(),
        );
        let remedy = match near.is_empty() {
            true => "leave it out, or select it in the device's web interface".to_owned(),
            false => format!("leave it out; the nearest that can: {}", near.join(", ")),
        };
        let message = format!(
            "{} cannot be selected over {}: {why}",
            self.via.as_str().to_uppercase(),
            list(&unable)
        );
        Err(refusal(message, remedy))
    }

    /// Why this event cannot be selected to switch a relay.
    fn why_not(&self, event: &EventName) -> Option<&'static str> {
        let is_listed = self.events.iter().any(|listed| listed.name == *event);
        if self.via == Via::Rest {
            return (!is_listed).then_some("the device's configuration does not list it");
        }
        match oids::by_event(event.as_str()) {
            None | Some(Notification { actions: None, .. }) => {
                Some("the vendor's MIB has no object for that")
            }
            Some(known) if !known.takes_relay() => Some("the vendor's MIB says that it switches no relay"),
            Some(_) => (!is_listed).then_some("the device's SNMP agent has no such object"),
        }
    }

    /// The smallest change after which just the `desired` events have this action. All other actions stay, in their
    /// order.
    pub fn plan(&self, action: &str, desired: &BTreeSet<EventName>) -> Plan {
        let is_wrong = |event: &&EventActions| event.has(action) != desired.contains(&event.name);
        let wrong = self.events.iter().filter(is_wrong);
        let change = |event: &EventActions| Change {
            from: event.clone(),
            to: event.toggled(action),
        };
        Plan {
            revision: self.revision.clone(),
            changes: wrong.map(change).collect(),
            staged: Staged {
                action: action.to_owned(),
                events: desired.clone(),
            },
        }
    }

    /// Whether just the `desired` events have this action.
    pub fn confirms(&self, action: &str, desired: &BTreeSet<EventName>) -> bool {
        self.plan(action, desired).is_empty() && self.events_of(action) == *desired
    }
}

impl Plan {
    /// Whether nothing has to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The events that are not as they were written, once the configuration was read again: somebody else has
    /// changed them meanwhile, or the device has not done what it said. Empty when all is as it should be.
    pub fn differing(&self, read_back: &RelayConfig) -> BTreeSet<EventName> {
        let now = self.found(read_back).events;
        let of_set = now.symmetric_difference(&self.staged.events).cloned();
        let is_as_written = |change: &&Change| read_back.events.iter().any(|event| event.is_same(&change.to));
        let of_others = self.changes.iter().filter(|change| !is_as_written(change));
        of_set
            .chain(of_others.map(|change| change.to.name.clone()))
            .collect()
    }

    /// Whether all is as it should be, once the configuration was read again, and nothing else is pending.
    pub(super) fn is_confirmed_by(&self, read_back: &RelayConfig) -> bool {
        let Staged { action, events } = &self.staged;
        self.differing(read_back).is_empty() && !read_back.is_pending && read_back.confirms(action, events)
    }

    pub(super) fn staged(&self) -> &Staged {
        &self.staged
    }

    /// The events that have the action as it was read.
    pub(super) fn found(&self, config: &RelayConfig) -> Staged {
        let action = self.staged.action.clone();
        let events = config.events_of(&action);
        Staged { action, events }
    }
}

impl EventActions {
    fn has(&self, action: &str) -> bool {
        actions::has(&self.actions, action)
    }

    /// With this action where it was without, and the other way round.
    fn toggled(&self, action: &str) -> EventActions {
        EventActions {
            actions: actions::toggled(&self.actions, action),
            ..self.clone()
        }
    }

    /// The same actions of the same event.
    fn is_same(&self, other: &EventActions) -> bool {
        self.name_on_device == other.name_on_device && actions::is_same(&self.actions, &other.actions)
    }
}
