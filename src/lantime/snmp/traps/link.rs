//! What the trap receiver and a device task share: what traps have told, and which of the two tells it.
//!
//! Both learn of the same event, by a trap and by a poll, in either order; who asks here first makes the record
//! of it, and the other makes none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::names::Names;
use crate::model::{EventName, EventNaming, EventState, EventType};

/// How long after a poll the trap of the same event may come and still be the same: an inform is repeated for a
/// while until it is acknowledged.
const SAME_FOR: Duration = Duration::from_secs(60);
/// How long after a trap of a standing error the next one repeats it: a device repeats once a day at the least.
const REPEATED_WITHIN: Duration = Duration::from_secs(25 * 60 * 60);
/// Most messages of the traps of one standing error that are remembered: a power supply each, say.
const MAX_MESSAGES: usize = 16;

/// What a trap is beside what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Its event has come: a record is due.
    New,
    /// A poll has shown the same already, and made the record.
    PolledBefore,
    /// The error stands, and the device repeats its trap.
    Repeated,
}

/// One device's part.
#[derive(Debug, Default)]
pub struct TrapLink {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Events that traps have told of since the device task has looked, each with the place of its last trap, and when
    /// that came.
    heard: BTreeMap<EventName, (u64, Instant)>,
    /// Traps so far.
    traps: u64,
    /// Events that a trap has told and no poll has shown yet.
    by_trap: BTreeMap<EventName, Instant>,
    /// Events that a poll has told and of which no trap has come yet.
    by_poll: BTreeMap<EventName, Instant>,
    /// Errors of which traps have come, until they are cleared.
    standing: BTreeMap<EventName, Standing>,
    /// The events as the device task has them.
    events: Arc<[EventState]>,
    /// What the device calls events that are named by the MIB.
    names: Arc<Names>,
    /// What the device calls itself.
    host_name: Option<String>,
    /// When it has started anew, as REST shows.
    restarted: Option<Instant>,
}

/// An error that stands, as its traps say.
#[derive(Debug)]
struct Standing {
    /// What they say in words, each once: another message is about something else.
    messages: Vec<Option<String>>,
    /// When the last of them came.
    last: Instant,
}

impl State {
    /// Whether the event stands, by the last poll and by the traps since. `None` where the device does not list it.
    fn stands(&self, event: &str) -> Option<bool> {
        let listed = self.events.iter().find(|listed| listed.name.as_str() == event)?;
        let mut heard: Vec<_> = self.heard.iter().collect();
        heard.sort_by_key(|(_, (place, _))| *place);
        self.names
            .stands_after(listed, heard.into_iter().map(|(name, _)| name))
    }

    /// Whether a trap says again that an error stands. A device can be set to repeat those, from every minute to once a
    /// day; what is no error happens each time.
    fn is_repeated(&self, event: &EventName, message: Option<&str>, now: Instant) -> bool {
        let listed = self.events.iter().find(|listed| listed.name == *event);
        let is_error = match listed.map(|listed| listed.kind) {
            Some(kind) => matches!(kind, EventType::Warning | EventType::Error | EventType::Critical),
            None => event.can_be_cleared(),
        };
        let clears_something = || {
            self.names
                .clears(event)
                .any(|cleared| self.stands(cleared) == Some(true))
        };
        if !is_error || self.stands(event.as_str()) == Some(false) || clears_something() {
            return false;
        }
        match self.standing.get(event) {
            Some(standing) if now.duration_since(standing.last) <= REPEATED_WITHIN => {
                standing.messages.iter().any(|known| known.as_deref() == message)
            }
            // Polls alone have shown it so far.
            _ => self.stands(event.as_str()) == Some(true),
        }
    }

    /// Remembers the trap, whatever it was: what it clears stands no longer, and a next one may repeat it.
    fn remember(&mut self, event: &EventName, message: Option<&str>, now: Instant) {
        let names = self.names.clone();
        for cleared in names.clears(event) {
            self.standing.retain(|event, _| event.as_str() != cleared);
            self.by_poll.retain(|event, _| event.as_str() != cleared);
        }
        let standing = self.standing.entry(event.clone()).or_insert(Standing {
            messages: Vec::new(),
            last: now,
        });
        standing.last = now;
        if !standing.messages.iter().any(|known| known.as_deref() == message) {
            standing.messages.truncate(MAX_MESSAGES - 1);
            standing.messages.insert(0, message.map(str::to_owned));
        }
    }
}

