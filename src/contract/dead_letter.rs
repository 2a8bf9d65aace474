//! Dead letters as they are published and archived, and the way back from an archived one to its origin.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dead_letter_marks::Marks;
use super::{Time, is_unset};
use crate::model::{self, DeviceId, ErrorReport, Operation, Origin, SlotId};

/// The message that an archived dead letter began with, to the byte. `None` where there is none, or where the
/// dead letter cannot be read.
pub(crate) fn origin(json: &[u8]) -> Option<Origin> {
    serde_json::from_slice::<Archived<'_>>(json).ok()?.origin?.read()
}

/// An archived dead letter in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: Uuid,
    /// When it was written, as it stands there.
    pub at: String,
    /// The device that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The slot that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// What was being done.
    pub operation: String,
    /// Kind of the error.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What a person can do about it.
    pub remedy: String,
    /// Failures so far, in a dead letter about a failure that lasts, or has lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// Whether the failure has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// Topic of the message that it began with. If that was a command, and all of it was kept, it can be replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// What has become of it.
    #[serde(flatten)]
    pub marks: Marks,
}

impl Summary {
    /// The summary of an archived dead letter, without marks; `None` where it cannot be read.
    pub fn read(json: &[u8]) -> Option<Summary> {
        let dead_letter = serde_json::from_slice::<Archived<'_>>(json).ok()?;
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Some(Summary {
            id: dead_letter.id,
            at: dead_letter.at.into_owned(),
            device: owned(dead_letter.device),
            slot: owned(dead_letter.slot),
            operation: dead_letter.operation.into_owned(),
            kind: dead_letter.error.kind.into_owned(),
            message: dead_letter.error.message.into_owned(),
            remedy: dead_letter.error.remedy.into_owned(),
            repeats: dead_letter.repeats,
            recovered: dead_letter.recovered,
            topic: dead_letter.origin.map(|origin| origin.topic.into_owned()),
            marks: Marks::default(),
        })
    }
}

/// `dead-letter/{device}`, `dead-letter/bridge`
#[derive(Serialize)]
pub(crate) struct DeadLetter<'a> {
    id: Uuid,
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'a SlotId>,
    bridge: &'a DeviceId,
    operation: Operation,
    error: &'a ErrorReport,
    attempts: u32,
    first_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<u64>,
    #[serde(skip_serializing_if = "is_unset")]
    recovered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginJson<'a>>,
}

impl<'a> DeadLetter<'a> {
    /// As the bridge of that id publishes it.
    pub(crate) fn of(dead_letter: &'a model::DeadLetter, bridge: &'a DeviceId) -> DeadLetter<'a> {
        DeadLetter {
            id: dead_letter.id,
            at: Time(dead_letter.at),
            device: dead_letter.device.as_ref(),
            slot: dead_letter.slot.as_ref(),
            bridge,
            operation: dead_letter.operation,
            error: &dead_letter.error,
            attempts: dead_letter.attempts,
            first_at: Time(dead_letter.first_at),
            repeats: dead_letter.repeats,
            recovered: dead_letter.recovered,
            origin: dead_letter.origin.as_ref().map(OriginJson::of),
        }
    }
}

/// What is read of one.
#[derive(Deserialize)]
struct Archived<'a> {
    id: Uuid,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    device: Option<Cow<'a, str>>,
    #[serde(borrow)]
    slot: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    error: ArchivedError<'a>,
    repeats: Option<u64>,
    #[serde(default)]
    recovered: bool,
    #[serde(borrow)]
    origin: Option<OriginJson<'a>>,
}

#[derive(Deserialize)]
struct ArchivedError<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    remedy: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct OriginJson<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_length: Option<usize>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    correlation: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_base64: Option<String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    response_topic: Option<Cow<'a, str>>,
}

