//! Commands as they are sent, and their replies as they come at `<command topic>/reply`.

use jiff::Timestamp;
use lantime2mqtt::command::{Incoming, Refusal, Request, command_of};
use lantime2mqtt::contract::reply::CommandReply;
use lantime2mqtt::contract::topics::reply_topic;
use lantime2mqtt::model::{
    CommandTopic, DeadLetter, ErrorKind, ErrorReport, Operation, Outcome, Relay, RelayPlace, Via,
};
use lantime2mqtt::records::{Received, dead_letter};
use uuid::Uuid;

use crate::example::{
    Example, ID, OTHER_ID, at, bridge_id, device_id, event_name, line, named, slot_id, topics,
};
use crate::files;

pub(crate) fn examples() -> Vec<Example> {
    let examples = [
        relay_events(),
        refused_relay_events(),
        refresh(),
        http_sessions(),
        acknowledge_faults(),
        replay(),
    ];
    examples.into_iter().flatten().collect()
}

/// What the reply calls it, and what it asks for.
fn read(topic: &CommandTopic, payload: &str) -> (String, Result<Request, Box<Refusal>>) {
    let received = Received {
        received_at: Timestamp::UNIX_EPOCH,
        local: false,
        ..Received::local(topics().command(topic), payload.to_owned())
    };
    let incoming = Incoming::read(received, Some(topic.clone()), Timestamp::UNIX_EPOCH);
    let id = incoming.id.unwrap_or_else(|| ID.to_string());
    (id, incoming.command.unwrap().1)
}

fn example(topic: &CommandTopic, name: &str, payload: &str, reply: &CommandReply) -> Example {
    let command = topics().command(topic);
    let reply = String::from_utf8(reply.to_json().to_vec()).unwrap();
    let reply = line("< ", &reply_topic(&command), Some(reply));
    Example {
        place: files::of_command(topic),
        kind: "Command (>), and the reply to it (<).",
        text: named(name, &(line("> ", &command, Some(payload.to_owned())) + &reply)),
    }
}

/// A command that is carried out.
fn success(topic: &CommandTopic, name: &str, payload: &str, outcome: &Outcome) -> Example {
    let (id, request) = read(topic, payload);
    request.unwrap();
    let reply = CommandReply::carried_out(id, outcome.clone());
    example(topic, name, payload, &reply)
}

/// A command that is refused for what it says.
fn refused(topic: &CommandTopic, name: &str, payload: &str) -> Example {
    let (id, request) = read(topic, payload);
    let error = request.unwrap_err().report;
    let reply = CommandReply::failure(id, topic.operation(), error, Some(OTHER_ID));
    example(topic, name, payload, &reply)
}

/// A command that could be carried out, and is not.
fn failure(
    topic: &CommandTopic,
    name: &str,
    payload: &str,
    error: &ErrorReport,
    dead_letter: Option<Uuid>,
) -> Example {
    let (id, request) = read(topic, payload);
    request.unwrap();
    let reply = CommandReply::failure(id, topic.operation(), error.clone(), dead_letter);
    example(topic, name, payload, &reply)
}

fn events_of(relay: &str) -> CommandTopic {
    CommandTopic::RelayEvents {
        device: device_id(),
        slot: slot_id().to_string(),
        relay: relay.to_owned(),
    }
}

fn selected(relay: Relay, events: &[&str], applies_to: &[Relay]) -> Outcome {
    let place = |relay: &Relay| RelayPlace {
        slot: slot_id(),
        relay: *relay,
    };
    Outcome::RelayEvents {
        slot: slot_id(),
        relay,
        events: events.iter().map(|name| event_name(name)).collect(),
        changed: true,
        applies_to: applies_to.iter().map(place).collect(),
        warnings: Vec::new(),
        via: Via::Rest,
    }
}

fn relay_events() -> Vec<Example> {
    let (a, both) = (events_of("a"), ["ntp-not-sync", "antenna-faulty"]);
    let mut warned = selected(Relay::C, &["ntp-sync"], &[Relay::C]);
    if let Outcome::RelayEvents {
        changed,
        warnings,
        via,
        ..
    } = &mut warned
    {
        (*changed, *via) = (false, Via::Snmp);
        let warning = "ntp-sync is of type info: whether an event of that type switches a relay is not known";
        warnings.push(warning.to_owned());
    }
    vec![
        success(
            &a,
            "these alone",
            r#"{"replace":["ntp-not-sync","antenna-faulty"]}"#,
            &selected(Relay::A, &both, &[Relay::A]),
        ),
        success(
            &a,
            "one more, by an id; the device cannot distinguish two relays",
            r#"{"id":"7","add":["antenna-faulty"]}"#,
            &selected(Relay::A, &both, &[Relay::A, Relay::C]),
        ),
        success(
            &a,
            "one more and one less, unless the device is offline",
            r#"{"add":["ntp-not-sync"],"remove":["antenna-faulty"],"fail_fast":true}"#,
            &selected(Relay::A, &both[..1], &[Relay::A]),
        ),
        success(
            &events_of("c"),
            "nothing to change, over SNMP, with a warning",
            r#"{"add":["ntp-sync"]}"#,
            &warned,
        ),
    ]
}

