//! What the broker does not take: what was logged and reported of it, and when it is tried again.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::incidents::{Incidents, Seen};
use crate::model::{ErrorReport, IncidentKey, IncidentReport, Operation, Stage};

/// Refusals of single messages that are logged at level error during one connection.
const MAX_LOGGED: usize = 5;

/// Topics whose state the broker does not take, and that are reported, in one run.
const MAX_REPORTED: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When what is held back is tried again.
    pub(super) retry_at: Option<Instant>,
    /// Topics whose state the broker does not take.
    pub(super) incidents: Incidents,
    /// Refusals during this connection.
    logged: usize,
}

impl Refusals {
    /// A new connection.
    pub(super) fn reset(&mut self) {
        self.logged = 0;
    }

    /// The broker does not have the state at a topic. Logs it, once in this run; gives what is to be reported.
    pub(super) fn report(&mut self, key: IncidentKey, error: ErrorReport) -> Option<IncidentReport> {
        let may_report = self.incidents.may_report(&key, MAX_REPORTED);
        let seen = Seen::once(Operation::Publish, error.clone());
        let raise = || self.incidents.raise(key, seen, Timestamp::now(), Instant::now());
        let report = may_report.then(raise).flatten();
        match report.as_ref().map(|report| report.stage) {
            Some(Stage::Begun) => self.log(&error.message, &error.remedy),
            None if !may_report => self.log(&error.message, &error.remedy),
            _ => tracing::debug!(remedy = %error.remedy, "{}", error.message),
        }
        report
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
