//! `http/sessions/set`: switches and resizes the log of HTTP sessions.

use super::payload::{FAIL_FAST, Payload, wrong};
use crate::model::http_session::MAX_SESSIONS;
use crate::model::{DeviceCommand, ErrorReport};

const KEYS: [&str; 4] = ["id", "enabled", "max_count", FAIL_FAST];
const EXAMPLE: &str = r#"{"enabled":true,"max_count":100}"#;

pub(super) fn read(payload: Payload) -> Result<DeviceCommand, ErrorReport> {
    let members = payload.members(&KEYS, EXAMPLE)?;
    let enabled = members.flag("enabled")?;
    let max_count = members.number("max_count", 1..=MAX_SESSIONS)?;
    if enabled.is_none() && max_count.is_none() {
        let what = "the command is empty: neither \"enabled\" nor \"max_count\"";
        return Err(wrong(what, format!("send, for example, {EXAMPLE}")));
    }
    Ok(DeviceCommand::HttpSessions { enabled, max_count })
}
