//! The events that switch the relays of a device, read and selected by its task: over REST between the polls, over SNMP
//! beside them, since an agent may be silent, and may take two minutes to apply a change.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::DeviceTask;
use crate::config::{DeviceSnmp, EventsWay};
use crate::lantime::relay_events::{
    Applying, Backend, Failure, Found, Progress, Request, Selected, read, select,
};
use crate::lantime::snmp::manager::Manager;
use crate::model::{ErrorReport, EventsChange, Operation, Outcome, RelayPlace, Snapshot};

/// What goes on over SNMP beside the polls.
#[derive(Debug)]
pub(super) struct OverSnmp {
    manager: Manager,
    /// One at a time: what a reading would find is of before a command that begins.
    running: Option<AbortOnDropHandle<(Manager, Ended)>>,
    is_selecting: bool,
    /// A command to apply that no command from outside waits for any more.
    applying: Option<Applying>,
}

/// Something that went on beside the polls has come to its end.
#[derive(Debug)]
pub(super) enum Ended {
    Read(Result<Found, ErrorReport>),
    Selected(Result<Selected, Failure>),
    /// Whether the device says that it has applied what was given up.
    Applied(bool),
}

impl OverSnmp {
    /// `None` where the events are selected over REST. `applying` is what the task before has begun.
    pub(super) fn new(device: &DeviceSnmp, applying: Option<Applying>) -> Option<OverSnmp> {
        let manager = match device.events {
            EventsWay::Rest => None,
            EventsWay::Snmp | EventsWay::Auto => Manager::new(device),
        };
        Some(OverSnmp {
            manager: manager?,
            running: None,
            is_selecting: false,
            applying,
        })
    }

    fn begin<F>(&mut self, is_selecting: bool, work: impl FnOnce(Manager) -> F)
    where
        F: Future<Output = (Manager, Ended)> + Send + 'static,
    {
        self.is_selecting = is_selecting;
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(work(self.manager.clone()))));
    }

    fn stop(&mut self) {
        self.running = None;
        self.is_selecting = false;
    }
}

/// Waits for the end of what goes on beside the polls.
pub(super) async fn ended(over_snmp: &mut Option<OverSnmp>) -> Ended {
    let Some(over_snmp) = over_snmp else {
        return pending().await;
    };
    if let Some(running) = &mut over_snmp.running {
        let (manager, ended) = running
            .await
            .unwrap_or_else(|error| resume_unwind(error.into_panic()));
        over_snmp.manager = manager;
        over_snmp.stop();
        return ended;
    }
    let Some(applying) = &mut over_snmp.applying else {
        return pending().await;
    };
    let answer = applying.answer().await;
    over_snmp.applying = None;
    Ended::Applied(answer.is_ok())
}

impl DeviceTask {
    /// Whether a command is being carried out beside the polls.
    pub(super) fn is_selecting(&self) -> bool {
        let over_snmp = self.over_snmp.as_ref();
        over_snmp.is_some_and(|over_snmp| over_snmp.is_selecting)
    }

    /// A command to apply that the device has not answered, for the task that follows.
    pub(super) fn take_applying(&mut self) -> Option<Applying> {
        let in_flight = self.progress().applying().cloned();
        in_flight.or_else(|| self.over_snmp.take()?.applying)
    }

    /// Asks the device what switches its relays. Whatever goes wrong only means that it is not known. Over SNMP this
    /// only begins.
    pub(super) async fn read_events(&mut self, snapshot: &Snapshot) {
        if self.selections.is_empty() {
            return;
        }
        self.selections.begin_reading(snapshot, Instant::now());
        if let Some(over_snmp) = &mut self.over_snmp {
            let selections = self.selections.clone();
            return over_snmp.begin(false, async move |mut manager| {
                let found = read(&mut Backend::Snmp(&mut manager), &selections).await;
                (manager, Ended::Read(found))
            });
        }
        let profile = self.profiles.for_version(snapshot.api_major());
        let found = read(&mut Backend::Rest(&mut self.client, profile), &self.selections).await;
        self.reading_ended(found);
    }

    /// The device has said what switches its relays, or has not.
    pub(super) fn reading_ended(&mut self, found: Result<Found, ErrorReport>) {
        let report = match found {
            Ok(found) => return self.selections.learn(found),
            Err(report) => report,
        };
        if !self.selections.read_failed(self.repeat_letters, Instant::now()) {
            return;
        }
        let (kind, remedy) = (report.kind, &report.remedy);
        let url = report.url.as_deref().unwrap_or_default();
        tracing::warn!(
            device = %self.id, %kind, url, remedy,
            "which events switch the relays cannot be read: {}", report.message
        );
        let operation = match self.over_snmp {
            Some(_) => Operation::SnmpGet,
            None => Operation::RelayEvents,
        };
        self.events_letter = Some(self.letter(operation, report, Timestamp::now()));
    }

    /// Carries out a command that selects events. `None` where that has begun, over SNMP.
    pub(super) async fn select_events(
        &mut self,
        snapshot: &Snapshot,
        place: RelayPlace,
        change: EventsChange,
    ) -> Option<Result<Outcome, Failure>> {
        let waiting = self.waiting.as_ref()?;
        let progress = waiting.progress.clone();
        let request = Request {
            place,
            change,
            view: Arc::clone(&self.view),
            deadline: waiting.deadline(),
            is_repeated: waiting.is_repeated(),
            allow_unverified_writes: self.allow_unverified_writes,
            selections: self.selections.clone(),
        };
        if let Some(over_snmp) = &mut self.over_snmp {
            // At once: a deadline in the middle of an attempt hides why there was nothing to attempt.
            let check = request.check(&Backend::Snmp(&mut over_snmp.manager), &progress.borrow());
            if let Err(report) = check {
                return Some(Err(report.into()));
            }
            over_snmp.begin(true, async move |mut manager| {
                let selected = select(&mut Backend::Snmp(&mut manager), &request, &progress).await;
                (manager, Ended::Selected(selected))
            });
            return None;
        }
        let profile = self.profiles.for_version(snapshot.api_major());
        let selected = select(&mut Backend::Rest(&mut self.client, profile), &request, &progress).await;
        Some(self.select_ended(selected))
    }

    /// An attempt at a command has come to its end.
    pub(super) fn select_ended(&mut self, selected: Result<Selected, Failure>) -> Result<Outcome, Failure> {
        let (result, found) = match selected {
            Ok(Selected { outcome, found }) => (Ok(outcome), Some(found)),
            Err(failure) => (Err(failure), None),
        };
        self.leave(found);
        result
    }

    /// Notes what the command that waits leaves at the device, however it has ended.
    pub(super) fn leave(&mut self, found: Option<Found>) {
        let progress = self.progress();
        self.selections.ended(&progress, found);
        if let Some(over_snmp) = &mut self.over_snmp {
            over_snmp.stop();
            over_snmp.applying = progress.applying().cloned().or(over_snmp.applying.take());
        }
    }

    /// How far the command that waits has come at the device.
    pub(super) fn progress(&self) -> Progress {
        let waiting = self.waiting.as_ref();
        waiting.map_or_else(Progress::default, |waiting| waiting.progress.borrow().clone())
    }
}
