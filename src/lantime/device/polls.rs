//! The polls of a device: when the next one begins, and how far the one that has begun is. Pure.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::input::{Now, Polled};
use super::trap_polls::TrapPolls;
use crate::boot_time::BootTime;
use crate::lantime::rest::RestError;
use crate::lantime::schedule::Schedule;

/// What REST has answered; `None` where it has not, or was not asked.
pub(super) type Answer = Option<Box<Result<Polled, RestError>>>;

/// The polls of one device; never two at once.
#[derive(Debug)]
pub(super) struct Polls {
    pub(super) schedule: Schedule,
    /// Those that traps bring about.
    pub(super) for_traps: TrapPolls,
    /// When the next one begins.
    next: Instant,
    round: Option<Round>,
    watch: Watch,
}

/// Whether polls come when they are due. They do not while the machine is suspended, or the process stands still.
#[derive(Debug)]
struct Watch {
    /// How far a poll may be behind; `None` where that is not looked at.
    patience: Option<Duration>,
    /// When the next poll is due; `None` before the first one, and once a command was in its way.
    due: Option<BootTime>,
    /// When the last one ended.
    ended: Option<Timestamp>,
}

/// A poll, with all that is asked before its answer is published.
#[derive(Debug)]
struct Round {
    began: Instant,
    step: Step,
    answer: Answer,
}

/// What a poll waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The status document.
    Status,
    /// What switches the relays, before the first answer is published.
    Selections,
    /// The status over SNMP, beside that of REST.
    Snmp,
}

impl Polls {
    /// Polls that are behind by more than `patience` leave a time in which nobody watched; none do without it.
    pub(super) fn new(schedule: Schedule, patience: Option<Duration>) -> Polls {
        Polls {
            next: schedule.first(),
            schedule,
            for_traps: TrapPolls::default(),
            round: None,
            watch: Watch {
                patience,
                due: None,
                ended: None,
            },
        }
    }

    /// When the next poll begins; `None` while one is under way.
    pub(super) fn next(&self) -> Option<Instant> {
        self.round.is_none().then_some(self.next)
    }

    /// Moves the next one.
    pub(super) fn set_next(&mut self, at: Instant, now: Now) {
        self.next = at;
        self.watch.due = Some(now.boot + at.saturating_duration_since(now.instant));
    }

    /// A command is in the way of polls: what is late by it says nothing.
    pub(super) fn are_held_up(&mut self) {
        self.watch.due = None;
    }

    /// Has the next one begin at that time, unless it begins before.
    pub(super) fn not_after(&mut self, at: Instant) {
        self.next = self.next.min(at);
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.for_traps.begin(now);
        self.wait(now, Step::Status, None);
    }

    /// The poll that began then goes on, and waits for that; so REST has answered.
    pub(super) fn wait(&mut self, began: Instant, step: Step, answer: Answer) {
        self.round = Some(Round { began, step, answer });
    }

    /// Takes the poll that waits for that: when it began, and what REST has answered.
    pub(super) fn take(&mut self, step: Step) -> Option<(Instant, Answer)> {
        let round = self.round.take_if(|round| round.step == step)?;
        Some((round.began, round.answer))
    }

    /// The poll that was under way is over. Gives since when nobody has watched the device, if that is so.
    pub(super) fn end(&mut self, now: Now) -> Option<Timestamp> {
        self.round = None;
        let Watch { patience, due, ended } = &mut self.watch;
        let late = due.take().map(|due| now.boot.saturating_duration_since(due));
        let is_late = late
            .zip(*patience)
            .is_some_and(|(late, patience)| late > patience);
        ended.replace(now.wall).filter(|_| is_late)
    }
}
