//! Names of notification events: one canonical name for all spellings.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use foldhash::fast::FixedState;
use serde::{Serialize, Serializer};

use super::event_catalogue::{CATALOGUE, KnownEvent};
use super::id::to_id;

static BY_SPELLING: LazyLock<HashMap<&'static str, &'static KnownEvent, FixedState>> = LazyLock::new(|| {
    CATALOGUE
        .iter()
        .flat_map(|event| {
            std::iter::once(event.name)
                .chain(event.aliases.iter().copied())
                .map(move |name| (name, event))
        })
        .collect()
});

/// Canonical name of a notification event.
#[derive(Debug, Clone)]
pub struct EventName(Name);

/// Small: each device has some thirty of them.
#[derive(Debug, Clone)]
enum Name {
    /// That of the catalogue.
    Known(&'static KnownEvent),
    /// One that is not in it.
    Other(Box<str>),
}

impl EventName {
    /// The canonical name for any spelling: the catalogue's, else the text itself made fit for a topic.
    /// `None` for a text that is empty or overlong.
    pub fn canonical(spelling: &str) -> Option<EventName> {
        let known = |spelling: &str| Some(EventName(Name::Known(BY_SPELLING.get(spelling)?)));
        known(spelling).or_else(|| {
            let id = to_id(spelling)?;
            known(&id).or(Some(EventName(Name::Other(id.into()))))
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Known(event) => event.name,
            Name::Other(name) => name,
        }
    }

    /// The events that this one ends; empty for an event that is not in the catalogue.
    pub fn clears(&self) -> &'static [&'static str] {
        match &self.0 {
            Name::Known(event) => event.clears,
            Name::Other(_) => &[],
        }
    }

    /// Whether another event is known that ends this one.
    pub fn can_be_cleared(&self) -> bool {
        CATALOGUE
            .iter()
            .any(|event| event.clears.contains(&self.as_str()))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for EventName {
    fn eq(&self, other: &EventName) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for EventName {}

impl Ord for EventName {
    fn cmp(&self, other: &EventName) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for EventName {
    fn partial_cmp(&self, other: &EventName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for EventName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_one_canonical_name() {
        for (spelling, canonical) in [
            ("leapsecond-announced", "leap-second-announced"),
            ("leap-second-announced", "leap-second-announced"),
            ("faillock:-user-banned", "faillock-user-banned"),
            ("ntp-not-sync", "ntp-not-sync"),
            ("Something/New", "something-new"),
        ] {
            assert_eq!(EventName::canonical(spelling).unwrap().as_str(), canonical);
        }
        assert_eq!(EventName::canonical(""), None);
    }

    #[test]
    fn the_catalogue_clears_only_what_it_lists() {
        for event in &CATALOGUE {
            for cleared in event.clears {
                assert!(
                    CATALOGUE.iter().any(|e| e.name == *cleared),
                    "{} clears {cleared}",
                    event.name
                );
            }
        }
        assert_eq!(BY_SPELLING.len(), CATALOGUE.len() + 2);
    }

    #[test]
    fn an_event_is_cleared_by_those_of_the_vendors_table() {
        let cleared_by = |cleared: &str| -> Vec<&str> {
            let clearing = CATALOGUE.iter().filter(|event| event.clears.contains(&cleared));
            clearing.map(|event| event.name).collect()
        };
        for (cleared, clearing) in [
            ("ntp-not-sync", &["ntp-sync"][..]),
            ("ntp-stopped", &["normal-operation"]),
            (
                "refclock-1-not-responding",
                &["refclock-1-not-sync", "refclock-1-sync"],
            ),
            ("refclock-1-not-sync", &["refclock-1-sync"]),
            ("antenna-faulty", &["antenna-reconnect"]),
            ("antenna-short-circuit", &[]),
            ("shs-time-limit-error", &["shs-time-limit-ok"]),
            ("shs-time-limit-warning", &[]),
            ("power-supply-failure", &["power-supply-up"]),
            ("xmr-ref-disconnect", &["xmr-ref-reconnect"]),
            ("fdm-error", &["fdm-ok"]),
            ("ptp-port-disconnected", &["ptp-port-connected"]),
            ("ptp-error", &[]),
            ("fan-down", &["fan-up"]),
            ("ims-error", &["ims-ok"]),
            ("xhe-rub-error", &["xhe-rub-ok"]),
            ("power-consumption-exceeded", &["power-consumption-ok"]),
            ("power-redundancy-not-avail", &["power-redundancy-avail"]),
            ("trusted-source-error", &["trusted-source-ok"]),
            ("esi-itu-limits-violated", &["esi-itu-limitsadhered"]),
            ("ims-port-error", &["ims-port-ok"]),
            ("mrs-source-invalid", &["mrs-source-ok"]),
        ] {
            assert_eq!(cleared_by(cleared), clearing, "{cleared}");
        }
    }
}
