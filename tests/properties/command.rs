//! Whatever arrives as a command is a request or a refusal, and a request says what the JSON says.

use bytes::Bytes;
use jiff::Timestamp;
use lantime2mqtt::command::{Incoming, Refusal, Request, Target};
use lantime2mqtt::model::{CommandTopic, DeviceCommand, DeviceId, EventsChange};
use lantime2mqtt::records::Received;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::any::any_json;
use super::config;

fn topics() -> Vec<CommandTopic> {
    let device = DeviceId::new("m3000-a").expect("an id");
    let relay = |slot: &str, relay: &str| CommandTopic::RelayEvents {
        device: device.clone(),
        slot: slot.to_owned(),
        relay: relay.to_owned(),
    };
    vec![
        relay("io3", "a"),
        relay("io3", "c"),
        relay("io3", "b"),
        relay("IO 3", "a"),
        relay("", "\0"),
        CommandTopic::Refresh(device.clone()),
        CommandTopic::HttpSessions(device.clone()),
        CommandTopic::AcknowledgeFaults(device.clone()),
        CommandTopic::Replay,
    ]
}

/// The one that takes any payload.
fn is_refresh(topic: &CommandTopic) -> bool {
    matches!(topic, CommandTopic::Refresh(_))
}

fn read(topic: &CommandTopic, payload: &[u8]) -> Result<Request, Box<Refusal>> {
    reading(topic, payload).1
}

/// Its id, and what it asks for.
fn reading(topic: &CommandTopic, payload: &[u8]) -> (Option<String>, Result<Request, Box<Refusal>>) {
    let received = Received {
        topic: "lantime/somewhere".to_owned(),
        payload: Bytes::copy_from_slice(payload),
        payload_length: None,
        retained: false,
        response_topic: None,
        correlation: None,
        received_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        local: false,
    };
    let incoming = Incoming::read(received, Some(topic.clone()), Timestamp::UNIX_EPOCH);
    (incoming.id, incoming.command.expect("a command").1)
}

/// Every command, in JSON as a user writes it.
fn written(id: Option<&str>, request: &Request) -> Value {
    let mut json = match &request.target {
        Target::Device(_, DeviceCommand::RelayEvents { change, .. }) => match change {
            EventsChange::Replace(events) => json!({ "replace": events }),
            EventsChange::Edit { add, remove } => json!({ "add": add, "remove": remove }),
        },
        Target::Device(_, DeviceCommand::Refresh) => json!({}),
        Target::Device(_, DeviceCommand::HttpSessions { enabled, max_count }) => {
            json!({ "enabled": enabled, "max_count": max_count })
        }
        Target::Device(_, DeviceCommand::AcknowledgeFaults { slot, relay, by }) => {
            json!({ "slot": slot.as_ref().map(ToString::to_string), "relay": relay.map(|relay| relay.to_string()), "by": by })
        }
        Target::Replay(dead_letter) => return json!({ "id": dead_letter.to_string() }),
    };
    if let Some(id) = id {
        json["id"] = id.into();
    }
    json
}

/// Without what says nothing, so that what was left out and what is empty are the same.
fn said(json: &Value) -> Map<String, Value> {
    let members = json.as_object().expect("an object").clone();
    let is_silent = |key: &str, value: &Value| value.is_null() || (key != "replace" && *value == json!([]));
    members
        .into_iter()
        .filter(|(key, value)| !is_silent(key, value))
        .collect()
}

/// A payload with the members that commands have, most of them of the right kind.
fn nearly() -> impl Strategy<Value = Value> {
    let names = vec("[a-c]|leap-?second-announced|", 0..4).prop_map(Value::from);
    let id = prop_oneof![
        Just(json!("0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59")),
        ".{0,3}".prop_map(Value::from),
        "x{126,130}".prop_map(Value::from),
    ];
    let or_any = |right: BoxedStrategy<Value>| option::of(prop_oneof![9 => right, 1 => any_json()]);
    let members = (
        or_any(id.boxed()),
        or_any(names.clone().boxed()),
        or_any(names.clone().boxed()),
        or_any(names.boxed()),
        or_any(any::<bool>().prop_map(Value::from).boxed()),
        or_any((0..1100).prop_map(Value::from).boxed()),
        select(&[15_usize, 0b00_1111, 0b11_0001, 0b00_0001, 0b00_1101, 0b11_1111][..]),
    );
    members.prop_map(|(id, replace, add, remove, enabled, max_count, kept)| {
        let keys = ["id", "replace", "add", "remove", "enabled", "max_count"];
        let values = [id, replace, add, remove, enabled, max_count];
        let members = keys.into_iter().zip(values).enumerate();
        members
            .filter(|(place, _)| kept & (1 << place) != 0)
            .filter_map(|(_, (key, value))| Some((key.to_owned(), value?)))
            .collect()
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_a_request_or_a_refusal(payload in vec(any::<u8>(), 0..200)) {
        for topic in topics() {
            if let Err(refusal) = read(&topic, &payload) {
                prop_assert!(!refusal.report.message.is_empty() && !refusal.report.remedy.is_empty());
            }
        }
    }

    #[test]
    fn a_request_says_what_the_json_says(payload in prop_oneof![3 => nearly(), 1 => any_json()]) {
        for topic in topics() {
            let text = payload.to_string();
            let (id, request) = reading(&topic, text.as_bytes());
            match request {
                Ok(request) if !is_refresh(&topic) => {
                    prop_assert_eq!(said(&written(id.as_deref(), &request)), said(&payload));
                }
                Ok(_) => prop_assert_eq!(id.as_deref(), payload["id"].as_str()
                    .filter(|id| (1..=128).contains(&id.chars().count()))),
                Err(refusal) => prop_assert!(refusal.report.message.len() < 300, "{:?}", refusal),
            }
        }
    }

    #[test]
    fn a_command_can_be_cut_anywhere(payload in nearly(), end in any::<Index>()) {
        let text = payload.to_string().into_bytes();
        let cut = &text[..end.index(text.len())];
        for topic in topics().into_iter().filter(|topic| !is_refresh(topic)) {
            prop_assert!(read(&topic, cut).is_err(), "{:?}", topic);
        }
    }

    #[test]
    fn a_right_command_is_taken(
        id in option::of(".{1,128}"),
        add in vec("[a-z][a-z0-9-]{0,20}", 0..100),
        remove in vec("[A-Z][a-z0-9-]{0,20}0", 0..100),
        replace in any::<bool>(),
    ) {
        let remove: Vec<_> = remove.into_iter().map(|name| format!("_{name}")).collect();
        let mut payload = if replace { json!({ "replace": add }) } else { json!({ "add": add, "remove": remove }) };
        if let Some(id) = id {
            payload["id"] = id.into();
        }
        let text = payload.to_string();
        let (id, request) = reading(&topics()[0], text.as_bytes());
        prop_assert_eq!(request.map(|request| said(&written(id.as_deref(), &request))), Ok(said(&payload)));
    }
}

#[test]
fn endless_nesting_is_refused() {
    for text in ["[", "{\"add\":[", "{\"id\":{"] {
        let payload = text.repeat(5_000);
        for topic in topics() {
            let taken = read(&topic, payload.as_bytes()).is_ok();
            assert_eq!(taken, is_refresh(&topic), "{topic:?}");
        }
    }
}
