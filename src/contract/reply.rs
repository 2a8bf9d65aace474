//! The JSON of the answers to commands. Pure; where an answer goes is not known here.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::{Time, to_json};
use crate::model::{ErrorReport, EventName, Operation, Outcome, Relay, RelayPlace, SlotId, Via};

/// What came of the command of a dead letter that was run once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Id of the dead letter.
    pub dead_letter: Uuid,
    /// Topic of its command.
    pub topic: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// The answer to a command that was carried out. `id` is the request's; without one the `record` that carries
/// the answer gives it.
pub fn success(id: Option<&str>, record: Uuid, outcome: &Outcome) -> Bytes {
    answer(id, record, operation(outcome), Ok(Answer::of(outcome)))
}

/// The answer to a replay whose command was carried out.
pub fn replayed(id: Option<&str>, record: Uuid, replayed: &Replayed) -> Bytes {
    let result = Answer::Replay {
        dead_letter: replayed.dead_letter,
        topic: &replayed.topic,
        command: operation(&replayed.outcome),
        result: Box::new(Answer::of(&replayed.outcome)),
    };
    answer(id, record, Operation::Replay, Ok(result))
}

/// The answer to a command that was not carried out. `dead_letter` is the letter that tells of it, where one does.
pub fn failure(
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
