//! A device's traps, as its task sees them: the events that they tell, and when to poll for them.
//!
//! A trap is quicker than a poll, but knows only of one event: it moves the event at once, and the poll that it
//! brings about says how everything stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{DeviceTask, Gone};
use crate::lantime::snmp::traps::{Names, TrapLink};
use crate::model::{Availability, Change, DeviceView, EventName, EventState, Via};

/// From one poll for traps to the next at least: a storm of them must not become one of polls.
const POLL_GAP: Duration = Duration::from_millis(250);
/// From a trap to the poll that may show all that goes with it, at least.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// How far an answer is taken to be behind where it does not say so itself. In a recording the times within one answer are
/// 6.5 s apart.
const USUAL_LAG: Duration = Duration::from_secs(10);

/// By what something came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The device was asked.
    Poll(Via),
    /// It has sent a trap.
    Trap,
}

impl Told {
    fn via(self) -> Via {
        match self {
            Told::Poll(via) => via,
            Told::Trap => Via::Snmp,
        }
    }
}

/// What the task knows of its device's traps.
#[derive(Debug)]
pub(super) struct Traps {
    /// What is shared with the receiver; `None` where nothing takes traps.
    link: Option<Arc<TrapLink>>,
    /// Whether a trap waits for a poll.
    is_due: bool,
    /// When the last poll for a trap began.
    polled_for: Option<Instant>,
    /// When the last trap came, until a poll has shown what the device did until then.
    last_trap: Option<Instant>,
    /// Events that traps have moved, and when those came, until a poll can show them.
    moved: BTreeMap<EventName, Instant>,
    /// How far the last answer may be behind.
    lag: Duration,
    /// How long the device had been running, and when it said so.
    uptime: Option<Duration>,
}

impl Traps {
    pub(super) fn new(link: Option<Arc<TrapLink>>) -> Traps {
        Traps {
            link,
            is_due: false,
            polled_for: None,
            last_trap: None,
            moved: BTreeMap::new(),
            lag: USUAL_LAG,
            uptime: None,
        }
    }

    /// Waits for news of a trap.
    pub(super) async fn news(&self) {
        match &self.link {
            Some(link) => link.news().await,
            None => std::future::pending().await,
        }
    }

    /// When to poll for the trap that has just come.
    pub(super) fn poll_at(&mut self) -> Instant {
        self.is_due = true;
        let now = Instant::now();
        self.last_trap = Some(now);
        self.polled_for.map_or(now, |last| now.max(last + POLL_GAP))
    }

    /// When to poll once more after one that began then: what it has shown may be of before the last trap.
    pub(super) fn poll_again_at(&self, began: Instant) -> Option<Instant> {
        let trap = self.last_trap?;
        let is_first = began < trap + SETTLED_AFTER;
        let wait = if is_first { SETTLED_AFTER } else { self.lag };
        // A device may keep an answer for a while.
        Some((trap + wait).max(began + SETTLED_AFTER))
    }

    /// Until when the answer to a poll that began then shows what the device did.
    fn shown_until(&self, began: Instant) -> Instant {
        began.checked_sub(self.lag).unwrap_or(began)
    }

    /// Takes the events of a poll that began then. Those that traps have moved stay so as long as the answer may be of
    /// before.
    pub(super) fn keep_moved(
        &mut self,
        began: Instant,
        known: &[EventState],
        polled: &mut Arc<[EventState]>,
    ) {
        let shown = self.shown_until(began);
        self.moved.retain(|_, came| *came > shown);
        if !self.moved.is_empty() {
            let kept = |event: &EventState| {
                let known = known.iter().find(|known| known.name == event.name)?;
                (known.triggered != event.triggered && self.moved.contains_key(&event.name))
                    .then(|| known.clone())
            };
            *polled = polled
                .iter()
                .map(|event| kept(event).unwrap_or_else(|| event.clone()))
                .collect();
        }
        if let Some(link) = &self.link {
            link.set_events(polled, Some(shown));
        }
    }

    /// The events that traps have told of, and that no poll has shown yet.
    pub(super) fn not_polled_yet(&self) -> Vec<EventName> {
        self.link
            .as_ref()
            .map_or(Vec::new(), |link| link.not_polled_yet())
    }

