//! Entries are put in, and the oldest go, a thousand in a transaction at most.

use std::collections::BTreeMap;

use redb::{ReadableTable, ReadableTableMetadata};

use super::levels::{is_by_arrival, limit, number_at, of_same_time};
use super::packed::{self, pack};
use crate::history::Entry;
use crate::records::store::tables::Writing;

/// Entries that go in one transaction.
const GO_AT_ONCE: usize = 1000;

impl Writing<'_, '_> {
    /// Adds entries under their numbers, or the next ones that are free; written again, they replace what was written.
    pub(in crate::records::store) fn put_history(
        &mut self,
        entries: &BTreeMap<u64, Entry>,
    ) -> Result<(), redb::Error> {
        for (number, entry) in entries {
            if !self.options.history.by_id {
                self.put_entry(*number, entry)?;
            } else if self.is_new(entry)? {
                let number = self.free_number(*number)?;
                self.put_entry(number, entry)?;
            }
        }
        Ok(())
    }

    /// Adds entries of other bridges, each at its time.
    pub(in crate::records::store) fn add_history(&mut self, entries: &[Entry]) -> Result<(), redb::Error> {
        if !self.options.history.is_kept() {
            return Ok(());
        }
        for entry in entries {
            let number = number_at(entry.at.as_millisecond());
            if !self.is_of_before(entry, number)? && self.is_new(entry)? {
                let number = self.free_number(number)?;
                self.put_entry(number, entry)?;
            }
        }
        Ok(())
    }

    /// Whether no entry of that record is there.
    fn is_new(&mut self, entry: &Entry) -> Result<bool, redb::Error> {
        let before = self.tables.history_ids.insert(entry.id.as_bytes(), ())?;
        Ok(before.is_none())
    }

    /// Whether the entry is not later than one of the same that came before the bridge belonged to a cluster: it may be the
    /// same one, and its place among these is not known.
    fn is_of_before(&mut self, entry: &Entry, number: u64) -> Result<bool, redb::Error> {
        let at = entry.at.as_millisecond();
        let subject = self.subject(entry)?;
        let before = self
            .tables
            .history
            .range((subject, 0)..(subject, number))?
            .next_back();
        let Some((key, value)) = before.transpose()? else {
            return Ok(false);
        };
        let newest = packed::times(value.value()).map(|(_, newest)| newest);
        // A clock that was wrong then may have made one of the future.
        let is_later = |newest: i64| (at..=self.now.as_millisecond()).contains(&newest);
        Ok(is_by_arrival(key.value().1) && newest.is_some_and(is_later))
    }

    /// A free number of the same time, not below this one: the one after all that are taken.
    fn free_number(&mut self, number: u64) -> Result<u64, redb::Error> {
        let mut taken = self.tables.history_order.range(of_same_time(number))?;
        let last = taken.next_back().transpose()?;
        Ok(last.map_or(number, |(last, _)| number.max(last.value() + 1)))
    }

    fn put_entry(&mut self, number: u64, entry: &Entry) -> Result<(), redb::Error> {
        let subject = self.subject(entry)?;
        let tables = &mut self.tables;
        let at = entry.at.as_millisecond();
        let before = tables.history.range((subject, 0)..(subject, number))?.next_back();
        let newest_before = match before.transpose()? {
            Some((_, value)) => packed::times(value.value()).map(|(_, newest)| newest),
            None => None,
        };
        let newest = newest_before.map_or(at, |newest| newest.max(at));
        let packed = pack(entry, newest);
        let is_there = tables
            .history
            .insert((subject, number), packed.as_slice())?
            .is_some();
        let before = tables.history_order.range(..number)?.next_back().transpose()?;
        let newest_before = before.map_or(at, |(_, value)| value.value().1);
        tables
            .history_order
            .insert(number, (subject, newest_before.max(at)))?;
        let levels = &mut self.levels.history;
        levels.last = levels.last.max(number);
        levels.added(at);
        if !is_there {
            levels.entries += 1;
        }
        Ok(())
    }

    /// The number of what the entry is of.
    fn subject(&mut self, entry: &Entry) -> Result<u32, redb::Error> {
        let subject = entry.subject.to_string();
        let subjects = &mut self.tables.subjects;
        if let Some(number) = subjects.get(subject.as_str())? {
            return Ok(number.value());
        }
        // None ever goes.
        let number = u32::try_from(subjects.len()?).unwrap_or(u32::MAX);
        subjects.insert(subject.as_str(), number)?;
        Ok(number)
    }

    /// The oldest entries beyond the bounds go. One of which a clock that was wrong says that it is of the future is passed
    /// over.
    pub(in crate::records::store) fn bound_history(&mut self) -> Result<(), redb::Error> {
        let options = &self.options.history;
        if !self.levels.history.is_due(options, self.now) {
            return Ok(());
        }
        let (limit, now) = (limit(options.keep, self.now), self.now.as_millisecond());
        let mut too_many = self.levels.history.entries.saturating_sub(options.most());
        let (mut expired, mut oldest) = (Vec::new(), None);
        for entry in self.tables.history_order.iter()?.take(GO_AT_ONCE) {
            let (number, value) = entry?;
            let key = (value.value().0, number.value());
            let entry = self.tables.history.get(key)?;
            let at = entry.and_then(|entry| Some(packed::times(entry.value())?.0));
            match at {
                Some(at) if too_many == 0 && at >= limit => {
                    if at <= now {
                        oldest = Some(at);
                        break;
                    }
                }
                at => {
                    expired.push((key, at.unwrap_or(limit).min(now)));
                    too_many = too_many.saturating_sub(1);
                }
            }
        }
        let is_last = expired.len() < GO_AT_ONCE;
        for (key, at) in expired {
            self.tables.history_order.remove(key.1)?;
            if let Some(entry) = self.tables.history.remove(key)?
                && let Some(id) = packed::id_bytes(entry.value())
            {
                self.tables.history_ids.remove(id)?;
            }
            let levels = &mut self.levels.history;
            levels.entries = levels.entries.saturating_sub(1);
            levels.kept_since = levels.kept_since.map(|since| since.max(at));
        }
        let levels = &mut self.levels.history;
        if is_last {
            levels.oldest_at = oldest;
        }
        Ok(())
    }
}
