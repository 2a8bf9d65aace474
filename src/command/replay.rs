//! `dead-letters/replay`: which dead letter's command is to run again. Its `id` is also that of the reply.

use uuid::Uuid;

use super::payload::{FAIL_FAST, Payload, rejected, wrong};
use crate::contract::dead_letter;
use crate::model::{ErrorReport, Origin};
use crate::wording::quoted;

const KEYS: [&str; 2] = ["id", FAIL_FAST];
const EXAMPLE: &str = r#"{"id":"0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59"}"#;

pub(super) fn read(payload: Payload) -> Result<Uuid, ErrorReport> {
    let members = payload.members(&KEYS, EXAMPLE)?;
    let remedy = "take the id from the dead letter, or from: lantime2mqtt dead-letters list";
    let Some(id) = members.text("id") else {
        return Err(wrong(
            "the command does not name a dead letter: no \"id\"",
            remedy,
        ));
    };
    Uuid::try_parse(id)
        .map_err(|_| rejected(format!("{} is not the id of a dead letter", quoted(id)), remedy))
}

/// The command that an archived dead letter began with.
///
/// # Errors
/// When it began with none, or with one of which not all was kept.
pub fn command_of(dead_letter: &[u8]) -> Result<Origin, ErrorReport> {
    let Some(origin) = dead_letter::origin(dead_letter) else {
        let what = "the dead letter is about no command, so there is nothing to run again";
        return Err(rejected(what, "replay only dead letters that have an origin"));
    };
    match origin.payload_length {
        Some(length) => {
            let what = format!("of the command's {length} bytes only the beginning was kept");
            Err(rejected(what, "send the command itself again, and shorter"))
        }
        None => Ok(origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dead_letter_with_its_whole_command_can_be_replayed() {
        let dead_letter = |origin: &str| {
            format!(
                r#"{{"id":"0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59","at":"x","operation":"refresh","error":{{"kind":"busy","message":"","remedy":""}}{origin}}}"#
            )
        };
        let whole = r#","origin":{"topic":"lantime/a/refresh","payload":"now"}"#;
        let origin = command_of(dead_letter(whole).as_bytes()).unwrap();
        assert_eq!(
            (origin.topic.as_str(), &origin.payload[..]),
            ("lantime/a/refresh", &b"now"[..])
        );
        let cut = r#","origin":{"topic":"t","payload":"no","payload_length":70000}"#;
        for (dead_letter, part) in [
            (dead_letter(""), "about no command"),
            (dead_letter(cut), "70000 bytes"),
            ("no dead letter".to_owned(), "about no command"),
        ] {
            let report = command_of(dead_letter.as_bytes()).unwrap_err();
            assert!(report.message.contains(part), "{report:?}");
        }
    }
}
