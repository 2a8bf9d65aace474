//! Names of events that are made from the MIB, matched with the names that a device's document lists. Pure.
//!
//! Of 31 events that a document and the MIB name, 16 have other names in the document: a name that is made from the MIB
//! is a guess. A match is taken only where a single name of the document fits, and fits no other notification.

use std::collections::{BTreeMap, BTreeSet};

use crate::lantime::snmp::oids::{NOTIFICATIONS, Notification};
use crate::model::{EventName, EventNaming, EventState};

/// What a device calls the events whose names are made from the MIB.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(BTreeMap<&'static str, EventName>);

impl Names {
    /// The matches with the events that a document lists.
    pub(crate) fn of(listed: &[EventState]) -> Names {
        let is_listed = |name: &str| listed.iter().any(|event| event.name.as_str() == name);
        let is_known = |name: &str| NOTIFICATIONS.iter().any(|known| known.event == name);
        let free = listed.iter().filter(|event| !is_known(event.name.as_str()));
        let free: Vec<_> = free
            .map(|event| (&event.name, words(event.name.as_str())))
            .collect();
        let guessed = NOTIFICATIONS.iter().filter(|known| !is_listed(known.event));
        let matched = guessed.filter_map(|known| Some((known.event, only_match(known, &free)?)));
        let matched: Vec<_> = matched.collect();
        let is_only = |name: &EventName| matched.iter().filter(|(_, other)| *other == name).count() == 1;
        let certain = matched.iter().filter(|(_, name)| is_only(name));
        Names(certain.map(|(event, name)| (*event, (*name).clone())).collect())
    }

    /// What the device calls an event of the MIB, and how that is known.
    pub(crate) fn name(&self, event: &EventName, listed: &[EventState]) -> (EventName, EventNaming) {
        if let Some(name) = self.0.get(event.as_str()) {
            return (name.clone(), EventNaming::Matched(event.clone()));
        }
        let is_guessed = NOTIFICATIONS
            .iter()
            .any(|known| known.event == event.as_str() && known.other_names.is_some());
        let naming = match is_guessed && !listed.iter().any(|known| known.name == *event) {
            true => EventNaming::Mib,
            false => EventNaming::Document,
        };
        (event.clone(), naming)
    }

    /// The events, as the device calls them, that this one of its events ends.
    pub(crate) fn clears<'n>(&'n self, event: &'n EventName) -> impl Iterator<Item = &'n str> {
        let of_mib = self.0.iter().find(|(_, name)| *name == event);
        let clears = match of_mib {
            Some((of_mib, _)) => EventName::canonical(of_mib).map_or(&[][..], |event| event.clears()),
            None => event.clears(),
        };
        clears
            .iter()
            .map(|cleared| self.0.get(cleared).map_or(*cleared, EventName::as_str))
    }

    /// Whether a listed event stands after that one has come.
    pub(crate) fn stands_after(&self, listed: &EventState, event: &EventName) -> Option<bool> {
        if *event == listed.name {
            return Some(true);
        }
        let mut cleared = self.clears(event);
        match cleared.any(|cleared| cleared == listed.name.as_str()) {
            true => Some(false),
            false => listed.triggered,
        }
    }
}

/// The one listed event that has the words of this notification.
fn only_match<'l>(known: &Notification, listed: &[(&'l EventName, BTreeSet<&str>)]) -> Option<&'l EventName> {
    let other_names = known.other_names?;
    let names: Vec<_> = std::iter::once(known.event)
        .chain(other_names.iter().copied())
        .map(words)
        .collect();
    let mut fitting = listed.iter().filter(|(_, words)| names.contains(words));
    let (name, _) = fitting.next()?;
    fitting.next().is_none().then_some(*name)
}

