//! A dead letter: a message that failed permanently, or a failure that lasts, with everything needed to run it again.

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::{DeviceId, ErrorReport, Operation, SlotId};

/// What went wrong, where, and what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// UUIDv7. Each dead letter about a failure that lasts has its own.
    pub id: Uuid,
    /// When it was written.
    pub at: Timestamp,
    /// The device that it is about; `None` where it is about none.
    pub device: Option<DeviceId>,
    /// The slot that it is about.
    pub slot: Option<SlotId>,
    /// What was being done.
    pub operation: Operation,
    /// What went wrong.
    pub error: ErrorReport,
    /// How often it was tried.
    pub attempts: u32,
    /// When it first went wrong.
    pub first_at: Timestamp,
    /// Failures since `first_at`, in a dead letter about a failure that lasts, or has lasted.
    pub repeats: Option<u64>,
    /// Whether the failure has ended.
    pub recovered: bool,
    /// The message that it began with.
    pub origin: Option<Origin>,
}

/// The message that a dead letter began with, as the broker gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its topic.
    pub topic: String,
    /// Its payload; of an overlong one the beginning.
    pub payload: Bytes,
    /// Length of the whole payload, where `payload` is only its beginning.
    pub payload_length: Option<usize>,
    /// Correlation data (MQTT 5).
    pub correlation: Option<Bytes>,
    /// Response topic (MQTT 5).
    pub response_topic: Option<String>,
}
