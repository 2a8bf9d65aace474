//! What has been reported of each notification event of a device, by its traps and by polls. Pure.
//!
//! Both show the same event, in either order; the first of them makes the record, and the other makes none.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::lantime::snmp::event_names::Names;
use crate::model::{EventName, EventNaming, EventState, EventType, RecordedEvents, Transition, Via};

/// How long after a poll the trap of the same event may come and still be the same: an inform is repeated for a
/// while until it is acknowledged.
const SAME_FOR: Duration = Duration::from_secs(60);
/// How long after a trap of a standing error the next one repeats it: a device repeats once a day at the least.
const REPEATED_WITHIN: Duration = Duration::from_secs(25 * 60 * 60);
/// Most messages of the traps of one standing error that are remembered: a power supply each, say.
const MAX_MESSAGES: usize = 16;

/// What a trap is beside what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrapKind {
    /// Its event has come: a record is due.
    New,
    /// A poll has shown the same already, and made the record.
    PolledBefore,
    /// The error stands, and the device repeats its trap.
    Repeated,
}

/// By what something came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The device was asked.
    Poll(Via),
    /// It has sent a trap.
    Trap,
}

/// The events of one device, and what was reported of each.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// As the device lists them, with what traps have reported since.
    listed: Arc<[EventState]>,
    /// What the device calls events that are named by the MIB.
    names: Names,
    /// How each of them stood when that was last known.
    last_known: Arc<[EventState]>,
    reported: BTreeMap<EventName, Reported>,
}

/// What was reported of one event.
#[derive(Debug, Default)]
struct Reported {
    /// When a trap reported it that no poll has shown yet.
    by_trap: Option<Instant>,
    /// Whether a trap has cleared it since.
    is_cleared: bool,
    /// When a poll reported it of which no trap has come yet.
    by_poll: Option<Instant>,
    /// When a trap changed whether it stands, until a poll can show that.
    moved: Option<Instant>,
    /// Of an error: its traps, until it is cleared.
    standing: Option<Standing>,
}

/// An error that stands, as its traps say.
#[derive(Debug)]
struct Standing {
    /// What they say in words, each once: another message is about something else.
    messages: Vec<Option<String>>,
    /// When the last of them came.
    last: Instant,
}

impl Reported {
    fn is_empty(&self) -> bool {
        self.by_trap.is_none() && self.by_poll.is_none() && self.moved.is_none() && self.standing.is_none()
    }
}

impl Standing {
    fn has(&self, message: Option<&str>) -> bool {
        self.messages.iter().any(|known| known.as_deref() == message)
    }
}

impl Events {
    /// The events as the device lists them, with what traps have reported since.
    pub(super) fn listed(&self) -> &Arc<[EventState]> {
        &self.listed
    }

    /// What comes next is compared with what an earlier run has recorded.
    pub(super) fn go_on_from(&mut self, recorded: &RecordedEvents, now: Instant) {
        let mut last_known = Vec::new();
        for (event, by_trap) in recorded.states() {
            if by_trap {
                self.of(&event.name).by_trap.get_or_insert(now);
            }
            last_known.push(event);
        }
        self.last_known = last_known.into();
    }

    /// What is recorded of them.
    pub(super) fn recorded(&self) -> RecordedEvents {
        let by_trap = |event: &EventState| {
            let reported = self.reported.get(&event.name);
            reported.is_some_and(|reported| reported.by_trap.is_some())
        };
        RecordedEvents::of(self.last_known.iter().map(|event| (event, by_trap(event))))
    }

    /// What the device calls an event of the MIB, and how that is known.
    pub(super) fn name(&self, event: &EventName) -> (EventName, EventNaming) {
        self.names.name(event, &self.listed)
    }

    /// A trap reports that this event came, by its name on the device.
    pub(super) fn trap(&mut self, event: &EventName, message: Option<&str>, now: Instant) -> TrapKind {
        let polled = self
            .reported
            .get_mut(event)
            .and_then(|reported| reported.by_poll.take());
        let kind = if polled.is_some_and(|polled| now.duration_since(polled) <= SAME_FOR) {
            // What a poll has reported, with all that goes with it, is not reported again by a trap that comes late.
            TrapKind::PolledBefore
        } else if self.is_repeated(event, message, now) {
            TrapKind::Repeated
        } else {
            TrapKind::New
        };
        self.remember(event, message, now);
        if kind == TrapKind::New {
            let reported = self.of(event);
            (reported.by_trap, reported.is_cleared) = (Some(now), false);
            self.move_by_trap(event, now);
        }
        kind
    }

