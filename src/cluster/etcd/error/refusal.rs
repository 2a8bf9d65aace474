//! What a refusal of etcd means: codes are those of gRPC, texts are etcd's own (`api/v3rpc/rpctypes/error.go` there).

use super::Cause;
use crate::cluster::etcd::wire::Refusal;
use crate::wording::quoted;

/// Codes of gRPC, by their numbers.
const INVALID_ARGUMENT: u16 = 3;
const DEADLINE_EXCEEDED: u16 = 4;
const NOT_FOUND: u16 = 5;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const FAILED_PRECONDITION: u16 = 9;
const OUT_OF_RANGE: u16 = 11;
const UNIMPLEMENTED: u16 = 12;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

/// Codes by their names, as a watch that is ended has them in its reason.
const NAMES: [(&str, u16); 7] = [
    ("InvalidArgument", INVALID_ARGUMENT),
    ("NotFound", NOT_FOUND),
    ("PermissionDenied", PERMISSION_DENIED),
    ("ResourceExhausted", RESOURCE_EXHAUSTED),
    ("OutOfRange", OUT_OF_RANGE),
    ("Unavailable", UNAVAILABLE),
    ("Unauthenticated", UNAUTHENTICATED),
];

/// Code for what has none.
const UNKNOWN: u16 = 2;

/// How etcd says that its users have changed since the token was issued.
const OLD_USERS: &str = "revision of auth store is old";

/// Whether a refused request was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CarriedOut {
    No,
    Perhaps,
}

impl Refusal {
    /// From the reason by which a watch is ended: `rpc error: code = PermissionDenied desc = etcdserver: ..`.
    pub(in crate::cluster::etcd) fn of_reason(reason: &str) -> Refusal {
        let rest = reason.strip_prefix("rpc error: code = ");
        let split = rest.and_then(|rest| rest.split_once(" desc = "));
        let (name, message) = split.unwrap_or(("", reason));
        let code = NAMES.iter().find(|(known, _)| *known == name);
        Refusal {
            code: code.map_or(UNKNOWN, |(_, code)| *code),
            message: message.to_owned(),
        }
    }
}

pub(super) fn cause(refusal: &Refusal) -> (Cause, CarriedOut) {
    let says = |text: &str| refusal.message.contains(text);
    let own_words = || {
        let text = refusal.message.strip_prefix("etcdserver: ");
        quoted(text.unwrap_or(&refusal.message))
    };
    let cause = match refusal.code {
        UNAUTHENTICATED => Cause::Authentication(own_words()),
        INVALID_ARGUMENT if says("user name is empty") || says("authentication failed") => {
            Cause::Authentication(own_words())
        }
        FAILED_PRECONDITION if says("authentication is not enabled") => Cause::Authentication(own_words()),
        _ if says(OLD_USERS) => Cause::Authentication(own_words()),
        PERMISSION_DENIED => Cause::PermissionDenied,
        RESOURCE_EXHAUSTED if says("space exceeded") => Cause::NoSpace,
        RESOURCE_EXHAUSTED => Cause::Unavailable(own_words()),
        NOT_FOUND if says("lease not found") => Cause::LeaseNotFound,
        OUT_OF_RANGE if says("compacted") => Cause::Compacted { oldest: None },
        // Without a leader nobody takes the proposal.
        _ if says("proposal dropped") => Cause::Unavailable(own_words()),
        // What the gateway says itself has no such beginning.
        UNAVAILABLE if !says("etcdserver:") => return (Cause::Gateway(own_words()), CarriedOut::Perhaps),
        DEADLINE_EXCEEDED | UNAVAILABLE => return (Cause::Unavailable(own_words()), CarriedOut::Perhaps),
        NOT_FOUND | INVALID_ARGUMENT | FAILED_PRECONDITION | OUT_OF_RANGE | UNIMPLEMENTED => {
            Cause::Rejected(own_words())
        }
        // Codes of faults, and those of later versions.
        _ => return (Cause::Rejected(own_words()), CarriedOut::Perhaps),
    };
    (cause, CarriedOut::No)
}
