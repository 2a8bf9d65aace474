//! The vendor's MIB (MBG-SNMP-LTNG-MIB), as far as the bridge uses it: which notification reports which event,
//! which object holds the actions that an event takes, and where the status of a device stands.
//!
//! The vendor has published all of it. An event that no REST document names goes by the MIB's name of its
//! notification, in kebab case. Nothing is asked or written here.

use async_snmp::{Oid, oid};

/// A notification of the MIB.
#[derive(Debug)]
pub struct Notification {
    /// Its number: `mbgLtNgTraps.N`.
    pub number: u32,
    /// Canonical name of the event that it reports.
    pub event: &'static str,
    /// Number of the object with the actions that the event takes: `mbgLtNgCfgTrapTrigger.N`. The objects of 12, 30, 31,
    /// 32, 37 and 38 have other names than their traps; each is the only one left that fits. `None` where the MIB has no
    /// object that is clearly this event's: 17 (`NtpClientLimitExceeded`) is probably that of trap 15, and not written.
    pub actions: Option<u32>,
    /// Other names that its event may have, by the MIB's names of the object and of parts of it. `None` where a status
    /// document has named the event.
    pub other_names: Option<&'static [&'static str]>,
}

impl Notification {
    /// Whether the event can switch a relay: the MIB says of `mbgLtNgCfgTrapNormalOperation` that it cannot.
    pub fn takes_relay(&self) -> bool {
        self.actions.is_some() && self.number != NORMAL_OPERATION
    }
}

const NORMAL_OPERATION: u32 = 77;

const fn notification(number: u32, event: &'static str, actions: Option<u32>) -> Notification {
    Notification {
        number,
        event,
        actions,
        other_names: None,
    }
}

/// A notification of whose event no document has the name: `event` is made from the MIB, or by the name of a like event.
const fn guessed(
    number: u32,
    event: &'static str,
    actions: Option<u32>,
    other_names: &'static [&'static str],
) -> Notification {
    Notification {
        other_names: Some(other_names),
        ..notification(number, event, actions)
    }
}

/// All notifications of the MIB.
pub static NOTIFICATIONS: [Notification; 69] = [
    notification(1, "ntp-not-sync", Some(2)),
    notification(2, "ntp-stopped", Some(4)),
    notification(3, "system-reboot", Some(5)),
    notification(4, "refclock-1-not-responding", Some(6)),
    notification(5, "refclock-1-not-sync", Some(8)),
    notification(6, "antenna-faulty", Some(12)),
    notification(7, "antenna-reconnect", Some(13)),
    notification(8, "device-configuration-changed", Some(15)),
    notification(9, "leap-second-announced", Some(16)),
    guessed(10, "shs-time-limit-error", Some(21), &[]),
    guessed(
        11,
        "refclock-2-not-sync",
        Some(11),
        &["secondary-refclock-not-sync", "secondary-receiver-not-sync"],
    ),
    guessed(12, "power-supply-failure", Some(26), &["power-supply-down"]),
    notification(13, "antenna-short-circuit", Some(14)),
    notification(14, "refclock-1-sync", Some(7)),
    guessed(15, "ntp-client-alarm", None, &[]),
    guessed(16, "power-supply-up", Some(25), &[]),
    notification(17, "network-link-down", Some(23)),
    notification(18, "network-link-up", Some(24)),
    guessed(
        19,
        "refclock-2-not-responding",
        Some(9),
        &[
            "secondary-refclock-not-responding",
            "secondary-receiver-not-responding",
        ],
    ),
    guessed(30, "xmr-limit-exceeded", Some(18), &["ref-src-limit-exceeded"]),
    guessed(31, "xmr-ref-disconnect", Some(19), &["ref-src-disconnected"]),
    guessed(32, "xmr-ref-reconnect", Some(20), &["ref-src-reconnected"]),
    guessed(33, "fdm-error", Some(27), &[]),
    guessed(34, "shs-time-limit-warning", Some(22), &[]),
    guessed(
        35,
        "refclock-2-sync",
        Some(10),
        &["secondary-refclock-sync", "secondary-receiver-sync"],
    ),
    notification(36, "ntp-sync", Some(3)),
    guessed(37, "ptp-port-disconnected", Some(29), &["ptp-network-down"]),
    guessed(38, "ptp-port-connected", Some(30), &["ptp-network-up"]),
    guessed(39, "ptp-state-changed", Some(31), &[]),
    guessed(40, "ptp-error", Some(32), &[]),
    notification(41, "low-system-resources", Some(28)),
    guessed(45, "fan-down", Some(33), &[]),
    guessed(46, "fan-up", Some(34), &[]),
    notification(47, "https-certificate-expired", None),
    notification(48, "sufficient-system-resources", None),
    notification(49, "oscillator-adjusted", Some(37)),
    notification(50, "oscillator-not-adjusted", Some(38)),
    guessed(51, "xmr-ref-changed", None, &[]),
    notification(52, "cluster-master-changed", None),
    notification(53, "cluster-falseticker-detected", None),
    notification(54, "cluster-falseticker-cleared", None),
    guessed(55, "shs-time-limit-ok", None, &[]),
    guessed(56, "ims-error", None, &[]),
    guessed(57, "ims-ok", None, &[]),
    guessed(58, "fdm-ok", None, &[]),
    notification(59, "ntp-offset-limit-exceeded", None),
    notification(60, "ntp-offset-limit-ok", None),
    guessed(61, "xhe-rub-ok", None, &[]),
    guessed(62, "xhe-rub-error", None, &[]),
    guessed(63, "power-consumption-exceeded", None, &[]),
    guessed(64, "power-consumption-ok", None, &[]),
    guessed(65, "power-redundancy-not-avail", None, &[]),
    guessed(66, "power-redundancy-avail", None, &[]),
    guessed(67, "trusted-source-ok", None, &[]),
    guessed(68, "trusted-source-error", None, &[]),
    guessed(69, "synce-input-quality-level-changed", None, &[]),
    notification(70, "self-signed-https-certificate-in-use", None),
    guessed(71, "esi-itu-limits-violated", None, &[]),
    guessed(72, "esi-itu-limitsadhered", None, &["esi-itu-limits-adhered"]),
    guessed(73, "ims-port-error", None, &[]),
    guessed(74, "ims-port-ok", None, &[]),
    guessed(75, "mrs-source-invalid", None, &[]),
    guessed(76, "mrs-source-ok", None, &[]),
    notification(77, "normal-operation", Some(1)),
    notification(78, "faillock-user-banned", None),
    notification(79, "sync-monitor-alert", None),
    notification(80, "sync-monitor-ok", None),
    guessed(88, "heartbeat", None, &[]),
    guessed(99, "test-notification", None, &[]),
];

