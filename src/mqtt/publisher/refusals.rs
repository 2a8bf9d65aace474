//! What the broker does not take: what was logged and reported of it, and when it is tried again.

use std::collections::BTreeSet;

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
    /// Those that are one incident together and that the broker has not taken since: no more than the outbox has.
    missing: BTreeSet<String>,
    /// Refusals during this connection.
    logged: usize,
}

impl Refusals {
    /// A new connection.
    pub(super) fn reset(&mut self) {
        self.logged = 0;
    }

    /// The broker does not have the state at `topic`. Logs it, once in this run; gives what is to be reported.
    pub(super) fn report(
        &mut self,
        key: IncidentKey,
        topic: &str,
        error: ErrorReport,
    ) -> Option<IncidentReport> {
        if key.subject.as_deref() != Some(topic) {
            self.missing.insert(topic.to_owned());
        }
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

    /// Whether that was reported in this run.
    pub(super) fn was_reported(&self, key: &IncidentKey) -> bool {
        self.incidents.may_report(key, 0)
    }

    /// The broker has taken the state at `topic`. An incident of several is over when it has taken all of them.
    pub(super) fn taken(&mut self, key: &IncidentKey, topic: &str) {
        self.missing.remove(topic);
        if key.subject.as_deref() == Some(topic) || self.missing.is_empty() {
            self.incidents.well(key, Instant::now());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ErrorKind, IncidentKind};

    #[test]
    fn an_incident_of_several_topics_is_over_when_all_are_taken() {
        let mut refusals = Refusals::default();
        let about = |subject: &str| IncidentKey::about(IncidentKind::Publish, subject);
        let (all, one) = (about("discovery/"), about("state"));
        let refused = [(&all, "discovery/a"), (&all, "discovery/b"), (&one, "state")];
        for (key, topic) in refused {
            let error = ErrorReport::new(ErrorKind::Rejected, "no", "allow it");
            refusals.report(key.clone(), topic, error);
        }
        for topic in ["discovery/c", "discovery/b"] {
            refusals.taken(&all, topic);
            assert_eq!(refusals.incidents.next_end(), None, "{topic}");
        }
        refusals.taken(&one, "state");
        assert!(refusals.incidents.next_end().is_some(), "one of its own");
        refusals.incidents.clear(&one, Timestamp::UNIX_EPOCH);
        refusals.taken(&all, "discovery/a");
        assert!(refusals.incidents.next_end().is_some());
    }
}
