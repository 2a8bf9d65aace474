//! Round-trip statistics of a device's HTTP requests, in constant memory.

use jiff::Timestamp;

/// How many of the latest round trips the distribution covers: at the default interval, some eight minutes.
pub const WINDOW: usize = 512;

/// Collects what happened to each poll.
#[derive(Debug, Clone, Default)]
pub struct HttpStats {
    polls: u64,
    failures: u64,
    last_success: Option<Timestamp>,
    /// The latest round trips in microseconds, a ring; `next` is the oldest once it is full.
    round_trips: Vec<u32>,
    next: usize,
}

/// The statistics at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSummary {
    /// Polls since the bridge started.
    pub polls: u64,
    /// Those of them that gave no usable document.
    pub failures: u64,
    /// When a poll last gave one.
    pub last_success: Option<Timestamp>,
    /// Round trips of the latest successful polls; `None` before the first.
    pub round_trip: Option<RoundTrip>,
}

/// A distribution of round trips, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundTrip {
    /// The latest.
    pub last: f64,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest.
    pub max: f64,
}

impl HttpStats {
    /// A poll that gave a usable document, from the request to the last byte.
    pub fn succeeded(&mut self, round_trip: std::time::Duration, at: Timestamp) {
        self.polls += 1;
        self.last_success = Some(at);
        let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
        if self.round_trips.len() < WINDOW {
            self.round_trips.push(micros);
        } else {
            self.round_trips[self.next] = micros;
        }
        self.next = (self.next + 1) % WINDOW;
    }

    /// A poll that gave none.
    pub fn failed(&mut self) {
        self.polls += 1;
        self.failures += 1;
    }

    /// When a poll last gave a usable document.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// The statistics now.
    pub fn summary(&self) -> HttpSummary {
        HttpSummary {
            polls: self.polls,
            failures: self.failures,
            last_success: self.last_success,
            round_trip: self.round_trip(),
        }
    }

    fn round_trip(&self) -> Option<RoundTrip> {
        let last = *self.round_trips.get((self.next + WINDOW - 1) % WINDOW)?;
        let mut sorted = self.round_trips.clone();
        sorted.sort_unstable();
        let millis = |micros: u32| f64::from(micros) / 1000.0;
        // The nearest-rank percentile: a round trip that did occur.
        let percentile = |p: usize| millis(sorted[(sorted.len() * p).div_ceil(100).max(1) - 1]);
        let sum: u64 = sorted.iter().map(|micros| u64::from(*micros)).sum();
        Some(RoundTrip {
            last: millis(last),
            mean: sum as f64 / sorted.len() as f64 / 1000.0,
            p50: percentile(50),
            p95: percentile(95),
            p99: percentile(99),
            max: millis(*sorted.last()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn percentiles_are_of_the_latest_window() {
        let mut stats = HttpStats::default();
        assert_eq!(stats.summary().round_trip, None);
        for _ in 0..WINDOW {
            stats.succeeded(Duration::from_secs(9), Timestamp::UNIX_EPOCH);
        }
        for millis in 1..=WINDOW as u64 {
            stats.succeeded(Duration::from_millis(millis), Timestamp::UNIX_EPOCH);
        }
        stats.failed();
        let summary = stats.summary();
        assert_eq!((summary.polls, summary.failures), (2 * WINDOW as u64 + 1, 1));
        let round_trip = summary.round_trip.unwrap();
        assert_eq!(
            (round_trip.last, round_trip.p50, round_trip.p99, round_trip.max),
            (512.0, 256.0, 507.0, 512.0)
        );
    }
}