/// The words of a name, whatever their order, without those that documents add: `network-link-down` is the MIB's
/// `NetworkDown`, `device-configuration-changed` is `ConfigChanged`, `https-certificate-expired` is `CertificateExpired`.
fn words(name: &str) -> BTreeSet<&str> {
    let added = ["device", "https", "link"];
    name.split('-')
        .filter(|word| !added.contains(word))
        .map(|word| match word {
            "avail" => "available",
            "config" => "configuration",
            "disconnect" => "disconnected",
            // The MIB has both for one event: PowerSupplyFailure is the trap, PowerSupplyDown its object.
            "fail" | "failed" | "failure" => "down",
            "rec" => "receiver",
            "reconnect" => "reconnected",
            "ref" => "reference",
            "sec" => "secondary",
            "src" => "source",
            "synchronized" => "sync",
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventType, LastTriggered};

    fn event(name: &str) -> EventName {
        EventName::canonical(name).unwrap()
    }

    fn listed(names: &[&str]) -> Vec<EventState> {
        let state = |name: &&str| EventState {
            name: event(name),
            name_on_device: None,
            triggered: Some(false),
            kind: EventType::Error,
            last_triggered: LastTriggered::Never,
        };
        names.iter().map(state).collect()
    }

    #[test]
    fn a_name_of_the_mib_is_matched_with_the_only_one_that_fits() {
        for (of_mib, names, expected) in [
            (
                "power-supply-failure",
                &["power-supply-down"][..],
                Some("power-supply-down"),
            ),
            ("fan-down", &["fan-failure", "fan-ok"], Some("fan-failure")),
            (
                "xmr-ref-disconnect",
                &["reference-source-disconnected"],
                Some("reference-source-disconnected"),
            ),
            (
                "ptp-port-disconnected",
                &["ptp-network-link-down"],
                Some("ptp-network-link-down"),
            ),
            (
                "esi-itu-limitsadhered",
                &["esi-itu-limits-adhered"],
                Some("esi-itu-limits-adhered"),
            ),
            // Two that fit, one for each of two modules, other words: not clear enough.
            ("fan-down", &["fan-failure", "fan-failed"], None),
            (
                "power-supply-failure",
                &["power-supply-1-down", "power-supply-2-down"],
                None,
            ),
            ("ims-error", &["ims-warning"], None),
            // It is listed as the MIB calls it.
            ("fan-down", &["fan-down", "fan-failure"], None),
            // A document has named it: there is nothing to guess.
            ("network-link-down", &["network-down"], None),
        ] {
            let found = Names::of(&listed(names));
            assert_eq!(
                found.0.get(of_mib).map(EventName::as_str),
                expected,
                "{of_mib} {names:?}"
            );
        }
    }

    #[test]
    fn how_a_name_is_known_is_said() {
        let list = listed(&["power-supply-down", "fan-up", "ntp-not-sync"]);
        let names = Names::of(&list);
        for (of_mib, expected, naming) in [
            ("ntp-not-sync", "ntp-not-sync", EventNaming::Document),
            ("ntp-stopped", "ntp-stopped", EventNaming::Document),
            ("fan-up", "fan-up", EventNaming::Document),
            ("fan-down", "fan-down", EventNaming::Mib),
            (
                "power-supply-failure",
                "power-supply-down",
                EventNaming::Matched(event("power-supply-failure")),
            ),
        ] {
            assert_eq!(names.name(&event(of_mib), &list), (event(expected), naming));
        }
    }

    #[test]
    fn a_match_counts_for_what_clears_it_too() {
        let names = Names::of(&listed(&["power-supply-down", "power-supply-up"]));
        let cleared: Vec<_> = names
            .clears(&event("power-supply-up"))
            .map(str::to_owned)
            .collect();
        assert_eq!(cleared, ["power-supply-down"]);
        let names = Names::of(&listed(&["trusted-source-ok"]));
        let cleared: Vec<_> = names
            .clears(&event("trusted-source-ok"))
            .map(str::to_owned)
            .collect();
        assert_eq!(cleared, ["trusted-source-error"]);
    }
}