impl TrapLink {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the device calls an event of the MIB, and how that is known.
    pub fn name(&self, event: &EventName) -> (EventName, EventNaming) {
        let state = self.state();
        state.names.name(event, &state.events)
    }

    /// A trap reports that this event came, by its name on the device.
    pub fn trap_tells(&self, event: &EventName, message: Option<&str>, now: Instant) -> Report {
        let mut state = self.state();
        let polled = state.by_poll.remove(event);
        let report = if polled.is_some_and(|polled| now.duration_since(polled) <= SAME_FOR) {
            // What a poll has told already, with all that goes with it, is not told again by a trap that comes late.
            Report::PolledBefore
        } else if state.is_repeated(event, message, now) {
            Report::Repeated
        } else {
            Report::New
        };
        state.remember(event, message, now);
        if report == Report::New {
            state.by_trap.insert(event.clone(), now);
            state.traps += 1;
            let place = state.traps;
            state.heard.insert(event.clone(), (place, now));
        }
        drop(state);
        // Also for a repeated one: should it have come again unnoticed, the device's document shows a newer time.
        self.news.notify_one();
        report
    }

    /// These are the events as the device task has them now. A poll that shows everything up to `shown` has the last
    /// word on what came before that.
    pub fn set_events(&self, events: &Arc<[EventState]>, shown: Option<Instant>) {
        let mut state = self.state();
        let names = events.iter().map(|event| &event.name);
        if !state.events.iter().map(|event| &event.name).eq(names) {
            state.names = Arc::new(Names::of(events));
        }
        state.events = events.clone();
        let has_ended = |event: &EventName| {
            let listed = events.iter().find(|listed| listed.name == *event);
            listed.is_some_and(|listed| listed.triggered == Some(false))
        };
        if let Some(shown) = shown {
            state
                .standing
                .retain(|event, standing| standing.last > shown || !has_ended(event));
        }
    }

    /// What the device calls events that are named by the MIB.
    pub(crate) fn names(&self) -> Arc<Names> {
        self.state().names.clone()
    }

    /// A trap came that tells of no known event: worth a look at the device all the same.
    pub fn poll_now(&self) {
        self.news.notify_one();
    }

    /// Waits for news of a trap.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// The events that traps have told of since this was last asked, in order, and when the last trap of each came.
    pub fn heard(&self) -> Vec<(EventName, Instant)> {
        let mut heard: Vec<_> = std::mem::take(&mut self.state().heard).into_iter().collect();
        heard.sort_by_key(|(_, (place, _))| *place);
        heard
            .into_iter()
            .map(|(event, (_, came))| (event, came))
            .collect()
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

    /// A poll has been told that shows what the device did until then.
    pub fn polled(&self, shown: Instant) {
        self.state().by_trap.retain(|_, told| *told > shown);
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
    use crate::model::LastTriggered;

    fn event() -> EventName {
        EventName::canonical("ntp-not-sync").unwrap()
    }

    /// It clears the other.
    fn clearing() -> EventName {
        EventName::canonical("ntp-sync").unwrap()
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn who_tells_first_makes_the_record() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        assert_eq!(link.trap_tells(&event(), None, begin), Report::New);
        assert!(
            !link.poll_tells(&event(), after(begin, 1)),
            "the trap has told it"
        );
        assert!(link.poll_tells(&event(), after(begin, 2)), "it came again");
        link.heard();
        assert_eq!(
            link.trap_tells(&event(), None, after(begin, 3)),
            Report::PolledBefore
        );
        assert_eq!(link.heard(), [], "nor does it move anything");
        link.trap_tells(&clearing(), None, after(begin, 4));
        assert_eq!(
            link.trap_tells(&event(), None, after(begin, 5)),
            Report::New,
            "a trap of its own"
        );
    }

    #[test]
    fn a_trap_that_no_poll_shows_is_over_with_the_next_poll() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        link.trap_tells(&event(), None, after(begin, 1));
        link.polled(begin);
        assert!(
            !link.poll_tells(&event(), after(begin, 2)),
            "that poll began before the trap"
        );
        link.trap_tells(&clearing(), None, after(begin, 3));
        link.trap_tells(&event(), None, after(begin, 3));
        link.polled(after(begin, 4));
        assert!(link.poll_tells(&event(), after(begin, 5)));
    }

    #[test]
    fn what_has_gone_and_comes_again_is_told_again() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        link.poll_tells(&event(), begin);
        link.has_gone(&event());
        assert_eq!(link.trap_tells(&event(), None, after(begin, 1)), Report::New);
        link.was_cleared(&event());
        assert!(
            !link.poll_tells(&event(), after(begin, 2)),
            "that it had come is told"
        );
        let (link, late) = (TrapLink::default(), after(begin, 61));
        link.poll_tells(&event(), begin);
        assert_eq!(
            link.trap_tells(&event(), None, late),
            Report::New,
            "too late to be the same"
        );
    }

