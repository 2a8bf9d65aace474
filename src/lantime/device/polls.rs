//! The polls of a device: when the next one begins, and how far the one that has begun is. Pure.

use tokio::time::Instant;

use super::input::Polled;
use super::trap_polls::TrapPolls;
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
    pub(super) fn new(schedule: Schedule) -> Polls {
        Polls {
            next: schedule.first(),
            schedule,
            for_traps: TrapPolls::default(),
            round: None,
        }
    }

    /// When the next poll begins; `None` while one is under way.
    pub(super) fn next(&self) -> Option<Instant> {
        self.round.is_none().then_some(self.next)
    }

    /// Moves the next one.
    pub(super) fn set_next(&mut self, at: Instant) {
        self.next = at;
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

    /// The poll that was under way is over.
    pub(super) fn end(&mut self) {
        self.round = None;
    }
}
