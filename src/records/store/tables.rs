//! The tables of the database, how much is in them, and the one transaction that changes them.

use std::sync::Arc;

use jiff::Timestamp;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

use super::history::definitions::{HISTORY, HISTORY_IDS, HISTORY_ORDER, SUBJECTS};
use super::history::levels::HistoryLevels;
use super::options::{Limit, Options};

/// The format of what the tables hold. Another number: an older program must not touch it.
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Topics that were published and not cleared yet.
pub(super) const PUBLISHED: TableDefinition<'_, &str, ()> = TableDefinition::new("published-topics");
/// Number -> head and payload of a record.
pub(super) const OUTBOX: TableDefinition<'_, u64, (&[u8], &[u8])> = TableDefinition::new("outbox");
/// Number -> attempts, head and payload of a command.
pub(super) const INBOX: TableDefinition<'_, u64, (u32, &[u8], &[u8])> = TableDefinition::new("inbox");
/// Number that it had in the outbox -> id and JSON of a dead letter.
pub(super) const ARCHIVE: TableDefinition<'_, u64, (&[u8; 16], &[u8])> = TableDefinition::new("archive");
/// Id of a dead letter -> its number.
pub(super) const ARCHIVE_IDS: TableDefinition<'_, &[u8; 16], u64> = TableDefinition::new("archive-ids");
/// Id of a dead letter of the archive -> JSON of its marks. A store of before has no such table.
pub(super) const MARKS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("dead-letter-marks");
/// Key -> when (ms since 1970) and what was answered.
pub(super) const ANSWERS: TableDefinition<'_, &[u8; 32], (i64, &[u8])> = TableDefinition::new("answers");
/// The same in order of time.
pub(super) const ANSWER_TIMES: TableDefinition<'_, (i64, &[u8; 32]), ()> =
    TableDefinition::new("answer-times");

/// Key -> JSON of an open incident. A store of before has no such table.
pub(super) const INCIDENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
/// Id of a device -> JSON of what was last recorded of its slots. A store of before has no such table.
pub(super) const RECORDED_SLOTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("recorded-slots");
/// The same for its events.
pub(super) const RECORDED_EVENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("recorded-events");

/// How much is in a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl Level {
    pub(super) fn add(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn is_above(&self, limit: Limit) -> bool {
        self.entries > limit.entries || self.bytes > limit.bytes
    }
}

/// Records are being dropped for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropping {
    pub(super) since: Timestamp,
    pub(super) count: u64,
}

/// How much is in the tables, and which numbers come next. What is under way in a transaction is a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) outbox: Level,
    pub(super) inbox: Level,
    pub(super) archive: Level,
    pub(super) answers: Level,
    /// Number of the newest record that there ever was.
    pub(super) last_record: u64,
    /// Number of the newest record on disk, or above it.
    pub(super) newest_on_disk: u64,
    /// Number of the record that came into the archive last.
    pub(super) newest_dead_letter: u64,
    /// Number of the newest command that there ever was.
    pub(super) last_command: u64,
    pub(super) history: HistoryLevels,
    pub(super) dropping: Option<Dropping>,
    /// Records dropped since the store was opened.
    pub(super) dropped: u64,
}

impl Levels {
    /// The number of the next record.
    pub(super) fn next_record(&mut self) -> u64 {
        self.last_record += 1;
        self.last_record
    }

    /// Counts dropped records.
    pub(super) fn note_dropped(&mut self, count: u64, now: Timestamp) -> Dropping {
        self.dropped += count;
        let dropping = self.dropping.get_or_insert(Dropping { since: now, count: 0 });
        dropping.count += count;
        *dropping
    }
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    Database(redb::Error),
    /// A later version has written it, in that format.
    Later(u64),
}

impl<E: Into<redb::Error>> From<E> for Unusable {
    fn from(error: E) -> Self {
        Unusable::Database(error.into())
    }
}

/// Makes what is missing, and looks how much there is. A disk that is full takes no transaction, so there is
/// none where nothing is missing.
pub(super) fn prepare(database: &Database) -> Result<Levels, Unusable> {
    match load(database) {
        Err(Unusable::Database(redb::Error::TableDoesNotExist(_))) => {
            let transaction = database.begin_write()?;
            Tables::open(&transaction)?;
            transaction.open_table(META)?.insert("format", FORMAT)?;
            transaction.commit()?;
            load(database)
        }
        result => result,
    }
}

fn load(database: &Database) -> Result<Levels, Unusable> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let number = |name| -> Result<u64, redb::Error> { Ok(meta.get(name)?.map_or(0, |value| value.value())) };
    let format = number("format")?;
    if format > FORMAT {
        return Err(Unusable::Later(format));
    }
    transaction.open_table(PUBLISHED)?;
    transaction.open_table(ARCHIVE_IDS)?;
    transaction.open_table(ANSWER_TIMES)?;
    let dropped = number("dropped")?;
    let since = i64::try_from(number("dropping-since")?).unwrap_or(0);
    let mut levels = Levels {
        last_record: number("last-record")?,
        last_command: number("last-command")?,
        history: HistoryLevels::load(&transaction, number("history-kept-since")?)?,
        dropping: (dropped > 0).then(|| Dropping {
            since: Timestamp::from_millisecond(since).unwrap_or_default(),
            count: dropped,
        }),
        ..Levels::default()
    };
    for entry in transaction.open_table(OUTBOX)?.iter()? {
        let (number, value) = entry?;
        let (head, payload) = value.value();
        levels.outbox.add(head.len() + payload.len());
        levels.newest_on_disk = number.value();
    }
    for entry in transaction.open_table(INBOX)?.iter()? {
        let (_, value) = entry?;
        let (_, head, payload) = value.value();
        levels.inbox.add(head.len() + payload.len());
    }
    for entry in transaction.open_table(ARCHIVE)?.iter()? {
        let (number, value) = entry?;
        levels.archive.add(value.value().1.len());
        levels.newest_dead_letter = number.value();
    }
    for entry in transaction.open_table(ANSWERS)?.iter()? {
        levels.answers.add(entry?.1.value().1.len());
    }
    Ok(levels)
}

