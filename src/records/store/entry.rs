//! Records and commands as they are on disk: a head in JSON, and the payload's bytes beside it.
//!
//! Read by later versions too: a field may come, none may go or change its meaning within a format.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::topics::Destination;
use crate::model::{DeviceId, SlotId};
use crate::records::{Received, Record};

/// The format in which commands are written. One that no longer fits [`CommandHead`] gets the next number.
const COMMAND_FORMAT: u32 = 1;

/// Why an entry cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

/// Only the format of a command: it says whether the rest can be read.
#[derive(Debug, Deserialize)]
struct Format {
    /// The first one did not say.
    #[serde(default)]
    format: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordHead {
    id: Uuid,
    to: To,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum To {
    Events(String),
    Changes(String, String),
    DeviceChanges(String),
    DeadLetter(Option<String>),
    Reply(String),
}

/// A command as it was received: each run reads again what it requests.
#[derive(Debug, Serialize, Deserialize)]
struct CommandHead {
    #[serde(default)]
    format: u32,
    topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_length: Option<usize>,
    #[serde(default)]
    retained: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    received_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default)]
    local: bool,
}

/// What of a record stands beside its payload.
pub(crate) fn record_head(record: &Record) -> Vec<u8> {
    let to = match &record.destination {
        Destination::Events(device) => To::Events(device.to_string()),
        Destination::Changes(device, Some(slot)) => To::Changes(device.to_string(), slot.to_string()),
        Destination::Changes(device, None) => To::DeviceChanges(device.to_string()),
        Destination::DeadLetter(device) => To::DeadLetter(device.as_ref().map(DeviceId::to_string)),
        Destination::Reply(topic) => To::Reply(topic.clone()),
    };
    json(&RecordHead {
        id: record.id,
        to,
        correlation: encode(record.correlation.as_ref()),
    })
}

/// The record of that head and payload.
pub(crate) fn record(head: &[u8], payload: &[u8]) -> Result<Record, Unreadable> {
    let head: RecordHead = parse(head)?;
    let destination = match head.to {
        To::Events(device) => Destination::Events(device_id(device)?),
        To::Changes(device, slot) => {
            let slot = SlotId::new(slot.as_str()).ok_or_else(|| not_an_id(&slot))?;
            Destination::Changes(device_id(device)?, Some(slot))
        }
        To::DeviceChanges(device) => Destination::Changes(device_id(device)?, None),
        To::DeadLetter(device) => Destination::DeadLetter(device.map(device_id).transpose()?),
        To::Reply(topic) => Destination::Reply(topic),
    };
    Ok(Record {
        id: head.id,
        destination,
        payload: Bytes::copy_from_slice(payload),
        correlation: decode(head.correlation)?,
    })
}

/// What of a command stands beside its payload.
pub(crate) fn command_head(command: &Received) -> Vec<u8> {
    json(&CommandHead {
        format: COMMAND_FORMAT,
        topic: command.topic.clone(),
        payload_length: command.payload_length,
        retained: command.retained,
        response_topic: command.response_topic.clone(),
        correlation: encode(command.correlation.as_ref()),
        received_at: command.received_at.to_string(),
        expires_at: command.expires_at.map(|at| at.to_string()),
        local: command.local,
    })
}

/// Whether a later version has written that head.
pub(crate) fn is_newer(head: &[u8]) -> bool {
    serde_json::from_slice::<Format>(head).is_ok_and(|head| head.format > COMMAND_FORMAT)
}

/// The command of that head and payload.
pub(crate) fn command(head: &[u8], payload: &[u8]) -> Result<Received, Unreadable> {
    let head: CommandHead = parse(head)?;
    Ok(Received {
        topic: head.topic,
        payload: Bytes::copy_from_slice(payload),
        payload_length: head.payload_length,
        retained: head.retained,
        response_topic: head.response_topic,
        correlation: decode(head.correlation)?,
        received_at: time(&head.received_at)?,
        expires_at: head.expires_at.as_deref().map(time).transpose()?,
        local: head.local,
    })
}

fn json(head: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(head).expect("a head has text keys and no failing values")
}

fn parse<'a, T: Deserialize<'a>>(head: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(head).map_err(|error| Unreadable(error.to_string()))
}

