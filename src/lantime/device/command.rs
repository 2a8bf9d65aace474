//! A command to one device: how far it is, when it is given up, and in which words. Pure.
//!
//! A device that is offline is waited for until the deadline. A command that could not be brought to its end for
//! a transient reason is retried from its beginning: each is safe to repeat.

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::lantime::relay_events::{Failure, Progress};
use crate::model::{DeviceCommand, ErrorKind, ErrorReport, Outcome};

/// A command for the device task.
#[derive(Debug)]
pub struct Job {
    /// What to do.
    pub command: DeviceCommand,
    /// Which attempt at this command it is, earlier runs of this program counted: from 1.
    pub attempt: u32,
    /// When it is given up.
    pub deadline: Instant,
    /// Whether it is answered as soon as the device is offline.
    pub fail_fast: bool,
    /// Gets what came of it. Dropped without an answer when the task ends before: then it may be given again.
    pub answer: oneshot::Sender<Result<Outcome, ErrorReport>>,
}

/// What came of a command, and who gets it.
pub(super) type Reply = (oneshot::Sender<Answer>, Answer);
type Answer = Result<Outcome, ErrorReport>;

/// A command that is under way.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) job: Job,
    /// When it came: a poll that began before says nothing for it.
    came: Instant,
    stage: Stage,
    /// How far its change has come at the device.
    pub(super) progress: watch::Sender<Progress>,
    /// Why it could not be brought to its end yet.
    held_up_by: Option<ErrorReport>,
}

/// What a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A poll that succeeds.
    Poll,
    /// The end of an attempt.
    Attempt,
}

/// The device is offline, and a command is not to wait for that.
pub fn not_waited_for(mut report: ErrorReport) -> ErrorReport {
    report.message = format!(
        "the device is offline, and this command does not wait (fail_fast), nothing was changed: {}",
        report.message
    );
    report
}

impl Command {
    pub(super) fn new(job: Job, now: Instant) -> Command {
        Command {
            job,
            came: now,
            stage: Stage::Poll,
            progress: watch::Sender::default(),
            held_up_by: None,
        }
    }

    /// Whether something may have been written to the device for it, by this attempt or an earlier one.
    pub(super) fn may_have_written(&self) -> bool {
        self.progress.borrow().has_written() || self.job.attempt > 1
    }

    /// Whether it is about the events of a relay.
    pub(super) fn is_selection(&self) -> bool {
        matches!(self.job.command, DeviceCommand::RelayEvents { .. })
    }

    /// Whether an attempt to select events is under way.
    pub(super) fn is_selecting(&self) -> bool {
        self.is_attempted() && self.is_selection()
    }

    /// Whether an attempt is under way.
    pub(super) fn is_attempted(&self) -> bool {
        self.stage == Stage::Attempt
    }

    /// Whether it can be attempted after a poll that began then.
    pub(super) fn is_ready(&self, began: Instant) -> bool {
        !self.is_attempted() && self.came <= began
    }

    /// An attempt begins.
    pub(super) fn attempt(&mut self) {
        self.stage = Stage::Attempt;
    }

    /// An attempt has ended so. Gives the answer, where it is the last one.
    pub(super) fn attempted(&mut self, result: Result<Outcome, Failure>) -> Option<Answer> {
        self.stage = Stage::Poll;
        Some(match result {
            Ok(outcome) => Ok(outcome),
            Err(Failure { report, is_final, .. }) if is_final => Err(report),
            Err(Failure { report, .. }) if report.kind.is_passing() => {
                self.held_up_by = Some(report);
                return None;
            }
            Err(Failure { mut report, .. }) => {
                if self.may_have_written() && report.kind != ErrorKind::Conflict {
                    report.message +=
                        "; the change was sent to the device before, and may be pending there or in force";
                }
                Err(report)
            }
        })
    }

    /// A poll has failed, and the device may be offline by now. The command waits on, but not for a login that is refused.
    pub(super) fn poll_failed(&mut self, report: ErrorReport, is_offline: bool) -> Option<Answer> {
        if self.is_attempted() {
            return None;
        }
        if is_offline && self.job.fail_fast && !self.may_have_written() {
            return Some(Err(not_waited_for(report)));
        }
        // What is in force by SNMP is not up to the login of REST.
        if report.kind.is_refusal() && !matches!(*self.progress.borrow(), Progress::Applied(_)) {
            return Some(Err(report));
        }
        self.held_up_by = Some(report);
        None
    }

    /// Why it is given up at its deadline.
    pub(super) fn given_up(&mut self) -> ErrorReport {
        let may_have_written = self.may_have_written();
        let mut report = self.held_up_by.take().unwrap_or_else(|| {
            let remedy = "check that the device is up and reachable, and send the command again";
            ErrorReport::new(ErrorKind::Timeout, "the device gave no answer", remedy)
        });
        report.message = match may_have_written {
            false => format!(
                "given up at the deadline, nothing was changed: {}",
                report.message
            ),
            true => format!(
                "given up at the deadline, when the change may have been sent: whether it is in force is not known: {}",
                report.message
            ),
        };
        report
    }
}
