//! The vendor's MIB (MBG-SNMP-LTNG-MIB), as far as the bridge uses it: which notification tells of which event,
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
    /// Canonical name of the event that it tells of.
    pub event: &'static str,
    /// Number of the object with the actions that the event takes: `mbgLtNgCfgTrapTrigger.N`. `None` where the MIB
    /// has no object that is clearly this event's.
    pub actions: Option<u32>,
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
    notification(10, "shs-time-limit-error", Some(21)),
    notification(11, "refclock-2-not-sync", Some(11)),
    notification(12, "power-supply-failure", None),
    notification(13, "antenna-short-circuit", Some(14)),
    notification(14, "refclock-1-sync", Some(7)),
    notification(15, "ntp-client-alarm", None),
    notification(16, "power-supply-up", Some(25)),
    notification(17, "network-link-down", Some(23)),
    notification(18, "network-link-up", Some(24)),
    notification(19, "refclock-2-not-responding", Some(9)),
    notification(30, "xmr-limit-exceeded", None),
    notification(31, "xmr-ref-disconnect", None),
    notification(32, "xmr-ref-reconnect", None),
    notification(33, "fdm-error", Some(27)),
    notification(34, "shs-time-limit-warning", Some(22)),
    notification(35, "refclock-2-sync", Some(10)),
    notification(36, "ntp-sync", Some(3)),
    notification(37, "ptp-port-disconnected", None),
    notification(38, "ptp-port-connected", None),
    notification(39, "ptp-state-changed", Some(31)),
    notification(40, "ptp-error", Some(32)),
    notification(41, "low-system-resources", Some(28)),
    notification(45, "fan-down", Some(33)),
    notification(46, "fan-up", Some(34)),
    notification(47, "https-certificate-expired", None),
    notification(48, "sufficient-system-resources", None),
    notification(49, "oscillator-adjusted", Some(37)),
    notification(50, "oscillator-not-adjusted", Some(38)),
    notification(51, "xmr-ref-changed", None),
    notification(52, "cluster-master-changed", None),
    notification(53, "cluster-falseticker-detected", None),
    notification(54, "cluster-falseticker-cleared", None),
    notification(55, "shs-time-limit-ok", None),
    notification(56, "ims-error", None),
    notification(57, "ims-ok", None),
    notification(58, "fdm-ok", None),
    notification(59, "ntp-offset-limit-exceeded", None),
    notification(60, "ntp-offset-limit-ok", None),
    notification(61, "xhe-rub-ok", None),
    notification(62, "xhe-rub-error", None),
    notification(63, "power-consumption-exceeded", None),
    notification(64, "power-consumption-ok", None),
    notification(65, "power-redundancy-not-avail", None),
    notification(66, "power-redundancy-avail", None),
    notification(67, "trusted-source-ok", None),
    notification(68, "trusted-source-error", None),
    notification(69, "synce-input-quality-level-changed", None),
    notification(70, "self-signed-https-certificate-in-use", None),
    notification(71, "esi-itu-limits-violated", None),
    notification(72, "esi-itu-limitsadhered", None),
    notification(73, "ims-port-error", None),
    notification(74, "ims-port-ok", None),
    notification(75, "mrs-source-invalid", None),
    notification(76, "mrs-source-ok", None),
    notification(77, "normal-operation", Some(1)),
    notification(78, "faillock-user-banned", None),
    notification(79, "sync-monitor-alert", None),
    notification(80, "sync-monitor-ok", None),
    notification(88, "heartbeat", None),
    notification(99, "test-notification", None),
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

/// The notification that tells of an event, by its canonical name.
pub fn by_event(event: &str) -> Option<&'static Notification> {
    NOTIFICATIONS.iter().find(|known| known.event == event)
}
