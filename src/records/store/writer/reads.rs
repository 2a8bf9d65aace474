//! What the handles ask to see: what is on disk, and what is only in memory yet.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable};
use uuid::Uuid;

use super::Writer;
use super::failure::guarded;
use crate::contract::dead_letter::Summary;
use crate::contract::topics::Destination;
use crate::model::{DeviceId, Recorded};
use crate::records::Record;
use crate::records::store::entry::Unreadable;
use crate::records::store::inbox::Commands;
use crate::records::store::options::Limit;
use crate::records::store::outbox::Part;
use crate::records::store::tables::PUBLISHED;
use crate::records::store::{
    AnswerKey, StoreError, Waiting, answers, archive, inbox, own_dead_letters, recorded,
};

impl Writer {
    pub(in super::super) fn published_topics(&mut self) -> Result<Vec<String>, StoreError> {
        let topics = self.look(published_topics);
        self.noted(topics)
    }

    pub(in super::super) fn recorded(&mut self) -> Result<BTreeMap<DeviceId, Recorded>, StoreError> {
        let states = self.look(recorded::load);
        self.noted(states)
    }

    pub(in super::super) fn answer(&mut self, key: &AnswerKey) -> Result<Option<Bytes>, StoreError> {
        let found = self.look(|database| answers::get(database, key, self.options.limits.answers_for));
        let found = match (found, self.memory.answer(key)) {
            (Ok(None) | Err(_), Some(answer)) => Ok(Some(answer.clone())),
            (found, _) => found,
        };
        self.noted(found)
    }

    pub(in super::super) fn dead_letters(&mut self, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let stored = self.look(|database| archive::list(database, limit));
        let stored = self.noted(stored)?;
        let new = self.new_dead_letters();
        let new = new.filter_map(|dead_letter| Summary::read(&dead_letter.payload));
        Ok(new.chain(stored).take(limit).collect())
    }

    pub(in super::super) fn dead_letter(&mut self, id: Uuid) -> Result<Option<Bytes>, StoreError> {
        let dead_letter = match self.new_dead_letters().find(|dead_letter| dead_letter.id == id) {
            Some(dead_letter) => Ok(Some(dead_letter.payload.clone())),
            None => self.look(|database| archive::get(database, id)),
        };
        self.noted(dead_letter)
    }

    /// Reads from the database.
    pub(super) fn look<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, String> {
        match &self.database {
            Some(database) => guarded(|| work(database)),
            None => Err(self.health.failing().unwrap_or("it cannot be opened").to_owned()),
        }
    }

    /// A failure while reading is one like any other.
    pub(super) fn noted<T>(&mut self, result: Result<T, String>) -> Result<T, StoreError> {
        result.map_err(|error| {
            if self.database.is_some() {
                self.failed(&error);
                self.report_status();
            }
            StoreError::Io(error)
        })
    }

    pub(in super::super) fn outbox(
        &mut self,
        after: u64,
        limit: Limit,
    ) -> Result<Vec<(u64, Record)>, StoreError> {
        let mut part = Part::new(limit);
        let mut has_room = true;
        // What is only in memory must come out even while the disk cannot be read.
        if after < self.levels.newest_on_disk && self.levels.outbox.entries > 0 {
            let sent = &self.memory.sent;
            let read = self.look(|database| part.read(database, after, |number| sent.contains(&number)));
            has_room = self.noted(read)?;
        }
        let newer = after.max(self.levels.newest_on_disk).saturating_add(1);
        for (number, record) in self.memory.records.range(newer..) {
            has_room = has_room && part.push(*number, record.clone());
        }
        if let Some(error) = self.drop_unreadable("record", &part.unreadable) {
            let lost = part.unreadable.iter().map(|(number, _)| *number);
            self.memory.sent.extend(lost);
            self.push(error);
        }
        Ok(part.records)
    }

    pub(in super::super) fn inbox(&mut self) -> Result<Vec<Waiting>, StoreError> {
        let commands = self.look(inbox::read);
        let Commands {
            mut waiting,
            newer,
            unreadable,
        } = self.noted(commands)?;
        waiting.retain(|waiting| !self.memory.finished.contains_key(&waiting.number));
        if newer > 0 && !std::mem::replace(&mut self.newer_reported, true) {
            tracing::error!(
                count = newer,
                "the durable store holds commands of a later version; they stay in it"
            );
            self.push(own_dead_letters::newer(&self.options.bridge, newer));
        }
        if let Some(error) = self.drop_unreadable("command", &unreadable) {
            let lost = unreadable.iter().map(|(number, _)| (*number, None));
            self.memory.finished.extend(lost);
            self.push(error);
        }
        Ok(waiting)
    }

    /// The dead letter about entries that cannot be understood.
    fn drop_unreadable(&self, what: &str, entries: &[(u64, Unreadable)]) -> Option<Record> {
        let (_, error) = entries.first()?;
        let count = entries.len();
        tracing::error!(count, %error, "the durable store holds a {what} that cannot be understood; it is dropped");
        Some(own_dead_letters::unreadable(
            &self.options.bridge,
            what,
            count,
            &error.to_string(),
        ))
    }

    /// Dead letters that are not in the archive yet.
    fn new_dead_letters(&self) -> impl Iterator<Item = &Record> {
        let records = self.memory.records.values().rev();
        records.filter(|record| matches!(record.destination, Destination::DeadLetter(_)))
    }
}

fn published_topics(database: &Database) -> Result<Vec<String>, redb::Error> {
    let table = database.begin_read()?.open_table(PUBLISHED)?;
    let topics = table
        .iter()?
        .map(|entry| entry.map(|(topic, _)| topic.value().to_owned()));
    Ok(topics.collect::<Result<_, _>>()?)
}
