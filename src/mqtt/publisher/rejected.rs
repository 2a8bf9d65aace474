//! A record that the broker refuses, and the dead letter that reports it.

use jiff::Timestamp;

use super::size_limit::TooLarge;
use crate::contract::topics::Destination;
use crate::model::{DeadLetter, ErrorKind, ErrorReport, Operation, Origin};
use crate::records::{MAX_PAYLOAD, Record, dead_letter};

/// What to do about a broker that refuses a message.
pub(super) const PUBLISH_REMEDY: &str =
    "let the user of the bridge (mqtt.username) publish there, in the broker's list of rights";

/// What to do about a broker that ends each connection on which a message is sent.
pub(super) const ENDS_CONNECTIONS_REMEDY: &str = "see the broker's log; check its limits of the packet size and of topic levels, our rights there, and that it offers \
     QoS 1 and retained messages";

/// What to do about a message that is larger than the broker takes.
pub(super) const SIZE_REMEDY: &str =
    "raise the broker's limit of the packet or message size (mosquitto: max_packet_size, message_size_limit)";

/// Bytes that are kept of a payload that was too large.
const BEGINNING: usize = 256;

/// A record that has left the queue without having been delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Its number in the store.
    pub(super) number: u64,
    pub(super) record: Record,
    pub(super) topic: String,
    /// How often it was sent.
    pub(super) attempts: u32,
    pub(super) reason: Reason,
}

/// Why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// No broker would take its topic.
    NoTopic,
    /// It is larger than the packets that the broker takes.
    TooLarge { bytes: usize, limit: TooLarge },
    /// The broker refused it, for this reason.
    Refused(String),
    /// The broker ended each connection on which it was sent.
    EndsConnections,
}

impl Reason {
    /// Whether it was concluded from another record, which may have been rejected for something else.
    pub(super) fn is_guess(&self) -> bool {
        match self {
            Reason::EndsConnections => true,
            Reason::TooLarge { limit, .. } => matches!(limit, TooLarge::Learned(_)),
            Reason::NoTopic | Reason::Refused(_) => false,
        }
    }
}

impl Rejected {
    /// The dead letter that reports it. `None` for a dead letter itself: that one is in the archive, and to report
    /// it by another one might go on for ever.
    pub(super) fn dead_letter(&self, now: Timestamp) -> Option<DeadLetter> {
        let (device, slot) = match &self.record.destination {
            Destination::DeadLetter(_) => return None,
            Destination::Events(device) => (Some(device.clone()), None),
            Destination::Changes(device, slot) => (Some(device.clone()), slot.clone()),
            Destination::Reply(_) => (None, None),
        };
        Some(DeadLetter {
            device,
            slot,
            attempts: self.attempts,
            origin: Some(self.origin()),
            ..dead_letter::new(Operation::Publish, self.error(), now)
        })
    }

    /// What happened, and the remedy.
    pub(super) fn error(&self) -> ErrorReport {
        // A topic may be as long as somebody's response topic.
        let topic: String = self.topic.chars().take(200).collect();
        let (kind, what, remedy) = match &self.reason {
            Reason::NoTopic => (
                ErrorKind::Rejected,
                format!("{topic:?} is no topic that a broker takes"),
                "ask for the reply at a topic of 1 to 65535 bytes, without wildcards",
            ),
            Reason::TooLarge { bytes, limit } => (
                ErrorKind::TooLarge,
                format!("the message at {topic:?} has {bytes} bytes, and {limit}"),
                SIZE_REMEDY,
            ),
            Reason::Refused(reason) => (
                ErrorKind::Rejected,
                format!("the broker refused the message at {topic:?}: {reason}"),
                PUBLISH_REMEDY,
            ),
            Reason::EndsConnections => (
                ErrorKind::Rejected,
                format!("the broker ended each connection on which the message at {topic:?} was sent"),
                ENDS_CONNECTIONS_REMEDY,
            ),
        };
        ErrorReport::new(kind, what, remedy)
    }

    fn origin(&self) -> Origin {
        let payload = &self.record.payload;
        let kept = match self.reason {
            // With all of it the dead letter would be too large as well.
            Reason::TooLarge { .. } | Reason::EndsConnections => payload.len().min(BEGINNING),
            Reason::NoTopic | Reason::Refused(_) => payload.len().min(MAX_PAYLOAD),
        };
        Origin {
            topic: self.topic.clone(),
            payload: payload.slice(..kept),
            payload_length: (payload.len() > kept).then_some(payload.len()),
            correlation: self.record.correlation.clone(),
            response_topic: None,
        }
    }
}
