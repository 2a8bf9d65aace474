//! What a request without an answer, or with one that is not HTTP, means for a device: its kind, and the remedy.

use crate::http_failure::{Failure, RAISE_LIMIT};
use crate::model::ErrorKind;

pub(super) fn kind(failure: Failure) -> ErrorKind {
    match failure {
        Failure::Timeout | Failure::SlowBody => ErrorKind::Timeout,
        Failure::HeadTooLarge | Failure::Malformed => ErrorKind::Decode,
        Failure::NoMoreFiles | Failure::Closed | Failure::CutBody | Failure::Connect => ErrorKind::Connect,
    }
}

/// The remedy, if the kind of the error alone does not have it.
pub(super) fn remedy(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::NoMoreFiles => Some(RAISE_LIMIT),
        Failure::SlowBody => Some(
            "set a longer timeout if the device is only slow; if that does not help, its answer is shorter than \
             the Content-Length in its head: ask it with curl -v, and update its firmware",
        ),
        Failure::CutBody => Some(
            "ask the device with curl -v: if the answer is cut there too, the Content-Length in its head is larger \
             than the answer, or its web server fails: see its own log; else look at a proxy or firewall in between",
        ),
        Failure::HeadTooLarge => Some(
            "check that the address is a LANTIME's, and which headers a proxy in between adds: curl -v shows them",
        ),
        Failure::Malformed => Some(
            "check that the scheme (http or https) is the one spoken at that port; if it is, curl -v shows what the \
             device, or a proxy in between, answers: update its firmware",
        ),
        Failure::Timeout | Failure::Closed | Failure::Connect => None,
    }
}
