//! What can go wrong between the bridge and a device's SNMP agent, and what a person can do about it.

use async_snmp::v3::ReportStatus;
use async_snmp::{Error, ErrorKind as Library, ErrorStatus};

use crate::model::{ErrorKind, ErrorReport, Operation};

/// A request that failed.
#[derive(Debug, Clone)]
pub struct SnmpFailure {
    /// What the request was for.
    pub operation: Operation,
    /// What went wrong, as users see it.
    pub report: ErrorReport,
    /// Whether the device has clearly refused it: then nothing has changed there.
    pub is_refused: bool,
}

impl SnmpFailure {
    /// What the library says of a request to the agent at `place`.
    pub(super) fn of(error: &Error, operation: Operation, place: &str) -> SnmpFailure {
        let error = error.exchange_source();
        let (kind, message) = match error {
            Error::Snmp { status, .. } => {
                return SnmpFailure {
                    is_refused: !matches!(status, ErrorStatus::GenErr | ErrorStatus::UndoFailed),
                    ..SnmpFailure::new(
                        refused_as(*status),
                        operation,
                        place,
                        format!("the device's SNMP agent refuses the request: {status}"),
                    )
                };
            }
            Error::Report { status, .. } => match **status {
                ReportStatus::NotInTimeWindow { .. } | ReportStatus::UnknownEngineId { .. } => (
                    ErrorKind::Timeout,
                    format!("the device's SNMP agent has just restarted: {status}"),
                ),
                _ => (
                    ErrorKind::Unauthorized,
                    format!("the device's SNMP agent does not take the user: {status}"),
                ),
            },
            error => match error.kind() {
                Library::Timeout | Library::ConstructionTimeout => (
                    ErrorKind::Timeout,
                    "the device's SNMP agent does not answer".to_owned(),
                ),
                Library::Network | Library::Closed => (ErrorKind::Connect, error.to_string()),
                Library::Auth => (
                    ErrorKind::Unauthorized,
                    "the answer of the device's SNMP agent is not signed with the user's key".to_owned(),
                ),
                Library::Decode | Library::MalformedResponse => (
                    ErrorKind::Decode,
                    "the answer of the device's SNMP agent cannot be understood".to_owned(),
                ),
                Library::ResponseShape => (
                    ErrorKind::Snmp,
                    "the device's SNMP agent answers something else than was requested".to_owned(),
                ),
                _ => (ErrorKind::Internal, error.to_string()),
            },
        };
        SnmpFailure::new(kind, operation, place, message)
    }

    /// A request that could not even be sent.
    pub(super) fn local(kind: ErrorKind, operation: Operation, place: &str, reason: &str) -> SnmpFailure {
        SnmpFailure::new(kind, operation, place, reason.to_owned())
    }

    /// The agent reports its engine, but does not answer this user.
    pub(super) fn wrong_user(operation: Operation, place: &str) -> SnmpFailure {
        let message = "the device's SNMP agent is there, but does not answer this user";
        SnmpFailure::new(ErrorKind::Unauthorized, operation, place, message.to_owned())
    }

    fn new(kind: ErrorKind, operation: Operation, place: &str, message: String) -> SnmpFailure {
        let report = ErrorReport {
            url: Some(place.to_owned()),
            ..ErrorReport::new(kind, message, remedy(kind, operation))
        };
        SnmpFailure {
            operation,
            report,
            is_refused: false,
        }
    }
}

/// Requests to a device that have not all been answered when the time for them was over.
pub fn too_late(operation: Operation) -> ErrorReport {
    let message = "the device's SNMP agent has not answered everything in time";
    ErrorReport::new(ErrorKind::Timeout, message, remedy(ErrorKind::Timeout, operation))
}

fn refused_as(status: ErrorStatus) -> ErrorKind {
    use ErrorStatus as Status;
    match status {
        Status::NoAccess | Status::AuthorizationError | Status::ReadOnly | Status::NotWritable => {
            ErrorKind::Forbidden
        }
        Status::WrongValue
        | Status::BadValue
        | Status::WrongLength
        | Status::WrongEncoding
        | Status::WrongType
        | Status::InconsistentValue => ErrorKind::Rejected,
        Status::ResourceUnavailable => ErrorKind::Busy,
        _ => ErrorKind::Snmp,
    }
}

fn remedy(kind: ErrorKind, operation: Operation) -> &'static str {
    match (kind, operation) {
        (ErrorKind::Timeout, _) => {
            "check snmp.address, that SNMP is switched on at the device and let through by firewalls, and the community or \
             the user: an agent does not answer unknown users"
        }
        (ErrorKind::Connect, _) => "check snmp.address of this device, the name server, and the network",
        (ErrorKind::Unauthorized, _) => {
            "compare snmp.user with the SNMPv3 user on the device: name, protocols, and both passwords"
        }
        (ErrorKind::Forbidden, Operation::SnmpSet) => {
            "give snmp.write_community, or the user of snmp.user, the right to write on the device's SNMP page"
        }
        (ErrorKind::Forbidden, _) => {
            "give snmp.community, or the user of snmp.user, the right to read on the device's SNMP page"
        }
        (ErrorKind::Rejected, _) => {
            "the device does not take this value: look at its web interface for what it can do"
        }
        (ErrorKind::Busy, _) => "send the command again in a while",
        (ErrorKind::Internal, _) => "report this, with the log of the bridge",
        _ => "look with snmpwalk whether the agent is the device's own, and has the vendor's MIB",
    }
}
