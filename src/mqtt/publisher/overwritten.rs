//! State topics of ours at which somebody else has published: when to publish there again. Pure data.
//!
//! Messages at one topic arrive in the order in which the broker took them, so the last one shows what is retained
//! there. That also settles our own echoes: the echo of an older value is followed by the echo of the newer one.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long a message that is not ours may stand before we publish again: the echo of a newer value arrives sooner.
const SETTLE: Duration = Duration::from_secs(1);

/// Pause after publishing again at a topic. It doubles each time that somebody else overwrites it again soon: two
/// bridges that have one device must not answer each other for ever.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

const MAX_PAUSE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Overwritten {
    /// When to publish again at topics whose last message was not ours.
    due: HashMap<String, Instant>,
    /// When we last published again at a topic, and the pause from then on.
    restored: HashMap<String, (Instant, Duration)>,
}

impl Overwritten {
    /// A message has arrived at a state topic of ours; `is_ours` says whether it is what we publish there.
    pub(super) fn seen(&mut self, topic: &str, is_ours: bool, now: Instant) {
        if is_ours {
            self.due.remove(topic);
            return;
        }
        let earliest = self.restored.get(topic).map_or(now, |(at, pause)| *at + *pause);
        let due = earliest.max(now + SETTLE);
        self.due.entry(topic.to_owned()).or_insert(due);
    }

    /// When to look for what is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Topics at which to publish again now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<String> {
        let topics: Vec<_> = self
            .due
            .extract_if(|_, due| *due <= now)
            .map(|(topic, _)| topic)
            .collect();
        for topic in &topics {
            let last = self.restored.get(topic).copied();
            // Quiet for twice as long as the pause: that conflict is over.
            let goes_on = last.filter(|(at, pause)| now < *at + 2 * *pause);
            let pause = goes_on.map_or(FIRST_PAUSE, |(_, pause)| (2 * pause).min(MAX_PAUSE));
            self.restored.insert(topic.clone(), (now, pause));
        }
        topics
    }

    /// The next connection begins with all of the state.
    pub(super) fn disconnected(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "lantime/m1/state";

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_echo_of_a_newer_value_settles_that_of_an_older_one() {
        let (mut overwritten, now) = (Overwritten::default(), Instant::now());
        overwritten.seen(TOPIC, false, now);
        overwritten.seen(TOPIC, true, now);
        assert_eq!(overwritten.next_due(), None);
        overwritten.seen(TOPIC, true, now);
        overwritten.seen(TOPIC, false, now);
        assert_eq!(overwritten.next_due(), Some(now + SETTLE));
        assert_eq!(overwritten.take_due(now), [""; 0]);
        assert_eq!(overwritten.take_due(now + SETTLE), [TOPIC]);
        assert_eq!(overwritten.next_due(), None);
    }

    #[test]
    fn two_bridges_with_one_device_answer_each_other_ever_more_rarely() {
        let (mut overwritten, start) = (Overwritten::default(), Instant::now());
        let (mut now, mut restored) = (start, 0);
        while now < start + seconds(3600) {
            overwritten.seen(TOPIC, false, now);
            now = overwritten.next_due().unwrap();
            restored += overwritten.take_due(now).len();
        }
        assert!((10..=20).contains(&restored), "{restored} in an hour");
    }

    #[test]
    fn after_a_quiet_time_the_pause_is_short_again() {
        let (mut overwritten, mut now) = (Overwritten::default(), Instant::now());
        for _ in 0..9 {
            overwritten.seen(TOPIC, false, now);
            now = overwritten.next_due().unwrap();
            overwritten.take_due(now);
        }
        now += 2 * MAX_PAUSE;
        overwritten.seen(TOPIC, false, now);
        assert_eq!(overwritten.take_due(now + SETTLE), [TOPIC]);
        overwritten.seen(TOPIC, false, now + SETTLE);
        assert_eq!(overwritten.next_due(), Some(now + SETTLE + FIRST_PAUSE));
    }

    #[test]
    fn a_new_connection_begins_with_all_of_the_state() {
        let (mut overwritten, now) = (Overwritten::default(), Instant::now());
        overwritten.seen(TOPIC, false, now);
        overwritten.disconnected();
        assert_eq!(overwritten.next_due(), None);
    }
}
