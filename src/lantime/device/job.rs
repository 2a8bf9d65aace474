//! Commands to one device: begun, tried after each poll that succeeds, answered, given up at their deadline.
//!
//! A device that is away is waited for until the deadline. A command that could not be brought to its end for
//! a passing reason is tried again from its beginning: each is safe to repeat.

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::relay_events::Ended;
use super::{DeviceTask, Gone};
use crate::lantime::relay_events::{Failure, Progress, too_late};
use crate::model::{Availability, DeviceCommand, ErrorKind, ErrorReport, Outcome, RelayPlace, Via};

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

/// A command that is under way.
#[derive(Debug)]
pub(super) struct Waiting {
    job: Job,
    /// How far it has come at the device.
    pub(super) progress: watch::Sender<Progress>,
    /// Why it could not be brought to its end yet.
    held_up_by: Option<ErrorReport>,
    result: Option<Result<Outcome, ErrorReport>>,
}

impl Waiting {
    pub(super) fn deadline(&self) -> Instant {
        self.job.deadline
    }

    /// Whether it was begun before, by an earlier task or run of this program.
    pub(super) fn is_repeated(&self) -> bool {
        self.job.attempt > 1
    }

    /// Whether something may have been written to the device for it, by this attempt or an earlier one.
    fn may_have_written(&self) -> bool {
        self.progress.borrow().has_written() || self.is_repeated()
    }

    /// What came of a try; what passes is tried again.
    fn tried(&mut self, result: Result<Outcome, Failure>) {
        self.result = Some(match result {
            Ok(outcome) => Ok(outcome),
            Err(Failure { report, is_final, .. }) if is_final => Err(report),
            Err(Failure { report, .. }) if report.kind.is_passing() => {
                self.held_up_by = Some(report);
                return;
            }
            Err(Failure { mut report, .. }) => {
                if self.may_have_written() && report.kind != ErrorKind::Conflict {
                    report.message +=
                        "; the change was sent to the device before, and may be pending there or in force";
                }
                Err(report)
            }
        });
    }

    fn answer(self, result: Result<Outcome, ErrorReport>) {
        // Who asked may have gone.
        let _ = self.job.answer.send(result);
    }
}

/// The device is offline, and a command is not to wait for that.
pub fn not_waited_for(mut report: ErrorReport) -> ErrorReport {
    report.message = format!(
        "the device is offline, and this command does not wait (fail_fast), nothing was changed: {}",
        report.message
    );
    report
}

impl DeviceTask {
    /// Takes a command; says whether it needs a poll now.
    pub(super) async fn begin(&mut self, job: Job) -> Result<bool, Gone> {
        if let DeviceCommand::HttpSessions { enabled, max_count } = job.command {
            self.http.log(self.client.take_sessions());
            let outcome = self.http.configure(enabled, max_count);
            if let Some(update) = self.http.changed_log(&self.id) {
                self.send(update).await?;
            }
            let _ = job.answer.send(Ok(outcome));
            return Ok(false);
        }
        let is_left_alone = self.is_left_alone();
        self.waiting = Some(Waiting {
            job,
            progress: watch::Sender::default(),
            held_up_by: None,
            result: None,
        });
        if is_left_alone
            && !self.can_go_on_over_snmp()
            && let Some(problem) = &self.view.problem
        {
            let report = problem.error.clone();
            self.poll_failed(report);
            return Ok(false);
        }
        Ok(true)
    }

    /// A command waits on while the device is away, but not for a login that is refused.
    pub(super) fn poll_failed(&mut self, report: ErrorReport) {
        let is_offline = self.view.availability == Some(Availability::Offline);
        let is_selecting = self.is_selecting();
        match &mut self.waiting {
            // What goes on over SNMP is not up to REST.
            Some(waiting) if is_selecting || matches!(*waiting.progress.borrow(), Progress::Applied(_)) => {
                waiting.held_up_by = Some(report);
            }
            Some(waiting) if is_offline && waiting.job.fail_fast && !waiting.may_have_written() => {
                self.answer(Err(not_waited_for(report)));
            }
            Some(waiting) if !report.kind.is_refusal() => waiting.held_up_by = Some(report),
            Some(_) => self.answer(Err(report)),
            None => {}
        }
    }

