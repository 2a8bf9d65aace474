//! An example: its name, and what is published in it.

use jiff::Timestamp;
use lantime2mqtt::config::Layout;
use lantime2mqtt::contract::topics::{StateTopic, Topics};
use lantime2mqtt::model::{DeviceId, EventName, ShardId, SlotId};
use lantime2mqtt::mqtt::payload::{Message, Payloads};
use lantime2mqtt::records::Record;
use uuid::Uuid;

use crate::files;

/// In place of each id that differs from run to run.
pub(crate) const ID: Uuid = Uuid::from_u128(0x019a_ab1e_41e8_7b43_9f0e_3a1d_0c2b_4a59);
/// Of another record.
pub(crate) const OTHER_ID: Uuid = Uuid::from_u128(0x019a_ab1e_2c14_7d1f_8c2e_5b1f_0a9c_3e77);

/// A part of a golden file.
pub(crate) struct Example {
    /// The name of the file.
    pub(crate) place: &'static str,
    /// What is published there, for the file's head.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

pub(crate) fn topics() -> Topics {
    Topics::new("lantime", bridge_id())
}

pub(crate) fn bridge_id() -> DeviceId {
    DeviceId::new("site-1").unwrap()
}

pub(crate) fn device_id() -> DeviceId {
    DeviceId::new("m3000-a").unwrap()
}

pub(crate) fn slot_id() -> SlotId {
    SlotId::new("io3").unwrap()
}

pub(crate) fn event_name(spelling: &str) -> EventName {
    EventName::canonical(spelling).unwrap()
}

/// A time of the day on which all examples are.
pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

/// What is retained at a topic, and at those of its fields: `messages` makes it in any layout.
pub(crate) fn retained(
    topic: &StateTopic,
    name: &str,
    messages: impl Fn(&Payloads) -> Vec<Message>,
) -> Example {
    of_topics(&topics(), topic, name, messages)
}

/// The same of a shard.
pub(crate) fn of_shard(
    topic: &StateTopic,
    name: &str,
    messages: impl Fn(&Payloads) -> Vec<Message>,
) -> Example {
    of_topics(&topics().of_shard(ShardId(3)), topic, name, messages)
}

fn of_topics(
    topics: &Topics,
    topic: &StateTopic,
    name: &str,
    messages: impl Fn(&Payloads) -> Vec<Message>,
) -> Example {
    let lines = |layout, indent| {
        let messages = messages(&Payloads::new(topics.clone(), layout)).into_iter();
        let payload = |payload: &[u8]| String::from_utf8(payload.to_vec()).unwrap();
        let mut lines: Vec<_> = messages
            .map(|message| line(indent, &message.topic, message.payload.as_deref().map(payload)))
            .collect();
        lines.sort();
        lines.concat()
    };
    let json = lines(Layout::Json, "");
    let (kind, text) = match topic.is_plain() {
        true => {
            assert_eq!(json, lines(Layout::Scalar, ""), "the same in every layout");
            assert_eq!(json, lines(Layout::Both, ""), "the same in every layout");
            ("Retained. The same in every layout.", json)
        }
        false => (
            "Retained. The layout \"json\", and below it, indented, the layout \"scalar\".",
            json + &lines(Layout::Scalar, "    "),
        ),
    };
    Example {
        place: files::of_state(topics, topic),
        kind,
        text: named(name, &text),
    }
}

/// The records of one change.
pub(crate) fn records(name: &str, records: &[Record]) -> Example {
    let lines = records.iter().map(|record| {
        assert_eq!(record.id.get_version_num(), 7, "ids are in order of time");
        let payload = std::str::from_utf8(&record.payload).unwrap();
        let payload = payload.replace(&record.id.to_string(), &ID.to_string());
        line("", &topics().record(&record.destination), Some(payload))
    });
    Example {
        place: files::of_record(&records[0].destination),
        kind: "Record: not retained, and JSON in every layout.",
        text: named(name, &lines.collect::<String>()),
    }
}

/// A message as `mosquitto_sub -v` shows it: `(null)` is an empty payload, which clears a retained one.
pub(crate) fn line(before: &str, topic: &str, payload: Option<String>) -> String {
    let payload = payload.filter(|payload| !payload.is_empty());
    let payload = payload.as_deref().unwrap_or("(null)");
    format!("{before}{topic} {payload}\n")
}

pub(crate) fn named(name: &str, text: &str) -> String {
    format!("\n# {name}\n{text}")
}
