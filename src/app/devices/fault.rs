//! What is reported of a device whose task has failed.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Devices;
use crate::lantime::device::Prior;
use crate::lantime::poll_failures::PollFailures;
use crate::model::{
    Availability, DeadLetter, DeviceId, DeviceView, ErrorKind, ErrorReport, Operation, Problem, Update, diff,
};
use crate::records::dead_letter;

impl Devices {
    /// Reports that a device's task has failed, and gives what is known of the device from now on.
    pub(super) fn report_fault(&mut self, id: &DeviceId) -> Prior {
        // What it has published is not known any more, so none of it may stay. Nobody waits here for room in the channel: a
        // task of its own does, and the device begins only some seconds later.
        let Ok(room) = self.updates.try_reserve_many(3) else {
            let (updates, device) = (self.updates.clone(), id.clone());
            tokio::spawn(async move { updates.send(Update::Forgotten { device }).await });
            return Prior::default();
        };
        let (now, instant) = (Timestamp::now(), Instant::now());
        let is_recent = |(at, _): &&(Instant, DeadLetter)| at.elapsed() < self.repeat;
        let before = self
            .faults
            .get(id)
            .filter(is_recent)
            .map(|(_, letter)| letter.clone());
        let is_new = before.is_none();
        let letter = before.unwrap_or_else(|| fault(id, now));
        if is_new {
            self.faults.insert(id.clone(), (instant, letter.clone()));
        }
        let problem = Problem {
            id: letter.id,
            operation: letter.operation,
            error: letter.error.clone(),
            first_at: letter.first_at,
        };
        let view = DeviceView {
            availability: Some(Availability::Offline),
            problem: Some(problem),
            ..DeviceView::default()
        };
        let device = id.clone();
        let changes = diff(&DeviceView::default(), &view);
        let view = Arc::new(view);
        let letter_due = is_new.then(|| Update::DeadLetter(Box::new(letter.clone())));
        let updates = [
            Update::Forgotten { device: id.clone() },
            Update::Device {
                device,
                view: Arc::clone(&view),
                changes,
                // What is shown from now on is a first sight.
                transitions: Vec::new(),
            },
        ];
        room.zip(updates.into_iter().chain(letter_due))
            .for_each(|(room, update)| room.send(update));
        Prior {
            view,
            failures: PollFailures::standing(letter, self.repeat, now, instant),
            ..Prior::default()
        }
    }
}

/// A device's task has failed.
fn fault(device: &DeviceId, at: Timestamp) -> DeadLetter {
    let error = ErrorReport::new(
        ErrorKind::Internal,
        "the bridge's own task for this device has failed",
        "it is started again after some seconds; please report what the bridge's log says of it",
    );
    DeadLetter {
        device: Some(device.clone()),
        ..dead_letter::new(Operation::Poll, error, at)
    }
}
