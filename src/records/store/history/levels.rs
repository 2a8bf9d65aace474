//! How much history there is, from when to when, and what has to go.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableError};

use super::definitions::{HISTORY, HISTORY_ORDER};
use super::packed;
use crate::records::store::options::History;

/// How much history there is, and what comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::records::store) struct HistoryLevels {
    pub(in crate::records::store) entries: usize,
    /// The highest number that there ever was.
    pub(in crate::records::store) last: u64,
    /// When the oldest was that is there, unless that is in the future.
    pub(super) oldest_at: Option<i64>,
    /// Before then nothing is kept, in ms since 1970.
    pub(in crate::records::store) kept_since: Option<i64>,
}

impl HistoryLevels {
    /// What is on disk. A store of before has no such tables.
    pub(in crate::records::store) fn load(
        transaction: &ReadTransaction,
        kept_since: u64,
    ) -> Result<HistoryLevels, redb::Error> {
        let mut levels = HistoryLevels {
            kept_since: i64::try_from(kept_since).ok().filter(|since| *since > 0),
            ..HistoryLevels::default()
        };
        let order = match transaction.open_table(HISTORY_ORDER) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(levels),
            order => order?,
        };
        levels.entries = usize::try_from(order.len()?).unwrap_or(usize::MAX);
        if let Some((number, _)) = order.last()? {
            levels.last = number.value();
        }
        if let Some((number, value)) = order.first()? {
            let entry = transaction
                .open_table(HISTORY)?
                .get((value.value().0, number.value()))?;
            let at = entry.and_then(|entry| Some(packed::times(entry.value())?.0));
            // What comes after one of the future is looked at: nothing is known of it yet.
            let is_over = |at: &i64| *at <= Timestamp::now().as_millisecond();
            levels.oldest_at = at.filter(is_over).or(Some(i64::MIN));
        }
        Ok(levels)
    }

    /// An entry of that time is there, which may be the oldest.
    pub(super) fn added(&mut self, at: i64) {
        let oldest = self.oldest_at.get_or_insert(at);
        *oldest = at.min(*oldest);
    }

    /// Whether entries have to go.
    pub(in crate::records::store) fn is_due(&self, options: &History, now: Timestamp) -> bool {
        let is_expired = |at: i64| at < limit(options.keep, now);
        self.entries > options.most() || self.oldest_at.is_some_and(is_expired)
    }

    /// The number of the next entry, in order of arrival.
    pub(in crate::records::store) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// From then on a history is kept, or none is.
    pub(in crate::records::store) fn begin(&mut self, options: &History, now: Timestamp) {
        match options.is_kept() {
            true => drop(self.kept_since.get_or_insert(now.as_millisecond())),
            false => self.kept_since = None,
        }
    }

    /// What is kept begins at `since`, where it would begin later.
    pub(in crate::records::store) fn reach_back(&mut self, since: Timestamp) {
        self.kept_since = self.kept_since.map(|kept| kept.min(since.as_millisecond()));
    }
}

/// The numbers of entries of one millisecond, where their time counts: more than there can be.
const OF_A_MILLISECOND: u64 = 1 << 20;

/// The first number of an entry of that time, in ms since 1970, where entries come from several bridges: then they are in order of
/// time, since a bridge that was cut off sends old ones late. It is above all numbers that are given in order of arrival.
pub(in crate::records::store) fn number_at(at: i64) -> u64 {
    u64::try_from(at)
        .unwrap_or_default()
        .saturating_mul(OF_A_MILLISECOND)
}

/// All numbers of entries of the millisecond that this number is of.
pub(in crate::records::store) fn of_same_time(number: u64) -> RangeInclusive<u64> {
    let first = number - number % OF_A_MILLISECOND;
    first..=first.saturating_add(OF_A_MILLISECOND - 1)
}

/// Whether that number was given in order of arrival, before the bridge belonged to a cluster.
pub(super) fn is_by_arrival(number: u64) -> bool {
    // The first minutes of 1970.
    number < OF_A_MILLISECOND * OF_A_MILLISECOND
}

/// What is older is not kept, in ms since 1970.
pub(super) fn limit(keep: Duration, now: Timestamp) -> i64 {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    now.as_millisecond().saturating_sub(keep)
}
