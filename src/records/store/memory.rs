//! What is not on disk yet: records and ends of commands that wait for their transaction, mostly for moments,
//! and for as long as the disk fails.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::AnswerKey;
use super::incidents::Unwritten;
use super::marks;
use super::options::Limit;
use super::recorded::Unrecorded;
use super::tables::{Level, Writing};
use crate::contract::topics::Destination;
use crate::history::Entry;
use crate::records::Record;

/// What is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Records, by their numbers, which go on where those on disk end.
    pub(super) records: BTreeMap<u64, Record>,
    pub(super) level: Level,
    /// Records that are still on disk, but not in the outbox any more.
    pub(super) sent: BTreeSet<u64>,
    /// Commands that are still on disk, but not in the inbox any more, and what is to be remembered of them.
    pub(super) finished: BTreeMap<u64, Option<(AnswerKey, Bytes)>>,
    /// Replays of dead letters, by the ids of these.
    pub(super) replayed: marks::Replays,
    pub(super) incidents: Unwritten,
    pub(super) recorded: Unrecorded,
    /// Entries of the history, by their numbers. They stay when the broker has acknowledged the records.
    pub(super) history: BTreeMap<u64, Entry>,
}

impl Memory {
    pub(super) fn push(&mut self, number: u64, record: Record) {
        self.level.add(size(&record));
        self.records.insert(number, record);
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, number: u64) {
        if let Some(record) = self.records.remove(&number) {
            self.level.remove(size(&record));
        }
    }

    /// Drops the oldest records until the rest is within the bound; gives how many.
    pub(super) fn bound(&mut self, limit: Limit) -> u64 {
        let mut count = 0;
        while self.level.is_above(limit) {
            let Some((_, oldest)) = self.records.pop_first() else {
                break;
            };
            self.level.remove(size(&oldest));
            count += 1;
        }
        count
    }

    /// Drops the oldest entries of the history until there are so many; gives how many.
    pub(super) fn bound_history(&mut self, most: usize) -> u64 {
        let mut count = 0;
        while self.history.len() > most && self.history.pop_first().is_some() {
            count += 1;
        }
        count
    }

    /// The answer that is to be remembered under that key.
    pub(super) fn answer(&self, key: &AnswerKey) -> Option<&Bytes> {
        let mut answers = self.finished.values().flatten();
        answers.find(|(other, _)| other == key).map(|(_, answer)| answer)
    }

    /// Whether there is nothing that has to be written at once.
    pub(super) fn is_written(&self) -> bool {
        self.records.is_empty()
            && self.finished.is_empty()
            && self.replayed.is_empty()
            && self.incidents.is_empty()
            && self.recorded.is_empty()
            && self.history.is_empty()
    }
}

/// Bytes that a record takes, roughly.
fn size(record: &Record) -> usize {
    let topic = match &record.destination {
        Destination::Reply(topic) => topic.len(),
        Destination::Events(_) | Destination::Changes(..) | Destination::DeadLetter(_) => 0,
    };
    let correlation = record.correlation.as_ref().map_or(0, Bytes::len);
    size_of::<Record>() + record.payload.len() + topic + correlation
}

impl Writing<'_, '_> {
    /// Takes what has been sent or has ended out of the tables.
    pub(super) fn remove_finished(&mut self, memory: &Memory) -> Result<(), redb::Error> {
        for number in &memory.sent {
            self.remove_record(*number)?;
        }
        for (number, answer) in &memory.finished {
            self.remove_command(*number)?;
            if let Some((key, answer)) = answer {
                self.answer(key, answer)?;
            }
        }
        Ok(())
    }

    pub(super) fn put_all(&mut self, memory: &Memory) -> Result<(), redb::Error> {
        self.remove_finished(memory)?;
        for (number, record) in &memory.records {
            self.put_record(*number, record)?;
        }
        self.mark_replayed(&memory.replayed)?;
        self.put_incidents(&memory.incidents)?;
        self.put_recorded(&memory.recorded)?;
        self.put_history(&memory.history)?;
        self.bound_history()?;
        self.bound_outbox()?;
        self.end_dropping()
    }
}