    /// Whether the event stands, by the last poll and by the traps since. `None` where the device does not list it.
    fn stands(&self, event: &str) -> Option<bool> {
        let listed = self.listed.iter().find(|listed| listed.name.as_str() == event)?;
        listed.triggered
    }

    /// Whether a trap says again that an error stands. A device can be set to repeat those, from every minute to once a
    /// day; what is no error happens each time.
    fn is_repeated(&self, event: &EventName, message: Option<&str>, now: Instant) -> bool {
        let listed = self.listed.iter().find(|listed| listed.name == *event);
        let is_error = match listed.map(|listed| listed.kind) {
            Some(kind) => matches!(kind, EventType::Warning | EventType::Error | EventType::Critical),
            None => event.can_be_cleared(),
        };
        let mut cleared = self.names.clears(event);
        if !is_error
            || self.stands(event.as_str()) == Some(false)
            || cleared.any(|cleared| self.stands(cleared) == Some(true))
        {
            return false;
        }
        let standing = self
            .reported
            .get(event)
            .and_then(|reported| reported.standing.as_ref());
        match standing {
            Some(standing) if now.duration_since(standing.last) <= REPEATED_WITHIN => standing.has(message),
            // Polls alone have shown it so far.
            _ => self.stands(event.as_str()) == Some(true),
        }
    }

    /// Remembers the trap, whatever it was: what it clears stands no longer, and a next one may repeat it.
    fn remember(&mut self, event: &EventName, message: Option<&str>, now: Instant) {
        for cleared in self.names.clears(event) {
            if let Some(cleared) = EventName::canonical(cleared)
                && let Some(reported) = self.reported.get_mut(&cleared)
            {
                (reported.standing, reported.by_poll) = (None, None);
            }
        }
        let standing = self.of(event).standing.get_or_insert(Standing {
            messages: Vec::new(),
            last: now,
        });
        standing.last = now;
        if !standing.has(message) {
            standing.messages.truncate(MAX_MESSAGES - 1);
            standing.messages.insert(0, message.map(str::to_owned));
        }
    }

    /// The event has come, and those have ended that it clears, as far as the device lists them: nobody else would say
    /// how they stand later.
    fn move_by_trap(&mut self, event: &EventName, now: Instant) {
        let after = |listed: &EventState| EventState {
            triggered: self.names.stands_after(listed, event),
            ..listed.clone()
        };
        let events: Arc<[EventState]> = self.listed.iter().map(after).collect();
        let before = std::mem::replace(&mut self.listed, events.clone());
        for (event, before) in events.iter().zip(before.iter()) {
            if event.triggered != before.triggered {
                self.of(&event.name).moved = Some(now);
            }
        }
    }

    fn of(&mut self, event: &EventName) -> &mut Reported {
        self.reported.entry(event.clone()).or_default()
    }

    /// Takes the events of an answer that shows what the device did until `shown`. Those that traps have moved since stay
    /// as they are.
    pub(super) fn polled(&mut self, polled: &mut Arc<[EventState]>, shown: Instant) {
        for reported in self.reported.values_mut() {
            reported.moved = reported.moved.filter(|moved| *moved > shown);
        }
        if self.reported.values().any(|reported| reported.moved.is_some()) {
            let kept = |event: &EventState| {
                let reported = self.reported.get(&event.name)?;
                let known = self.listed.iter().find(|known| known.name == event.name)?;
                (reported.moved.is_some() && known.triggered != event.triggered).then(|| known.clone())
            };
            let events = polled.iter();
            *polled = events
                .map(|event| kept(event).unwrap_or_else(|| event.clone()))
                .collect();
        }
        // Most answers say the same: then there is one list of it.
        match Arc::ptr_eq(polled, &self.listed) || *polled == self.listed {
            true => polled.clone_from(&self.listed),
            false => self.list(polled.clone()),
        }
        let has_ended = |name: &EventName| {
            let mut listed = self.listed.iter();
            listed.any(|event| event.name == *name && event.triggered == Some(false))
        };
        for (_, reported) in self.reported.iter_mut().filter(|(name, _)| has_ended(name)) {
            reported.standing = reported.standing.take().filter(|standing| standing.last > shown);
        }
        self.reported.retain(|_, reported| !reported.is_empty());
    }

