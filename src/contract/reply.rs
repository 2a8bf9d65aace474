//! The JSON of the answers to commands. Pure; where an answer goes is not known here.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::{Time, to_json};
use crate::model::{ErrorReport, EventName, Operation, Outcome, Relay, RelayPlace, SlotId, Via};

/// What came of the command of a dead letter that was run once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// Id of the dead letter.
    pub(crate) dead_letter: Uuid,
    /// Topic of its command.
    pub(crate) topic: String,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// The answer to a command that was carried out. `id` is the request's; without one the `record` that carries
/// the answer gives it.
pub(crate) fn success(id: Option<&str>, record: Uuid, outcome: &Outcome) -> Bytes {
    answer(id, record, operation(outcome), Ok(Answer::of(outcome)))
}

/// The answer to a replay whose command was carried out.
pub(crate) fn replayed(id: Option<&str>, record: Uuid, replayed: &Replayed) -> Bytes {
    let result = Answer::Replay {
        dead_letter: replayed.dead_letter,
        topic: &replayed.topic,
        command: operation(&replayed.outcome),
        result: Box::new(Answer::of(&replayed.outcome)),
    };
    answer(id, record, Operation::Replay, Ok(result))
}

/// The answer to a command that was not carried out. `dead_letter` is the letter that tells of it, where one does.
pub(crate) fn failure(
    id: Option<&str>,
    record: Uuid,
    operation: Operation,
    error: &ErrorReport,
    dead_letter: Option<Uuid>,
) -> Bytes {
    answer(id, record, operation, Err((error, dead_letter)))
}

fn operation(outcome: &Outcome) -> Operation {
    match outcome {
        Outcome::RelayEvents { .. } => Operation::RelayEvents,
        Outcome::Refresh { .. } => Operation::Refresh,
        Outcome::HttpSessions { .. } => Operation::HttpSessions,
    }
}

#[derive(Serialize)]
struct Reply<'a> {
    id: &'a str,
    ok: bool,
    command: Operation,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Answer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ErrorReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<Uuid>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    RelayEvents {
        slot: &'a SlotId,
        relay: Relay,
        events: &'a BTreeSet<EventName>,
        changed: bool,
        applies_to: &'a [RelayPlace],
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
        via: Via,
    },
    Refresh {
        polled_at: Time,
    },
    HttpSessions {
        enabled: bool,
        max_count: usize,
    },
    Replay {
        dead_letter: Uuid,
        topic: &'a str,
        command: Operation,
        result: Box<Answer<'a>>,
    },
}

impl<'a> Answer<'a> {
    fn of(outcome: &'a Outcome) -> Answer<'a> {
        match outcome {
            Outcome::RelayEvents {
                slot,
                relay,
                events,
                changed,
                applies_to,
                warnings,
                via,
            } => Answer::RelayEvents {
                slot,
                relay: *relay,
                events,
                changed: *changed,
                applies_to,
                warnings,
                via: *via,
            },
            Outcome::Refresh { polled_at } => Answer::Refresh {
                polled_at: Time(*polled_at),
            },
            Outcome::HttpSessions { enabled, max_count } => Answer::HttpSessions {
                enabled: *enabled,
                max_count: *max_count,
            },
        }
    }
}

fn answer(
    id: Option<&str>,
    record: Uuid,
    command: Operation,
    outcome: Result<Answer<'_>, (&ErrorReport, Option<Uuid>)>,
) -> Bytes {
    let record = record.to_string();
    let ok = outcome.is_ok();
    let (result, error, dead_letter) = match outcome {
        Ok(result) => (Some(result), None, None),
        Err((error, dead_letter)) => (None, Some(error), dead_letter),
    };
    let reply = Reply {
        id: id.unwrap_or(&record),
        ok,
        command,
        result,
        error,
        dead_letter,
    };
    to_json(&reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ErrorKind;

    const RECORD: Uuid = Uuid::from_u128(0x0198_c5f2_7d7c_7b43_9f0e_3a1d_0c2b_4a59);

    fn text(reply: &Bytes) -> &str {
        std::str::from_utf8(reply).unwrap()
    }

    fn relay_events() -> Outcome {
        let slot = SlotId::new("io3").unwrap();
        let place = |relay| RelayPlace {
            slot: slot.clone(),
            relay,
        };
        Outcome::RelayEvents {
            slot: slot.clone(),
            relay: Relay::A,
            events: ["ntp-not-sync", "antenna-faulty"]
                .iter()
                .filter_map(|name| EventName::canonical(name))
                .collect(),
            changed: true,
            applies_to: vec![place(Relay::A), place(Relay::C)],
            warnings: Vec::new(),
            via: Via::Rest,
        }
    }

    const EVENTS: &str = r#"{"slot":"io3","relay":"a","events":["antenna-faulty","ntp-not-sync"],"changed":true,"applies_to":[{"slot":"io3","relay":"a"},{"slot":"io3","relay":"c"}],"via":"rest"}"#;

    #[test]
    fn a_success_says_what_is_so_now() {
        let reply = success(Some("7"), RECORD, &relay_events());
        let expected = format!(r#"{{"id":"7","ok":true,"command":"relay-events","result":{EVENTS}}}"#);
        assert_eq!(text(&reply), expected);
        let polled_at = "2026-11-22T10:15:30.120Z".parse().unwrap();
        assert_eq!(
            text(&success(Some("\"\n"), RECORD, &Outcome::Refresh { polled_at })),
            r#"{"id":"\"\n","ok":true,"command":"refresh","result":{"polled_at":"2026-11-22T10:15:30.120Z"}}"#
        );
        let outcome = Outcome::HttpSessions {
            enabled: false,
            max_count: 100,
        };
        assert_eq!(
            text(&success(None, RECORD, &outcome)),
            r#"{"id":"0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59","ok":true,"command":"http-sessions","result":{"enabled":false,"max_count":100}}"#
        );
    }

    #[test]
    fn a_replay_wraps_what_came_of_its_command() {
        let replayed_command = Replayed {
            dead_letter: RECORD,
            topic: "lantime/m3000-a/io3/relay/a/events/set".to_owned(),
            outcome: relay_events(),
        };
        assert_eq!(
            text(&replayed(Some("x"), RECORD, &replayed_command)),
            format!(
                r#"{{"id":"x","ok":true,"command":"replay","result":{{"dead_letter":"{RECORD}","topic":"lantime/m3000-a/io3/relay/a/events/set","command":"relay-events","result":{EVENTS}}}}}"#
            )
        );
    }

    #[test]
    fn a_failure_says_why_and_what_to_do() {
        let mut error = ErrorReport::new(ErrorKind::Busy, "eight wait", "wait");
        assert_eq!(
            text(&failure(Some("7"), RECORD, Operation::RelayEvents, &error, None)),
            r#"{"id":"7","ok":false,"command":"relay-events","error":{"kind":"busy","message":"eight wait","remedy":"wait"}}"#
        );
        error.http_status = Some(503);
        error.url = Some("https://10.0.0.7/api".to_owned());
        error.body = Some("<html>".to_owned());
        assert_eq!(
            text(&failure(
                None,
                RECORD,
                Operation::Replay,
                &error,
                Some(Uuid::nil())
            )),
            format!(
                r#"{{"id":"{RECORD}","ok":false,"command":"replay","error":{{"kind":"busy","message":"eight wait","remedy":"wait","http_status":503,"url":"https://10.0.0.7/api","body":"<html>"}},"dead_letter":"00000000-0000-0000-0000-000000000000"}}"#
            )
        );
    }
}
