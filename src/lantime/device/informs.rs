//! Informs that come again, since their acknowledgement was lost or late: they are one inform. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::lantime::snmp::traps::{InformId, Receipt};

/// How long a sender may go on repeating.
const SAME_FOR: Duration = Duration::from_secs(60);
/// Most informs that are remembered.
const MOST: usize = 4096;
/// So many are never looked through.
const FEW: usize = 64;

/// The informs of the last minute, by what stays the same when they are repeated: when each came last, and those of its
/// repetitions that wait for its record; `None` once that is stored, or none is due.
#[derive(Debug, Default)]
pub(super) struct Informs {
    known: HashMap<InformId, (Instant, Option<Vec<Receipt>>)>,
    /// How many there may be before those are dropped that are over.
    sweep_at: usize,
}

/// What an inform is beside those that came before.
#[derive(Debug)]
pub(super) enum Repetition {
    /// It is none.
    New(Receipt),
    /// Of one whose record is not stored yet: it waits with that.
    Waiting,
    /// Of one that is settled.
    Settled(Receipt),
}

impl Informs {
    /// A trap or inform has come.
    pub(super) fn take(&mut self, receipt: Receipt, now: Instant) -> Repetition {
        let Some(inform) = receipt.inform.clone() else {
            return Repetition::New(receipt);
        };
        let is_recent = |came: &Instant| now.duration_since(*came) < SAME_FOR;
        if self.known.len() >= self.sweep_at.max(FEW) {
            self.known.retain(|_, (came, _)| is_recent(came));
            self.sweep_at = (2 * self.known.len()).min(MOST);
        }
        if let Some((came, waiting)) = self.known.get_mut(&inform).filter(|(came, _)| is_recent(came)) {
            *came = now;
            let Some(waiting) = waiting else {
                return Repetition::Settled(receipt);
            };
            waiting.push(receipt);
            return Repetition::Waiting;
        }
        if self.known.len() < MOST {
            self.known.insert(inform, (now, Some(Vec::new())));
        }
        Repetition::New(receipt)
    }

    /// The record of this trap is stored, or none is due: a repetition is acknowledged from now on. Gives those that have
    /// waited for it.
    pub(super) fn settle(&mut self, receipt: &Receipt) -> Vec<Receipt> {
        let inform = receipt
            .inform
            .as_ref()
            .and_then(|inform| self.known.get_mut(inform));
        inform.and_then(|(_, waiting)| waiting.take()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(request: i32) -> Receipt {
        let inform = InformId {
            source: [192, 0, 2, 1].into(),
            request,
            oid: None,
        };
        Receipt::of_test(Some(inform)).0
    }

    #[test]
    fn a_repetition_waits_with_the_first_and_is_settled_with_it() {
        let (mut informs, now) = (Informs::default(), Instant::now());
        let mut take = |request, seconds| informs.take(receipt(request), now + Duration::from_secs(seconds));
        let Repetition::New(first) = take(1, 0) else {
            panic!("it is the first");
        };
        assert!(matches!(take(1, 1), Repetition::Waiting));
        assert!(matches!(take(2, 1), Repetition::New(_)), "another one");
        assert_eq!(informs.settle(&first).len(), 1);
        let mut take = |seconds| informs.take(receipt(1), now + Duration::from_secs(seconds));
        assert!(matches!(take(60), Repetition::Settled(_)));
        assert!(
            matches!(take(121), Repetition::New(_)),
            "its number is used again"
        );
    }

    #[test]
    fn those_that_are_over_are_dropped_before_there_are_many() {
        let (mut informs, now) = (Informs::default(), Instant::now());
        for request in 0..10_000 {
            informs.take(receipt(request), now + Duration::from_secs(request as u64));
        }
        assert!(informs.known.len() <= 2 * FEW, "{}", informs.known.len());
    }
}
