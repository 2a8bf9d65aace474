//! The reply to a command. Pure; where it goes is not known here.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::to_json;
use crate::model::{ErrorReport, Operation, Outcome};

/// The reply to a command: published as JSON, or given to who has sent it from this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandReply {
    /// The request's; without one that of the record which carries the reply.
    pub id: String,
    /// Whether the command was carried out.
    pub ok: bool,
    /// Which command it was.
    pub command: Operation,
    /// What came of it, where it was carried out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "remembered"
    )]
    pub result: Option<CommandResult>,
    /// Why it was not carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// The dead letter that carries the command and the error, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Uuid>,
}

/// What came of a command that was carried out.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum CommandResult {
    /// Of a command for a device.
    Device(Outcome),
    /// Of the command of a dead letter that was run again.
    Replay {
        /// Id of the dead letter.
        dead_letter: Uuid,
        /// Topic of its command.
        topic: String,
        /// Which command it was.
        command: Operation,
        /// What came of it.
        result: Outcome,
    },
    /// Of the same command before, as it was written then.
    Remembered(Box<RawValue>),
}

impl CommandReply {
    /// To a command that was carried out.
    pub fn carried_out(id: String, outcome: Outcome) -> CommandReply {
        let command = outcome.operation();
        CommandReply::new(id, command, Ok(CommandResult::Device(outcome)))
    }

    /// To a replay of the dead letter `dead_letter`, whose command, which had come at `topic`, was carried out.
    pub fn replayed(id: String, dead_letter: Uuid, topic: String, outcome: Outcome) -> CommandReply {
        let result = CommandResult::Replay {
            dead_letter,
            topic,
            command: outcome.operation(),
            result: outcome,
        };
        CommandReply::new(id, Operation::Replay, Ok(result))
    }

    /// To a command that was not carried out. `dead_letter` is the one that contains it, if there is one.
    pub fn failure(
        id: String,
        command: Operation,
        error: ErrorReport,
        dead_letter: Option<Uuid>,
    ) -> CommandReply {
        let reply = CommandReply::new(id, command, Err(error));
        CommandReply { dead_letter, ..reply }
    }

    fn new(id: String, command: Operation, result: Result<CommandResult, ErrorReport>) -> CommandReply {
        CommandReply {
            id,
            ok: result.is_ok(),
            command,
            error: result.as_ref().err().cloned(),
            result: result.ok(),
            dead_letter: None,
        }
    }

    /// The reply of before that was kept as JSON; `None` where it cannot be read.
    pub(crate) fn read(json: &[u8]) -> Option<CommandReply> {
        serde_json::from_slice(json).ok()
    }

    /// As it is published.
    pub fn to_json(&self) -> Bytes {
        to_json(self)
    }
}

fn remembered<'de, D: Deserializer<'de>>(json: D) -> Result<Option<CommandResult>, D::Error> {
    let result = Box::<RawValue>::deserialize(json)?;
    Ok(Some(CommandResult::Remembered(result)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::ErrorKind;

    #[test]
    fn a_reply_that_was_kept_is_written_as_before() {
        let polled = Outcome::Refresh {
            polled_at: Timestamp::UNIX_EPOCH,
        };
        let error = ErrorReport {
            http_status: Some(503),
            ..ErrorReport::new(ErrorKind::Busy, "\u{e4}\"", "wait")
        };
        for reply in [
            CommandReply::carried_out("\"\n".to_owned(), polled.clone()),
            CommandReply::replayed("7".to_owned(), Uuid::nil(), "t".to_owned(), polled),
            CommandReply::failure("7".to_owned(), Operation::Refresh, error.clone(), None),
            CommandReply::failure("7".to_owned(), Operation::Refresh, error, Some(Uuid::nil())),
        ] {
            let json = reply.to_json();
            assert_eq!(CommandReply::read(&json).unwrap().to_json(), json);
        }
        assert!(CommandReply::read(b"malformed").is_none());
    }
}
