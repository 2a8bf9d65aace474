//! What can go wrong between the bridge and etcd, and what a person can do about it.

mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::de::IgnoredAny;

use super::wire::{Refusal, StreamLine};
use crate::http_failure::{Failure, RAISE_LIMIT};
use crate::tls::{Explanation, Server, is_certificate_refused};
use crate::wording::quoted;

/// Statuses of a proxy, or of a gateway whose node does not answer.
const UNAVAILABLE: [u16; 3] = [502, 503, 504];

/// A request to etcd that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("etcd {endpoint}: {request}: {cause}; {}{}", .cause.remedy(), self.warning())]
pub struct Error {
    endpoint: String,
    request: &'static str,
    cause: Cause,
    /// Whether it may have been carried out.
    effect: Effect,
}

/// Whether a request that failed may have been carried out all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Not a byte of it was sent.
    Unsent,
    /// Refused, or it would change nothing.
    None,
    /// Nobody knows.
    Unknown,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No connection, or one that ended before the answer did.
    #[error("{0}")]
    Unreachable(String),
    /// No file descriptor is left for a connection.
    #[error("{0}")]
    NoMoreFiles(String),
    /// No answer within the time that there was.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The node answers, but cannot serve: it has no leader, or too much to do.
    #[error("the node cannot serve requests ({0})")]
    Unavailable(String),
    /// The node answers, but its gateway, which is a client of the node itself, does not reach it.
    #[error("the JSON gateway of the node does not reach the node itself ({0})")]
    Gateway(String),
    /// User and password, or their absence, are refused.
    #[error("the login is refused ({0})")]
    Authentication(String),
    /// The user may not read or write these keys.
    #[error("the user may not do this")]
    PermissionDenied,
    /// The quota of the database is used up: nothing can be written.
    #[error("the database is full")]
    NoSpace,
    /// The revision is older than the history that etcd keeps.
    #[error("the revision is no longer in etcd's history{}", since(*.oldest))]
    Compacted {
        /// The oldest revision that there is, where etcd says so.
        oldest: Option<i64>,
    },
    /// The lease has expired, or was revoked.
    #[error("the lease has expired or was revoked")]
    LeaseNotFound,
    /// The TLS handshake failed, a certificate is not accepted, or what came later is not TLS.
    #[error("TLS: {}", .0.cause)]
    Tls(Explanation),
    /// What came is not an answer of etcd, or too large.
    #[error("{0}")]
    BadAnswer(String),
    /// Any other refusal, in etcd's own words.
    #[error("refused: {0}")]
    Rejected(String),
}

impl Cause {
    /// Stable short name.
    pub fn kind(&self) -> &'static str {
        match self {
            Cause::Unreachable(_) | Cause::NoMoreFiles(_) => "unreachable",
            Cause::Timeout(_) => "timeout",
            Cause::Unavailable(_) | Cause::Gateway(_) => "unavailable",
            Cause::Authentication(_) => "authentication",
            Cause::PermissionDenied => "permission-denied",
            Cause::NoSpace => "no-space",
            Cause::Compacted { .. } => "compacted",
            Cause::LeaseNotFound => "lease-not-found",
            Cause::Tls(_) => "tls",
            Cause::BadAnswer(_) => "bad-answer",
            Cause::Rejected(_) => "rejected",
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Cause::Unreachable(_) => {
                "check that etcd runs there, that host, port and scheme in cluster.endpoints are right, and that no firewall is \
                 in between"
            }
            Cause::NoMoreFiles(_) => RAISE_LIMIT,
            Cause::Timeout(_) => {
                "check that this node runs and is reachable, and that its disk is fast enough: its log says \"took too long\" \
                 where it is not"
            }
            Cause::Unavailable(_) => {
                "check that a majority of etcd's nodes run and reach one another: etcdctl endpoint status --cluster -w table"
            }
            Cause::Gateway(_) => {
                "with --client-cert-auth, give the node a certificate that is for servers and for clients (extendedKeyUsage with \
                 serverAuth and clientAuth, or none at all); else see its log"
            }
            Cause::Authentication(_) => {
                "check cluster.username and cluster.password, and the users of etcd: etcdctl user list, etcdctl auth status"
            }
            Cause::PermissionDenied => {
                "let a role of the user read and write all keys below /lantime2mqtt/: etcdctl role grant-permission ROLE \
                 readwrite /lantime2mqtt/ --prefix=true"
            }
            Cause::NoSpace => {
                "compact and defragment it: etcdctl compact REVISION, etcdctl defrag --cluster, etcdctl alarm disarm; if its \
                 content is that large, raise --quota-backend-bytes"
            }
            Cause::Compacted { .. } => "read the keys again, and watch from the revision of that answer on",
            Cause::LeaseNotFound => "grant another lease, and write again what belongs to it",
            Cause::Tls(explanation) => &explanation.remedy,
            Cause::BadAnswer(_) => {
                "check that etcd (3.4 or newer) itself listens at that address, with its JSON gateway on: \
                 --enable-grpc-gateway=true"
            }
            Cause::Rejected(_) => "see etcd's log",
        }
    }
}

