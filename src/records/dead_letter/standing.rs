//! Which failures of polls still stand, as an archive of dead letters tells: their end was not told yet.
//!
//! Pure. What follows of it is decided where failures are seen.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::model::{DeadLetter, DeviceId, ErrorReport, Operation};

/// A look through an archive, from the newest letter to the oldest.
#[derive(Debug, Default)]
pub struct Standing {
    /// For each device of which there is a letter about polls; `None` where the newest tells of an end.
    devices: HashMap<DeviceId, Option<DeadLetter>>,
}

impl Standing {
    /// Looks at the next older letter. One that cannot be read is passed over.
    pub fn see(&mut self, json: &[u8]) {
        let Some((device, letter)) = serde_json::from_slice(json).ok().and_then(Archived::read) else {
            return;
        };
        match self.devices.get_mut(&device) {
            None => {
                let newest = Some(letter).filter(|letter| !letter.recovered);
                self.devices.insert(device, newest);
            }
            // An older letter about the same failure: the last of them is the first.
            Some(Some(newest)) if newest.first_at == letter.first_at => newest.id = letter.id,
            Some(_) => {}
        }
    }

    /// The failures that stand, each as it was told last, with the id of the letter that told it first.
    pub fn failures(self) -> Vec<DeadLetter> {
        self.devices.into_values().flatten().collect()
    }
}

/// What is read of a letter about a device's polls.
#[derive(Deserialize)]
struct Archived {
    id: Uuid,
    at: String,
    device: String,
    operation: Operation,
    error: ErrorReport,
    attempts: u32,
    first_at: String,
    repeats: Option<u64>,
    #[serde(default)]
    recovered: bool,
}

impl Archived {
    fn read(self) -> Option<(DeviceId, DeadLetter)> {
        if !matches!(self.operation, Operation::Poll | Operation::Token) {
            return None;
        }
        let device = DeviceId::new(&self.device)?;
        let time = |text: &str| text.parse::<Timestamp>().ok();
        let letter = DeadLetter {
            id: self.id,
            at: time(&self.at)?,
            device: Some(device.clone()),
            slot: None,
            operation: self.operation,
            error: self.error,
            attempts: self.attempts,
            first_at: time(&self.first_at)?,
            repeats: self.repeats,
            recovered: self.recovered,
            origin: None,
        };
        Some((device, letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ErrorKind;
    use crate::records::dead_letter;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A letter about a failure that began at that second.
    fn letter(device: &str, second: i64, begun: i64) -> DeadLetter {
        let mut error = ErrorReport::new(ErrorKind::HttpStatus, "the device answered 503", "wait");
        error.http_status = Some(503);
        error.url = Some("https://10.0.0.7/api/status".to_owned());
        DeadLetter {
            device: DeviceId::new(device),
            first_at: at(begun),
            ..dead_letter::new(Operation::Poll, error, at(second))
        }
    }

    fn repeated(letter: DeadLetter, repeats: u64) -> DeadLetter {
        DeadLetter {
            repeats: Some(repeats),
            ..letter
        }
    }

    /// What stands after these letters, the oldest first.
    fn standing(letters: &[&DeadLetter]) -> Vec<DeadLetter> {
        let bridge = DeviceId::new("test").unwrap();
        let mut standing = Standing::default();
        for letter in letters.iter().rev() {
            standing.see(&dead_letter::record(letter, &bridge).payload);
        }
        let mut failures = standing.failures();
        failures.sort_by(|a, b| a.device.cmp(&b.device));
        failures
    }

    #[test]
    fn what_was_told_and_not_ended_stands_by_the_id_of_its_first_letter() {
        let earlier = letter("a", 10, 10);
        let first = letter("a", 100, 100);
        let again = repeated(letter("a", 1000, 100), 61);
        let other = letter("b", 500, 500);
        let expected = [
            DeadLetter {
                id: first.id,
                ..again.clone()
            },
            other.clone(),
        ];
        assert_eq!(standing(&[&earlier, &first, &other, &again]), expected);
        assert_eq!(standing(&[&again]), [again], "the first one has left the archive");
    }

    #[test]
    fn what_has_ended_does_not_stand() {
        let first = letter("a", 100, 100);
        let end = DeadLetter {
            recovered: true,
            ..repeated(letter("a", 300, 100), 12)
        };
        assert_eq!(standing(&[&first, &end]), []);
        let next = letter("a", 400, 400);
        assert_eq!(standing(&[&first, &end, &next]), [next]);
    }

    #[test]
    fn only_letters_about_polls_count() {
        let first = DeadLetter {
            operation: Operation::Token,
            ..letter("a", 100, 100)
        };
        let command = DeadLetter {
            operation: Operation::RelayEvents,
            ..letter("a", 200, 200)
        };
        let none = DeadLetter {
            device: None,
            ..letter("a", 300, 300)
        };
        assert_eq!(standing(&[&first, &command, &none]), [first]);
        let mut standing = Standing::default();
        standing.see(b"no letter");
        assert_eq!(standing.failures(), []);
    }
}
