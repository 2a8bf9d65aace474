//! What goes over the wire of MQTT 5 between a client and a broker, noted by a proxy in between: the only witness who
//! survives the broker and knows what it has acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5::Packet;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::PATIENCE;

/// Largest packet that it reads.
const MAX_PACKET: u32 = 16 * 1024 * 1024;

/// A message that one side has sent and that is not retained.
#[derive(Debug, Clone)]
pub struct Noted {
    /// Which connection, from 0.
    pub connection: usize,
    /// Whether the client has sent it.
    pub by_client: bool,
    /// When it came by.
    pub at: Instant,
    pub topic: String,
    pub payload: Bytes,
    /// When its acknowledgement came by.
    pub acknowledged_at: Option<Instant>,
}

impl Noted {
    /// What it says.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).expect("records, commands and replies are JSON")
    }

    /// The `id` that it carries; empty for none.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether a bridge reports by it that something has changed.
    pub fn is_change(&self) -> bool {
        self.by_client && (self.topic.ends_with("/events") || self.topic.ends_with("/changes"))
    }
}

/// The records of changes among these messages, each once, in order.
///
/// # Panics
/// When one was sent before an older one, in its connection or for the first time at all; when one came again as something
/// else; when one was never acknowledged.
pub fn changes(messages: &[Noted]) -> Vec<Noted> {
    let mut records = Vec::new();
    let mut newest = String::new();
    let mut newest_in = HashMap::new();
    let mut is_acknowledged = BTreeMap::<String, (usize, bool)>::new();
    for message in messages.iter().filter(|message| message.is_change()) {
        // UUIDv7: in order of time, as text too.
        let id = message.id();
        let before = newest_in.insert(message.connection, id.clone());
        assert!(
            before.is_none_or(|before| before < id),
            "out of order in its connection: {message:?}"
        );
        let (first, is_acknowledged) = is_acknowledged.entry(id.clone()).or_insert_with(|| {
            assert!(newest < id, "sent after a newer one: {message:?}");
            newest = id;
            records.push(message.clone());
            (records.len() - 1, false)
        });
        let first = &records[*first];
        assert_eq!(
            (&first.topic, &first.payload),
            (&message.topic, &message.payload),
            "not the same again"
        );
        *is_acknowledged |= message.acknowledged_at.is_some();
    }
    let lost: Vec<_> = is_acknowledged
        .iter()
        .filter(|(_, (_, is_acknowledged))| !is_acknowledged)
        .collect();
    assert!(lost.is_empty(), "never acknowledged: {lost:#?}");
    records
}

#[derive(Debug, Default)]
struct Notes {
    connections: usize,
    messages: Vec<Noted>,
    /// How many records of changes are acknowledged, repeated ones each time.
    acknowledged_changes: usize,
    /// Connection, whether the client has sent it, packet id: which of the messages awaits its acknowledgement.
    unacknowledged: HashMap<(usize, bool, u16), usize>,
}

/// The notes of all connections. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tap {
    notes: Arc<Mutex<Notes>>,
    noted: Arc<Notify>,
}

impl Tap {
    /// The messages that were not retained and had QoS 1, in the order in which they came by.
    pub fn messages(&self) -> Vec<Noted> {
        self.notes().messages.clone()
    }

    /// How many records of changes are acknowledged, repeated ones each time.
    pub fn acknowledged_changes(&self) -> usize {
        self.notes().acknowledged_changes
    }

    /// Waits until something has come by since it was waited for last.
    pub async fn noted(&self) {
        let noted = timeout(10 * PATIENCE, self.noted.notified()).await;
        noted.expect("something comes by");
    }

    /// Both directions of a new connection.
    pub(super) fn connection(&self) -> [Direction; 2] {
        let mut notes = self.notes();
        let connection = notes.connections;
        notes.connections += 1;
        [true, false].map(|by_client| Direction {
            tap: self.clone(),
            connection,
            by_client,
            buffer: BytesMut::new(),
        })
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one side of a connection sends.
#[derive(Debug)]
pub(super) struct Direction {
    tap: Tap,
    connection: usize,
    by_client: bool,
    /// The beginning of a packet.
    buffer: BytesMut,
}

impl Direction {
    /// Bytes come by.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        // What it cannot read it does not read again: a test that needs it fails.
        while let Ok(packet) = Packet::read(&mut self.buffer, Some(MAX_PACKET)) {
            self.note_packet(packet);
        }
    }

    fn note_packet(&self, packet: Packet) {
        let mut notes = self.tap.notes();
        match packet {
            // The broker gives a bridge its own state back, without the mark that it is retained.
            Packet::Publish(publish) if !self.by_client && publish.topic.ends_with(b"/state") => {}
            Packet::Publish(publish) if publish.pkid != 0 && !publish.retain => {
                let message = Noted {
                    connection: self.connection,
                    by_client: self.by_client,
                    at: Instant::now(),
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    // A copy: it shares its buffer with whatever else was read.
                    payload: Bytes::copy_from_slice(&publish.payload),
                    acknowledged_at: None,
                };
                let index = notes.messages.len();
                notes.messages.push(message);
                let key = (self.connection, self.by_client, publish.pkid);
                notes.unacknowledged.insert(key, index);
            }
            Packet::PubAck(ack) => {
                let key = (self.connection, !self.by_client, ack.pkid);
                if let Some(index) = notes.unacknowledged.remove(&key) {
                    let message = &mut notes.messages[index];
                    message.acknowledged_at = Some(Instant::now());
                    let is_change = message.is_change();
                    notes.acknowledged_changes += usize::from(is_change);
                }
            }
            _ => {}
        }
        self.tap.noted.notify_one();
    }
}
