//! The archive of dead letters: they stay when the broker has acknowledged them, the newest of them.

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable};
use uuid::Uuid;

use super::DeadLetterSet;
use super::marks;
use super::options::Limit;
use super::tables::{ARCHIVE, ARCHIVE_IDS, Level, Writing};
use crate::contract::dead_letter::Summary;
use crate::records::Record;

/// At most so many, the newest first. One that cannot be understood is left out.
pub(super) fn list(database: &Database, limit: usize) -> Result<Vec<Summary>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut marks = marks::load(&transaction)?;
    let mut summaries = Vec::new();
    for entry in transaction.open_table(ARCHIVE)?.iter()?.rev() {
        if summaries.len() >= limit {
            break;
        }
        summaries.extend(Summary::read(entry?.1.value().1).map(|summary| Summary {
            marks: marks.remove(&summary.id).unwrap_or_default(),
            ..summary
        }));
    }
    Ok(summaries)
}

/// The dead letter of that id, as it was published.
pub(super) fn get(database: &Database, id: Uuid) -> Result<Option<Bytes>, redb::Error> {
    let transaction = database.begin_read()?;
    let Some(number) = transaction.open_table(ARCHIVE_IDS)?.get(id.as_bytes())? else {
        return Ok(None);
    };
    let dead_letter = transaction.open_table(ARCHIVE)?.get(number.value())?;
    Ok(dead_letter.map(|dead_letter| Bytes::copy_from_slice(dead_letter.value().1)))
}

impl Writing<'_, '_> {
    /// Adds a dead letter, in place of one of the same id, and drops the oldest beyond the bound.
    pub(super) fn archive(&mut self, number: u64, dead_letter: &Record) -> Result<(), redb::Error> {
        self.remove_dead_letter(dead_letter.id)?;
        let id = dead_letter.id.as_bytes();
        self.tables
            .archive
            .insert(number, (id, dead_letter.payload.as_ref()))?;
        self.tables.archive_ids.insert(id, number)?;
        self.levels.archive.add(dead_letter.payload.len());
        self.levels.newest_dead_letter = number;
        let limit = Limit::of(self.options.keep, self.options.limits.archive_bytes);
        while self.levels.archive.is_above(limit) {
            let Some((_, oldest)) = self.tables.archive.pop_first()? else {
                break;
            };
            let (id, json) = oldest.value();
            self.levels.archive.remove(json.len());
            self.tables.archive_ids.remove(id)?;
            self.tables.marks.remove(id)?;
        }
        Ok(())
    }

    /// Adds dead letters that are not in the outbox: no record has their numbers.
    pub(super) fn archive_all(&mut self, dead_letters: &[Record]) -> Result<(), redb::Error> {
        for dead_letter in dead_letters {
            let number = self.levels.next_record();
            self.archive(number, dead_letter)?;
        }
        Ok(())
    }

    /// Drops dead letters; gives those that there were.
    pub(super) fn drop_dead_letters(&mut self, which: &DeadLetterSet) -> Result<Vec<Uuid>, redb::Error> {
        let mut dropped = Vec::new();
        match which {
            DeadLetterSet::AllBut(kept) => {
                let levels = &mut self.levels.archive;
                *levels = Level::default();
                let is_kept = |id: &[u8; 16]| kept.contains(Uuid::from_bytes_ref(id));
                self.tables.archive.retain(|_, (id, json)| {
                    let stays = is_kept(id);
                    match stays {
                        true => levels.add(json.len()),
                        false => dropped.push(Uuid::from_bytes(*id)),
                    }
                    stays
                })?;
                self.tables.archive_ids.retain(|id, _| is_kept(id))?;
                self.tables.marks.retain(|id, _| is_kept(id))?;
            }
            DeadLetterSet::These(ids) => {
                for id in ids {
                    self.tables.marks.remove(id.as_bytes())?;
                    if self.remove_dead_letter(*id)? {
                        dropped.push(*id);
                    }
                }
            }
        }
        Ok(dropped)
    }

    /// Leaves its marks; gives whether it was there.
    fn remove_dead_letter(&mut self, id: Uuid) -> Result<bool, redb::Error> {
        let number = self.tables.archive_ids.remove(id.as_bytes())?;
        let Some(number) = number.map(|number| number.value()) else {
            return Ok(false);
        };
        if let Some(old) = self.tables.archive.remove(number)? {
            self.levels.archive.remove(old.value().1.len());
        }
        Ok(true)
    }
}
