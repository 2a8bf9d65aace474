//! Why a connection failed, in words that name the broker and the remedy.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::reason;
use crate::tls::{Explanation, Server};

/// A connection that failed or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broker {broker}: {cause}")]
pub struct ConnectionError {
    broker: String,
    cause: Cause,
}

/// What ended it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No connection came about.
    #[error("cannot connect: {0}; check that it runs and that host and port in mqtt.url are right")]
    Connect(String),
    /// No answer to CONNECT, or not one of MQTT.
    #[error(
        "no MQTT connection came about: {0}; check that mqtt.url has the right scheme (mqtt, mqtts, ws, wss), port and path, \
         set the other mqtt.version or another mqtt.client_id, and see in the broker's log whether it refuses the last will: \
         the bridge needs QoS 1 and retained messages"
    )]
    NoMqtt(String),
    /// Nothing came back, of TCP or of MQTT.
    #[error(
        "no answer within {} s; check that it runs and that host, port and scheme in mqtt.url are right; if it takes \
         connections and says nothing, set the other mqtt.version", .0.as_secs()
    )]
    NoAnswer(Duration),
    /// A certificate, a key or the trust store cannot be used.
    #[error("{0}")]
    TlsSettings(String),
    /// The TLS handshake failed.
    #[error("TLS: {}; {}", .0.cause, .0.remedy)]
    Tls(Explanation),
    /// CONNACK with a refusal of who we are.
    #[error(
        "it refused the login ({0}); check mqtt.username, mqtt.password and the broker's list of users and rights"
    )]
    Credentials(String),
    /// CONNACK with another refusal.
    #[error("it refused the connection ({reason}); {remedy}")]
    Refused {
        /// The broker's reason.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The broker cannot keep retained messages or take QoS 1.
    #[error(
        "it does not offer {0}, which this bridge needs; allow that in the broker's settings, or set mqtt.url to another one"
    )]
    Unsupported(&'static str),
    /// The broker ended the connection, with its reason.
    #[error("it ended the connection ({reason}); {remedy}")]
    Ended {
        /// The broker's reason.
        reason: String,
        /// What to do.
        remedy: &'static str,
        /// Whether a message that we have published can be the reason.
        may_be_message: bool,
    },
    /// The broker refused a message for its size.
    #[error(
        "it refused a message ({0}); raise its limit of the packet or message size (mosquitto: max_packet_size, \
         message_size_limit)"
    )]
    TooLarge(String),
    /// Another client has connected with our client id.
    #[error(
        "another client has connected with the same client id ({0}); set another mqtt.client_id (or bridge.id), or stop the \
         other bridge"
    )]
    TakenOver(String),
    /// The broker refused a subscription with a reason code that the client library cannot read.
    #[error("it refused a subscription ({0}); that filter is left out from now on")]
    UnreadableRefusal(String),
    /// The connection broke.
    #[error(
        "connection lost: {0}; if this goes on, another client may use the same mqtt.client_id (or bridge.id): each needs its own"
    )]
    Lost(String),
    /// The broker fell silent.
    #[error("it has been silent for {} s; connection given up", .0.as_secs())]
    Silent(Duration),
}

/// Remedy where only the broker knows more.
pub(super) const SEE_ITS_LOG: &str = "see the broker's log";

impl ConnectionError {
    pub(super) fn new(broker: String, cause: Cause) -> ConnectionError {
        ConnectionError { broker, cause }
    }

    #[cfg(test)]
    pub(crate) fn for_test(cause: Cause) -> ConnectionError {
        ConnectionError::new("mqtt://b:1883".to_owned(), cause)
    }

    /// What ended the connection.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether the broker refused who we are: asking again soon is useless, and may get us banned.
    pub fn is_refused_login(&self) -> bool {
        matches!(self.cause, Cause::Credentials(_))
    }

