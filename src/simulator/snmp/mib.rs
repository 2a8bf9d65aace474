//! Numbers of the vendor's MIB (MBG-SNMP-LTNG-MIB) and of the system group, as far as a simulated device has them.

use async_snmp::{Oid, oid};

/// An event with the number of its notification (`mbgLtNgTraps.N`) and, where the MIB has one, of the object with
/// its actions (`mbgLtNgCfgTrapTrigger.N`).
struct Event(&'static str, u32, Option<u32>);

/// The events of all generations, each by its own spelling. Not in the MIB: sync-monitor,
/// https-certificate-expire-warning, auto-update-*.
const EVENTS: [Event; 34] = [
    Event("normal-operation", 77, Some(1)),
    Event("ntp-not-sync", 1, Some(2)),
    Event("ntp-sync", 36, Some(3)),
    Event("ntp-stopped", 2, Some(4)),
    Event("ntp-offset-limit-exceeded", 59, None),
    Event("ntp-offset-limit-ok", 60, None),
    Event("system-reboot", 3, Some(5)),
    Event("refclock-1-not-responding", 4, Some(6)),
    Event("refclock-1-not-sync", 5, Some(8)),
    Event("refclock-1-sync", 14, Some(7)),
    Event("refclock-2-not-responding", 19, Some(9)),
    Event("refclock-2-not-sync", 11, Some(11)),
    Event("refclock-2-sync", 35, Some(10)),
    Event("antenna-faulty", 6, Some(12)),
    Event("antenna-reconnect", 7, Some(13)),
    Event("antenna-short-circuit", 13, Some(14)),
    Event("device-configuration-changed", 8, Some(15)),
    Event("leap-second-announced", 9, Some(16)),
    Event("leapsecond-announced", 9, Some(16)),
    Event("sync-monitor-alert", 79, None),
    Event("sync-monitor-ok", 80, None),
    Event("network-link-down", 17, Some(23)),
    Event("network-link-up", 18, Some(24)),
    Event("low-system-resources", 41, Some(28)),
    Event("sufficient-system-resources", 48, None),
    Event("https-certificate-expired", 47, None),
    Event("self-signed-https-certificate-in-use", 70, None),
    Event("oscillator-adjusted", 49, Some(37)),
    Event("oscillator-not-adjusted", 50, Some(38)),
    Event("cluster-master-changed", 52, None),
    Event("cluster-falseticker-detected", 53, None),
    Event("cluster-falseticker-cleared", 54, None),
    Event("faillock-user-banned", 78, None),
    Event("faillock:-user-banned", 78, None),
];

fn event(name: &str) -> Option<&'static Event> {
    EVENTS.iter().find(|event| event.0 == name)
}

/// The OID of the notification of an event.
pub(super) fn notification(event_name: &str) -> Option<Oid> {
    event(event_name).map(|event| trap(event.1))
}

/// `mbgLtNgTrapTestNotification`
pub(super) fn test_notification() -> Oid {
    trap(99)
}

fn trap(number: u32) -> Oid {
    vendor().child(3).child(0).child(number)
}

/// `mbgLtNgCfgTrapTrigger.N.0`: the actions that an event takes.
pub(super) fn actions(event_name: &str) -> Option<Oid> {
    let number = event(event_name)?.2?;
    Some(oid!(1, 3, 6, 1, 4, 1, 5597, 30, 1, 1, 6).child(number).child(0))
}

/// `mbgLantimeNG`
pub(super) fn vendor() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30)
}

/// The system group.
pub(super) fn system() -> Oid {
    oid!(1, 3, 6, 1, 2, 1, 1)
}

/// `sysName.0`
pub(super) fn sys_name() -> Oid {
    system().child(5).child(0)
}

/// `mbgLtNgTrapMessage.0`: what a notification says in words. It is a scalar of the MIB, so it has an instance.
pub(super) fn trap_message() -> Oid {
    trap(100).child(0)
}

/// `snmpTrapEnterprise.0`
pub(super) fn trap_enterprise() -> Oid {
    oid!(1, 3, 6, 1, 6, 3, 1, 1, 4, 3, 0)
}

/// `mbgLtNgRefclockTableEntry`
pub(super) fn refclock_entry() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 0, 1, 2, 1)
}

/// `mbgLtNgCmdExecute.0`
pub(super) fn execute() -> Oid {
    oid!(1, 3, 6, 1, 4, 1, 5597, 30, 2, 1, 0)
}
