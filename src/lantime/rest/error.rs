//! What can go wrong between the bridge and a device's REST API, and what a person can do about it.

mod answer;
mod failure;
#[cfg(test)]
mod tests;

use std::error::Error;

use super::status::StatusError;
use crate::http_failure::{Failure, all};
use crate::model::{ErrorKind, ErrorReport, Operation};
use crate::tls::{Explanation, Server};
use answer::Oddity;

/// Most bytes of an answer that an error carries.
const MAX_BODY: usize = 512;
/// Most bytes of an answer that its message quotes.
const MAX_QUOTED: usize = 200;
/// What stands in place of a body that repeats a secret.
pub(super) const LEFT_OUT: &[u8] = b"(left out: it repeats our login)";
/// Statuses by which a server says that there is no such thing to be done at a path.
const NO_SUCH_METHOD: [u16; 2] = [405, 501];

/// A request that failed.
#[derive(Debug)]
pub struct RestError {
    /// What the request was for.
    pub operation: Operation,
    /// What went wrong, as users see it.
    pub report: ErrorReport,
    /// Whether the connection ended before any answer.
    pub(super) is_closed: bool,
    /// For how many seconds the device asks to be left alone.
    pub(super) retry_after_s: Option<u16>,
}

impl RestError {
    /// An error without an answer from the device.
    pub fn new(operation: Operation, kind: ErrorKind, url: &str, message: String) -> RestError {
        let remedy = remedy(kind, operation, None).to_owned();
        let report = ErrorReport {
            kind,
            message,
            remedy,
            http_status: None,
            url: Some(url.to_owned()),
            body: None,
        };
        RestError::from_report(operation, report)
    }

    /// An error that has been reported so.
    pub(super) fn from_report(operation: Operation, report: ErrorReport) -> RestError {
        RestError {
            operation,
            report,
            is_closed: false,
            retry_after_s: None,
        }
    }

    /// An answer whose status is no success. `location` is where a redirect points.
    pub fn status(
        operation: Operation,
        status: u16,
        url: &str,
        location: Option<&str>,
        body: &[u8],
    ) -> RestError {
        let kind = kind(operation, status);
        let remedy = remedy(kind, operation, Some(status));
        let oddity = match location {
            Some(location) => answer::redirect(status, url, location),
            None if kind == ErrorKind::Rejected && !body.is_empty() => {
                let reason = cut(body, MAX_QUOTED);
                let message = format!("the device refused it with {status}: {:?}", reason.trim());
                Oddity::new(message, remedy)
            }
            None => Oddity::new(format!("the device answered {status}"), remedy),
        };
        // The page beside a redirect repeats its address, which may hold a session.
        let shown = if location.is_some() { &[] } else { body };
        let mut error = RestError::odd(operation, kind, url, oddity, shown);
        error.report.http_status = Some(status);
        error
    }

    /// As the device asks for: nothing more is sent to it for that long.
    pub(super) fn with_retry_after(mut self, seconds: Option<u16>) -> RestError {
        if let Some(seconds) = seconds {
            self.report.message += &format!(", and asks to be left alone for {seconds} s");
        }
        self.retry_after_s = seconds;
        self
    }

    /// A request that `reqwest` could not bring to an end.
    pub fn request(operation: Operation, url: &str, error: reqwest::Error) -> RestError {
        // reqwest's own text names the URL, which the report carries already.
        let error = error.without_url();
        let failure = Failure::of(&error);
        let is_https = url.starts_with("https:");
        if let Some(explanation) = Explanation::of_request(&error, is_https, Server::Device) {
            return RestError::tls(operation, url, explanation);
        }
        let mut result = RestError::new(operation, failure::kind(failure), url, failure.message(&error));
        // A change that was sent may have been carried out: that matters more than how its answer was lost.
        let may_have_changed =
            operation == Operation::RelayEvents && matches!(failure, Failure::SlowBody | Failure::CutBody);
        if let Some(remedy) = failure::remedy(failure).filter(|_| !may_have_changed) {
            result.report.remedy = remedy.to_owned();
        }
        result.is_closed = failure == Failure::Closed;
        result
    }

    fn tls(operation: Operation, url: &str, explanation: Explanation) -> RestError {
        let mut error = RestError::new(operation, ErrorKind::Tls, url, explanation.cause);
        error.report.remedy = explanation.remedy;
        error
    }

    /// An answer in an encoding that was not asked for.
    pub(super) fn encoded(operation: Operation, url: &str, encoding: &str) -> RestError {
        RestError::odd(operation, ErrorKind::Decode, url, answer::encoded(encoding), &[])
    }

    /// A status that cannot be understood; nothing is quoted of one that holds a secret.
    pub(super) fn not_status(url: &str, reason: &StatusError, body: &[u8], is_secret: bool) -> RestError {
        let (operation, kind) = (Operation::Poll, ErrorKind::Decode);
        let oddity = answer::not_json(reason, body, is_secret);
        let oddity = oddity.unwrap_or_else(|| Oddity::new(reason.to_string(), remedy(kind, operation, None)));
        let shown = if is_secret { LEFT_OUT } else { body };
        RestError::odd(operation, kind, url, oddity, shown)
    }