fn device_id(text: String) -> Result<DeviceId, Unreadable> {
    DeviceId::new(text.as_str()).ok_or_else(|| not_an_id(&text))
}

fn not_an_id(text: &str) -> Unreadable {
    Unreadable(format!("{text:?} is not an id"))
}

fn encode(bytes: Option<&Bytes>) -> Option<String> {
    bytes.map(|bytes| STANDARD.encode(bytes))
}

fn decode(base64: Option<String>) -> Result<Option<Bytes>, Unreadable> {
    let bytes = base64.map(|base64| STANDARD.decode(base64)).transpose();
    let bytes = bytes.map_err(|error| Unreadable(format!("correlation data: {error}")))?;
    Ok(bytes.map(Bytes::from))
}

fn time(text: &str) -> Result<Timestamp, Unreadable> {
    text.parse()
        .map_err(|error| Unreadable(format!("{text:?} is not a time: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        DeviceId::new("m1").unwrap()
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let slot = SlotId::new("io3").unwrap();
        let destinations = [
            Destination::Events(device()),
            Destination::Changes(device(), Some(slot)),
            Destination::Changes(device(), None),
            Destination::DeadLetter(Some(device())),
            Destination::DeadLetter(None),
            Destination::Reply("back/\u{e4}".to_owned()),
        ];
        for (destination, correlation) in destinations
            .into_iter()
            .zip([None, Some(&b"\0\xff"[..])].iter().cycle())
        {
            let expected = Record {
                id: Uuid::now_v7(),
                destination,
                payload: Bytes::from_static(b"\xff{}"),
                correlation: correlation.map(Bytes::from_static),
            };
            let head = record_head(&expected);
            assert_eq!(record(&head, &expected.payload), Ok(expected));
        }
    }

    #[test]
    fn a_command_comes_back_as_it_was() {
        let bare = Received {
            topic: "lantime/m1/refresh".to_owned(),
            payload: Bytes::new(),
            payload_length: None,
            retained: false,
            response_topic: None,
            correlation: None,
            received_at: "2026-02-10T09:45:48.123456789Z".parse().unwrap(),
            expires_at: None,
            local: false,
        };
        let full = Received {
            payload: Bytes::from_static(b"\xff\0"),
            payload_length: Some(70_000),
            retained: true,
            response_topic: Some("back".to_owned()),
            correlation: Some(Bytes::from_static(b"\xfe")),
            expires_at: Some(Timestamp::MAX),
            local: true,
            ..bare.clone()
        };
        for expected in [bare, full] {
            let head = command_head(&expected);
            assert_eq!(command(&head, &expected.payload), Ok(expected));
        }
    }

    #[test]
    fn what_the_first_format_wrote_is_read() {
        let head = br#"{"id":"0198c2a5-0000-7000-8000-000000000001","to":{"changes":["m1","io3"]},"correlation":"AA=="}"#;
        let record = record(head, b"{}").unwrap();
        assert_eq!(
            record.destination,
            Destination::Changes(device(), SlotId::new("io3"))
        );
        let head = br#"{"topic":"t","received_at":"2026-02-10T09:45:48Z","of_a_later_version":1}"#;
        assert_eq!(command(head, b"x").unwrap().payload, "x");
        assert!(!is_newer(head));
    }

    #[test]
    fn a_command_of_a_later_format_is_known_by_its_number() {
        assert!(is_newer(br#"{"format":2,"subject":["a"]}"#));
        for head in [&br#"{"format":1,"topic":"t"}"#[..], br#"{"format":"2"}"#, b"?"] {
            assert!(!is_newer(head));
        }
    }

    #[test]
    fn malformed_input_is_an_error() {
        for head in [
            &b""[..],
            b"{}",
            br#"{"id":"x","to":{"reply":"t"}}"#,
            br#"{"id":"0198c2a5-0000-7000-8000-000000000001","to":{"events":"A/B"}}"#,
            br#"{"id":"0198c2a5-0000-7000-8000-000000000001","to":{"reply":"t"},"correlation":"?"}"#,
        ] {
            assert!(record(head, b"").is_err());
        }
        for head in [&b"[]"[..], br#"{"topic":"t","received_at":"yesterday"}"#] {
            assert!(command(head, b"").is_err());
        }
    }
}
