//! Whether a device is offline, and whether it may be asked anything now. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::turn::Turn;
use crate::config;
use crate::lantime::schedule::{Schedule, pause_after};
use crate::model::ErrorKind;

/// How long a refused login is left alone, whatever asks for a poll: a LANTIME bans users that keep trying.
pub const REFUSAL_PAUSE: Duration = Duration::from_secs(300);

/// How long a device that does not answer may be shown as online, at most.
fn longest_silence(device: &config::Device) -> Duration {
    let retries = 1..device.offline_after;
    let pauses = retries.map(|failures| pause_after(failures).min(device.poll));
    device.poll + device.jitter + pauses.sum::<Duration>() + device.timeout * device.offline_after
}

/// How far a poll may be behind its time until nobody has watched the device meanwhile, or a bridge behind the one before it: so
/// long a device may be silent anyway, and it is noted every few seconds only when one was last watched.
pub fn longest_pause(device: &config::Device) -> Duration {
    longest_silence(device) + Duration::from_secs(10)
}

/// How a device has answered lately.
#[derive(Debug)]
pub(super) struct Answering {
    /// Failed polls in a row after which it is offline.
    offline_after: u32,
    /// Whether it is read over SNMP where REST fails.
    has_fallback: bool,
    /// Polls that have failed, in a row.
    failures: u32,
    /// Until then REST is not asked: the login was refused.
    refused_until: Option<Instant>,
    /// Until then the device wants to be left alone.
    busy_until: Option<Instant>,
}

impl Answering {
    pub(super) fn new(offline_after: u32, has_fallback: bool) -> Answering {
        Answering {
            offline_after,
            has_fallback,
            failures: 0,
            refused_until: None,
            busy_until: None,
        }
    }

    /// A poll has given a usable document.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.refused_until) = (0, None);
    }

    /// A poll has failed so.
    pub(super) fn failed(&mut self, kind: ErrorKind, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.refused_until = kind.is_refusal().then(|| now + REFUSAL_PAUSE);
    }

    /// A conversation over REST has ended; until then the device wants to be left alone.
    pub(super) fn wants_pause(&mut self, until: Option<Instant>) {
        self.busy_until = until;
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// After a refusal nothing is asked for minutes: what stands would be stale all that time.
    pub(super) fn is_offline(&self, is_refused: bool) -> bool {
        self.failures >= self.offline_after || is_refused
    }

    /// Whether a poll that fails so makes the device offline: before that, nothing that SNMP says would be shown.
    pub(super) fn will_be_offline(&self, kind: ErrorKind) -> bool {
        kind.is_refusal() || self.failures + 1 >= self.offline_after
    }

    /// Whether REST is not asked now, since the login was refused.
    pub(super) fn is_refused(&self, now: Instant) -> bool {
        self.refused_until.is_some_and(|until| now < until)
    }

    /// Whether REST is not asked now, for that or since the device has asked for a pause.
    pub(super) fn is_left_alone(&self, now: Instant) -> bool {
        self.is_refused(now) || self.busy_until(now).is_some()
    }

    fn busy_until(&self, now: Instant) -> Option<Instant> {
        self.busy_until.filter(|until| now < *until)
    }

    /// That moment, or the first one at which there is somebody to ask.
    pub(super) fn earliest(&self, at: Instant, now: Instant) -> Instant {
        match self.refused_until.max(self.busy_until(now)) {
            Some(until) if !self.has_fallback => at.max(until),
            _ => at,
        }
    }

    /// When to poll after the poll that has just ended, of a device that answers over SNMP alone or not.
    pub(super) fn next_poll(&self, schedule: &mut Schedule, is_over_snmp: bool, turn: &Turn) -> Instant {
        let now = turn.now.instant;
        match self.refused_until {
            Some(refused_until) if !self.has_fallback => return refused_until,
            Some(refused_until) => return schedule.next(now).0.min(refused_until),
            None => {}
        }
        let has_failed = self.failures > 0 && !is_over_snmp;
        let busy_until = self.busy_until(now);
        if has_failed && self.failures >= self.offline_after {
            let next = schedule.after_failure(now);
            return busy_until.map_or(next, |until| next.min(until));
        }
        if let Some(busy_until) = busy_until {
            // Polls that are due meanwhile are not sent, but count as failed: what is published of it is stale.
            return schedule.next(now).0.min(busy_until);
        }
        if has_failed {
            // Until it is known that the device is offline, what is published of it may be stale.
            return schedule.retry(now, self.failures);
        }
        let (next, missed) = schedule.next(now);
        if missed > 0 {
            tracing::debug!(missed, "polls skipped: the last one took too long");
        }
        next
    }
}
