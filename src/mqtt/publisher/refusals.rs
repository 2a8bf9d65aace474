//! What the broker refuses: what was logged and reported of it, and when it is tried again.

use std::collections::HashSet;

use tokio::time::Instant;

use crate::model::ErrorReport;

/// Refusals of single messages that are logged at level error during one connection.
const MAX_LOGGED: usize = 5;

/// Topics whose state the broker does not take, and that are reported as dead letters, in one run.
const MAX_REPORTED: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When what is held back is tried again.
    pub(super) retry_at: Option<Instant>,
    /// Topics whose state the broker does not take, as far as that was reported in this run.
    reported: HashSet<String>,
    /// Refusals during this connection.
    logged: usize,
}

impl Refusals {
    /// A new connection.
    pub(super) fn reset(&mut self) {
        self.logged = 0;
    }

    /// The broker does not have the state at `topic`: logs it, once in this run. Says whether a dead letter is to
    /// report it.
    pub(super) fn report(&mut self, topic: String, error: &ErrorReport) -> bool {
        if self.reported.contains(&topic) {
            tracing::debug!(remedy = %error.remedy, "{}", error.message);
            return false;
        }
        self.log(&error.message, &error.remedy);
        self.reported.len() < MAX_REPORTED && self.reported.insert(topic)
    }

    pub(super) fn log(&mut self, what: &str, remedy: &str) {
        self.logged += 1;
        if self.logged > MAX_LOGGED {
            tracing::debug!(remedy, "{what}");
            return;
        }
        let note = if self.logged == MAX_LOGGED {
            "; further ones are logged at level debug"
        } else {
            ""
        };
        tracing::error!(remedy, "{what}{note}");
    }
}