    /// A poll that began then is through, with an answer or without.
    pub(super) fn polled(&mut self, began: Instant, is_answered: bool) {
        if std::mem::take(&mut self.is_due) {
            self.polled_for = Some(began);
        }
        let shown = self.shown_until(began);
        self.last_trap = self.last_trap.filter(|trap| *trap > shown);
        if let Some(link) = self.link.as_ref().filter(|_| is_answered) {
            link.polled(shown);
        }
    }

    /// How far the answer that has just come may be behind; `None` where it does not say so.
    pub(super) fn lags_by(&mut self, lag: Option<Duration>) {
        self.lag = lag.map_or(USUAL_LAG, |lag| lag.max(SETTLED_AFTER));
    }

    pub(super) fn set_host_name(&self, name: Option<&str>) {
        if let Some(link) = &self.link {
            link.set_host_name(name);
        }
    }

    /// The device says how long it has been running: less than before means that it has started anew.
    pub(super) fn runs_for(&mut self, uptime: Option<Duration>, now: Instant) {
        if let (Some(link), Some(before), Some(uptime)) = (&self.link, self.uptime, uptime)
            && uptime < before
        {
            link.set_restarted(now.checked_sub(uptime).unwrap_or(now));
        }
        self.uptime = uptime.or(self.uptime);
    }

    /// Says of each event in `changes` how it came to be known, and whether a record has told it already.
    pub(super) fn settle(&self, changes: &mut [Change], by: Told, now: Instant) {
        for change in changes {
            let Change::Event {
                name,
                old: Some(old),
                new: Some(new),
                via,
                told,
            } = change
            else {
                continue;
            };
            *via = by.via();
            let Some(link) = &self.link else { continue };
            let transitions = new.transitions(old);
            if transitions.contains(&true) {
                // The trap's own record says so.
                *told = by == Told::Trap || !link.poll_tells(name, now);
            }
            if transitions.last() == Some(&false) {
                match by {
                    Told::Poll(_) => link.has_gone(name),
                    Told::Trap => link.was_cleared(name),
                }
            }
        }
    }
}

impl DeviceTask {
    /// Moves the events that traps have told of, as far as the device's document lists them: nobody else would tell
    /// how they stand later.
    pub(super) async fn hear(&mut self) -> Result<(), Gone> {
        let (Some(link), Some(snapshot)) = (&self.traps.link, &mut self.snapshot) else {
            return Ok(());
        };
        let heard = link.heard();
        let Some(last) = heard.iter().map(|(_, came)| *came).max() else {
            return Ok(());
        };
        let Some(events) = with_heard(&snapshot.events, &heard, &link.names()) else {
            return Ok(());
        };
        let moved = events.iter().zip(snapshot.events.iter());
        let moved = moved.filter(|(after, before)| after.triggered != before.triggered);
        self.traps
            .moved
            .extend(moved.map(|(event, _)| (event.name.clone(), last)));
        snapshot.events = events.clone();
        link.set_events(&events, None);
        let snapshot = self
            .snapshot
            .as_ref()
            .filter(|_| self.view.availability == Some(Availability::Online));
        let view = match snapshot {
            Some(snapshot) => DeviceView {
                problem: self.view.problem.clone(),
                ..self.next_view(snapshot, Timestamp::now())
            },
            // What its relays do cannot be told of a device that is away.
            None => DeviceView {
                events,
                ..DeviceView::clone(&self.view)
            },
        };
        self.publish(view, Told::Trap).await
    }
}

