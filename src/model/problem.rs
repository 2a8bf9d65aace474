//! What went wrong: the stable kinds and operations of the public contract, and the error that stands on a device.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// Stable short name of an error, used in topics, metrics and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
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
    /// An answer that cannot be understood.
    Decode,
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
        }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Asking for the status document.
    Poll,
    /// Asking for an API token.
    Token,
}

/// An error as users see it: what, where, and the remedy. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// Stable short name.
    pub kind: ErrorKind,
    /// What happened, in words.
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
    /// Whether both tell of the same error: the wording of a body may differ from one attempt to the next.
    pub fn is_same(&self, other: &ErrorReport) -> bool {
        self.kind == other.kind && self.http_status == other.http_status && self.message == other.message
    }
}

/// The error that stands on a device now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What the bridge was doing.
    pub operation: Operation,
    /// What went wrong.
    pub error: ErrorReport,
    /// When this error was first seen in the failure that lasts.
    pub first_at: Timestamp,
}
