//! When failed polls are reported as dead letters: once when the failure begins, again while it lasts, and once
//! when it has been over for a while. Neither a dead nor a flapping device floods anybody, and neither does a bridge
//! that is started again and again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::model::DeadLetter;

/// How long polls have to succeed before a failure counts as over.
const OVER_AFTER: Duration = Duration::from_secs(60);

/// What has been reported of the failed polls of one device.
#[derive(Debug, Clone, Default)]
pub struct PollFailures {
    standing: Option<Standing>,
}

/// A failure that has been reported.
#[derive(Debug, Clone)]
struct Standing {
    /// As it was last reported: what a dead letter about its end repeats.
    letter: DeadLetter,
    /// When it is reported again, if it lasts until then.
    again_at: Instant,
    failures: u64,
    /// When the first success came since the last failure.
    well_since: Option<Instant>,
}

impl PollFailures {
    /// A failure that an earlier run has reported, in these words and by that id, and has not seen the end of.
    pub fn standing(letter: DeadLetter, repeat: Duration, at: Timestamp, now: Instant) -> PollFailures {
        // Below zero where the clock was put back.
        let reported_for = Duration::try_from(at.duration_since(letter.at)).unwrap_or_default();
        PollFailures {
            standing: Some(Standing {
                again_at: now + repeat.saturating_sub(reported_for),
                failures: letter.repeats.unwrap_or(1),
                letter,
                well_since: None,
            }),
        }
    }

    /// The dead letter that reported the failure that stands.
    pub(super) fn first_id(&self) -> Option<Uuid> {
        self.standing.as_ref().map(|standing| standing.letter.id)
    }

    /// A poll has failed, as this dead letter would report; gives it back if it is due, and again every `repeat` while
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
                again_at: now + repeat,
                failures: 1,
                well_since: None,
            });
            return Some(letter);
        };
        standing.failures += 1;
        standing.well_since = None;
        standing.letter.operation = letter.operation;
        standing.letter.error.clone_from(&letter.error);
        if now < standing.again_at {
            return None;
        }
        standing.again_at = now + repeat;
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

    /// When [`Self::recovered`] will have something to report, if no poll fails until then.
    pub(super) fn recovered_at(&self) -> Option<Instant> {
        let well_since = self.standing.as_ref()?.well_since?;
        Some(well_since + OVER_AFTER)
    }

    /// The dead letter about the end of a failure, once it has been over for [`OVER_AFTER`].
    pub(super) fn recovered(&mut self, at: Timestamp, now: Instant) -> Option<DeadLetter> {
        self.recovered_at().filter(|ends_at| *ends_at <= now)?;
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
        failures: PollFailures,
        begin: Instant,
        sent: Vec<(u64, DeadLetter)>,
    }

    impl Device {
        fn new() -> Device {
            Device {
                failures: PollFailures::default(),
                begin: Instant::now(),
                sent: Vec::new(),
            }
        }

        /// The bridge is killed, and started again at that second.
        fn start_again(&mut self, second: u64) {
            let (_, told) = self.sent.last().unwrap().clone();
            let told = DeadLetter {
                id: self.sent[0].1.id,
                ..told
            };
            let (at, now) = self.times(second);
            self.failures = PollFailures::standing(told, REPEAT, at, now);
        }

        fn times(&self, second: u64) -> (Timestamp, Instant) {
            let at = Timestamp::from_second(second as i64).unwrap();
            (at, self.begin + Duration::from_secs(second))
        }

        fn poll(&mut self, second: u64, fails: bool) {
            let (at, now) = self.times(second);
            let letter = if fails {
                let report = ErrorReport::new(ErrorKind::Timeout, "late", "wait");
                let letter = dead_letter::new(Operation::Poll, report, at);
                self.failures.failed(letter, REPEAT, now)
            } else {
                self.failures.succeeded(now);
                self.failures.recovered(at, now)
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
        let first = device.failures.first_id();
        device.poll(900, true);
        assert_eq!(first, Some(device.sent[0].1.id));
        assert_eq!(device.failures.first_id(), first);
        assert_ne!(device.sent[1].1.id, device.sent[0].1.id);
        device.poll(901, false);
        device.poll(961, false);
        assert_eq!(device.failures.first_id(), None);
    }

    #[test]
    fn a_failure_that_lasts_over_restarts_is_told_as_if_there_was_none() {
        let mut device = Device::new();
        for second in (0..=1000).step_by(10) {
            device.poll(second, true);
            device.start_again(second + 5);
        }
        let expected = [(0, None, false), (900, Some(2), false)];
        assert_eq!(device.sent(), expected);
        assert_eq!(device.failures.first_id(), Some(device.sent[0].1.id));
        // Away for longer than the pause: the next failure is told at once.
        device.start_again(5000);
        device.poll(5001, true);
        assert_eq!(device.sent().last(), Some(&(5001, Some(3), false)));
        assert_eq!(device.sent[2].1.first_at, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn the_end_of_a_failure_of_an_earlier_run_is_told() {
        let mut device = Device::new();
        device.poll(0, true);
        device.start_again(100);
        (101..=160).for_each(|second| device.poll(second, false));
        assert_eq!(device.sent().len(), 1, "not before it is over for a while");
        device.poll(161, false);
        assert_eq!(device.sent().last(), Some(&(161, Some(1), true)));
        let (first, end) = (&device.sent[0].1, &device.sent[1].1);
        assert_eq!((&end.error, end.first_at), (&first.error, first.first_at));
        assert_ne!(end.id, first.id);
        assert_eq!(device.failures.first_id(), None);
    }

    #[test]
    fn a_clock_that_was_put_back_makes_no_longer_pause() {
        let mut device = Device::new();
        device.poll(0, true);
        let (at, now) = (Timestamp::from_second(-7200).unwrap(), device.begin);
        let told = device.sent[0].1.clone();
        device.failures = PollFailures::standing(told, REPEAT, at, now);
        (1..=900).for_each(|second| device.poll(second, true));
        assert_eq!(device.sent().last(), Some(&(900, Some(901), false)));
    }
}
