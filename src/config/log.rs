//! `[log]`: which lines are logged, and how they look.

use super::problem::complaint;
use super::section::Section;
use crate::logging;

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or a filter that begins with one.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Log {
    let level = section.parsed("level", |text| match logging::filter(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            let remedy = "write error, warn, info, debug or trace, perhaps with more after it: info,lantime2mqtt::mqtt=debug";
            Err(complaint("no log level", remedy))
        }
    });
    let format = section.parsed("format", |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(complaint("no log format", r#"write "text" or "json""#)),
    });
    section.finish();
    let usual = Log::default();
    Log {
        level: level.unwrap_or(usual.level),
        format: format.unwrap_or(usual.format),
    }
}
