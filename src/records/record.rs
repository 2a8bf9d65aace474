//! A record: a message that is not retained, and that is kept on disk until the broker has acknowledged it.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::contract::to_json;
use crate::contract::topics::Destination;

/// A message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// UUIDv7, also in the payload: by it a consumer knows a duplicate.
    pub id: Uuid,
    /// Where it goes.
    pub destination: Destination,
    /// What it says.
    pub payload: Bytes,
    /// Correlation data of the command that it answers (MQTT 5).
    pub correlation: Option<Bytes>,
}

impl Record {
    /// A record that answers no command. `json` has the id, too.
    pub(super) fn of(id: Uuid, destination: Destination, json: &impl Serialize) -> Record {
        Record {
            id,
            destination,
            payload: to_json(json),
            correlation: None,
        }
    }
}

/// Longest payload of a command, in bytes. Of a longer one so many are kept.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// A command as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Its payload; of an overlong one the beginning.
    pub payload: Bytes,
    /// Length of the whole payload, where `payload` is only its beginning.
    pub payload_length: Option<usize>,
    /// Whether the broker gave a stored copy (retain = 1).
    pub retained: bool,
    /// Response topic (MQTT 5), as it was given.
    pub response_topic: Option<String>,
    /// Correlation data (MQTT 5).
    pub correlation: Option<Bytes>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// When it is no longer to be carried out (MQTT 5 message expiry).
    pub expires_at: Option<Timestamp>,
    /// Whether it came from this machine (command line, page) and not over MQTT: then no reply is published.
    pub local: bool,
}

impl Received {
    /// A command that comes from this machine, now.
    pub fn local(topic: String, payload: impl Into<Bytes>) -> Received {
        Received {
            topic,
            payload: payload.into(),
            payload_length: None,
            retained: false,
            response_topic: None,
            correlation: None,
            received_at: Timestamp::now(),
            expires_at: None,
            local: true,
        }
    }
}
