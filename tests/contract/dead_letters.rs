//! Dead letters.

use bytes::Bytes;
use lantime2mqtt::model::{DeadLetter, ErrorKind, ErrorReport, Operation, Origin};
use lantime2mqtt::records::dead_letter;

use crate::example::{Example, ID, at, bridge_id, device_id, records, slot_id};

pub(crate) fn examples() -> Vec<Example> {
    commands().into_iter().chain(failures()).chain(others()).collect()
}

fn of(name: &str, dead_letter: &DeadLetter) -> Example {
    records(name, &[dead_letter::record(dead_letter, &bridge_id())])
}

fn dead_letter(operation: Operation, error: ErrorReport) -> DeadLetter {
    DeadLetter {
        id: ID,
        at: at("10:15:30.1204"),
        device: Some(device_id()),
        ..dead_letter::new(operation, error, at("10:15:30.101"))
    }
}

fn unavailable() -> ErrorReport {
    ErrorReport {
        http_status: Some(503),
        url: Some("https://10.0.0.7/api/status".to_owned()),
        body: Some("busy".to_owned()),
        ..ErrorReport::new(
            ErrorKind::HttpStatus,
            "the device answered 503",
            "wait until it has started",
        )
    }
}

/// An overlong command, with all that MQTT 5 gives.
fn origin() -> Origin {
    Origin {
        topic: "lantime/m3000-a/io3/relay/b/events/set".to_owned(),
        payload: Bytes::from_static(b"{}"),
        payload_length: Some(70_000),
        correlation: Some(Bytes::from_static(b"c1")),
        response_topic: Some("back/\"here\"".to_owned()),
    }
}

fn commands() -> Vec<Example> {
    let error = ErrorReport::new(
        ErrorKind::Rejected,
        "relay b cannot follow notification events",
        "choose events for relay a or c",
    );
    let dead_letter = DeadLetter {
        slot: Some(slot_id()),
        ..dead_letter(Operation::RelayEvents, error)
    };
    let of = |name, origin| {
        let dead_letter = DeadLetter {
            origin: Some(origin),
            ..dead_letter.clone()
        };
        of(name, &dead_letter)
    };
    let asked = Origin {
        payload: Bytes::from_static(br#"{"add":["antenna-faulty"]}"#),
        payload_length: None,
        ..origin()
    };
    let usual = Origin {
        correlation: None,
        response_topic: None,
        ..asked.clone()
    };
    let no_text = Origin {
        payload: Bytes::from_static(b"\xff\x00\xfe"),
        correlation: Some(Bytes::from_static(b"\x80")),
        ..asked.clone()
    };
    vec![
        of("a refused command", usual),
        of("with MQTT 5: it names where its reply goes", asked),
        of("neither its payload nor its correlation data is text", no_text),
        of("its payload is overlong", origin()),
    ]
}

fn failures() -> Vec<Example> {
    let begins = dead_letter(Operation::Poll, unavailable());
    let lasts = DeadLetter {
        attempts: 42,
        repeats: Some(41),
        ..begins.clone()
    };
    let ended = DeadLetter {
        recovered: true,
        ..lasts.clone()
    };
    vec![
        of("polls fail", &begins),
        of("polls still fail", &lasts),
        of("polls succeed again", &ended),
    ]
}

/// Also one that has every field, which shows their order.
fn others() -> Vec<Example> {
    let error = ErrorReport::new(
        ErrorKind::Storage,
        "17 records were dropped",
        "connect the broker",
    );
    let dropped = DeadLetter {
        device: None,
        ..dead_letter(Operation::Store, error)
    };
    let whole = DeadLetter {
        slot: Some(slot_id()),
        repeats: Some(41),
        recovered: true,
        origin: Some(origin()),
        ..dead_letter(Operation::RelayEvents, unavailable())
    };
    vec![of("of no device", &dropped), of("every field", &whole)]
}
