//! Subscriptions that the broker has not answered yet, and those that are left out: a broker may end the connection at
//! one, with an answer that the client library cannot read, or with none. Pure data.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::connection::{Cause, ConnectionError, UNANSWERED};
use crate::incidents::{Incidents, Seen};
use crate::model::{ErrorReport, IncidentKey, IncidentKind, IncidentReport, Operation};

/// Connections in a row that end before the broker has answered a subscription until it is left out: some brokers answer
/// a missing right in no other way.
const MAX_UNANSWERED: u32 = 2;

/// How long it is left out then, since the reason may have been another one. The pause doubles each time that the
/// connection ends again.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause: each attempt may cost a connection.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// A filter that is left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) filter: String,
    pub(crate) reason: String,
}

/// Subscriptions in packets of their own.
#[derive(Debug, Default)]
pub(crate) struct PendingSubscriptions {
    /// In the order in which the broker answers them.
    pending: VecDeque<String>,
    /// How many connections in a row have ended at each filter without an answer.
    unanswered: BTreeMap<String, u32>,
    /// Until when filters are left out; none: in this run.
    left_out: BTreeMap<String, Option<Instant>>,
    /// Filters for which nothing comes.
    refused: Incidents,
}

impl PendingSubscriptions {
    /// Whether to subscribe to `filter` now; then its answer is expected.
    pub(crate) fn ask(&mut self, filter: &str, now: Instant) -> bool {
        let is_due = |until: &Option<Instant>| until.is_some_and(|until| until <= now);
        if !self.left_out.get(filter).is_none_or(is_due) {
            return false;
        }
        self.left_out.remove(filter);
        self.pending.push_back(filter.to_owned());
        true
    }

    /// The broker has answered the oldest one; gives its filter.
    pub(crate) fn answered(&mut self) -> Option<String> {
        let filter = self.pending.pop_front()?;
        self.unanswered.remove(&filter);
        Some(filter)
    }

    /// Whether an answer is expected to any filter that `counts`.
    pub(crate) fn is_pending(&self, counts: impl Fn(&str) -> bool) -> bool {
        self.pending.iter().any(|filter| counts(filter))
    }

    /// The connection has ended. Brokers answer in order, so it was at the oldest subscription, if at any. Gives that where
    /// it is left out from now on. Without an answer only one that `is_optional` is.
    pub(crate) fn disconnected(
        &mut self,
        error: Option<&ConnectionError>,
        is_optional: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Option<LeftOut> {
        let oldest = self.pending.pop_front();
        self.pending.clear();
        let filter = oldest?;
        let (until, reason) = match error?.cause() {
            Cause::UnreadableRefusal(reason) => (None, reason.clone()),
            Cause::Lost(_) | Cause::Ended { .. } if is_optional(&filter) => {
                let pause = self.count_unanswered(&filter)?;
                (Some(now + pause), UNANSWERED.to_owned())
            }
            _ => return None,
        };
        self.left_out.insert(filter.clone(), until);
        Some(LeftOut { filter, reason })
    }

    /// How long to leave the filter out for another connection that has ended at it.
    fn count_unanswered(&mut self, filter: &str) -> Option<Duration> {
        let count = self.unanswered.entry(filter.to_owned()).or_default();
        *count += 1;
        let more = count.checked_sub(MAX_UNANSWERED)?;
        Some(
            FIRST_PAUSE
                .saturating_mul(2_u32.saturating_pow(more))
                .min(MAX_PAUSE),
        )
    }

    /// When to try again what was left out.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.left_out.values().flatten().min().copied()
    }

    /// What to try again now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<String> {
        let is_due = |_: &String, until: &mut Option<Instant>| until.is_some_and(|until| until <= now);
        let due = self.left_out.extract_if(.., is_due);
        due.map(|(filter, _)| filter).collect()
    }

    /// Nothing comes for `filter`. Gives what is to be reported, [begun](crate::model::Stage::Begun) once in a run.
    pub(crate) fn refused(&mut self, filter: &str, error: ErrorReport) -> Option<IncidentReport> {
        let seen = Seen::once(Operation::Publish, error);
        self.refused
            .raise(key(filter), seen, Timestamp::now(), Instant::now())
    }

    /// The broker grants it. Gives what is to be reported.
    pub(crate) fn granted(&mut self, filter: &str) -> Option<IncidentReport> {
        self.refused.clear(&key(filter), Timestamp::now())
    }
}

