//! What is told of a device whose task has failed.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Devices;
use crate::lantime::device::Known;
use crate::lantime::letters::PollLetters;
use crate::model::{
    Availability, DeadLetter, DeviceId, DeviceView, ErrorKind, ErrorReport, Operation, Problem, Update, diff,
};
use crate::records::dead_letter;

impl Devices {
    /// Tells that a device's task has failed, and gives what is known of the device from now on.
    pub(super) fn tell_fault(&mut self, id: &DeviceId) -> Known {
        // What it has published is not known any more, so none of it may stay. Without room for that in the
        // channel it stays until the device answers: the lesser evil than to wait here.
        let Ok(room) = self.updates.try_reserve_many(3) else {
            return Known::default();
        };
        let (now, told_at) = (Timestamp::now(), Instant::now());
        let is_told = |(at, _): &&(Instant, DeadLetter)| at.elapsed() < self.repeat_letters;
        let told = self
            .faults
            .get(id)
            .filter(is_told)
            .map(|(_, letter)| letter.clone());
        let is_new = told.is_none();
        let letter = told.unwrap_or_else(|| fault(id, now));
        if is_new {
            self.faults.insert(id.clone(), (told_at, letter.clone()));
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
        let told = is_new.then(|| Update::DeadLetter(Box::new(letter.clone())));
        let updates = [
            Update::Forgotten { device: id.clone() },
            Update::Device {
                device,
                view: Arc::clone(&view),
                changes,
            },
        ];
        room.zip(updates.into_iter().chain(told))
            .for_each(|(room, update)| room.send(update));
        Known {
            view,
            letters: PollLetters::standing(letter, self.repeat_letters, now, told_at),
            ..Known::default()
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