    /// Why the broker refused a subscription, where that ended the connection.
    pub fn unreadable_refusal(&self) -> Option<&str> {
        match &self.cause {
            Cause::UnreadableRefusal(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether the broker ended a connection that stood, or the network did, and a message that was in flight may be
    /// why: it is not where the broker has given another reason.
    pub fn is_by_peer(&self) -> bool {
        matches!(
            self.cause,
            Cause::Lost(_)
                | Cause::TooLarge(_)
                | Cause::Ended {
                    may_be_message: true,
                    ..
                }
        )
    }
}

impl Cause {
    /// An error of the library that is none of MQTT's own: of the socket, TLS, the websocket.
    pub(super) fn of(error: &(dyn Error + 'static), server: Server) -> Cause {
        if let Some(tls) = find::<rustls::Error>(error) {
            return Cause::Tls(Explanation::of(tls, server));
        }
        match find::<io::Error>(error) {
            Some(io) => Cause::Lost(io.to_string()),
            None => Cause::Lost(error.to_string()),
        }
    }

    /// CONNACK with a reason code of MQTT 5, in these words; `other_version` is the remedy where it is that of the protocol.
    pub(super) fn refused(code: u8, reason: String, other_version: &'static str) -> Cause {
        let remedy = match code {
            0x84 => other_version,
            0x85 => "set another mqtt.client_id; the strictest brokers take 23 letters and digits at most",
            0x86 | 0x87 | 0x8a | 0x8c => return Cause::Credentials(reason),
            reason::PACKET_TOO_LARGE => "raise the broker's limit of the packet size",
            0x97 | 0x9f => {
                "raise the broker's limit of connections and of their rate: the bridge needs two or three"
            }
            0x9a => return Cause::Unsupported("retained messages"),
            0x9b => return Cause::Unsupported("QoS 1"),
            0x9c | 0x9d => "set mqtt.url to the server that replaces it",
            _ => SEE_ITS_LOG,
        };
        Cause::Refused { reason, remedy }
    }

    /// An answer whose reason code the client library does not know in that place.
    pub(super) fn of_unreadable(code: u8) -> Cause {
        let reason = reason::words(code);
        match code {
            reason::PACKET_TOO_LARGE => Cause::TooLarge(reason),
            _ => Cause::Ended {
                reason,
                remedy: SEE_ITS_LOG,
                // Once the broker has accepted us, this was the answer to one.
                may_be_message: true,
            },
        }
    }

    /// The same, when the broker has not accepted us yet.
    pub(super) fn before_connack(self) -> Cause {
        match self {
            Cause::Lost(reason) => Cause::NoMqtt(reason),
            Cause::Silent(patience) => Cause::NoAnswer(patience),
            cause => cause,
        }
    }

    /// An I/O error of the library's connect.
    pub(super) fn of_io(error: &io::Error, server: Server) -> Cause {
        match Cause::of(error, server) {
            // EOF comes from a peer that is there, but did not like what we said.
            Cause::Lost(reason) if error.kind() != io::ErrorKind::UnexpectedEof => Cause::Connect(reason),
            cause => cause,
        }
    }
}

/// The first error of type `E` in the chain. An `io::Error` hides the error that it wraps from `source()`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_error_is_found_inside_an_io_error() {
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::other(untrusted);
        let server = Server::Broker {
            is_shown_certificate: false,
        };
        assert!(matches!(Cause::of(&error, server), Cause::Tls(_)));
    }

    #[test]
    fn a_connection_that_ends_for_another_reason_is_no_fault_of_a_message() {
        let reason = || "reason".to_owned();
        for (cause, may_be) in [
            (Cause::Lost(reason()), true),
            (Cause::TooLarge(reason()), true),
            (Cause::TakenOver(reason()), false),
            (Cause::UnreadableRefusal(reason()), false),
            (Cause::Silent(Duration::ZERO), false),
        ] {
            let error = ConnectionError::for_test(cause);
            assert_eq!(error.is_by_peer(), may_be, "{error}");
        }
    }

    #[test]
    fn a_message_names_broker_and_remedy() {
        let cause = Cause::Credentials("not authorized".to_owned());
        let error = ConnectionError::new("mqtt://b:1883".to_owned(), cause);
        let text = error.to_string();
        assert!(
            text.contains("mqtt://b:1883") && text.contains("mqtt.password"),
            "{text}"
        );
        assert!(error.is_refused_login());
    }
}