    fn listed(events: &[(&str, EventType, bool)]) -> Arc<[EventState]> {
        let state = |(name, kind, stands): &(&str, EventType, bool)| EventState {
            name: EventName::canonical(name).unwrap(),
            name_on_device: None,
            triggered: Some(*stands),
            kind: *kind,
            last_triggered: LastTriggered::Never,
        };
        events.iter().map(state).collect()
    }

    #[test]
    fn a_standing_error_is_repeated_until_it_is_cleared() {
        use Report::{New, Repeated};
        let (link, begin) = (TrapLink::default(), Instant::now());
        let kinds = |stands| {
            listed(&[
                ("ntp-sync", EventType::Info, true),
                ("ntp-not-sync", EventType::Error, stands),
                ("device-configuration-changed", EventType::Action, false),
            ])
        };
        let changed = EventName::canonical("device-configuration-changed").unwrap();
        link.set_events(&kinds(true), None);
        let tells = |event: &EventName, seconds| link.trap_tells(event, Some("one"), after(begin, seconds));
        assert_eq!(tells(&event(), 0), Repeated, "the device's document shows it");
        assert_eq!(tells(&event(), 60), Repeated);
        let other = link.trap_tells(&event(), Some("another"), after(begin, 61));
        assert_eq!(other, New, "it is about something else");
        assert_eq!(tells(&event(), 62), Repeated, "both stand");
        assert_eq!(
            [tells(&clearing(), 63), tells(&event(), 64)],
            [New, New],
            "cleared in between"
        );
        assert_eq!(
            [tells(&clearing(), 65), tells(&clearing(), 66)],
            [New, New],
            "no error"
        );
        assert_eq!(
            [tells(&changed, 67), tells(&changed, 68)],
            [New, New],
            "something done"
        );
        assert_eq!([tells(&event(), 70), tells(&event(), 71)], [New, Repeated]);
        link.heard();
        // A poll that may show things as they were before the trap, and one that cannot.
        link.set_events(&kinds(true), Some(after(begin, 60)));
        assert_eq!(tells(&event(), 72), Repeated);
        link.set_events(&kinds(false), Some(after(begin, 80)));
        assert_eq!(tells(&event(), 81), New, "it had gone");
    }

    #[test]
    fn an_error_that_no_document_lists_is_repeated_too() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        let name = |name| EventName::canonical(name).unwrap();
        let tells = |event, hours: u64| link.trap_tells(&name(event), None, after(begin, hours * 3600));
        use Report::{New, Repeated};
        assert_eq!([tells("fan-down", 0), tells("fan-down", 24)], [New, Repeated]);
        assert_eq!([tells("fan-up", 25), tells("fan-down", 26)], [New, New]);
        assert_eq!(tells("fan-down", 52), New, "no device repeats that seldom");
        assert_eq!([tells("heartbeat", 60), tells("heartbeat", 60)], [New, New]);
    }

    #[tokio::test]
    async fn a_storm_is_one_piece_of_news() {
        let (link, begin) = (TrapLink::default(), Instant::now());
        for _ in 0..20_000 {
            link.trap_tells(&event(), None, begin);
        }
        link.news().await;
        assert_eq!(link.heard(), [(event(), begin)]);
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