fn refused_relay_events() -> Vec<Example> {
    let add = r#"{"id":"7","add":["antenna-faulty"]}"#;
    let busy = ErrorReport::new(ErrorKind::Busy, "eight commands wait already", "wait");
    let unavailable = ErrorReport {
        http_status: Some(503),
        url: Some("https://10.0.0.7/api".to_owned()),
        body: Some("<html>".to_owned()),
        ..ErrorReport::new(ErrorKind::Busy, "the device answered 503", "send it again later")
    };
    let a = events_of("a");
    vec![
        refused(&events_of("b"), "no software can move a jumper", add),
        refused(&a, "an unknown key", r#"{"id":"7","events":["antenna-faulty"]}"#),
        refused(&a, "no JSON", "antenna-faulty"),
        failure(&a, "too many wait; no dead letter", add, &busy, None),
        failure(&a, "the device is busy", add, &unavailable, Some(OTHER_ID)),
    ]
}

fn refresh() -> Vec<Example> {
    let topic = CommandTopic::Refresh(device_id());
    let polled = Outcome::Refresh {
        polled_at: at("10:15:30.120"),
    };
    let timeout = ErrorReport::new(
        ErrorKind::Timeout,
        "no answer within 5 s",
        "check the network and the device",
    );
    vec![
        success(&topic, "polled", "", &polled),
        success(&topic, "polled, by an id", r#"{"id":"\"\n"}"#, &polled),
        failure(&topic, "no answer", "now", &timeout, Some(OTHER_ID)),
    ]
}

fn http_sessions() -> Vec<Example> {
    let topic = CommandTopic::HttpSessions(device_id());
    let log = |enabled, max_count| Outcome::HttpSessions { enabled, max_count };
    vec![
        success(&topic, "switched off", r#"{"enabled":false}"#, &log(false, 100)),
        success(&topic, "resized", r#"{"max_count":500}"#, &log(true, 500)),
        refused(&topic, "out of range", r#"{"max_count":0}"#),
    ]
}

fn acknowledge_faults() -> Vec<Example> {
    let topic = CommandTopic::AcknowledgeFaults(device_id());
    let of = |relays: &[Relay]| Outcome::AcknowledgeFaults {
        acknowledged: relays
            .iter()
            .map(|relay| RelayPlace {
                slot: slot_id(),
                relay: *relay,
            })
            .collect(),
    };
    let one = r#"{"slot":"io3","relay":"a","by":"Ada"}"#;
    vec![
        success(&topic, "all of the device", "{}", &of(&[Relay::A, Relay::C])),
        success(&topic, "one relay", one, &of(&[Relay::A])),
        success(&topic, "there is nothing to acknowledge", one, &of(&[])),
        refused(&topic, "no such relay", r#"{"relay":"d"}"#),
    ]
}

fn replay() -> Vec<Example> {
    let topic = CommandTopic::Replay;
    let payload = format!(r#"{{"id":"{OTHER_ID}"}}"#);
    let replayed = |name, command: &CommandTopic, outcome| {
        let (id, command) = (OTHER_ID.to_string(), topics().command(command));
        let reply = CommandReply::replayed(id, OTHER_ID, command, outcome);
        example(&topic, name, &payload, &reply)
    };
    let error = ErrorReport::new(ErrorKind::Timeout, "no answer", "wait");
    let dead_letter = DeadLetter {
        device: Some(device_id()),
        ..dead_letter::new(Operation::Poll, error, Timestamp::UNIX_EPOCH)
    };
    let without_command = dead_letter::record(&dead_letter, &bridge_id()).payload;
    let report = command_of(&without_command).unwrap_err();
    vec![
        replayed(
            "the command was carried out",
            &events_of("a"),
            selected(
                Relay::A,
                &["ntp-not-sync", "antenna-faulty"],
                &[Relay::A, Relay::C],
            ),
        ),
        failure(
            &topic,
            "the dead letter is about no command",
            &payload,
            &report,
            Some(ID),
        ),
        refused(&topic, "no dead letter is named", r#"{"fail_fast":true}"#),
    ]
}
