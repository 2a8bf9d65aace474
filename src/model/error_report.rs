//! What went wrong: the stable kinds and operations of the public contract, and the error that stands on a device.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Stable short name of an error, used in topics, metrics and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// No answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// The TLS handshake failed, or the certificate is not the expected one.
    Tls,
    /// Credentials refused (401).
    Unauthorized,
    /// Access refused (403).
    Forbidden,
    /// Nothing there (404).
    NotFound,
    /// Any other HTTP status that is not a success.
    HttpStatus,
    /// An answer above the limit.
    TooLarge,
    /// An answer, a payload or a document that cannot be understood.
    Decode,
    /// The API profile does not allow it: nobody has seen its entry on a device.
    Profile,
    /// An SNMP agent answered with an error, or with what it was not asked for.
    Snmp,
    /// Refused, by the bridge or the device, since it cannot be: relay B, an unknown event, a jumper in the way.
    Rejected,
    /// Too much is waiting already, here or at the device.
    Busy,
    /// Somebody else has changed the same thing meanwhile, or the device itself was exchanged.
    Conflict,
    /// Its time was over before it could be carried out.
    Expired,
    /// The durable store cannot be used, or had to drop something.
    Storage,
    /// A fault of this program.
    Internal,
}

impl ErrorKind {
    /// The kind's name in payloads and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Timeout => "timeout",
            ErrorKind::Connect => "connect",
            ErrorKind::Tls => "tls",
            ErrorKind::Unauthorized => "unauthorized",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::NotFound => "not-found",
            ErrorKind::HttpStatus => "http-status",
            ErrorKind::TooLarge => "too-large",
            ErrorKind::Decode => "decode",
            ErrorKind::Profile => "profile",
            ErrorKind::Snmp => "snmp",
            ErrorKind::Rejected => "rejected",
            ErrorKind::Busy => "busy",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Expired => "expired",
            ErrorKind::Storage => "storage",
            ErrorKind::Internal => "internal",
        }
    }

    /// Whether the same thing may work in a moment: nothing was wrong with what was asked for.
    pub fn is_passing(self) -> bool {
        matches!(self, ErrorKind::Timeout | ErrorKind::Connect | ErrorKind::Busy)
    }

    /// Whether the device refused us: then nothing may ask again soon, since a LANTIME bans users
    /// (`faillock`) that keep trying.
    pub fn is_refusal(self) -> bool {
        matches!(self, ErrorKind::Unauthorized | ErrorKind::Forbidden)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the bridge was doing when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Asking for the status document.
    Poll,
    /// Asking for an API token.
    Token,
    /// Selecting the events that switch a relay, or reading them.
    RelayEvents,
    /// Polling because a command asks for it.
    Refresh,
    /// Switching or resizing the log of HTTP sessions.
    HttpSessions,
    /// Noting that somebody has seen the last faults of relays.
    AcknowledgeFaults,
    /// Running the command of a dead letter again.
    Replay,
    /// Comparing the device at an address with the one that was there before.
    Identity,
    /// Reading by SNMP.
    SnmpGet,
    /// Writing by SNMP.
    SnmpSet,
    /// Taking a trap or an inform.
    Trap,
    /// Taking a command apart, before it is known which one.
    Command,
    /// Handing a message to the broker.
    Publish,
    /// Keeping something on disk.
    Store,
    /// Taking part in a cluster of bridges.
    Cluster,
}

impl Operation {
    /// The operation's name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Poll => "poll",
            Operation::Token => "token",
            Operation::RelayEvents => "relay-events",
            Operation::Refresh => "refresh",
            Operation::HttpSessions => "http-sessions",
            Operation::AcknowledgeFaults => "acknowledge-faults",
            Operation::Replay => "replay",
            Operation::Identity => "identity",
            Operation::SnmpGet => "snmp-get",
            Operation::SnmpSet => "snmp-set",
            Operation::Trap => "trap",
            Operation::Command => "command",
            Operation::Publish => "publish",
            Operation::Store => "store",
            Operation::Cluster => "cluster",
        }
    }
}

/// An error as users see it: what, where, and the remedy. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Stable short name.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What a person can do about it.
    pub remedy: String,
    /// Status of the answer, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What was asked for; never with credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The first 512 bytes of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl ErrorReport {
    /// An error of the bridge's own, without an answer from anybody.
    pub fn new(kind: ErrorKind, message: impl Into<String>, remedy: impl Into<String>) -> ErrorReport {
        ErrorReport {
            kind,
            message: message.into(),
            remedy: remedy.into(),
            http_status: None,
            url: None,
            body: None,
        }
    }

    /// Whether both report the same error: the wording of a body may differ from one attempt to the next.
    pub fn is_same(&self, other: &ErrorReport) -> bool {
        self.kind == other.kind && self.http_status == other.http_status && self.message == other.message
    }
}

/// The error that stands on a device now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dead letter that was written when the failure began.
    pub id: Uuid,
    /// What the bridge was doing.
    pub operation: Operation,
    /// What went wrong.
    pub error: ErrorReport,
    /// When this error was first seen in the failure that lasts.
    pub first_at: Timestamp,
}
