//! What the trap receiver and a device task share: what traps have told, and which of the two tells it.
//!
//! Both learn of the same event, by a trap and by a poll, in either order; who asks here first makes the record
//! of it, and the other makes none.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::EventName;

/// How long after a poll the trap of the same event may come and still be the same: an inform is repeated for a
/// while until it is acknowledged.
const SAME_FOR: Duration = Duration::from_secs(60);

/// One device's part.
#[derive(Debug, Default)]
pub struct TrapLink {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Events that traps have told of since the device task has looked, each with the place of its last trap.
    heard: BTreeMap<EventName, u64>,
    /// Traps so far.
    traps: u64,
    /// Events that a trap has told and no poll has shown yet.
    by_trap: BTreeMap<EventName, Instant>,
    /// Events that a poll has told and of which no trap has come yet.
    by_poll: BTreeMap<EventName, Instant>,
    /// What the device calls itself.
    host_name: Option<String>,
    /// When it has started anew, as REST shows.
    restarted: Option<Instant>,
}

impl TrapLink {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A trap tells that this event came. Whether a record of it is due: a poll may have told it already.
    pub fn trap_tells(&self, event: &EventName, now: Instant) -> bool {
        let mut state = self.state();
        let told = state.by_poll.remove(event);
        let is_due = told.is_none_or(|told| now.duration_since(told) > SAME_FOR);
        // What a poll has told already, with all that goes with it, is not told again by a trap that comes late.
        if is_due {
            state.by_trap.insert(event.clone(), now);
            state.traps += 1;
            let place = state.traps;
            state.heard.insert(event.clone(), place);
        }
        drop(state);
        self.news.notify_one();
        is_due
    }

    /// A trap came that tells of no known event: worth a look at the device all the same.
    pub fn poll_now(&self) {
        self.news.notify_one();
    }

    /// Waits for news of a trap.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// The events that traps have told of since this was last asked, in order.
    pub fn heard(&self) -> Vec<EventName> {
        let mut heard: Vec<_> = std::mem::take(&mut self.state().heard).into_iter().collect();
        heard.sort_by_key(|(_, place)| *place);
        heard.into_iter().map(|(event, _)| event).collect()
    }

    /// The events that traps have told of, and that no poll has shown yet.
    pub fn not_polled_yet(&self) -> Vec<EventName> {
        self.state().by_trap.keys().cloned().collect()
    }

    /// A poll that began then tells that this event came. Whether a record of it is due: a trap may have told it
    /// already.
    pub fn poll_tells(&self, event: &EventName, now: Instant) -> bool {
        let mut state = self.state();
        if state.by_trap.remove(event).is_some() {
            return false;
        }
        state.by_poll.insert(event.clone(), now);
        true
    }

    /// A poll tells that this event has gone: what comes next is another time.
    pub fn has_gone(&self, event: &EventName) {
        self.state().by_trap.remove(event);
        self.was_cleared(event);
    }

    /// A trap tells that this event has gone. That it had come a poll may show later, from when the event was last
    /// triggered.
    pub fn was_cleared(&self, event: &EventName) {
        self.state().by_poll.remove(event);
    }

    /// A poll that began then has been told: it has shown whatever traps had told before.
    pub fn polled(&self, began: Instant) {
        self.state().by_trap.retain(|_, told| *told > began);
    }

    /// The device says what it is called.
    pub fn set_host_name(&self, name: Option<&str>) {
        let mut state = self.state();
        if state.host_name.as_deref() != name {
            state.host_name = name.map(str::to_owned);
        }
    }

    /// Whether the device is called that; the domain may be left out on either side.
    pub fn is_called(&self, name: &str) -> bool {
        self.state()
            .host_name
            .as_deref()
            .is_some_and(|own| is_same_name(own, name))
    }

    /// REST shows that the device has started anew.
    pub fn set_restarted(&self, at: Instant) {
        self.state().restarted = Some(at);
    }

    /// When it has last started anew, as far as REST has shown it.
    pub fn restarted(&self) -> Option<Instant> {
        self.state().restarted
    }
}

/// Whether two host names mean the same, where one may lack its domain.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    let short = |name: &'_ str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    one.eq_ignore_ascii_case(other)
        || (short(one) == short(other) && (!one.contains('.') || !other.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> EventName {
        EventName::canonical("ntp-not-sync").unwrap()
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn who_tells_first_makes_the_record() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        assert!(link.trap_tells(&event(), begin));
        assert!(
            !link.poll_tells(&event(), after(begin, 1)),
            "the trap has told it"
        );
        assert!(link.poll_tells(&event(), after(begin, 2)), "it came again");
        link.heard();
        assert!(
            !link.trap_tells(&event(), after(begin, 3)),
            "the poll has told it"
        );
        assert_eq!(link.heard(), [], "nor does it move anything");
        assert!(link.trap_tells(&event(), after(begin, 4)), "a trap of its own");
    }

    #[test]
    fn a_trap_that_no_poll_shows_is_over_with_the_next_poll() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        link.trap_tells(&event(), after(begin, 1));
        link.polled(begin);
        assert!(
            !link.poll_tells(&event(), after(begin, 2)),
            "that poll began before the trap"
        );
        link.trap_tells(&event(), after(begin, 3));
        link.polled(after(begin, 4));
        assert!(link.poll_tells(&event(), after(begin, 5)));
    }

    #[test]
    fn what_has_gone_and_comes_again_is_told_again() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        link.poll_tells(&event(), begin);
        link.has_gone(&event());
        assert!(link.trap_tells(&event(), after(begin, 1)));
        link.was_cleared(&event());
        assert!(
            !link.poll_tells(&event(), after(begin, 2)),
            "that it had come is told"
        );
        let (link, late) = (TrapLink::default(), after(begin, 61));
        link.poll_tells(&event(), begin);
        assert!(link.trap_tells(&event(), late), "too late to be the same");
    }

    #[tokio::test]
    async fn a_storm_is_one_piece_of_news() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        for _ in 0..20_000 {
            link.trap_tells(&event(), begin);
        }
        link.news().await;
        assert_eq!(link.heard(), [event()]);
        assert_eq!(link.heard(), []);
        let second = tokio::time::timeout(Duration::from_millis(20), link.news());
        assert!(second.await.is_err(), "there is no more");
    }

    #[test]
    fn a_name_may_lack_its_domain() {
        assert!(is_same_name("ntp-1", "NTP-1.example"));
        assert!(is_same_name("ntp-1.example", "ntp-1"));
        assert!(!is_same_name("ntp-1.a", "ntp-1.b"));
        assert!(!is_same_name("ntp-1", "ntp-2"));
        let link = TrapLink::default();
        assert!(!link.is_called("ntp-1"));
        link.set_host_name(Some("ntp-1.example"));
        assert!(link.is_called("ntp-1"));
    }
}
