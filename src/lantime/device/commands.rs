//! What is asked of a device beside its status: which events switch its relays, read now and then, and selected by
//! commands. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::availability::Answering;
use super::command::{Command, Job, Reply};
use super::input::Effect;
use super::published::Published;
use super::turn::Turn;
use crate::lantime::relay_events::{Failure, Found, Request, Selected, Selections};
use crate::model::derive::RelayEvents;
use crate::model::{DeviceCommand, ErrorReport, Operation, Outcome, RelayPlace, Snapshot, Via};

/// Pause before a command that was held up is retried, unless the next poll comes before.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The command to a device, and the events of its relays.
#[derive(Debug)]
pub(super) struct Commands {
    /// Boxed: most of the time there is none.
    command: Option<Box<Command>>,
    /// The way on which the events are read and selected.
    via: Via,
    /// Whether they are being read.
    is_reading: bool,
    selections: Selections,
    /// When relays may have moved, until a poll has begun that shows it.
    moved_at: Option<Instant>,
}

impl Commands {
    pub(super) fn new(via: Via, selections: Selections) -> Commands {
        Commands {
            command: None,
            via,
            is_reading: false,
            selections,
            moved_at: None,
        }
    }

    /// The events that switch the relays, as last read.
    pub(super) fn known(&self) -> &RelayEvents {
        self.selections.known()
    }

    /// The same for the task that follows, and the command that is under way.
    pub(super) fn into_parts(self) -> (RelayEvents, Option<Box<Command>>) {
        (self.selections.into_known(), self.command)
    }

    /// Whether no command is under way, so that another can come.
    pub(super) fn is_free(&self) -> bool {
        self.command.is_none()
    }

    /// Whether what is asked now leaves REST to polls: there is one conversation at a time.
    pub(super) fn leaves_rest(&self) -> bool {
        let is_selecting = self.command.as_deref().is_some_and(Command::is_selecting);
        self.via == Via::Snmp || !(self.is_reading || is_selecting)
    }

    /// What was known may not hold any more.
    pub(super) fn mark_stale(&mut self) {
        self.selections.mark_stale();
    }

    /// A command has come that is for the device.
    pub(super) fn begin(
        &mut self,
        job: Job,
        published: &Published,
        answering: &Answering,
        turn: &mut Turn,
    ) -> Option<Reply> {
        let now = turn.now.instant;
        self.command = Some(Box::new(Command::new(job, now)));
        let is_held_up = answering.is_left_alone(now) && !self.can_go_on_over_snmp(published);
        match published.problem().filter(|_| is_held_up) {
            Some(problem) => self.hold_up(problem.error.clone(), published.is_offline()),
            None => {
                turn.poll_at(now);
                None
            }
        }
    }

    /// A poll has failed.
    pub(super) fn hold_up(&mut self, report: ErrorReport, is_offline: bool) -> Option<Reply> {
        let answer = self.command.as_mut()?.poll_failed(report, is_offline);
        self.ended_by(answer)
    }

    /// Whether what there is to do now can be done without REST, with what is known over SNMP.
    pub(super) fn can_go_on_over_snmp(&self, published: &Published) -> bool {
        let is_about_events = self.command.as_deref().is_none_or(Command::is_selection);
        published.is_over_snmp && self.via == Via::Snmp && is_about_events
    }