/// `mbgLantimeNG`
pub fn root() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30)
}

/// `mbgLtNgFirmwareVersion.0`
pub fn firmware() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 0, 0, 2, 0)
}

/// `mbgLtNgSerialNumber.0`
pub fn serial_number() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 0, 0, 3, 0)
}

/// A column of `mbgLtNgRefclockTable` for the clock 1 or 2.
pub fn refclock(column: Refclock, index: u32) -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 0, 1, 2, 1)
        .child(column as u32)
        .child(index)
}

/// Columns of `mbgLtNgRefclockTable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refclock {
    /// Its kind of module.
    Type = 2,
    /// 0 not available, 1 secondary, 2 compare, 3 primary.
    Usage = 3,
    /// 0 not available, 1 synchronized, 2 not synchronized.
    State = 4,
    /// How it is synchronized, or why not.
    Substate = 5,
}

/// `mbgLtNgNtpCurrentState.0`: 0 not available, 1 not synchronized, 2 synchronized.
pub fn ntp_state() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 0, 2, 1, 0)
}

/// `mbgLtNgCfgTrapTrigger.N.0`: the actions that an event takes, words with commas between them.
pub fn actions(number: u32) -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 1, 1, 6).child(number).child(0)
}

/// `mbgLtNgCmdExecute.0`
pub fn execute() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 2, 1, 0)
}

/// The value of [`execute`] that lets changes take effect.
pub const APPLY_CHANGES: i32 = 1;

/// The number of a notification of the MIB (`mbgLtNgTraps.N`), by the OID of a trap.
pub fn notification_number(trap: &Oid) -> Option<u32> {
    let traps = oid!(1, 3, 6, 1, 4, 1, 5597, 30, 3, 0);
    match trap.arcs().strip_prefix(traps.arcs()) {
        Some(&[number]) => Some(number),
        _ => None,
    }
}

/// `mbgLtNgTrapMessage`: what a notification says in words.
pub fn message() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 3, 0, 100)
}

/// The notification with that number.
pub fn by_number(number: u32) -> Option<&'static Notification> {
    NOTIFICATIONS.iter().find(|known| known.number == number)
}

/// The notification that reports an event, by its canonical name.
pub fn by_event(event: &str) -> Option<&'static Notification> {
    NOTIFICATIONS.iter().find(|known| known.event == event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_with_another_name_than_their_trap_belong_to_it() {
        for (trap, object) in [
            (12, Some(26)),
            (15, None),
            (16, Some(25)),
            (30, Some(18)),
            (31, Some(19)),
            (32, Some(20)),
            (37, Some(29)),
            (38, Some(30)),
            (51, None),
        ] {
            assert_eq!(by_number(trap).unwrap().actions, object, "trap {trap}");
        }
        assert!(NOTIFICATIONS.iter().all(|known| known.actions != Some(17)));
    }
}
