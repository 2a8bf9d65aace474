//! What can go wrong between the bridge and a device's REST API, and what a person can do about it.

use std::error::Error;

use crate::model::{ErrorKind, ErrorReport, Operation};
use crate::tls::{Explanation, Server};

/// Most bytes of an answer that an error carries.
const MAX_BODY: usize = 512;
/// Most bytes of an answer that its message quotes.
const MAX_QUOTED: usize = 200;
/// Statuses by which a server says that there is no such thing to be done at a path.
const NO_SUCH_METHOD: [u16; 2] = [405, 501];

/// A request that failed.
#[derive(Debug)]
pub struct RestError {
    /// What the request was for.
    pub operation: Operation,
    /// What went wrong, as users see it.
    pub report: ErrorReport,
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
        RestError { operation, report }
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
        let message = match location {
            Some(location) => format!(
                "the device answered {status}, a redirect to {:?}",
                cut(location.as_bytes(), MAX_BODY)
            ),
            None if kind == ErrorKind::Rejected && !body.is_empty() => {
                let reason = cut(body, MAX_QUOTED);
                format!("the device refused it with {status}: {:?}", reason.trim())
            }
            None => format!("the device answered {status}"),
        };
        let report = ErrorReport {
            kind,
            message,
            remedy: remedy(kind, operation, Some(status)).to_owned(),
            http_status: Some(status),
            url: Some(url.to_owned()),
            body: (!body.is_empty()).then(|| cut(body, MAX_BODY)),
        };
        RestError { operation, report }
    }

    /// A request that `reqwest` could not bring to an end.
    pub fn request(operation: Operation, url: &str, error: reqwest::Error) -> RestError {
        // reqwest's own text names the URL, which the report carries already.
        let error = error.without_url();
        if error.is_timeout() {
            return RestError::new(operation, ErrorKind::Timeout, url, describe(&error));
        }
        match tls_failure(&error, url) {
            Some(explanation) => RestError::tls(operation, url, explanation),
            None => RestError::new(operation, ErrorKind::Connect, url, describe(&error)),
        }
    }

    fn tls(operation: Operation, url: &str, explanation: Explanation) -> RestError {
        let mut error = RestError::new(operation, ErrorKind::Tls, url, explanation.cause);
        error.report.remedy = explanation.remedy;
        error
    }

    /// An answer that cannot be understood.
    pub fn decode(operation: Operation, url: &str, reason: &dyn Error, body: &[u8]) -> RestError {
        let mut error = RestError::new(operation, ErrorKind::Decode, url, reason.to_string());
        error.report.body = (!body.is_empty()).then(|| cut(body, MAX_BODY));
        error
    }

    /// Whether the login was refused, so that nothing may ask again soon. Where it is about the configuration of the
    /// relays, 403 tells what the user may do there, and no other login would change that.
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
        (ErrorKind::HttpStatus, Some(300..=399)) => {
            "redirects are not followed: set the device's url to the address that it redirects to"
        }
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

/// What TLS has to do with it, if anything.
fn tls_failure(error: &reqwest::Error, url: &str) -> Option<Explanation> {
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return Some(Explanation::of(tls, Server::Device));
    }
    let is_in_handshake = error.is_connect() && url.starts_with("https:");
    let mut io = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.find_map(|io| Explanation::of_io(io, Server::Device))
        .filter(|_| is_in_handshake)
}

/// Whether a connection ended without the goodbye of TLS. Where a body goes on to the end of the connection, that is
/// its end.
pub(super) fn is_sudden_end(error: &reqwest::Error) -> bool {
    let mut io = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.any(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// The error and everything below it, in one line.
fn describe(error: &reqwest::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        // Many layers only repeat what the layer below says.
        if !words.iter().any(|word| word.contains(&text)) {
            words.push(text);
        }
    }
    words.join(": ")
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    // An I/O error hides what it wraps from `source`.
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The first bytes, as text.
fn cut(body: &[u8], most: usize) -> String {
    String::from_utf8_lossy(&body[..body.len().min(most)]).into_owned()
}
