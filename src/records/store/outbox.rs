//! The outbox: records until the broker has acknowledged them, in the order of their numbers.

use redb::{Database, ReadableDatabase};

use super::entry::{self, Unreadable};
use super::options::Limit;
use super::own_dead_letters;
use super::tables::{OUTBOX, Writing};
use crate::contract::topics::Destination;
use crate::records::Record;

/// A part of the outbox, oldest first.
#[derive(Debug)]
pub(super) struct Part {
    limit: Limit,
    bytes: usize,
    pub(super) records: Vec<(u64, Record)>,
    /// Entries that cannot be understood.
    pub(super) unreadable: Vec<(u64, Unreadable)>,
}

impl Part {
    /// An empty one that takes so much, but one record at least.
    pub(super) fn new(limit: Limit) -> Part {
        Part {
            limit,
            bytes: 0,
            records: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// Adds a record; `false` where there is no room for it.
    pub(super) fn push(&mut self, number: u64, record: Record) -> bool {
        let bytes = self.bytes + record.payload.len();
        let fits = self.records.len() < self.limit.entries && bytes <= self.limit.bytes;
        if !fits && !self.records.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.records.push((number, record));
        true
    }

    /// Adds what is on disk above `after`, but for what `is_sent`; `false` where a record had no room.
    pub(super) fn read(
        &mut self,
        database: &Database,
        after: u64,
        is_sent: impl Fn(u64) -> bool,
    ) -> Result<bool, redb::Error> {
        let table = database.begin_read()?.open_table(OUTBOX)?;
        for entry in table.range(after.saturating_add(1)..)? {
            let (number, value) = entry?;
            let number = number.value();
            if is_sent(number) {
                continue;
            }
            let (head, payload) = value.value();
            match entry::record(head, payload) {
                Ok(record) => {
                    if !self.push(number, record) {
                        return Ok(false);
                    }
                }
                Err(error) => self.unreadable.push((number, error)),
            }
        }
        Ok(true)
    }
}

impl Writing<'_, '_> {
    /// Adds a record; a dead letter to the archive too. The number is the record's own: written again, it
    /// replaces what was written.
    pub(super) fn put_record(&mut self, number: u64, record: &Record) -> Result<(), redb::Error> {
        let head = entry::record_head(record);
        let value = (head.as_slice(), record.payload.as_ref());
        if let Some(old) = self.tables.outbox.insert(number, value)? {
            let (head, payload) = old.value();
            self.levels.outbox.remove(head.len() + payload.len());
        }
        self.levels.outbox.add(head.len() + record.payload.len());
        self.levels.newest_on_disk = self.levels.newest_on_disk.max(number);
        if let Destination::DeadLetter(_) = record.destination {
            self.archive(number, record)?;
        }
        Ok(())
    }

    pub(super) fn remove_record(&mut self, number: u64) -> Result<(), redb::Error> {
        if let Some(old) = self.tables.outbox.remove(number)? {
            let (head, payload) = old.value();
            self.levels.outbox.remove(head.len() + payload.len());
        }
        Ok(())
    }

    /// Drops the oldest records until the rest is within the bound, and says so when that begins.
    pub(super) fn bound_outbox(&mut self) -> Result<(), redb::Error> {
        let limit = self.options.limits.outbox;
        if !self.levels.outbox.is_above(limit) {
            return Ok(());
        }
        let begins = self.levels.dropping.is_none();
        // The dead letter about it must not push out more than it reports.
        let limit = if begins {
            limit.less(own_dead_letters::ROOM)
        } else {
            limit
        };
        let mut count = 0;
        while self.levels.outbox.is_above(limit) {
            let Some((_, value)) = self.tables.outbox.pop_first()? else {
                break;
            };
            let (head, payload) = value.value();
            self.levels.outbox.remove(head.len() + payload.len());
            count += 1;
        }
        let dropping = self.levels.note_dropped(count, self.now);
        if begins {
            let dead_letter =
                own_dead_letters::dropping(&self.options.bridge, dropping.count, dropping.since);
            let number = self.levels.next_record();
            self.put_record(number, &dead_letter)?;
        }
        Ok(())
    }

    /// Reports that dropping is over, once there is room again. Not at the bound itself: it would begin again at once.
    pub(super) fn end_dropping(&mut self) -> Result<(), redb::Error> {
        let has_room = !self
            .levels
            .outbox
            .is_above(self.options.limits.outbox.nine_tenths());
        if let Some(dropping) = self.levels.dropping.filter(|_| has_room) {
            self.levels.dropping = None;
            let dead_letter = own_dead_letters::dropped(&self.options.bridge, dropping.count, dropping.since);
            let number = self.levels.next_record();
            self.put_record(number, &dead_letter)?;
        }
        Ok(())
    }
}
