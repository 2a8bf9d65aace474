//! Round-trip statistics of a device's HTTP requests, in constant memory.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::ErrorKind;

/// How many of the latest round trips the distribution covers: at the default interval, some eight minutes.
pub const WINDOW: usize = 512;

/// Upper bounds of the histogram's buckets, in seconds; there is one more above the last.
pub const BOUNDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Collects what happened to each poll.
#[derive(Debug, Clone, Default)]
pub struct HttpStats {
    polls: u64,
    failures: BTreeMap<ErrorKind, u64>,
    last_success: Option<Timestamp>,
    histogram: Histogram,
    /// The latest round trips in microseconds, a ring; `next` is the oldest once it is full.
    round_trips: Vec<u32>,
    next: usize,
}

/// The statistics at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpSummary {
    /// Polls since the bridge started.
    pub polls: u64,
    /// Those of them that gave no usable document.
    pub failures: u64,
    /// The failures, by what they were.
    pub failures_by_kind: BTreeMap<ErrorKind, u64>,
    /// When a poll last gave one.
    pub last_success: Option<Timestamp>,
    /// Round trips of the latest successful polls; `None` before the first.
    pub round_trip: Option<RoundTrip>,
    /// Round trips of all successful polls.
    pub histogram: Histogram,
}

/// How many round trips took how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// How many were within each of [`BOUNDS`] and above the one before; the last: above all of them.
    pub counts: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Histogram {
    fn add(&mut self, round_trip: Duration) {
        let seconds = round_trip.as_secs_f64();
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum = self.sum.saturating_add(round_trip);
    }
}

/// A distribution of round trips, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
    pub fn succeeded(&mut self, round_trip: Duration, at: Timestamp) {
        self.polls += 1;
        self.last_success = Some(at);
        self.histogram.add(round_trip);
        let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
        if self.round_trips.len() < WINDOW {
            self.round_trips.push(micros);
        } else {
            self.round_trips[self.next] = micros;
        }
        self.next = (self.next + 1) % WINDOW;
    }

    /// A poll that gave none.
    pub fn failed(&mut self, kind: ErrorKind) {
        self.polls += 1;
        *self.failures.entry(kind).or_default() += 1;
    }

    /// When a poll last gave a usable document.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }

    /// The statistics now.
    pub fn summary(&self) -> HttpSummary {
        HttpSummary {
            polls: self.polls,
            failures: self.failures.values().sum(),
            failures_by_kind: self.failures.clone(),
            last_success: self.last_success,
            round_trip: self.round_trip(),
            histogram: self.histogram.clone(),
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
        stats.failed(ErrorKind::Timeout);
        let summary = stats.summary();
        assert_eq!((summary.polls, summary.failures), (2 * WINDOW as u64 + 1, 1));
        let round_trip = summary.round_trip.unwrap();
        assert_eq!(
            (round_trip.last, round_trip.p50, round_trip.p99, round_trip.max),
            (512.0, 256.0, 507.0, 512.0)
        );
    }

    #[test]
    fn a_round_trip_on_a_bound_is_within_it() {
        let mut stats = HttpStats::default();
        for millis in [0, 5, 6, 5_000, 5_001, 60_000] {
            stats.succeeded(Duration::from_millis(millis), Timestamp::UNIX_EPOCH);
        }
        stats.failed(ErrorKind::Tls);
        let summary = stats.summary();
        assert_eq!(summary.histogram.counts, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(summary.histogram.sum, Duration::from_millis(70_012));
        assert_eq!(summary.failures_by_kind, BTreeMap::from([(ErrorKind::Tls, 1)]));
    }
}
