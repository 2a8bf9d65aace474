//! Why a request over HTTP got no answer, or none that is HTTP: what the errors of the layers below mean.

use std::error::Error;
use std::io;

use crate::wording::{is_failed_lookup, system_error};

/// `EMFILE`, this process may open no more files, and `ENFILE`, nor may the machine, on Linux.
const NO_MORE_FILES: [i32; 2] = [24, 23];

/// The remedy where no file descriptor is left.
pub(crate) const RAISE_LIMIT: &str = "raise the limit of open files of this process: LimitNOFILE in the service's unit \
     (systemctl edit lantime2mqtt), or ulimit -n where it is started";

/// Where a request has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not in time, without an answer.
    Timeout,
    /// Not in time, within the body of an answer.
    SlowBody,
    /// No file descriptor was left for the connection.
    NoMoreFiles,
    /// The connection ended before there was an answer.
    Closed,
    /// The connection ended within the body of an answer.
    CutBody,
    /// The head of the answer is larger than is read.
    HeadTooLarge,
    /// What came is not HTTP.
    Malformed,
    /// No connection, for any other reason.
    Connect,
}

impl Failure {
    pub(crate) fn of(error: &reqwest::Error) -> Failure {
        let in_body = error.is_body() || error.is_decode();
        if error.is_timeout() {
            return if in_body {
                Failure::SlowBody
            } else {
                Failure::Timeout
            };
        }
        let io = find::<io::Error>(error);
        if io.is_some_and(has_no_more_files) {
            return Failure::NoMoreFiles;
        }
        if error.is_connect() {
            return Failure::Connect;
        }
        let io = io.map(io::Error::kind);
        match find::<hyper::Error>(error) {
            Some(hyper) if hyper.is_parse_too_large() => Failure::HeadTooLarge,
            Some(hyper) if hyper.is_parse() => Failure::Malformed,
            Some(_)
                if in_body
                    && matches!(io, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) =>
            {
                Failure::Malformed
            }
            _ if in_body => Failure::CutBody,
            Some(hyper) if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() => {
                Failure::Closed
            }
            _ if io.is_some_and(is_end_of_connection) => Failure::Closed,
            _ => Failure::Connect,
        }
    }

    /// What happened. `error` has the details that are worth having.
    pub(crate) fn message(self, error: &reqwest::Error) -> String {
        match self {
            Failure::Timeout if error.is_connect() => "no connection in time".to_owned(),
            Failure::Timeout => "no answer in time".to_owned(),
            Failure::SlowBody => "the answer did not end in time".to_owned(),
            Failure::NoMoreFiles => {
                let code = find(error).and_then(io::Error::raw_os_error).unwrap_or_default();
                format!("no file descriptor is left for a connection (os error {code})")
            }
            Failure::Closed => "the connection was closed before the answer".to_owned(),
            Failure::CutBody => "the connection was closed within the answer".to_owned(),
            Failure::HeadTooLarge => {
                "the head of the answer is too large: more than 100 lines or 400 KiB".to_owned()
            }
            Failure::Malformed => format!("the answer does not follow HTTP: {}", innermost(error)),
            Failure::Connect => unconnected(error),
        }
    }
}

fn has_no_more_files(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| NO_MORE_FILES.contains(&code))
}

fn is_end_of_connection(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected
    )
}

/// The first error of that type on the way down.
pub(crate) fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    all(error).next()
}

/// All errors of that type on the way down.
pub(crate) fn all<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e E> {
    causes(error).filter_map(|cause| cause.downcast_ref())
}

/// Why there is no connection: as the system has it, or else the last of the layers.
fn unconnected(error: &reqwest::Error) -> String {
    match all::<io::Error>(error).last() {
        Some(io) if is_failed_lookup(io) => format!("cannot find the host: {}", system_error(io)),
        Some(io) => system_error(io),
        None => innermost(error),
    }
}

/// What the last of the layers says: those above it only repeat that.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    // An I/O error hides what it wraps from `source`.
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