/// The events after these have come, one after the other, and have ended those that they clear; `None` where nothing
/// is new.
fn with_heard(
    events: &Arc<[EventState]>,
    heard: &[(EventName, Instant)],
    names: &Names,
) -> Option<Arc<[EventState]>> {
    let after = |event: &EventState| names.stands_after(event, heard.iter().map(|(name, _)| name));
    events
        .iter()
        .any(|event| after(event) != event.triggered)
        .then(|| {
            let moved = |event: &EventState| EventState {
                triggered: after(event),
                ..event.clone()
            };
            events.iter().map(moved).collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventType, LastTriggered};

    fn name(name: &str) -> EventName {
        EventName::canonical(name).unwrap()
    }

    fn events(states: &[(&str, Option<bool>)]) -> Arc<[EventState]> {
        let state = |(event, triggered): &(&str, Option<bool>)| EventState {
            name: name(event),
            name_on_device: None,
            triggered: *triggered,
            kind: EventType::Error,
            last_triggered: LastTriggered::Never,
        };
        states.iter().map(state).collect()
    }

    #[test]
    fn a_trap_moves_its_event_and_ends_those_that_it_clears() {
        let before = events(&[
            ("ntp-sync", Some(false)),
            ("ntp-not-sync", Some(true)),
            ("ntp-stopped", Some(true)),
            ("system-reboot", None),
        ]);
        let (now, names) = (Instant::now(), Names::default());
        let with_heard = |events: &Arc<[EventState]>, heard: &[EventName]| {
            let heard: Vec<_> = heard.iter().map(|event| (event.clone(), now)).collect();
            super::with_heard(events, &heard, &names)
        };
        let heard = [name("ntp-sync"), name("fan-down")];
        let after = events(&[
            ("ntp-sync", Some(true)),
            ("ntp-not-sync", Some(false)),
            ("ntp-stopped", Some(true)),
            ("system-reboot", None),
        ]);
        assert_eq!(with_heard(&before, &heard), Some(after.clone()));
        assert_eq!(with_heard(&after, &heard), None, "it has been told");
        let and_back = [name("ntp-sync"), name("ntp-not-sync")];
        let moved = with_heard(&before, &and_back).expect("it has moved");
        assert_eq!(moved[1].triggered, Some(true), "the last trap counts");
        assert_eq!(with_heard(&after, &[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_brings_a_poll_at_once_and_then_four_a_second() {
        let mut traps = Traps::new(Some(Arc::default()));
        let now = Instant::now();
        assert_eq!([traps.poll_at(), traps.poll_at()], [now; 2]);
        traps.polled(now, true);
        assert_eq!([traps.poll_at(), traps.poll_at()], [now + POLL_GAP; 2]);
        tokio::time::advance(2 * POLL_GAP).await;
        assert_eq!(traps.poll_at(), now + 2 * POLL_GAP);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_trap_has_moved_stays_until_a_poll_can_show_it() {
        let seconds = Duration::from_secs;
        // How far an answer says that it is behind, how far it may be then, and after which times polls follow.
        for (lag, behind) in [
            (None, USUAL_LAG),
            (Some(seconds(6)), seconds(6)),
            (Some(Duration::from_millis(10)), SETTLED_AFTER),
        ] {
            let mut traps = Traps::new(Some(Arc::default()));
            let came = Instant::now();
            traps.poll_at();
            traps.moved.insert(name("ntp-not-sync"), came);
            let known = events(&[("ntp-not-sync", Some(true)), ("fan-failure", Some(true))]);
            let shown = events(&[("ntp-not-sync", Some(false)), ("fan-failure", Some(false))]);
            let mut poll = |began: Instant| {
                traps.lags_by(lag);
                let mut polled = shown.clone();
                traps.keep_moved(began, &known, &mut polled);
                traps.polled(began, true);
                (polled, traps.poll_again_at(began))
            };
            let kept = events(&[("ntp-not-sync", Some(true)), ("fan-failure", Some(false))]);
            let (polled, again) = poll(came);
            assert_eq!(polled, kept, "only what the trap has moved");
            assert_eq!(again, Some(came + SETTLED_AFTER));
            if behind > SETTLED_AFTER {
                let (polled, again) = poll(came + SETTLED_AFTER);
                assert_eq!((polled, again), (kept, Some(came + behind)));
            }
            let (polled, again) = poll(came + behind);
            assert_eq!((polled, again), (shown.clone(), None), "by now the poll is right");
        }
    }

    #[test]
    fn less_uptime_than_before_is_a_restart() {
        let link = Arc::new(TrapLink::default());
        let mut traps = Traps::new(Some(link.clone()));
        let now = Instant::now();
        let second = Duration::from_secs(1);
        for uptime in [Some(100 * second), None, Some(101 * second)] {
            traps.runs_for(uptime, now);
        }
        assert_eq!(link.restarted(), None);
        traps.runs_for(Some(second), now + 10 * second);
        assert_eq!(link.restarted(), Some(now + 9 * second));
    }
}