impl OriginJson<'_> {
    fn of(origin: &Origin) -> OriginJson<'_> {
        let (payload, payload_base64) = text_or_base64(Some(&origin.payload));
        let (correlation, correlation_base64) = text_or_base64(origin.correlation.as_ref());
        OriginJson {
            topic: Cow::Borrowed(&origin.topic),
            payload,
            payload_base64,
            payload_length: origin.payload_length,
            correlation,
            correlation_base64,
            response_topic: origin.response_topic.as_deref().map(Cow::Borrowed),
        }
    }

    fn read(self) -> Option<Origin> {
        Some(Origin {
            topic: self.topic.into_owned(),
            payload: bytes_of(self.payload, self.payload_base64)?,
            payload_length: self.payload_length,
            correlation: bytes_of(self.correlation, self.correlation_base64),
            response_topic: self.response_topic.map(Cow::into_owned),
        })
    }
}

fn text_or_base64(bytes: Option<&Bytes>) -> (Option<Cow<'_, str>>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(Cow::Borrowed(text)), None),
        Some((Err(_), bytes)) => (None, Some(STANDARD.encode(bytes))),
    }
}

fn bytes_of(text: Option<Cow<'_, str>>, base64: Option<String>) -> Option<Bytes> {
    match (text, base64) {
        (Some(text), _) => Some(Bytes::from(text.into_owned())),
        (None, Some(base64)) => STANDARD.decode(base64).ok().map(Bytes::from),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::to_json;
    use crate::model::{self, ErrorKind};

    fn dead_letter(origin: Option<Origin>) -> model::DeadLetter {
        let at = "2026-02-10T09:45:48.1234Z".parse().unwrap();
        model::DeadLetter {
            id: Uuid::from_u128(7),
            at,
            device: DeviceId::new("m1"),
            slot: SlotId::new("io3"),
            operation: Operation::RelayEvents,
            error: ErrorReport::new(ErrorKind::Rejected, "relay B", "choose A or C"),
            attempts: 1,
            first_at: at,
            repeats: None,
            recovered: false,
            origin,
        }
    }

    fn origin_of(payload: &'static [u8], correlation: &'static [u8]) -> Origin {
        Origin {
            topic: "lantime/m1/io3/relay/b/events/set".to_owned(),
            payload: Bytes::from_static(payload),
            payload_length: None,
            correlation: Some(Bytes::from_static(correlation)),
            response_topic: Some("back/\"here\"".to_owned()),
        }
    }

    fn json(dead_letter: &model::DeadLetter) -> String {
        let bridge = DeviceId::new("site-1").unwrap();
        String::from_utf8(to_json(&DeadLetter::of(dead_letter, &bridge)).to_vec()).unwrap()
    }

    #[test]
    fn the_origin_comes_back_to_the_byte() {
        for (payload, correlation) in [
            (&b"{\"add\":[\"\xc3\xa4\"]}\n\0"[..], &b"c"[..]),
            (b"\xff\x00\xfe", b"\x80"),
            (b"", b""),
        ] {
            let expected = origin_of(payload, correlation);
            let json = json(&dead_letter(Some(expected.clone())));
            assert_eq!(origin(json.as_bytes()), Some(expected), "{json}");
        }
    }

    #[test]
    fn a_summary_has_what_a_list_shows() {
        let json = json(&dead_letter(Some(origin_of(b"{}", b""))));
        let summary = Summary::read(json.as_bytes()).unwrap();
        assert_eq!(
            (summary.id, summary.kind.as_str(), summary.remedy.as_str()),
            (Uuid::from_u128(7), "rejected", "choose A or C")
        );
        assert_eq!(
            summary.topic.as_deref(),
            Some("lantime/m1/io3/relay/b/events/set")
        );
        assert_eq!(Summary::read(b"no dead letter"), None);
    }

    #[test]
    fn a_dead_letter_about_no_message_has_no_origin() {
        let bare = json(&dead_letter(None));
        assert_eq!(origin(bare.as_bytes()), None);
        assert_eq!(Summary::read(bare.as_bytes()).unwrap().topic, None);
    }
}