impl Error {
    /// That request failed at that node.
    pub(super) fn new(endpoint: &str, request: &'static str, cause: Cause, effect: Effect) -> Error {
        let endpoint = endpoint.to_owned();
        Error {
            endpoint,
            request,
            cause,
            effect,
        }
    }

    /// The node's URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Why.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Stable short name of the cause.
    pub fn kind(&self) -> &'static str {
        self.cause.kind()
    }

    /// Whether it was a write, and nobody knows whether it was carried out.
    pub fn is_outcome_unknown(&self) -> bool {
        self.effect == Effect::Unknown
    }

    /// Whether the login is refused: a token is renewed then.
    pub(super) fn is_login_refused(&self) -> bool {
        matches!(self.cause, Cause::Authentication(_))
    }

    /// Whether not a byte of the request was sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.effect == Effect::Unsent
    }

    /// The same of what had to come before the request, which was not sent.
    pub(super) fn before_request(self) -> Error {
        let effect = Effect::Unsent;
        Error { effect, ..self }
    }

    /// Whether another node may serve the same request.
    pub(super) fn is_of_endpoint(&self) -> bool {
        matches!(
            self.cause,
            Cause::Unreachable(_)
                | Cause::Timeout(_)
                | Cause::Unavailable(_)
                | Cause::Gateway(_)
                | Cause::Tls(_)
                | Cause::BadAnswer(_)
        )
    }

    fn warning(&self) -> &'static str {
        match self.effect {
            Effect::Unknown => "; etcd may have carried it out all the same",
            Effect::Unsent | Effect::None => "",
        }
    }
}

/// What a request is, for its errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) endpoint: &'a str,
    pub(super) request: &'static str,
    /// Whether it changes something, and not the same again when it is sent twice.
    pub(super) is_write: bool,
    /// Whether an answer may hold a secret.
    pub(super) is_secret: bool,
    pub(super) is_shown_certificate: bool,
}

impl Subject<'_> {
    /// That cause, when the request was sent and its end is not known.
    pub(super) fn broken(&self, cause: Cause) -> Error {
        let effect = if self.is_write {
            Effect::Unknown
        } else {
            Effect::None
        };
        Error::new(self.endpoint, self.request, cause, effect)
    }

    /// That cause, before the request was sent.
    pub(super) fn unsent(&self, cause: Cause) -> Error {
        Error::new(self.endpoint, self.request, cause, Effect::Unsent)
    }

    /// What came is no answer.
    pub(super) fn bad_answer(&self, what: impl Into<String>) -> Error {
        self.broken(Cause::BadAnswer(what.into()))
    }

    /// A request that `reqwest` could not bring to an end within `time`.
    pub(super) fn failed(&self, error: reqwest::Error, time: Duration) -> Error {
        let is_unsent = error.is_connect() || is_certificate_refused(&error);
        let cause = self.cause(&error.without_url(), time);
        match is_unsent {
            true => self.unsent(cause),
            false => self.broken(cause),
        }
    }

    fn cause(&self, error: &reqwest::Error, time: Duration) -> Cause {
        let server = Server::Etcd {
            is_shown_certificate: self.is_shown_certificate,
        };
        let is_https = self.endpoint.starts_with("https:");
        if let Some(explanation) = Explanation::of_request(error, is_https, server) {
            return Cause::Tls(explanation);
        }
        let failure = Failure::of(error);
        match failure {
            // The system's own time-out of a connection may be shorter or longer.
            Failure::Timeout if error.is_connect() => Cause::Unreachable(failure.message(error)),
            Failure::Timeout | Failure::SlowBody => Cause::Timeout(time),
            Failure::NoMoreFiles => Cause::NoMoreFiles(failure.message(error)),
            Failure::Closed | Failure::CutBody | Failure::Connect => {
                Cause::Unreachable(failure.message(error))
            }
            Failure::HeadTooLarge | Failure::Malformed => Cause::BadAnswer(failure.message(error)),
        }
    }

    /// An answer whose status is no success.
    pub(super) fn status(&self, status: u16, body: &[u8]) -> Error {
        if let Ok(refusal) = serde_json::from_slice(body) {
            return self.refused(&refusal);
        }
        // Requests that are answered by a stream.
        if let Ok(StreamLine::<IgnoredAny>::Error(refusal)) = serde_json::from_slice(body) {
            return self.refused(&refusal);
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
        let what = match text.trim() {
            _ if self.is_secret => format!("the answer has status {status}"),
            "" => format!("the answer has status {status}"),
            text => format!("the answer has status {status}: {}", quoted(text)),
        };
        match status {
            status if UNAVAILABLE.contains(&status) => self.broken(Cause::Unavailable(what)),
            500.. => self.bad_answer(what),
            _ => Error::new(self.endpoint, self.request, Cause::BadAnswer(what), Effect::None),
        }
    }

    /// A refusal of etcd.
    pub(super) fn refused(&self, refusal: &Refusal) -> Error {
        let (cause, is_carried_out) = refusal::cause(refusal);
        match is_carried_out {
            refusal::CarriedOut::No => Error::new(self.endpoint, self.request, cause, Effect::None),
            refusal::CarriedOut::Perhaps => self.broken(cause),
        }
    }
}

fn since(oldest: Option<i64>) -> String {
    oldest.map_or(String::new(), |oldest| format!(", which begins with {oldest}"))
}
