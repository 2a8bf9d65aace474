//! Why the events of relays could not be read or selected.

use std::collections::BTreeSet;

use super::progress::Progress;
use crate::lantime::rest::Profile;
use crate::lantime::snmp::manager;
use crate::model::{ErrorKind, ErrorReport, EventName, Operation, Via};

/// Why a command that selects events has failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What went wrong, as users see it.
    pub(crate) report: ErrorReport,
    /// Whether that is the end of the command, be its kind transient or not.
    pub(crate) is_final: bool,
    /// Whether what was written for it is not at the device any more, or never was.
    pub(super) is_undone: bool,
}

impl From<ErrorReport> for Failure {
    fn from(report: ErrorReport) -> Failure {
        Failure {
            report,
            is_final: false,
            is_undone: false,
        }
    }
}

pub(super) fn unverified(profile: &Profile) -> ErrorReport {
    let message = format!(
        "nobody has seen on a device how API profile {} chooses the events over REST, and a guess is not written to a \
         live time server",
        profile.name
    );
    let remedy = "choose the events in the device's web interface; or, to have the assumed entries written all the \
                  same, set allow_unverified_writes = true for this device";
    ErrorReport::new(ErrorKind::Profile, message, remedy)
}

pub(super) fn held_by_another() -> ErrorReport {
    ErrorReport::new(
        ErrorKind::Conflict,
        "the device holds changes of somebody else that are not applied yet; applying ours would apply them too",
        "apply or discard them in the device's web interface, and send the command again",
    )
}

/// Over SNMP, right before it was set.
pub(super) fn changed_before(event: &str) -> ErrorReport {
    let message = format!("somebody else has changed the actions of {event} in the same moment");
    let remedy = "look at the device's web interface, and send the command again if it is still wanted";
    ErrorReport::new(ErrorKind::Conflict, message, remedy)
}

pub(super) fn changed_meanwhile(desired: &BTreeSet<EventName>, found: &BTreeSet<EventName>) -> ErrorReport {
    let list = |events: &BTreeSet<EventName>| match events.is_empty() {
        true => "none".to_owned(),
        false => events
            .iter()
            .map(EventName::as_str)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let message = format!(
        "the change was applied, but the device was found otherwise afterwards: wanted {}, found {}",
        list(desired),
        list(found)
    );
    let remedy = "somebody else, or the device itself, has changed it meanwhile: look at its web interface, and send the \
                  command again if it is still wanted";
    ErrorReport::new(ErrorKind::Conflict, message, remedy)
}

pub(super) fn earlier_apply() -> ErrorReport {
    let message =
        "the device has not answered an earlier command to apply yet; a second one is not sent meanwhile";
    let remedy = "it may take up to 120 s: send the command again after that";
    ErrorReport::new(ErrorKind::Busy, message, remedy)
}

/// The command to apply got no answer that says that it was refused.
pub(super) fn unanswered(report: ErrorReport) -> ErrorReport {
    ErrorReport {
        message: format!(
            "what was set was sent to be applied, and may have been applied: {}",
            report.message
        ),
        remedy: "see in the events topics of its relays what the device says now, and send the command again to be sure"
            .to_owned(),
        ..report
    }
}

/// The deadline of a command is over while it is being carried out.
pub(crate) fn too_late(progress: &Progress, via: Via) -> ErrorReport {
    let (message, remedy) = match progress {
        Progress::Applying(..) => (
            "the device has not answered the command to apply yet, which may take it up to 120 s",
            "see in the events topics of its relays what the device says now, and send the command again if they do not \
             show it as confirmed; a longer command_timeout for this device waits for the answer",
        ),
        _ if via == Via::Snmp => return manager::too_late(Operation::SnmpSet),
        _ => (
            "the device took too long",
            "look at the device's web interface, and send the command again",
        ),
    };
    ErrorReport::new(ErrorKind::Timeout, message, remedy)
}

pub(super) fn no_objects() -> ErrorReport {
    ErrorReport::new(
        ErrorKind::Snmp,
        "the device's SNMP agent has none of the objects by which the vendor's MIB chooses events",
        "check that snmp.address is the device's own agent, and that the community or the user may see 1.3.6.1.4.1.5597.30; \
         or choose events = \"rest\" for this device",
    )
}