    /// A configuration of the relays that cannot be understood. Nobody knows what else stands in one: nothing of it is
    /// shown.
    pub fn configuration(url: &str, reason: &(dyn Error + 'static)) -> RestError {
        RestError::new(Operation::RelayEvents, ErrorKind::Decode, url, reason.to_string())
    }

    fn odd(operation: Operation, kind: ErrorKind, url: &str, oddity: Oddity, body: &[u8]) -> RestError {
        let mut error = RestError::new(operation, kind, url, oddity.message);
        error.report.remedy = oddity.remedy;
        error.report.body = (!body.is_empty()).then(|| cut(body, MAX_BODY));
        error
    }

    /// Whether the login was refused, so that nothing may ask again soon. Where it is about the configuration of the
    /// relays, 403 is about what the user may do there, and no other login would change that.
    pub fn is_login_refused(&self) -> bool {
        match self.operation {
            Operation::RelayEvents => self.report.kind == ErrorKind::Unauthorized,
            _ => self.report.kind.is_refusal(),
        }
    }

    /// Names the entry of the profile that the request was made by, where the device knows nothing of the kind.
    pub(super) fn of_entry(mut self, entry: &str, profile: &str) -> RestError {
        let is_unknown = self.report.kind == ErrorKind::NotFound
            || self
                .report
                .http_status
                .is_some_and(|status| NO_SUCH_METHOD.contains(&status));
        if self.operation == Operation::RelayEvents && is_unknown {
            self.report.remedy = format!(
                "this device has nothing where entry {entry} of API profile {profile} says: mend the entry in a copy of the \
                 profile, and name the copy as profile of the device; until then, choose events in its web interface"
            );
        }
        self
    }
}

/// A status says more where something was to be changed.
fn kind(operation: Operation, status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        _ if operation != Operation::RelayEvents => ErrorKind::HttpStatus,
        409 | 412 => ErrorKind::Conflict,
        400 | 413 | 415 | 422 => ErrorKind::Rejected,
        423 | 429 | 503 => ErrorKind::Busy,
        _ => ErrorKind::HttpStatus,
    }
}

fn remedy(kind: ErrorKind, operation: Operation, status: Option<u16>) -> &'static str {
    match operation {
        Operation::RelayEvents => {
            remedy_of_change(kind).unwrap_or_else(|| general_remedy(kind, operation, status))
        }
        _ => general_remedy(kind, operation, status),
    }
}

/// What can be done where the configuration of the relays was asked for or to be changed.
fn remedy_of_change(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Forbidden => Some(
            "this user may only read: give it an access level that may change the configuration, or choose the events in the \
             device's web interface",
        ),
        ErrorKind::Conflict => Some(
            "somebody else has changed the device's configuration meanwhile: look at what it is now, and send the command again",
        ),
        ErrorKind::Rejected => Some(
            "the device's answer says what it does not take; if that is not about the events in the command, an entry under \
             relay_events of the API profile does not fit this device",
        ),
        ErrorKind::Busy => {
            Some("the device is busy, perhaps with somebody else's change: send the command again in a while")
        }
        ErrorKind::Timeout | ErrorKind::Connect => Some(
            "check that the device is up and reachable; it may have carried the change out all the same: sending the command again \
             does no harm",
        ),
        ErrorKind::TooLarge | ErrorKind::Decode => Some(
            "mend the entries under relay_events in a copy of the API profile, and name the copy as profile of the device; report \
             the answer and the firmware version",
        ),
        _ => None,
    }
}

fn general_remedy(kind: ErrorKind, operation: Operation, status: Option<u16>) -> &'static str {
    match (kind, status) {
        (ErrorKind::Unauthorized, _) => {
            "check username and password of the device in the configuration, and that \"Enable REST API\" is set on its \
             System page; the bridge tries again every 5 minutes only, since a LANTIME bans users who keep trying"
        }
        (ErrorKind::Forbidden, _) => {
            "the user may not read the status: give it at least the access level \"info\", see whether it has been banned, and \
             check \"Enable REST API\" on the System page; the bridge tries again every 5 minutes only"
        }
        (ErrorKind::NotFound, _) if operation == Operation::Poll => {
            "the REST API is probably switched off: set \"Enable REST API\" in the general settings on the device's System page"
        }
        (ErrorKind::NotFound, _) => {
            "this firmware has no API tokens (they came with 7.08): set auth = \"basic\" for the device"
        }
        (ErrorKind::HttpStatus, Some(300..=399)) => "check that the device's url is a LANTIME's",
        (ErrorKind::HttpStatus, Some(503 | 429)) => {
            "the device is busy; a longer poll interval helps if this goes on"
        }
        (ErrorKind::HttpStatus, _) => {
            "look at the device's own log, and restart its web service if this goes on"
        }
        (ErrorKind::Timeout, _) => {
            "check that the device is up and reachable; if it is only slow, set a longer timeout"
        }
        (ErrorKind::Connect, _) => {
            "check address and port, that the scheme (http or https) is the one spoken there, that the device is up, and that \
             no firewall is in between"
        }
        (
            ErrorKind::Tls
            | ErrorKind::Profile
            | ErrorKind::Snmp
            | ErrorKind::Rejected
            | ErrorKind::Busy
            | ErrorKind::Conflict
            | ErrorKind::Expired
            | ErrorKind::Storage
            | ErrorKind::Internal,
            _,
        ) => "see the device's own log",
        (ErrorKind::TooLarge, _) => "this is not a LANTIME's status: check the address",
        (ErrorKind::Decode, _) => {
            "check that the address is a LANTIME's; if it is, report the answer and the firmware version"
        }
    }
}

/// Whether a connection ended without TLS's close_notify. Where a body goes on to the end of the connection, that is
/// its end.
pub(super) fn is_sudden_end(error: &reqwest::Error) -> bool {
    all::<std::io::Error>(error).any(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// The first bytes, as text.
fn cut(body: &[u8], most: usize) -> String {
    String::from_utf8_lossy(&body[..body.len().min(most)]).into_owned()
}
