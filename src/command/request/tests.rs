//! What is taken, and how each refusal reads.

use bytes::Bytes;

use super::*;
use crate::command::Incoming;
use crate::model::{EventsChange, Relay, SlotId};

fn received(payload: &str) -> Received {
    Received {
        topic: "lantime/m3000-a/io3/relay/a/events/set".to_owned(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        payload_length: None,
        retained: false,
        response_topic: None,
        correlation: None,
        received_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        local: false,
    }
}

fn device() -> DeviceId {
    DeviceId::new("m3000-a").unwrap()
}

fn events_of(slot: &str, relay: &str) -> CommandTopic {
    CommandTopic::RelayEvents {
        device: device(),
        slot: slot.to_owned(),
        relay: relay.to_owned(),
    }
}

fn ask(topic: &CommandTopic, payload: &str) -> Result<Request, Box<Refusal>> {
    read(topic, &received(payload), Timestamp::UNIX_EPOCH)
}

fn read(topic: &CommandTopic, message: &Received, now: Timestamp) -> Result<Request, Box<Refusal>> {
    let incoming = Incoming::read(message.clone(), Some(topic.clone()), now);
    incoming.command.unwrap().1
}

fn id_of(message: &Received) -> Option<String> {
    Incoming::read(message.clone(), None, Timestamp::UNIX_EPOCH).id
}

fn events(payload: &str) -> Result<Request, Box<Refusal>> {
    ask(&events_of("io3", "a"), payload)
}

fn sessions(payload: &str) -> Result<Request, Box<Refusal>> {
    ask(&CommandTopic::HttpSessions(device()), payload)
}

fn replay(payload: &str) -> Result<Request, Box<Refusal>> {
    ask(&CommandTopic::Replay, payload)
}

fn for_device(command: DeviceCommand) -> Result<Request, Box<Refusal>> {
    Ok(Request {
        fail_fast: None,
        target: Target::Device(device(), command),
    })
}

fn change(change: EventsChange) -> DeviceCommand {
    DeviceCommand::RelayEvents {
        slot: SlotId::new("io3").unwrap(),
        relay: Relay::A,
        change,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(str::to_owned).collect()
}

/// Kind, message and remedy of a refusal.
#[track_caller]
fn refused(result: Result<Request, Box<Refusal>>) -> (ErrorKind, String) {
    let report = result.unwrap_err().report;
    assert!(!report.remedy.is_empty(), "{report:?}");
    (report.kind, format!("{}; {}", report.message, report.remedy))
}

#[test]
fn events_are_selected_by_replacing_or_by_adding_and_removing() {
    let with_id = r#"{"replace":["ntp-not-sync","antenna-faulty"],"id":"7"}"#;
    assert_eq!(id_of(&received(with_id)).as_deref(), Some("7"));
    assert_eq!(
        events(with_id),
        for_device(change(EventsChange::Replace(names(&[
            "ntp-not-sync",
            "antenna-faulty"
        ]))))
    );
    assert_eq!(
        events(r#" { "replace" : [] } "#),
        for_device(change(EventsChange::Replace(vec![])))
    );
    let (add, remove) = (names(&["a", "faillock:-user-banned"]), names(&["b"]));
    assert_eq!(
        events(r#"{"add":["a","faillock:-user-banned"],"remove":["b"]}"#),
        for_device(change(EventsChange::Edit { add, remove }))
    );
    for (payload, add, remove) in [
        (r#"{"add":["a"]}"#, &["a"][..], &[][..]),
        (r#"{"remove":["a"]}"#, &[], &["a"]),
    ] {
        let (add, remove) = (names(add), names(remove));
        assert_eq!(
            events(payload),
            for_device(change(EventsChange::Edit { add, remove }))
        );
    }
}

#[test]
fn a_refresh_takes_any_payload() {
    let refresh = CommandTopic::Refresh(device());
    for (payload, id) in [
        ("", None),
        ("now!", None),
        ("[1]", None),
        (r#"{"why":"because"}"#, None),
        (r#"{"id":"x","why":1}"#, Some("x")),
        (r#"{"id":1}"#, None),
    ] {
        let (found, request) = (id_of(&received(payload)), ask(&refresh, payload));
        assert_eq!(
            (found.as_deref(), request),
            (id, for_device(DeviceCommand::Refresh)),
            "{payload}"
        );
    }
}

#[test]
fn the_log_of_sessions_is_switched_and_resized() {
    for (payload, enabled, max_count) in [
        (r#"{"enabled":false}"#, Some(false), None),
        (r#"{"max_count":1}"#, None, Some(1)),
        (r#"{"enabled":true,"max_count":1000}"#, Some(true), Some(1000)),
    ] {
        let command = DeviceCommand::HttpSessions { enabled, max_count };
        assert_eq!(sessions(payload), for_device(command));
    }
}

#[test]
fn a_replay_names_its_dead_letter() {
    let id = "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59";
    let payload = format!(r#"{{"id":"{id}"}}"#);
    assert_eq!(id_of(&received(&payload)).as_deref(), Some(id));
    let request = replay(&payload).unwrap();
    assert_eq!(request.target, Target::Replay(Uuid::try_parse(id).unwrap()));
}

#[test]
fn what_cannot_be_understood_is_refused_with_place_and_remedy() {
    for (payload, parts) in [
        ("", &["empty", r#"{"replace":["ntp-not-sync"]}"#][..]),
        (" \n", &["empty"]),
        ("ntp-not-sync", &["not JSON", "line 1 column 2", "single quotes"]),
        ("{\"add\":[\n\"a\",]}", &["line 2 column 5"]),
        ("{\"add\":[\"a\"", &["EOF", "line 1 column 11"]),
        (r#"{"add":["a"]} x"#, &["trailing characters", "column 15"]),
        ("[\"a\"]", &["not a JSON object"]),
        ("7", &["not a JSON object"]),
        (
            r#"{"ad":["a"]}"#,
            &["unknown key \"ad\"", "did you mean \"add\"?"],
        ),
        (r#"{"Replace":["a"]}"#, &["did you mean \"replace\"?"]),
        (
            r#"{"events":["a"]}"#,
            &["unknown key \"events\"", "id, replace, add, remove"],
        ),
        (r#"{"add":["a"],"add":["b"]}"#, &["\"add\" is there twice"]),
        (
            r#"{"add":"a"}"#,
            &["\"add\" is a text where a list of texts", r#""add":[".."#],
        ),
        (r#"{"replace":null}"#, &["\"replace\" is null"]),
        (
            r#"{"remove":["a",7]}"#,
            &["an entry of \"remove\" is a number where a text"],
        ),
        (
            r#"{"add":["a"],"id":7}"#,
            &["\"id\" is not a text of 1 to 128 characters"],
        ),
        (r#"{"add":["a"],"id":""}"#, &["\"id\" is not a text"]),
    ] {
        let (kind, text) = refused(events(payload));
        assert_eq!(kind, ErrorKind::Decode, "{payload}: {text}");
        parts
            .iter()
            .for_each(|part| assert!(text.contains(part), "{payload}: {text}"));
    }
    for (result, part) in [
        (
            sessions(r#"{"enabled":"true"}"#),
            "\"enabled\" is a text where true or false",
        ),
        (
            sessions(r#"{"max_count":1.5}"#),
            "\"max_count\" is a number where a whole number",
        ),
        (sessions(r#"{"max":5}"#), "did you mean \"max_count\"?"),
        (replay(r#"{"id":5}"#), "\"id\" is not a text"),
        (replay(r#"{"ids":["a"]}"#), "did you mean \"id\"?"),
    ] {
        let (kind, text) = refused(result);
        assert!(kind == ErrorKind::Decode && text.contains(part), "{kind}: {text}");
    }
}

#[test]
fn a_command_asks_for_something_and_for_one_thing() {
    for (result, part) in [
        (events("{}"), "no \"replace\", \"add\" or \"remove\""),
        (events(r#"{"id":"x"}"#), "is empty"),
        (events(r#"{"replace":[],"add":["a"]}"#), "together with"),
        (events(r#"{"replace":[],"remove":[]}"#), "together with"),
        (
            events(r#"{"add":["a","b"],"remove":["b"]}"#),
            "b is in \"add\" and in \"remove\"",
        ),
        (
            events(r#"{"add":["leapsecond-announced"],"remove":["leap-second-announced"]}"#),
            "leap-second-announced is in \"add\"",
        ),
        (sessions("{}"), "neither \"enabled\" nor \"max_count\""),
        (replay("{}"), "does not name a dead letter"),
    ] {
        let (kind, text) = refused(result);
        assert!(kind == ErrorKind::Decode && text.contains(part), "{kind}: {text}");
    }
}

#[test]
fn what_is_understood_and_cannot_be_is_rejected() {
    let many = |count| {
        let names: Vec<_> = (0..count).map(|n| format!("\"e{n}\"")).collect();
        names.join(",")
    };
    let long = "x".repeat(129);
    for (result, part) in [
        (
            events(&format!("{{\"replace\":[{}]}}", many(201))),
            "201 event names; write at most 200",
        ),
        (
            events(&format!("{{\"add\":[{}],\"remove\":[\"x\"]}}", many(200))),
            "201 event names",
        ),
        (events(r#"{"add":[""]}"#), "\"\" cannot be the name of an event"),
        (events(&format!(r#"{{"add":["{long}"]}}"#)), "1 to 128 characters"),
        (
            sessions(r#"{"max_count":0}"#),
            "\"max_count\" is 0, out of range; write a whole number from 1 to 1000",
        ),
        (sessions(r#"{"max_count":1001}"#), "out of range"),
        (sessions(r#"{"max_count":-1}"#), "out of range"),
        (
            replay(r#"{"id":"last"}"#),
            "\"last\" is not the id of a dead letter",
        ),
    ] {
        let (kind, text) = refused(result);
        assert!(
            kind == ErrorKind::Rejected && text.contains(part),
            "{kind}: {text}"
        );
    }
    assert!(events(&format!("{{\"replace\":[{}]}}", many(200))).is_ok());
}

#[test]
fn only_relays_a_and_c_of_a_slot_can_follow_events() {
    let good = r#"{"replace":["ntp-not-sync"]}"#;
    assert!(ask(&events_of("io3", "c"), good).is_ok());
    for (slot, relay, part) in [
        (
            "io3",
            "b",
            "relay b cannot follow notification events: a jumper on the module wires it to clk2 or pps",
        ),
        ("io3", "d", "there is no relay \"d\""),
        ("io3", "A", "in lower case"),
        (
            "IO3",
            "a",
            "\"IO3\" in the topic cannot be a slot's id; write \"io3\" there",
        ),
        ("", "a", "cannot be a slot's id"),
    ] {
        let (kind, text) = refused(ask(&events_of(slot, relay), good));
        assert!(
            kind == ErrorKind::Rejected && text.contains(part),
            "{kind}: {text}"
        );
    }
}

#[test]
fn retained_overlong_and_late_commands_are_refused_whatever_they_say() {
    let now: Timestamp = "2026-11-22T10:15:30Z".parse().unwrap();
    let good = received(r#"{"replace":[],"id":"7"}"#);
    let (retained, long) = (
        Received {
            retained: true,
            ..good.clone()
        },
        Received {
            payload_length: Some(70_000),
            ..good.clone()
        },
    );
    let late = Received {
        expires_at: Some(now),
        ..good.clone()
    };
    let in_time = Received {
        expires_at: Some(now + jiff::SignedDuration::from_millis(1)),
        ..good
    };
    for topic in [events_of("io3", "a"), CommandTopic::Refresh(device())] {
        for (message, kind, parts) in [
            (
                &retained,
                ErrorKind::Rejected,
                ["run again", "empty retained message"],
            ),
            (&long, ErrorKind::TooLarge, ["70000 bytes", "65536"]),
            (&late, ErrorKind::Expired, ["2026-11-22T10:15:30.000Z", "expiry"]),
        ] {
            let refusal = read(&topic, message, now).unwrap_err();
            assert_eq!(
                (id_of(message).as_deref(), refusal.is_permanent),
                (Some("7"), false)
            );
            let (found, text) = refused(Err(refusal));
            assert_eq!(found, kind, "{text}");
            parts
                .iter()
                .for_each(|part| assert!(text.contains(part), "{text}"));
        }
        assert!(read(&topic, &in_time, now).is_ok());
    }
    let whole = received(&format!("{{\"replace\":[]{}}}", " ".repeat(MAX_PAYLOAD)));
    assert_eq!(
        refused(read(&events_of("io3", "a"), &whole, now)).0,
        ErrorKind::TooLarge
    );
}

#[test]
fn an_id_is_given_back_where_it_can_be_read() {
    let id = "ä".repeat(128);
    for payload in [
        format!(r#"{{"id":"{id}","replace":[}}"#),
        format!(r#"{{"add":5,"id":"{id}"}}"#),
        format!(r#"{{"id":"{id}"}} x"#),
        format!(r#"{{"add":[],"add":[],"id":"{id}"}}"#),
    ] {
        assert!(events(&payload).unwrap_err().is_permanent, "{payload}");
        assert_eq!(id_of(&received(&payload)), Some(id.clone()), "{payload}");
    }
    for payload in [
        r#"{"replace":[},"id":"x"}"#.to_owned(),
        r#"{"id":"x","id":"y","replace":[]}"#.to_owned(),
        format!(r#"{{"id":"{id}x","replace":[]}}"#),
    ] {
        assert!(events(&payload).is_err(), "{payload}");
        assert_eq!(id_of(&received(&payload)), None, "{payload}");
    }
}

#[test]
fn little_of_a_payload_is_repeated() {
    let long = "secret\n".repeat(1000);
    let escaped = serde_json::to_string(&long).unwrap();
    for payload in [
        format!("{{{escaped}:1}}"),
        format!("{{\"add\":[{escaped}]}}"),
        escaped.clone(),
        format!("{{\"id\":{escaped},\"add\":[]}}"),
        long,
    ] {
        let (_, text) = refused(events(&payload));
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn each_command_can_say_that_it_does_not_wait() {
    let flag = |asked: Result<Request, Box<Refusal>>| asked.map(|request| request.fail_fast);
    let dead_letter = r#"{"id":"0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59","fail_fast":true}"#;
    for (asked, expected) in [
        (events(r#"{"add":["a"],"fail_fast":true}"#), Some(true)),
        (events(r#"{"add":["a"],"fail_fast":false}"#), Some(false)),
        (events(r#"{"add":["a"]}"#), None),
        (sessions(r#"{"enabled":true,"fail_fast":true}"#), Some(true)),
        (replay(dead_letter), Some(true)),
        (
            ask(&CommandTopic::Refresh(device()), r#"{"fail_fast":true}"#),
            Some(true),
        ),
        // Anything is good enough for a refresh.
        (ask(&CommandTopic::Refresh(device()), r#"{"fail_fast":1}"#), None),
        (ask(&CommandTopic::Refresh(device()), "now"), None),
    ] {
        assert_eq!(flag(asked), Ok(expected));
    }
    let (kind, text) = refused(events(r#"{"add":["a"],"fail_fast":"yes"}"#));
    assert_eq!(kind, ErrorKind::Decode);
    assert!(
        text.contains("\"fail_fast\" is a text where true or false is needed"),
        "{text}"
    );
}
