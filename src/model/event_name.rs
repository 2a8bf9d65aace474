//! Names of notification events: the canonical ones, and the catalogue of what is known of each.
//!
//! Names come from recordings of API 10.21 and 20.05 and from the vendor's MIB; which event clears which, from the
//! vendor's table of 2021 and the MIB's descriptions. A device that writes a name differently is understood by its alias.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;

use super::id::to_id;

/// What is known of a notification event beside its name.
#[derive(Debug)]
pub struct KnownEvent {
    /// Canonical name: the one in topics and payloads.
    pub name: &'static str,
    /// Other spellings, by API version.
    pub aliases: &'static [&'static str],
    /// The events that this one ends.
    pub clears: &'static [&'static str],
}

const fn known(name: &'static str, clears: &'static [&'static str]) -> KnownEvent {
    KnownEvent {
        name,
        aliases: &[],
        clears,
    }
}

/// Every event that a recording names, and those of the MIB that clear another or are cleared.
pub static CATALOGUE: [KnownEvent; 65] = [
    known("normal-operation", &["ntp-stopped"]),
    known("ntp-not-sync", &[]),
    known("ntp-sync", &["ntp-not-sync"]),
    known("ntp-stopped", &[]),
    known("ntp-offset-limit-exceeded", &[]),
    known("ntp-offset-limit-ok", &["ntp-offset-limit-exceeded"]),
    known("system-reboot", &[]),
    known("refclock-1-not-responding", &[]),
    known("refclock-1-not-sync", &["refclock-1-not-responding"]),
    known(
        "refclock-1-sync",
        &["refclock-1-not-sync", "refclock-1-not-responding"],
    ),
    known("refclock-2-not-responding", &[]),
    known("refclock-2-not-sync", &["refclock-2-not-responding"]),
    known(
        "refclock-2-sync",
        &["refclock-2-not-sync", "refclock-2-not-responding"],
    ),
    known("antenna-faulty", &[]),
    known("antenna-reconnect", &["antenna-faulty"]),
    known("antenna-short-circuit", &[]),
    known("device-configuration-changed", &[]),
    // API 20 writes it without the first dash.
    KnownEvent {
        name: "leap-second-announced",
        aliases: &["leapsecond-announced"],
        clears: &[],
    },
    known("sync-monitor", &[]),
    known("sync-monitor-alert", &[]),
    known("sync-monitor-ok", &["sync-monitor-alert"]),
    known("network-link-down", &[]),
    known("network-link-up", &["network-link-down"]),
    known("low-system-resources", &[]),
    known("sufficient-system-resources", &["low-system-resources"]),
    known("https-certificate-expired", &[]),
    known("https-certificate-expire-warning", &[]),
    known("self-signed-https-certificate-in-use", &[]),
    known("oscillator-adjusted", &["oscillator-not-adjusted"]),
    known("oscillator-not-adjusted", &[]),
    known("cluster-master-changed", &[]),
    known("cluster-falseticker-detected", &[]),
    known("cluster-falseticker-cleared", &["cluster-falseticker-detected"]),
    // API 10 writes it with a colon, which could not stand in a topic of ours.
    KnownEvent {
        name: "faillock-user-banned",
        aliases: &["faillock:-user-banned"],
        clears: &[],
    },
    known("auto-update-avail", &[]),
    known("auto-update-installed", &[]),
    known("auto-update-failed", &[]),
    // From here on names are made from the MIB: no recording has them.
    known("shs-time-limit-error", &[]),
    known("shs-time-limit-ok", &["shs-time-limit-error"]),
    known("power-supply-failure", &[]),
    known("power-supply-up", &["power-supply-failure"]),
    known("xmr-ref-disconnect", &[]),
    known("xmr-ref-reconnect", &["xmr-ref-disconnect"]),
    known("fdm-error", &[]),
    known("fdm-ok", &["fdm-error"]),
    known("ptp-port-disconnected", &[]),
    known("ptp-port-connected", &["ptp-port-disconnected"]),
    known("fan-down", &[]),
    known("fan-up", &["fan-down"]),
    known("ims-error", &[]),
    known("ims-ok", &["ims-error"]),
    known("xhe-rub-error", &[]),
    known("xhe-rub-ok", &["xhe-rub-error"]),
    known("power-consumption-exceeded", &[]),
    known("power-consumption-ok", &["power-consumption-exceeded"]),
    known("power-redundancy-not-avail", &[]),
    known("power-redundancy-avail", &["power-redundancy-not-avail"]),
    known("trusted-source-error", &[]),
    known("trusted-source-ok", &["trusted-source-error"]),
    known("esi-itu-limits-violated", &[]),
    known("esi-itu-limitsadhered", &["esi-itu-limits-violated"]),
    known("ims-port-error", &[]),
    known("ims-port-ok", &["ims-port-error"]),
    known("mrs-source-invalid", &[]),
    known("mrs-source-ok", &["mrs-source-invalid"]),
];

static BY_SPELLING: LazyLock<HashMap<&'static str, &'static KnownEvent>> = LazyLock::new(|| {
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EventName(Cow<'static, str>);

impl EventName {
    /// The canonical name for any spelling: the catalogue's, else the text itself made fit for a topic.
    /// `None` for a text that is empty or overlong.
    pub fn canonical(spelling: &str) -> Option<EventName> {
        let known = |spelling: &str| Some(EventName(Cow::Borrowed(BY_SPELLING.get(spelling)?.name)));
        known(spelling).or_else(|| {
            let id = to_id(spelling)?;
            known(&id).or(Some(EventName(Cow::Owned(id))))
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The events that this one ends; empty for an event that is not in the catalogue.
    pub fn clears(&self) -> &'static [&'static str] {
        BY_SPELLING.get(self.as_str()).map_or(&[], |event| event.clears)
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
        f.write_str(&self.0)
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
