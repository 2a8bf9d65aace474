//! What was found, a line for each check.

use serde::Serialize;

use crate::cli::table::plain;

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// The bridge works, but something is to be done.
    Warn,
    /// The bridge does not work, or a part of it.
    Fail,
}

/// The result of one check.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    /// One of many that a line for all of them stands for, unless something is wrong with it.
    #[serde(skip)]
    pub(super) is_detail: bool,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Finding {
        Finding {
            check,
            level: Level::Ok,
            message: message.into(),
            remedy: None,
            is_detail: false,
        }
    }

    /// The same as a detail.
    pub(super) fn detail(self) -> Finding {
        Finding {
            is_detail: true,
            ..self
        }
    }

    /// Whether people need not see it.
    pub(super) fn is_hidden(&self) -> bool {
        self.is_detail && self.level == Level::Ok
    }

    pub(super) fn warn(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            level: Level::Warn,
            remedy: Some(remedy.into()),
            ..Finding::ok(check, message)
        }
    }

    pub(super) fn fail(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            level: Level::Fail,
            ..Finding::warn(check, message, remedy)
        }
    }

    pub(super) fn line(&self) -> String {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        let remedy = self.remedy.iter().map(|remedy| format!("; {remedy}"));
        let text = format!("{}{}", self.message, String::from_iter(remedy));
        format!("{level:<5} {:<13} {}\n", self.check, plain(&text))
    }
}
