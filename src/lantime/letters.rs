//! When failed polls are told as dead letters: once when the failure begins, again while it lasts, and once
//! when it has been over for a while. Neither a dead nor a flapping device floods anybody.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::model::DeadLetter;

/// How long polls have to succeed before a failure counts as over.
const OVER_AFTER: Duration = Duration::from_secs(60);

/// What has been told of the failed polls of one device.
#[derive(Debug, Clone, Default)]
pub struct PollLetters {
    standing: Option<Standing>,
}

/// A failure that has been told.
#[derive(Debug, Clone)]
struct Standing {
    /// As it was last told: what a letter about its end repeats.
    letter: DeadLetter,
    told: Instant,
    failures: u64,
    /// When the first success came since the last failure.
    well_since: Option<Instant>,
}

impl PollLetters {
    /// The letter that told of the failure that stands.
    pub(super) fn first(&self) -> Option<Uuid> {
        self.standing.as_ref().map(|standing| standing.letter.id)
    }

    /// A poll has failed, as this letter would tell; gives it back if it is due, and again every `repeat` while
    /// the failure lasts.
    pub(super) fn failed(
        &mut self,
        letter: DeadLetter,
        repeat: Duration,
        now: Instant,
    ) -> Option<DeadLetter> {
        let Some(standing) = &mut self.standing else {
            self.standing = Some(Standing {
                letter: letter.clone(),
                told: now,
                failures: 1,
                well_since: None,
            });
            return Some(letter);
        };
        standing.failures += 1;
        standing.well_since = None;
        standing.letter.operation = letter.operation;
        standing.letter.error.clone_from(&letter.error);
        if now.duration_since(standing.told) < repeat {
            return None;
        }
        standing.told = now;
        Some(DeadLetter {
            first_at: standing.letter.first_at,
            repeats: Some(standing.failures),
            ..letter
        })
    }

    /// A poll has succeeded.
    pub(super) fn succeeded(&mut self, now: Instant) {
        if let Some(standing) = &mut self.standing {
            standing.well_since.get_or_insert(now);
        }
    }

    /// When [`Self::ended`] will have something to tell, if no poll fails until then.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let well_since = self.standing.as_ref()?.well_since?;
        Some(well_since + OVER_AFTER)
    }

    /// The letter about the end of a failure, once it has been over for [`OVER_AFTER`].
    pub(super) fn ended(&mut self, at: Timestamp, now: Instant) -> Option<DeadLetter> {
        self.ends_at().filter(|ends_at| *ends_at <= now)?;
        let standing = self.standing.take()?;
        Some(DeadLetter {
            id: Uuid::now_v7(),
            at,
            repeats: Some(standing.failures),
            recovered: true,
            ..standing.letter
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ErrorKind, ErrorReport, Operation};
    use crate::records::dead_letter;

    const REPEAT: Duration = Duration::from_secs(15 * 60);

    struct Device {
        letters: PollLetters,
        begin: Instant,
        sent: Vec<(u64, DeadLetter)>,
    }

    impl Device {
        fn new() -> Device {
            Device {
                letters: PollLetters::default(),
                begin: Instant::now(),
                sent: Vec::new(),
            }
        }

        fn poll(&mut self, second: u64, fails: bool) {
            let (at, now) = (
                Timestamp::from_second(second as i64).unwrap(),
                self.begin + Duration::from_secs(second),
            );
            let letter = if fails {
                let report = ErrorReport::new(ErrorKind::Timeout, "late", "wait");
                let letter = dead_letter::new(Operation::Poll, report, at);
                self.letters.failed(letter, REPEAT, now)
            } else {
                self.letters.succeeded(now);
                self.letters.ended(at, now)
            };
            self.sent.extend(letter.map(|letter| (second, letter)));
        }

        /// Second, repeats, recovered.
        fn sent(&self) -> Vec<(u64, Option<u64>, bool)> {
            let told = |(second, letter): &(u64, DeadLetter)| (*second, letter.repeats, letter.recovered);
            self.sent.iter().map(told).collect()
        }
    }

    #[test]
    fn a_device_that_is_dead_for_an_hour_gives_a_start_and_four_repeats() {
        let mut device = Device::new();
        (0..=3600)
            .step_by(15)
            .for_each(|second| device.poll(second, true));
        let expected = [
            (0, None, false),
            (900, Some(61), false),
            (1800, Some(121), false),
            (2700, Some(181), false),
            (3600, Some(241), false),
        ];
        assert_eq!(device.sent(), expected);
        assert!(
            device
                .sent
                .iter()
                .all(|(_, letter)| letter.first_at == Timestamp::UNIX_EPOCH)
        );
    }

    #[test]
    fn a_flapping_device_gives_no_more_and_its_end_is_told_once() {
        let mut device = Device::new();
        (0..=900).for_each(|second| device.poll(second, second % 30 == 0));
        (901..=1100).for_each(|second| device.poll(second, false));
        let expected = [(0, None, false), (900, Some(31), false), (961, Some(31), true)];
        assert_eq!(device.sent(), expected);
        device.poll(1200, true);
        assert_eq!(device.sent().last(), Some(&(1200, None, false)));
    }

    #[test]
    fn each_letter_has_an_id_of_its_own_and_the_first_one_is_known() {
        let mut device = Device::new();
        device.poll(0, true);
        let first = device.letters.first();
        device.poll(900, true);
        assert_eq!(first, Some(device.sent[0].1.id));
        assert_eq!(device.letters.first(), first);
        assert_ne!(device.sent[1].1.id, device.sent[0].1.id);
        device.poll(901, false);
        device.poll(961, false);
        assert_eq!(device.letters.first(), None);
    }
}
