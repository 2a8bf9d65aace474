//! Times as payloads write them.

use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};

/// `at` in UTC with milliseconds, cut, not rounded: a time must not come to lie in the future.
pub fn rfc3339(at: Timestamp) -> String {
    let cut = TimestampRound::new()
        .smallest(Unit::Millisecond)
        .mode(jiff::RoundMode::Trunc);
    // Only a time within a millisecond of the end of time could not be cut.
    let at = at
        .round(cut)
        .unwrap_or_else(|_| at.saturating_sub(SignedDuration::from_millis(1)).unwrap_or(at));
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_are_cut() {
        for (given, written) in [
            ("2026-02-10T09:45:48Z", "2026-02-10T09:45:48.000Z"),
            ("2026-02-10T10:45:48.9999+01:00", "2026-02-10T09:45:48.999Z"),
        ] {
            assert_eq!(rfc3339(given.parse().unwrap()), written);
        }
        let _ = (rfc3339(Timestamp::MAX), rfc3339(Timestamp::MIN));
    }
}
