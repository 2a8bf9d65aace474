//! The incidents of a store that an earlier version has written, which kept none: its archive of dead letters shows which
//! polls failed when it was closed. Looked through once, when the table is made.

use std::collections::HashMap;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable};
use serde::Deserialize;
use uuid::Uuid;

use super::tables::ARCHIVE;
use crate::model::{DeviceId, ErrorReport, Incident, IncidentKey, IncidentKind, Operation};

/// The incidents that the archive shows.
pub(super) fn of_archive(transaction: &ReadTransaction) -> Result<Vec<Incident>, redb::Error> {
    let mut look = Look::default();
    for entry in transaction.open_table(ARCHIVE)?.iter()?.rev() {
        look.see(entry?.1.value().1);
    }
    Ok(look.open())
}

/// A look through an archive, from the newest dead letter to the oldest.
#[derive(Debug, Default)]
struct Look {
    /// For each device of which there is a dead letter about polls; `None` where the newest reports an end.
    devices: HashMap<DeviceId, Option<Incident>>,
}

impl Look {
    /// Looks at the next older dead letter. One that cannot be read is passed over.
    fn see(&mut self, json: &[u8]) {
        let archived = serde_json::from_slice::<Archived>(json).ok();
        let Some((device, is_over, found)) = archived.and_then(Archived::read) else {
            return;
        };
        match self.devices.get_mut(&device) {
            None => {
                self.devices.insert(device, Some(found).filter(|_| !is_over));
            }
            // An older dead letter about the same failure: the last of them is the first.
            Some(Some(newest)) if newest.first_at == found.first_at => newest.id = found.id,
            Some(_) => {}
        }
    }

    /// The failures without an end, each as it was reported last, with the id of the dead letter that reported it first.
    fn open(self) -> Vec<Incident> {
        self.devices.into_values().flatten().collect()
    }
}

/// What is read of a dead letter about a device's polls.
#[derive(Deserialize)]
struct Archived {
    id: Uuid,
    at: String,
    device: String,
    operation: Operation,
    error: ErrorReport,
    first_at: String,
    repeats: Option<u64>,
    #[serde(default)]
    recovered: bool,
}

impl Archived {
    /// The device, whether the failure is over, and the failure.
    fn read(self) -> Option<(DeviceId, bool, Incident)> {
        if !matches!(self.operation, Operation::Poll | Operation::Token) {
            return None;
        }
        let device = DeviceId::new(&self.device)?;
        let time = |text: &str| text.parse::<Timestamp>().ok();
        let incident = Incident {
            key: IncidentKey::of_device(IncidentKind::Poll, &device),
            id: self.id,
            operation: self.operation,
            error: self.error,
            first_at: time(&self.first_at)?,
            reported_at: time(&self.at)?,
            count: self.repeats.unwrap_or(1),
        };
        Some((device, self.recovered, incident))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeadLetter, ErrorKind};
    use crate::records::dead_letter;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A dead letter about a failure that began at that second.
    fn dead_letter(device: &str, second: i64, begun: i64) -> DeadLetter {
        let mut error = ErrorReport::new(ErrorKind::HttpStatus, "the device answered 503", "wait");
        error.http_status = Some(503);
        error.url = Some("https://10.0.0.7/api/status".to_owned());
        DeadLetter {
            device: DeviceId::new(device),
            first_at: at(begun),
            ..dead_letter::new(Operation::Poll, error, at(second))
        }
    }

    fn repeated(dead_letter: DeadLetter, repeats: u64) -> DeadLetter {
        DeadLetter {
            repeats: Some(repeats),
            ..dead_letter
        }
    }

    /// What is open after these, the oldest first.
    fn open(dead_letters: &[&DeadLetter]) -> Vec<Incident> {
        let bridge = DeviceId::new("test").unwrap();
        let mut look = Look::default();
        for dead_letter in dead_letters.iter().rev() {
            look.see(&dead_letter::record(dead_letter, &bridge).payload);
        }
        let mut open = look.open();
        open.sort_by(|a, b| a.key.cmp(&b.key));
        open
    }

    /// The incident that `last` reports, which began with the dead letter of that id.
    fn incident(first: &DeadLetter, last: &DeadLetter) -> Incident {
        Incident {
            key: IncidentKey::of_device(IncidentKind::Poll, last.device.as_ref().unwrap()),
            id: first.id,
            operation: last.operation,
            error: last.error.clone(),
            first_at: last.first_at,
            reported_at: last.at,
            count: last.repeats.unwrap_or(1),
        }
    }

    #[test]
    fn what_was_reported_and_is_not_over_is_open_by_the_id_of_its_first_dead_letter() {
        let earlier = dead_letter("a", 10, 10);
        let first = dead_letter("a", 100, 100);
        let again = repeated(dead_letter("a", 1000, 100), 61);
        let other = dead_letter("b", 500, 500);
        let expected = [incident(&first, &again), incident(&other, &other)];
        assert_eq!(open(&[&earlier, &first, &other, &again]), expected);
        let expected = [incident(&again, &again)];
        assert_eq!(open(&[&again]), expected, "the first one has left the archive");
    }

    #[test]
    fn what_is_over_is_not_open() {
        let first = dead_letter("a", 100, 100);
        let end = DeadLetter {
            recovered: true,
            ..repeated(dead_letter("a", 300, 100), 12)
        };
        assert_eq!(open(&[&first, &end]), []);
        let next = dead_letter("a", 400, 400);
        assert_eq!(open(&[&first, &end, &next]), [incident(&next, &next)]);
    }

    #[test]
    fn only_dead_letters_about_polls_count() {
        let first = DeadLetter {
            operation: Operation::Token,
            ..dead_letter("a", 100, 100)
        };
        let command = DeadLetter {
            operation: Operation::RelayEvents,
            ..dead_letter("a", 200, 200)
        };
        let none = DeadLetter {
            device: None,
            ..dead_letter("a", 300, 300)
        };
        assert_eq!(open(&[&first, &command, &none]), [incident(&first, &first)]);
        let mut look = Look::default();
        look.see(b"no dead letter");
        assert_eq!(look.open(), []);
    }
}
