//! When a trap is followed by a poll. Pure.
//!
//! A trap is quicker than a poll, but knows only of one event: it moves the event at once, and the poll that it
//! brings about says how everything stands.

use std::time::Duration;

use tokio::time::Instant;

/// From one poll for traps to the next at least: a storm of them must not become one of polls.
const POLL_GAP: Duration = Duration::from_millis(250);
/// From a trap to the poll that may show all that goes with it, at least.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// How far an answer is taken to be behind where it does not say so itself. In a recording the times within one answer are
/// 6.5 s apart.
pub(super) const USUAL_LAG: Duration = Duration::from_secs(10);

/// The polls that traps bring about.
#[derive(Debug)]
pub(super) struct TrapPolls {
    /// Whether a trap waits for a poll.
    is_due: bool,
    /// When the last poll for a trap began.
    began: Option<Instant>,
    /// When the last trap came, until a poll has shown what the device did until then.
    last_trap: Option<Instant>,
    /// How far the last answer may be behind.
    lag: Duration,
}

impl Default for TrapPolls {
    fn default() -> TrapPolls {
        TrapPolls {
            is_due: false,
            began: None,
            last_trap: None,
            lag: USUAL_LAG,
        }
    }
}

impl TrapPolls {
    /// A trap has come.
    pub(super) fn trap(&mut self, now: Instant) {
        self.is_due = true;
        self.last_trap = Some(now);
    }

    /// When to poll for the traps that have come and for which no poll has begun yet.
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        let due = self.began.map_or(now, |last| now.max(last + POLL_GAP));
        self.is_due.then_some(due)
    }

    pub(super) fn begin(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_due) {
            self.began = Some(now);
        }
    }

    /// When to poll again after a poll that began then: its answer may be older than the last trap.
    pub(super) fn again_at(&self, began: Instant) -> Option<Instant> {
        let trap = self.last_trap?;
        let is_first = began < trap + SETTLED_AFTER;
        let wait = if is_first { SETTLED_AFTER } else { self.lag };
        // A device may keep an answer for a while.
        Some((trap + wait).max(began + SETTLED_AFTER))
    }

    /// Until when the answer to a poll that began then shows what the device did.
    pub(super) fn shown_until(&self, began: Instant) -> Instant {
        began.checked_sub(self.lag).unwrap_or(began)
    }

    /// A poll that began then is through, with an answer or without.
    pub(super) fn ended(&mut self, began: Instant) {
        let shown = self.shown_until(began);
        self.last_trap = self.last_trap.filter(|trap| *trap > shown);
    }

    /// How far the answer that has just come may be behind; `None` where it does not say so.
    pub(super) fn lags_by(&mut self, lag: Option<Duration>) {
        self.lag = lag.map_or(USUAL_LAG, |lag| lag.max(SETTLED_AFTER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_brings_a_poll_at_once_and_then_four_a_second() {
        let (mut polls, now) = (TrapPolls::default(), Instant::now());
        let mut trap_at = |at| {
            polls.trap(at);
            polls.due_at(at).unwrap()
        };
        assert_eq!([trap_at(now), trap_at(now)], [now; 2]);
        polls.begin(now);
        assert_eq!(polls.due_at(now), None);
        let mut trap_at = |at| {
            polls.trap(at);
            polls.due_at(at).unwrap()
        };
        assert_eq!([trap_at(now), trap_at(now)], [now + POLL_GAP; 2]);
        assert_eq!(trap_at(now + 2 * POLL_GAP), now + 2 * POLL_GAP);
    }
}