/// All tables of a write transaction.
pub(super) struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    pub(super) published: Table<'t, &'static str, ()>,
    pub(super) outbox: Table<'t, u64, (&'static [u8], &'static [u8])>,
    pub(super) inbox: Table<'t, u64, (u32, &'static [u8], &'static [u8])>,
    pub(super) archive: Table<'t, u64, (&'static [u8; 16], &'static [u8])>,
    pub(super) archive_ids: Table<'t, &'static [u8; 16], u64>,
    pub(super) marks: Table<'t, &'static [u8; 16], &'static [u8]>,
    pub(super) answers: Table<'t, &'static [u8; 32], (i64, &'static [u8])>,
    pub(super) answer_times: Table<'t, (i64, &'static [u8; 32]), ()>,
    pub(super) incidents: Table<'t, &'static str, &'static [u8]>,
    pub(super) recorded_slots: Table<'t, &'static str, &'static [u8]>,
    pub(super) recorded_events: Table<'t, &'static str, &'static [u8]>,
    pub(super) subjects: Table<'t, &'static str, u32>,
    pub(super) history: Table<'t, (u32, u64), &'static [u8]>,
    pub(super) history_order: Table<'t, u64, (u32, i64)>,
    pub(super) history_ids: Table<'t, &'static [u8; 16], ()>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Tables<'t>, TableError> {
        Ok(Tables {
            meta: transaction.open_table(META)?,
            published: transaction.open_table(PUBLISHED)?,
            outbox: transaction.open_table(OUTBOX)?,
            inbox: transaction.open_table(INBOX)?,
            archive: transaction.open_table(ARCHIVE)?,
            archive_ids: transaction.open_table(ARCHIVE_IDS)?,
            marks: transaction.open_table(MARKS)?,
            answers: transaction.open_table(ANSWERS)?,
            answer_times: transaction.open_table(ANSWER_TIMES)?,
            incidents: transaction.open_table(INCIDENTS)?,
            recorded_slots: transaction.open_table(RECORDED_SLOTS)?,
            recorded_events: transaction.open_table(RECORDED_EVENTS)?,
            subjects: transaction.open_table(SUBJECTS)?,
            history: transaction.open_table(HISTORY)?,
            history_order: transaction.open_table(HISTORY_ORDER)?,
            history_ids: transaction.open_table(HISTORY_IDS)?,
        })
    }
}

/// A write transaction under way. What it does to each table stands in that table's module.
pub(super) struct Writing<'t, 'o> {
    pub(super) tables: Tables<'t>,
    pub(super) levels: Levels,
    pub(super) options: &'o Options,
    pub(super) now: Timestamp,
}

/// Runs `work` in one transaction; gives the levels afterwards. After an error nothing has changed.
pub(super) fn write(
    database: &Database,
    levels: &Levels,
    options: &Options,
    work: impl FnOnce(&mut Writing<'_, '_>) -> Result<(), redb::Error>,
) -> Result<Levels, redb::Error> {
    let transaction = database.begin_write()?;
    let levels = {
        let mut writing = Writing {
            tables: Tables::open(&transaction)?,
            levels: levels.clone(),
            options,
            now: Timestamp::now(),
        };
        work(&mut writing)?;
        writing.keep_numbers()?;
        writing.levels
    };
    transaction.commit()?;
    Ok(levels)
}

impl Writing<'_, '_> {
    /// Adds and removes published topics, removals first.
    pub(super) fn published_topics(
        &mut self,
        add: &[Arc<str>],
        remove: &[Arc<str>],
    ) -> Result<(), redb::Error> {
        for topic in remove {
            self.tables.published.remove(topic.as_ref())?;
        }
        for topic in add {
            self.tables.published.insert(topic.as_ref(), ())?;
        }
        Ok(())
    }

    fn keep_numbers(&mut self) -> Result<(), redb::Error> {
        let dropping = self.levels.dropping;
        let since = dropping.map_or(0, |dropping| dropping.since.as_millisecond());
        let kept_since = self.levels.history.kept_since.unwrap_or(0);
        let numbers = [
            ("history-kept-since", u64::try_from(kept_since).unwrap_or(0)),
            ("last-record", self.levels.last_record),
            ("last-command", self.levels.last_command),
            ("dropped", dropping.map_or(0, |dropping| dropping.count)),
            ("dropping-since", u64::try_from(since).unwrap_or(0)),
        ];
        for (name, number) in numbers {
            self.tables.meta.insert(name, number)?;
        }
        Ok(())
    }
}
