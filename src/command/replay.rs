//! `dead-letters/replay`: which dead letter's command is to run once more. Its `id` is the letter's, and so
//! also that of the reply.

use uuid::Uuid;

use super::payload::{Payload, rejected};
use crate::model::ErrorReport;
use crate::wording::quoted;

const KEYS: [&str; 1] = ["id"];
const EXAMPLE: &str = r#"{"id":"0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59"}"#;

pub(super) fn read(payload: Payload) -> Result<Uuid, ErrorReport> {
    let members = payload.members(&KEYS, EXAMPLE)?;
    let remedy = "take the id from the dead letter, or from: lantime2mqtt dead-letters list";
    let Some(id) = members.text("id") else {
        return Err(rejected(
            "the command does not say which dead letter: no \"id\"",
            remedy,
        ));
    };
    Uuid::try_parse(id)
        .map_err(|_| rejected(format!("{} is not the id of a dead letter", quoted(id)), remedy))
}