    /// When the command is given up. An attempt to select events ends at the deadline by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let command = self.command.as_ref().filter(|command| !command.is_selecting())?;
        Some(command.job.deadline)
    }

    /// Gives the command up, if its deadline is over.
    pub(super) fn give_up(&mut self, turn: &mut Turn) -> Option<Reply> {
        self.deadline().filter(|deadline| *deadline <= turn.now.instant)?;
        let mut command = self.command.take()?;
        if command.may_have_written() {
            self.selections.mark_stale();
            turn.poll_at(turn.now.instant);
        }
        let report = command.given_up();
        Some((command.job.answer, Err(report)))
    }

    /// Carries out the command that waits, after a poll that began then, or else reads what switches the relays.
    pub(super) fn ask_more(
        &mut self,
        began: Instant,
        published: &Published,
        polled_at: Option<Timestamp>,
        turn: &mut Turn,
    ) -> Option<Reply> {
        let snapshot = published.snapshot.as_ref()?;
        let Some(command) = &mut self.command else {
            if self.is_due(snapshot, turn.now.instant) {
                self.read(snapshot, turn);
            }
            return None;
        };
        if !command.is_ready(began) {
            return None;
        }
        let DeviceCommand::RelayEvents { slot, relay, change } = command.job.command.clone() else {
            command.attempt();
            self.read(snapshot, turn);
            return match self.is_reading && self.via == Via::Rest {
                true => None,
                false => self.refreshed(polled_at, turn),
            };
        };
        command.attempt();
        // What is being read would be of before.
        self.is_reading = false;
        let request = Request {
            place: RelayPlace { slot, relay },
            change,
            view: Arc::clone(&published.view),
            deadline: command.job.deadline,
            is_repeated: command.job.attempt > 1,
            allow_unverified_writes: turn.settings.allow_unverified_writes,
            selections: self.selections.clone(),
        };
        let selection = Box::new((request, command.progress.clone()));
        turn.push(Effect::Select(snapshot.api_major(), selection));
        None
    }

    /// When to poll for the command that waits, or for relays that may have moved, after a poll that began then.
    pub(super) fn poll_at(&mut self, began: Instant, now: Instant) -> Option<Instant> {
        self.moved_at = self.moved_at.filter(|moved| *moved > began);
        if self.moved_at.is_some() {
            return Some(now);
        }
        let command = self.command.as_ref().filter(|command| !command.is_attempted())?;
        Some(match command.is_ready(began) {
            true => now + RETRY_PAUSE,
            false => now,
        })
    }

    /// Whether to read what switches the relays before the first answer of the device is published. Over SNMP it takes
    /// a way, and perhaps a time, of its own.
    pub(super) fn is_due_first(&self, snapshot: &Snapshot, now: Instant) -> bool {
        self.via == Via::Rest && self.is_due(snapshot, now)
    }

    fn is_due(&self, snapshot: &Snapshot, now: Instant) -> bool {
        !self.is_reading && self.selections.is_due(snapshot, now)
    }

    /// Reads what switches the relays, where anything can.
    pub(super) fn read(&mut self, snapshot: &Snapshot, turn: &mut Turn) {
        if self.selections.is_empty() {
            return;
        }
        self.selections.begin_reading(snapshot, turn.now.instant);
        self.is_reading = true;
        turn.push(Effect::ReadSelections(
            snapshot.api_major(),
            self.selections.clone(),
        ));
    }

    /// What switches the relays was read, or could not be.
    pub(super) fn read_ended(&mut self, read: Result<Found, ErrorReport>, turn: &mut Turn) {
        self.is_reading = false;
        let report = match read {
            Ok(found) => return self.selections.learn(found),
            Err(report) => report,
        };
        if self
            .selections
            .read_failed(turn.settings.repeat, turn.now.instant)
        {
            let url = report.url.as_deref().unwrap_or_default();
            tracing::warn!(
                kind = %report.kind, url, remedy = report.remedy,
                "cannot read which events switch the relays: {}", report.message
            );
            let operation = match self.via {
                Via::Rest => Operation::RelayEvents,
                Via::Snmp => Operation::SnmpGet,
            };
            turn.dead_letter(operation, report);
        }
    }

    /// A poll that was commanded has ended, with what goes with it, if one was.
    pub(super) fn refreshed(&mut self, polled_at: Option<Timestamp>, turn: &Turn) -> Option<Reply> {
        let is_refresh = |command: &mut Box<Command>| command.is_attempted() && !command.is_selection();
        let command = self.command.take_if(is_refresh)?;
        let polled_at = polled_at.unwrap_or(turn.now.wall);
        Some((command.job.answer, Ok(Outcome::Refresh { polled_at })))
    }

    /// An attempt to select events has ended.
    pub(super) fn selected(&mut self, ended: Result<Selected, Failure>, turn: &mut Turn) -> Option<Reply> {
        let now = turn.now.instant;
        let command = self.command.as_mut()?;
        let progress = command.progress.borrow().clone();
        let (result, found) = match ended {
            Ok(Selected { outcome, found }) => (Ok(outcome), Some(found)),
            Err(failure) => (Err(failure), None),
        };
        self.selections.ended(&progress, found);
        turn.push(progress.applying().cloned().map(Effect::AwaitApply));
        let answer = command.attempted(result);
        match &answer {
            None => turn.poll_at(now + RETRY_PAUSE),
            Some(_) if progress.has_written() => self.moved(turn),
            Some(_) => {}
        }
        self.ended_by(answer)
    }

    /// A command to apply that nobody waits for any more has been answered: relays may have moved.
    pub(super) fn applied(&mut self, is_applied: bool, turn: &mut Turn) {
        self.selections.apply_answered(is_applied);
        self.moved(turn);
    }

    /// Relays may have moved: the next poll shows it.
    fn moved(&mut self, turn: &mut Turn) {
        self.moved_at = Some(turn.now.instant);
        turn.poll_at(turn.now.instant);
    }

    /// With its answer a command is over.
    fn ended_by(&mut self, answer: Option<Result<Outcome, ErrorReport>>) -> Option<Reply> {
        let answer = answer?;
        Some((self.command.take()?.job.answer, answer))
    }
}
