//! What can go wrong between the bridge and a device's REST API, and what a person can do about it.

use std::error::Error;

use crate::model::{ErrorKind, ErrorReport, Operation};

/// Most bytes of an answer that an error carries.
const MAX_BODY: usize = 512;

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
        let kind = match status {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            _ => ErrorKind::HttpStatus,
        };
        let message = match location {
            Some(location) => format!(
                "the device answered {status}, a redirect to {:?}",
                cut(location.as_bytes())
            ),
            None => format!("the device answered {status}"),
        };
        let report = ErrorReport {
            kind,
            message,
            remedy: remedy(kind, operation, Some(status)).to_owned(),
            http_status: Some(status),
            url: Some(url.to_owned()),
            body: (!body.is_empty()).then(|| cut(body)),
        };
        RestError { operation, report }
    }

    /// A request that `reqwest` could not bring to an end.
    pub fn request(operation: Operation, url: &str, error: reqwest::Error) -> RestError {
        // reqwest's own text names the URL, which the report carries already.
        let error = error.without_url();
        let kind = if error.is_timeout() {
            ErrorKind::Timeout
        } else if causes(&error).any(|cause| cause.downcast_ref::<rustls::Error>().is_some()) {
            ErrorKind::Tls
        } else {
            ErrorKind::Connect
        };
        RestError::new(operation, kind, url, describe(&error))
    }

    /// An answer that is no status document.
    pub fn decode(operation: Operation, url: &str, reason: &dyn Error, body: &[u8]) -> RestError {
        let mut error = RestError::new(operation, ErrorKind::Decode, url, reason.to_string());
        error.report.body = (!body.is_empty()).then(|| cut(body));
        error
    }
}

fn remedy(kind: ErrorKind, operation: Operation, status: Option<u16>) -> &'static str {
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
        (ErrorKind::Tls, _) => {
            "check that https is spoken there; for a self-signed certificate set tls.fingerprint (the command probe prints it), for an own CA tls.ca; if the \
             certificate was replaced on purpose, take its new fingerprint"
        }
        (
            ErrorKind::Profile
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
fn cut(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(MAX_BODY)]).into_owned()
}