    /// Whether what there is to do now can be done without REST, with what is known over SNMP.
    pub(super) fn can_go_on_over_snmp(&self) -> bool {
        let is_known = self.is_over_snmp;
        let is_about_events =
            |waiting: &Waiting| matches!(waiting.job.command, DeviceCommand::RelayEvents { .. });
        is_known && self.over_snmp.is_some() && self.waiting.as_ref().is_none_or(is_about_events)
    }

    /// Whether a poll that succeeded is to be followed by more requests.
    pub(super) fn has_more_to_ask(&self) -> bool {
        let is_due = |snapshot| self.selections.is_due(snapshot, Instant::now());
        match &self.waiting {
            Some(_) => !self.is_selecting(),
            None => self.snapshot.as_ref().is_some_and(is_due),
        }
    }

    /// Carries out the command that waits, or else asks what switches the relays. Says whether it has come to its
    /// end with something written to the device: then relays may have moved.
    pub(super) async fn ask_more(&mut self) -> bool {
        let Some(snapshot) = self.snapshot.clone() else {
            return false;
        };
        let Some(waiting) = &self.waiting else {
            self.read_events(&snapshot).await;
            return false;
        };
        let result = match waiting.job.command.clone() {
            DeviceCommand::RelayEvents { slot, relay, change } => {
                let place = RelayPlace { slot, relay };
                self.select_events(&snapshot, place, change).await
            }
            // The latter was answered when it came.
            DeviceCommand::Refresh | DeviceCommand::HttpSessions { .. } => {
                self.read_events(&snapshot).await;
                Some(Ok(Outcome::Refresh {
                    polled_at: self.http.last_success().unwrap_or_else(Timestamp::now),
                }))
            }
        };
        result.is_some_and(|result| self.tried(result))
    }

    /// What came of a try at the command that waits. Says whether it has come to its end with something written to the
    /// device.
    fn tried(&mut self, result: Result<Outcome, Failure>) -> bool {
        self.waiting.as_mut().is_some_and(|waiting| {
            waiting.tried(result);
            waiting.result.is_some() && waiting.progress.borrow().has_written()
        })
    }

    /// What went on over SNMP beside the polls has come to its end. Says whether relays may have moved.
    pub(super) fn beside_ended(&mut self, ended: Ended) -> bool {
        match ended {
            Ended::Read(read) => {
                self.reading_ended(read);
                false
            }
            Ended::Selected(selected) => {
                let result = self.select_ended(selected);
                self.tried(result)
            }
            Ended::Applied(is_applied) => {
                self.selections.apply_answered(is_applied);
                true
            }
        }
    }

    pub(super) fn answer_if_done(&mut self) {
        let result = self.waiting.as_mut().and_then(|waiting| waiting.result.take());
        if let Some(result) = result {
            self.answer(result);
        }
    }

    /// The deadline of the command that waits is over. Says whether it is to be seen at once what came of it.
    pub(super) fn give_up(&mut self) -> bool {
        let is_selecting = self.is_selecting();
        self.leave(None);
        let Some(waiting) = &mut self.waiting else {
            return false;
        };
        if is_selecting {
            waiting.held_up_by = Some(too_late(&waiting.progress.borrow(), Via::Snmp));
        }
        let (held_up_by, may_have_written) = (waiting.held_up_by.take(), waiting.may_have_written());
        let mut report = held_up_by.unwrap_or_else(|| {
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
        self.answer(Err(report));
        if may_have_written {
            self.selections.mark_stale();
        }
        may_have_written
    }

    fn answer(&mut self, result: Result<Outcome, ErrorReport>) {
        if let Some(waiting) = self.waiting.take() {
            waiting.answer(result);
        }
    }
}
