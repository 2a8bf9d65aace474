//! What is reported of a device whose task has failed.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Devices;
use crate::incidents::{Incidents, Seen};
use crate::lantime::device::Prior;
use crate::model::{
    Availability, DeviceId, DeviceView, ErrorKind, ErrorReport, Incident, IncidentKey, IncidentKind,
    IncidentReport, Operation, Problem, Stage, Transition, Update, diff,
};

impl Devices {
    /// Reports that a device's task has failed, and gives what is known of the device from now on. Its outage gets a record, unless
    /// the device was offline.
    pub(super) fn report_fault(&mut self, id: &DeviceId, was_offline: bool) -> Prior {
        // What it has published is not known any more, so none of it may stay. Nobody waits here for room in the channel: a
        // task of its own does, and the device begins only some seconds later.
        let sender = self.updates.clone();
        let Ok(room) = sender.try_reserve_many(3) else {
            let (updates, device) = (sender.clone(), id.clone());
            tokio::spawn(async move { updates.send(Update::Forgotten { device }).await });
            return Prior::default();
        };
        let (report, incidents) = self.fault(id);
        let Incident {
            id: first,
            operation,
            error,
            first_at,
            ..
        } = report.incident.clone();
        let problem = Problem {
            id: first,
            operation,
            error,
            first_at,
        };
        let view = DeviceView {
            availability: Some(Availability::Offline),
            problem: Some(problem),
            ..DeviceView::default()
        };
        let changes = diff(&DeviceView::default(), &view);
        let outage = (!was_offline).then_some(Transition::Availability {
            old: None,
            new: Availability::Offline,
            error: Some(ErrorKind::Internal),
            taken_over: false,
            not_observed_since: None,
        });
        let view = Arc::new(view);
        let updates = [
            Update::Forgotten { device: id.clone() },
            Update::Device {
                device: id.clone(),
                view: Arc::clone(&view),
                changes,
                // What is shown from now on is a first sight.
                transitions: outage.into_iter().collect(),
                recorded: None,
            },
            Update::Incident(Box::new(report)),
        ];
        room.zip(updates).for_each(|(room, update)| room.send(update));
        Prior {
            view,
            incidents,
            ..Prior::default()
        }
    }

    /// That a device's task has failed, as one of the incidents of the task that follows. Within `repeat` it is the one
    /// that was reported before.
    fn fault(&mut self, id: &DeviceId) -> (IncidentReport, Incidents) {
        let (at, now) = (Timestamp::now(), Instant::now());
        let mut incidents = Incidents::new(self.repeat);
        let is_recent = |(reported, _): &&(Instant, Incident)| reported.elapsed() < self.repeat;
        if let Some((_, incident)) = self.faults.get(id).filter(is_recent) {
            incidents.resume(incident.clone(), at, now);
            let report = IncidentReport {
                incident: incident.clone(),
                stage: Stage::Resumed,
                repeats: None,
            };
            return (report, incidents);
        }
        let key = IncidentKey::of_device(IncidentKind::Poll, id);
        let report = incidents.begin(key, Seen::once(Operation::Poll, task_failed()), at, now);
        self.faults.insert(id.clone(), (now, report.incident.clone()));
        (report, incidents)
    }
}

fn task_failed() -> ErrorReport {
    ErrorReport::new(
        ErrorKind::Internal,
        "the bridge's own task for this device has failed",
        "it is started again after some seconds; please report what the bridge's log says of it",
    )
}
