//! What is published of the requests to a device: statistics of its polls, and the log of its HTTP sessions. Pure.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::config;
use crate::model::{DeviceId, ErrorKind, HttpSession, HttpSessions, HttpStats, Outcome, Update};

/// How often statistics and sessions are published, at most.
const PUBLISHED_EVERY: Duration = Duration::from_secs(10);

/// The requests to one device.
#[derive(Debug)]
pub(super) struct Http {
    stats: HttpStats,
    log: HttpSessions,
    published_at: Option<Instant>,
    published_log: Option<LogMark>,
}

/// What shows that the log has changed: switch, size, latest session.
type LogMark = (bool, usize, u64);

impl Http {
    pub(super) fn new(device: &config::Device) -> Http {
        let settings = &device.http_sessions;
        Http {
            stats: HttpStats::default(),
            log: HttpSessions::new(settings.enabled, settings.max_count),
            published_at: None,
            published_log: None,
        }
    }

    /// Takes the requests that have ended into the log.
    pub(super) fn log(&mut self, sessions: Vec<HttpSession>) {
        sessions.into_iter().for_each(|session| self.log.push(session));
    }

    /// A poll gave a usable document.
    pub(super) fn poll_succeeded(&mut self, round_trip: Duration, at: Timestamp) {
        self.stats.succeeded(round_trip, at);
    }

    /// A poll gave none.
    pub(super) fn poll_failed(&mut self, kind: ErrorKind) {
        self.stats.failed(kind);
    }

    /// When a poll last gave a usable document.
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.stats.last_success()
    }

    /// Switches or resizes the log; gives how it is set now.
    pub(super) fn configure(&mut self, enabled: Option<bool>, max_count: Option<usize>) -> Outcome {
        if let Some(max_count) = max_count {
            self.log.set_max_count(max_count);
        }
        if let Some(enabled) = enabled {
            self.log.set_enabled(enabled);
        }
        Outcome::HttpSessions {
            enabled: self.log.is_enabled(),
            max_count: self.log.max_count(),
        }
    }

    /// What is to be published after a poll, at once or at the usual distance.
    pub(super) fn due(&mut self, device: &DeviceId, at_once: bool, now: Instant) -> Vec<Update> {
        let is_recent = |at: Instant| now.duration_since(at) < PUBLISHED_EVERY;
        if !at_once && self.published_at.is_some_and(is_recent) {
            return Vec::new();
        }
        self.published_at = Some(now);
        let stats = Update::HttpStats {
            device: device.clone(),
            summary: Box::new(self.stats.summary()),
        };
        std::iter::once(stats).chain(self.changed_log(device)).collect()
    }

    /// The log, if it has changed since it was last published.
    pub(super) fn changed_log(&mut self, device: &DeviceId) -> Option<Update> {
        let latest = if self.log.is_enabled() {
            self.log.next_id()
        } else {
            0
        };
        let mark = (self.log.is_enabled(), self.log.max_count(), latest);
        let is_same = self.published_log.replace(mark) == Some(mark);
        (!is_same).then(|| Update::HttpSessions {
            device: device.clone(),
            log: self.log.clone(),
        })
    }
}
