//! The catalogue of notification events: the spellings of each, and the events that it clears.
//!
//! Names come from recordings of API 10.21 and 20.05 and from the vendor's MIB; which event clears which, from the
//! vendor's table of 2021 and the MIB's descriptions. A device that writes a name differently is understood by its alias.

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
