//! Whether the disk works, when it is tried again, and when that is reported.
//!
//! A failure that lasts is reported once, and once when it is over. One that comes back soon after is over only when
//! it has not come back for a while: a disk that is nearly full must not fill the outbox with dead letters.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// How long a failure that came back has to be over.
const QUIET: Duration = Duration::from_secs(60);

/// Whether the disk works.
#[derive(Debug)]
pub(super) struct Health {
    retry: Duration,
    failure: Option<Failure>,
    /// When the last failure was reported to be over.
    over_at: Option<Instant>,
}

/// A failure that lasts, or that may come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error: String,
    pub(super) first_at: Timestamp,
    /// How often it failed.
    pub(super) count: u64,
    retry_at: Instant,
    works_since: Option<Instant>,
    /// How long it has to work until the failure is over.
    quiet: Duration,
}

impl Health {
    pub(super) fn new(retry: Duration) -> Health {
        Health {
            retry,
            failure: None,
            over_at: None,
        }
    }

    /// The disk has failed; where that is news, gives since when.
    pub(super) fn failed(&mut self, error: &str, now: Instant) -> Option<Timestamp> {
        let is_news = self.failure.is_none();
        let is_back = self.over_at.is_some_and(|over| now.duration_since(over) < QUIET);
        let failure = self.failure.get_or_insert_with(|| Failure {
            error: String::new(),
            first_at: Timestamp::now(),
            count: 0,
            retry_at: now,
            works_since: None,
            quiet: if is_back { QUIET } else { Duration::ZERO },
        });
        failure.error = error.to_owned();
        failure.count += 1;
        failure.retry_at = now + self.retry;
        failure.works_since = None;
        is_news.then_some(failure.first_at)
    }

    /// The disk has worked.
    pub(super) fn worked(&mut self, now: Instant) {
        if let Some(failure) = &mut self.failure {
            failure.works_since.get_or_insert(now);
        }
    }

    /// The failure that is over now, once.
    pub(super) fn over(&mut self, now: Instant) -> Option<Failure> {
        let is_over = |failure: &mut Failure| {
            failure
                .works_since
                .is_some_and(|since| now.duration_since(since) >= failure.quiet)
        };
        let failure = self.failure.take_if(is_over)?;
        self.over_at = Some(now);
        Some(failure)
    }

    /// As [`over`](Health::over), without waiting whether it comes back.
    pub(super) fn over_at_end(&mut self) -> Option<Failure> {
        self.failure.take_if(|failure| failure.works_since.is_some())
    }

    /// Why the disk cannot be used now.
    pub(super) fn failing(&self) -> Option<&str> {
        let failing = self
            .failure
            .as_ref()
            .filter(|failure| failure.works_since.is_none());
        failing.map(|failure| failure.error.as_str())
    }

    /// Whether the disk is to be tried now.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.failing().is_none() || self.due().is_none_or(|due| due <= now)
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        let failure = self.failure.as_ref()?;
        let over = failure.works_since.map(|since| since + failure.quiet);
        Some(over.unwrap_or(failure.retry_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(5);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failure_that_lasts_is_reported_once_and_once_when_it_is_over() {
        let mut health = Health::new(RETRY);
        let now = Instant::now();
        assert!(health.may_try(now));
        assert!(health.failed("full", now).is_some());
        assert_eq!(health.failing(), Some("full"));
        assert!(!health.may_try(now + SECOND) && health.may_try(now + RETRY));
        assert_eq!(health.failed("fuller", now + RETRY), None);
        assert_eq!(health.over(now + 2 * RETRY), None);
        health.worked(now + 2 * RETRY);
        assert_eq!(health.failing(), None);
        let over = health.over(now + 2 * RETRY).unwrap();
        assert_eq!((over.count, over.error.as_str()), (2, "fuller"));
        assert_eq!(health.over(now + 2 * RETRY), None);
    }

    #[test]
    fn a_failure_that_comes_and_goes_is_reported_once_a_minute_at_most() {
        let mut health = Health::new(RETRY);
        let start = Instant::now();
        let mut reported = 0;
        for n in 0..60 {
            let now = start + n * 10 * SECOND;
            reported += u32::from(health.failed("full", now).is_some());
            health.worked(now + 5 * SECOND);
            reported += u32::from(health.over(now + 5 * SECOND).is_some());
        }
        assert_eq!(reported, 3, "it fails, it works, it fails again");
        let end = start + 595 * SECOND;
        assert_eq!(health.due(), Some(end + QUIET));
        assert_eq!(health.over(end + QUIET).unwrap().count, 59);
        assert!(health.failed("full", end + 3 * QUIET).is_some());
        health.worked(end + 3 * QUIET);
        assert!(
            health.over(end + 3 * QUIET).is_some(),
            "long after, it is reported at once"
        );
    }
}
