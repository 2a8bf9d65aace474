//! What is said where choosing events over SNMP does not go as it should.

use crate::lantime::snmp::manager::SnmpFailure;
use crate::model::{ErrorKind, ErrorReport};

pub(super) fn of_event(failure: SnmpFailure, event: &str) -> ErrorReport {
    let SnmpFailure { mut report, .. } = failure;
    report.message = format!("the actions of {event} cannot be set: {}", report.message);
    report
}

pub(super) fn earlier_apply() -> ErrorReport {
    let message =
        "the device has not answered an earlier command to apply yet; a second one is not sent meanwhile";
    let remedy = "it may take up to 120 s: send the command again after that";
    ErrorReport::new(ErrorKind::Busy, message, remedy)
}

pub(super) fn no_objects() -> SnmpFailure {
    SnmpFailure::of_device(
        ErrorKind::Snmp,
        "the device's SNMP agent has none of the objects by which the vendor's MIB chooses events",
        "check that snmp.address is the device's own agent, and that the community or the user may see 1.3.6.1.4.1.5597.30; \
         or choose events = \"rest\" for this device",
    )
}

pub(super) fn broken_off() -> SnmpFailure {
    let message = "what was asked over SNMP was broken off by a fault of this program";
    SnmpFailure::of_device(
        ErrorKind::Internal,
        message,
        "report this, with the log of the bridge",
    )
}

pub(super) fn changed_before(event: &str) -> ErrorReport {
    let message = format!("somebody else has changed the actions of {event} in the same moment");
    let remedy = "look at the device's web interface, and send the command again if it is still wanted";
    ErrorReport::new(ErrorKind::Conflict, message, remedy)
}

/// The command to apply got no answer that says that it was refused.
pub(super) fn unanswered(mut report: ErrorReport) -> ErrorReport {
    report.message = format!(
        "what was set was sent to be applied, and may have been applied: {}",
        report.message
    );
    report.remedy =
        "see in the events topics of its relays what the device says now, and send the command again to be sure".to_owned();
    report
}

/// The deadline of a command is over while the device has not answered the command to apply.
pub(in crate::lantime::device) fn not_answered_yet() -> ErrorReport {
    let message = "the device has not answered the command to apply yet, which may take it up to 120 s";
    let remedy = "see in the events topics of its relays what the device says now, and send the command again if they do not \
                  show it as confirmed; a longer command_timeout for this device waits for the answer";
    ErrorReport::new(ErrorKind::Timeout, message, remedy)
}