    fn list(&mut self, events: Arc<[EventState]>) {
        let names = events.iter().map(|event| &event.name);
        if !self.listed.iter().map(|event| &event.name).eq(names) {
            self.names = Names::of(&events);
        }
        self.listed = events;
    }

    /// An answer has been published that shows what the device did until `shown`: the events that traps have reported
    /// before are no longer awaited.
    pub(super) fn poll_published(&mut self, shown: Instant) {
        for reported in self.reported.values_mut() {
            reported.by_trap = reported.by_trap.filter(|came| *came > shown);
        }
    }

    /// The events that traps have reported, and that no poll has shown yet.
    pub(super) fn not_polled_yet(&self) -> Vec<EventName> {
        let by_trap = self
            .reported
            .iter()
            .filter(|(_, reported)| reported.by_trap.is_some());
        by_trap.map(|(event, _)| event.clone()).collect()
    }

    /// The transitions to these events, which came to be known so, of which a record is due: an event of which something
    /// was not known for a while is compared with what was last known, and one that was reported before makes no record.
    pub(super) fn transitions(
        &mut self,
        events: &Arc<[EventState]>,
        by: Source,
        now: Instant,
    ) -> Vec<Transition> {
        // What shows none says nothing of them.
        if Arc::ptr_eq(&self.last_known, events) || events.is_empty() {
            return Vec::new();
        }
        let last_known = std::mem::take(&mut self.last_known);
        let mut transitions = Vec::new();
        let mut known = Vec::with_capacity(events.len());
        for event in events.iter() {
            let Some(before) = last_known.iter().find(|before| before.name == event.name) else {
                known.push(event.clone());
                continue;
            };
            let due = self.due(event, before, by, now).iter();
            transitions.extend(due.map(|triggered| Transition::Event {
                event: event.clone(),
                triggered: *triggered,
                via: by.via(),
            }));
            known.push(event.or_known(before));
        }
        self.last_known = match known == **events {
            true => events.clone(),
            false => known.into(),
        };
        transitions
    }

    /// How the event went from `before` to this, as far as a record of it is due: each time whether it stood then.
    fn due(&mut self, event: &EventState, before: &EventState, by: Source, now: Instant) -> &'static [bool] {
        let transitions = event.transitions(before);
        let stands = event.triggered == Some(true);
        let is_same_time = event.last_triggered == before.last_triggered;
        // A trap has a record of its own.
        let is_reported = transitions.contains(&true)
            && (by == Source::Trap || !self.is_new_by_poll(&event.name, stands, is_same_time, now));
        if transitions.last() == Some(&false) {
            self.ended(&event.name, by);
        }
        // What was not there and is not, was reported by traps in between, or is about to be.
        if is_reported { &[] } else { transitions }
    }

    /// A poll shows that this event came, and stands or not; whether it was last triggered when it was before. Whether a
    /// record of it is due: a trap may have reported it.
    fn is_new_by_poll(&mut self, event: &EventName, stands: bool, is_same_time: bool, now: Instant) -> bool {
        let reported = self.of(event);
        // What stands came after the trap that has cleared it.
        let came_again = reported.is_cleared && stands;
        let by_trap = match reported.moved.is_some() && is_same_time {
            // As the trap has it: the answer is of before, and a later one will show it.
            true => reported.by_trap,
            false => reported.by_trap.take(),
        };
        let is_new = by_trap.is_none() || came_again;
        if is_new {
            reported.by_poll = Some(now);
        }
        is_new
    }

    /// This event has ended: what comes next is another time. Where a trap says so, a poll may still show, by the time when
    /// it was last triggered, that it had come.
    fn ended(&mut self, event: &EventName, by: Source) {
        if let Some(reported) = self.reported.get_mut(event) {
            reported.by_poll = None;
            match by {
                Source::Trap => reported.is_cleared = true,
                Source::Poll(_) => reported.by_trap = None,
            }
        }
    }
}

impl Source {
    fn via(self) -> Via {
        match self {
            Source::Poll(via) => via,
            Source::Trap => Via::Snmp,
        }
    }
}
