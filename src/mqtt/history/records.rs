//! What a message at the topic of a record says to the history. Pure.

use serde::de::IgnoredAny;

use crate::contract::topics::{Destination, Topics};
use crate::history::Entry;
use crate::records::Received;

/// What a message says to the history.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// An entry.
    Entry(Box<Entry>),
    /// Nothing: the topic is not a record's, or it is a trap without an event or its state.
    Nothing,
    /// It is no record that this version knows.
    Unreadable,
}

/// Reads a message. What it is of must be what its topic says.
pub(super) fn read(topics: &Topics, message: &Received) -> Read {
    let Some(destination) = topics.parse_history(&message.topic) else {
        return Read::Nothing;
    };
    match Entry::read(&destination, &message.payload) {
        Some(entry) if is_of(&entry, &destination) => Read::Entry(Box::new(entry)),
        None if matches!(destination, Destination::Events(_)) && is_json(&message.payload) => Read::Nothing,
        _ => Read::Unreadable,
    }
}

fn is_of(entry: &Entry, destination: &Destination) -> bool {
    let subject = &entry.subject;
    match destination {
        Destination::Events(device) => subject.device == *device,
        Destination::Changes(device, slot) => subject.device == *device && subject.slot() == slot.as_ref(),
        Destination::DeadLetter(_) | Destination::Reply(_) => false,
    }
}

fn is_json(payload: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(payload).is_ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::model::DeviceId;

    const HEAD: &str = r#"{"id":"0198c2a5-0000-7000-8000-000000000001","at":"2026-02-10T09:45:48.123Z""#;

    fn read_at(topic: &str, payload: String) -> Read {
        let topics = Topics::new("lantime", DeviceId::new("b1").unwrap());
        let message = Received {
            topic: topic.to_owned(),
            payload: Bytes::from(payload),
            payload_length: None,
            retained: false,
            response_topic: None,
            correlation: None,
            received_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            local: false,
        };
        read(&topics, &message)
    }

    #[test]
    fn a_record_is_an_entry_where_it_is_of_what_its_topic_says() {
        let change = || format!(r#"{HEAD},"device":"m1","slot":"io3","relay":"a","old":"NO","new":"NC"}}"#);
        let Read::Entry(entry) = read_at("lantime/m1/io3/changes", change()) else {
            panic!("it is an entry");
        };
        assert_eq!(entry.subject.to_string(), "m1/io3/a");
        for topic in [
            "lantime/m2/io3/changes",
            "lantime/m1/io4/changes",
            "lantime/m1/changes",
            "lantime/m1/events",
        ] {
            let expected = match topic {
                // A change has no event's name.
                "lantime/m1/events" => Read::Nothing,
                _ => Read::Unreadable,
            };
            assert_eq!(read_at(topic, change()), expected, "{topic}");
        }
        assert_eq!(read_at("lantime/m1/state", change()), Read::Nothing);
    }

    #[test]
    fn a_trap_without_a_name_is_nothing_and_what_cannot_be_read_is_noticed() {
        let trap = format!(r#"{HEAD},"device":"m1","source":"snmp","varbinds":[]}}"#);
        assert_eq!(read_at("lantime/m1/events", trap), Read::Nothing);
        let later = format!(r#"{HEAD},"device":"m1","old":"online","new":"of a later version"}}"#);
        for (topic, payload) in [
            ("lantime/m1/events", "{".to_owned()),
            ("lantime/m1/changes", String::new()),
            ("lantime/m1/changes", "[1]".to_owned()),
            ("lantime/m1/changes", later),
        ] {
            assert_eq!(
                read_at(topic, payload.clone()),
                Read::Unreadable,
                "{topic} {payload}"
            );
        }
    }
}