fn key(filter: &str) -> IncidentKey {
    IncidentKey::about(IncidentKind::Subscription, filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ErrorKind, Stage};

    fn lost() -> ConnectionError {
        ConnectionError::for_test(Cause::Lost("closed".to_owned()))
    }

    /// A connection with both subscriptions, of which the broker answers so many before it ends.
    fn connection(
        subscriptions: &mut PendingSubscriptions,
        answers: usize,
        end: &ConnectionError,
        now: Instant,
    ) -> Option<String> {
        for filter in ["a", "b"] {
            subscriptions.ask(filter, now);
        }
        (0..answers).for_each(|_| drop(subscriptions.answered()));
        let left_out = subscriptions.disconnected(Some(end), |_| true, now);
        left_out.map(|left_out| left_out.filter)
    }

    #[test]
    fn a_refusal_that_cannot_be_read_is_that_of_the_oldest_one() {
        let (mut subscriptions, now) = (PendingSubscriptions::default(), Instant::now());
        let refused = ConnectionError::for_test(Cause::UnreadableRefusal("not authorized".to_owned()));
        assert_eq!(
            connection(&mut subscriptions, 1, &refused, now).as_deref(),
            Some("b")
        );
        assert!(subscriptions.ask("a", now) && !subscriptions.ask("b", now + MAX_PAUSE));
        assert!(subscriptions.is_pending(|filter| filter == "a"));
        assert_eq!(subscriptions.retry_at(), None);
        let mut refused = |filter| {
            let error = ErrorReport::new(ErrorKind::Rejected, "not authorized", "allow it");
            let report = subscriptions.refused(filter, error);
            report.is_some_and(|report| report.stage == Stage::Begun)
        };
        assert!(refused("b") && !refused("b"));
        assert_eq!(subscriptions.granted("a"), None);
        let end = subscriptions.granted("b");
        assert_eq!(end.map(|report| report.stage), Some(Stage::Over));
    }

    #[test]
    fn what_is_not_answered_twice_is_left_out_for_a_while() {
        let (mut subscriptions, now) = (PendingSubscriptions::default(), Instant::now());
        assert_eq!(connection(&mut subscriptions, 0, &lost(), now), None);
        assert_eq!(
            connection(&mut subscriptions, 0, &lost(), now).as_deref(),
            Some("a")
        );
        let mut retry_at = now + FIRST_PAUSE;
        assert_eq!(subscriptions.retry_at(), Some(retry_at));
        assert!(subscriptions.take_due(now).is_empty());
        assert_eq!(subscriptions.take_due(retry_at), ["a"]);
        // It was that after all.
        let again = connection(&mut subscriptions, 0, &lost(), retry_at);
        assert_eq!(again.as_deref(), Some("a"));
        retry_at += 2 * FIRST_PAUSE;
        assert_eq!(subscriptions.retry_at(), Some(retry_at));
        // It was not, and what was counted is forgotten.
        assert_eq!(connection(&mut subscriptions, 2, &lost(), retry_at), None);
        assert_eq!(connection(&mut subscriptions, 0, &lost(), retry_at), None);
    }

    #[test]
    fn an_end_with_another_reason_does_not_count() {
        let (mut subscriptions, now) = (PendingSubscriptions::default(), Instant::now());
        for _ in 0..5 {
            for cause in [
                Cause::Silent(FIRST_PAUSE),
                Cause::TakenOver(String::new()),
                Cause::TooLarge(String::new()),
            ] {
                let end = ConnectionError::for_test(cause);
                assert_eq!(connection(&mut subscriptions, 0, &end, now), None);
            }
        }
        subscriptions.ask("a", now);
        assert_eq!(subscriptions.disconnected(None, |_| true, now), None);
    }

    #[test]
    fn what_is_needed_is_asked_for_again_and_again() {
        let (mut subscriptions, now) = (PendingSubscriptions::default(), Instant::now());
        for _ in 0..5 {
            assert!(subscriptions.ask("a", now));
            assert_eq!(subscriptions.disconnected(Some(&lost()), |_| false, now), None);
        }
    }
}
