//! The durable store: one database file in the state directory, owned by one process.
//!
//! It holds what has to outlive the process: records until the broker has acknowledged them, commands until
//! they are answered, dead letters, the answers of the last hour, and the topics that this bridge has
//! published and not yet cleared again.

mod key;

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use tokio::sync::watch;
use uuid::Uuid;

use super::dead_letter::Summary;
use super::{Destination, Received, Record};
use crate::model::DeviceId;
pub use key::AnswerKey;

/// The file in the state directory.
pub const FILE_NAME: &str = "lantime2mqtt.redb";

/// Dead letters that stay in the archive, unless the configuration says otherwise.
pub const KEEP: usize = 1_000;

/// The database's page cache. Its default of 1 GiB is for other jobs.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const PUBLISHED: TableDefinition<'_, &str, ()> = TableDefinition::new("published-topics");

/// What a store is for, and how much of it.
#[derive(Debug, Clone)]
pub struct Options {
    /// This bridge: the store's own dead letters name it.
    pub bridge: DeviceId,
    /// How much is kept.
    pub limits: Limits,
    /// Dead letters that stay in the archive.
    pub keep: usize,
}

impl Options {
    /// The usual limits.
    pub fn new(bridge: DeviceId) -> Options {
        Options {
            bridge,
            limits: Limits::default(),
            keep: KEEP,
        }
    }
}

/// A bound: as soon as either is reached, there is no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub entries: usize,
    /// Bytes of all together.
    pub bytes: usize,
}

/// How much the store keeps. Documented in the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records that the broker has not acknowledged; beyond it the oldest are dropped, and a dead letter says so.
    pub outbox: Limit,
    /// Commands that are not answered yet; beyond it no more are taken.
    pub inbox: Limit,
    /// Bytes of all dead letters; beyond it, and beyond [`Options::keep`], the oldest go.
    pub archive_bytes: usize,
    /// Answers that are remembered; beyond it the oldest go.
    pub answers: Limit,
    /// How long an answer is remembered.
    pub answers_for: Duration,
    /// Records in memory while the disk fails; beyond it the oldest are dropped, and a dead letter says so.
    pub memory: Limit,
    /// Pause before a disk that failed is tried again.
    pub retry: Duration,
}

const MIB: usize = 1024 * 1024;

impl Default for Limits {
    fn default() -> Limits {
        let limit = |entries, bytes| Limit { entries, bytes };
        Limits {
            outbox: limit(100_000, 64 * MIB),
            inbox: limit(1_000, 16 * MIB),
            archive_bytes: 64 * MIB,
            answers: limit(10_000, 16 * MIB),
            answers_for: Duration::from_secs(3600),
            memory: limit(10_000, 8 * MIB),
            retry: Duration::from_secs(5),
        }
    }
}

/// What is in the store. Who watches it is woken when a number becomes zero or is no longer, and when the
/// disk fails or works again, not for each record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Records that the broker has not acknowledged.
    pub records: usize,
    /// Bytes of these.
    pub record_bytes: usize,
    /// Commands that are not answered yet.
    pub commands: usize,
    /// Dead letters in the archive.
    pub dead_letters: usize,
    /// Records that were dropped for want of room, since the store was opened.
    pub dropped: u64,
    /// Why the disk cannot be used now.
    pub failing: Option<String>,
}

/// A command in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number: the order of arrival.
    pub number: u64,
    /// The command.
    pub command: Received,
    /// Attempts that have begun.
    pub attempts: u32,
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// Its reply, its dead letter.
    pub records: Vec<Record>,
    /// The answer that the same command gets within the next hour.
    pub answer: Option<(AnswerKey, Bytes)>,
}

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letters {
    /// All of the archive.
    All,
    /// These; unknown ones do not matter.
    These(Vec<Uuid>),
}

/// Why the store could not be opened or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{0} is already in use by another lantime2mqtt; stop that one, or set another state.directory")]
    InUse(PathBuf),
    /// The directory or file cannot be made or opened.
    #[error("cannot open {path}: {reason}; check that state.directory exists and may be written")]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("cannot use the durable store: {0}; check the disk of state.directory")]
    Io(String),
    /// Too many commands wait already.
    #[error("{0} commands wait already; send this one again when they are answered")]
    InboxFull(usize),
    /// There is no such command in the inbox (any more).
    #[error("command {0} is no longer in the inbox")]
    Finished(u64),
}

/// The durable store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` for a store that is not a file.
    path: Option<PathBuf>,
    /// `None` after a failure: the database refuses everything after one, and is opened anew by the next call.
    database: Mutex<Option<Database>>,
    memory: Mutex<Memory>,
    newest: watch::Sender<u64>,
    status: watch::Sender<StoreStatus>,
}

#[derive(Debug, Default)]
struct Memory {
    last: u64,
    outbox: BTreeMap<u64, Record>,
    inbox: BTreeMap<u64, Waiting>,
    archive: BTreeMap<Uuid, Bytes>,
    answers: HashMap<AnswerKey, Bytes>,
}

impl Store {
    /// Opens the store in `directory`, both made if missing. A damaged file is set aside and a new one begun.
    /// Blocks until that is done.
    ///
    /// # Errors
    /// When another process uses it, or when it cannot be made or opened.
    pub fn open(directory: &Path, options: Options) -> Result<Store, StoreError> {
        let failed = |error: io::Error| StoreError::Open {
            path: directory.to_owned(),
            reason: error.to_string(),
        };
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let path = directory.join(FILE_NAME);
        let database = open_or_begin(&path)?;
        Ok(Store::with(Some(path), database, options))
    }

    /// A store that lives as long as the process: for a demonstration that leaves nothing behind.
    pub fn in_memory(options: Options) -> Store {
        Store::with_backend(InMemoryBackend::new, options).expect("memory takes a new database")
    }

    /// A store on any storage that the database can use. `make` gives it, and gives it anew, with the same
    /// contents, after a failure.
    ///
    /// # Errors
    /// When the storage fails or holds something else.
    pub fn with_backend<B: StorageBackend>(
        make: impl Fn() -> B + Send + 'static,
        options: Options,
    ) -> Result<Store, StoreError> {
        let database = redb::Builder::new()
            .create_with_backend(make())
            .map_err(io_error)?;
        create_tables(&database).map_err(io_error)?;
        Ok(Store::with(None, database, options))
    }

    fn with(path: Option<PathBuf>, database: Database, _options: Options) -> Store {
        Store(Arc::new(Shared {
            path,
            database: Mutex::new(Some(database)),
            memory: Mutex::default(),
            newest: watch::Sender::new(0),
            status: watch::Sender::new(StoreStatus::default()),
        }))
    }

    /// Every topic that was published and not yet cleared again, by this process or an earlier one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn published_topics(&self) -> Result<Vec<String>, StoreError> {
        self.used(|database| {
            let table = database.begin_read()?.open_table(PUBLISHED)?;
            let topics = table
                .iter()?
                .map(|entry| entry.map(|(topic, _)| topic.value().to_owned()));
            Ok(topics.collect::<Result<_, _>>()?)
        })
    }

    /// Adds and removes published topics in one transaction, removals first; when it returns they are on disk.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub async fn update_published_topics(
        &self,
        add: Vec<Arc<str>>,
        remove: Vec<Arc<str>>,
    ) -> Result<(), StoreError> {
        self.used(|database| {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(PUBLISHED)?;
                for topic in &remove {
                    table.remove(topic.as_ref())?;
                }
                for topic in &add {
                    table.insert(topic.as_ref(), ())?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// Puts records at the end of the outbox, dead letters into the archive as well. When it returns they are
    /// on disk, or in memory while the disk fails.
    pub async fn append(&self, records: Vec<Record>) {
        let mut memory = self.memory();
        append(&mut memory, records);
        self.0.newest.send_replace(memory.last);
    }

    /// The oldest records whose number is above `after`: so many that neither bound is passed, but one at least.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn outbox(
        &self,
        after: u64,
        max_entries: usize,
        _max_bytes: usize,
    ) -> Result<Vec<(u64, Record)>, StoreError> {
        let memory = self.memory();
        let records = memory.outbox.range(after + 1..).take(max_entries);
        Ok(records
            .map(|(number, record)| (*number, record.clone()))
            .collect())
    }

    /// The broker has acknowledged these records: they leave the outbox. Not on disk at once: after a crash
    /// some of them may be there again.
    pub async fn sent(&self, numbers: Vec<u64>) {
        let mut memory = self.memory();
        for number in numbers {
            memory.outbox.remove(&number);
        }
    }

    /// The number of the newest record; 0 before the first.
    pub fn newest_record(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// What is in the store.
    pub fn status(&self) -> watch::Receiver<StoreStatus> {
        self.0.status.subscribe()
    }

    /// Takes commands into the inbox, all or none; when it returns they are on disk. Gives their numbers.
    ///
    /// # Errors
    /// [`StoreError::InboxFull`], or when the storage fails; then nothing of them is stored.
    pub async fn receive(&self, commands: Vec<Received>) -> Result<Vec<u64>, StoreError> {
        let mut memory = self.memory();
        let mut numbers = Vec::new();
        for command in commands {
            memory.last += 1;
            let number = memory.last;
            let waiting = Waiting {
                number,
                command,
                attempts: 0,
            };
            memory.inbox.insert(number, waiting);
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// The commands that are not answered yet, in order of arrival.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn inbox(&self) -> Result<Vec<Waiting>, StoreError> {
        Ok(self.memory().inbox.values().cloned().collect())
    }

    /// Counts an attempt at a command, before it begins; when it returns that is on disk. Gives which one this is,
    /// from 1.
    ///
    /// # Errors
    /// [`StoreError::Finished`], or when the storage fails; then it is not counted.
    pub async fn attempt(&self, number: u64) -> Result<u32, StoreError> {
        let mut memory = self.memory();
        let waiting = memory
            .inbox
            .get_mut(&number)
            .ok_or(StoreError::Finished(number))?;
        waiting.attempts += 1;
        Ok(waiting.attempts)
    }

    /// A command has ended: its records go into the outbox, its answer is remembered, and it leaves the inbox, all
    /// at once. While the disk fails that is kept in memory, and written as soon as the disk works.
    pub async fn finish(&self, number: u64, end: End) {
        let mut memory = self.memory();
        memory.inbox.remove(&number);
        if let Some((key, answer)) = end.answer {
            memory.answers.entry(key).or_insert(answer);
        }
        append(&mut memory, end.records);
        self.0.newest.send_replace(memory.last);
    }

    /// The first answer to the same command within the last hour.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn answer(&self, key: AnswerKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.memory().answers.get(&key).cloned())
    }

    /// At most so many dead letters of the archive, the newest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let memory = self.memory();
        let letters = memory.archive.values().rev();
        Ok(letters
            .filter_map(|json| Summary::read(json))
            .take(limit)
            .collect())
    }

    /// A dead letter of the archive, as it was published.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dead_letter(&self, id: Uuid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.memory().archive.get(&id).cloned())
    }

    /// Drops dead letters from the archive; gives how many there were. What is still to be sent is sent.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub async fn drop_dead_letters(&self, which: Letters) -> Result<usize, StoreError> {
        let mut memory = self.memory();
        let before = memory.archive.len();
        match which {
            Letters::All => memory.archive.clear(),
            Letters::These(ids) => memory.archive.retain(|id, _| !ids.contains(id)),
        }
        Ok(before - memory.archive.len())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the database, which is opened anew if it failed before.
    fn used<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let mut database = self.0.database.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(path)) = (&*database, &self.0.path) {
            *database = Some(open_or_begin(path)?);
        }
        let Some(open) = &*database else {
            return Err(StoreError::Io("it failed before".to_owned()));
        };
        let result = work(open);
        if result.is_err() && self.0.path.is_some() {
            *database = None;
        }
        result.map_err(io_error)
    }
}

fn append(memory: &mut Memory, records: Vec<Record>) {
    for record in records {
        memory.last += 1;
        if let Destination::DeadLetter(_) = record.destination {
            memory.archive.insert(record.id, record.payload.clone());
        }
        memory.outbox.insert(memory.last, record);
    }
}

fn io_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

fn open_or_begin(path: &Path) -> Result<Database, StoreError> {
    match open_file(path) {
        Err(error) if is_damage(&error) => {
            let aside = set_aside(path)?;
            tracing::error!(
                file = %path.display(), set_aside_as = %aside.display(), %error,
                "the durable store is damaged: a new one is begun; topics of earlier configurations may stay at the broker"
            );
            open_file(path)
        }
        result => result,
    }
    .map_err(|error| match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        error => StoreError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    })
}

fn open_file(path: &Path) -> Result<Database, redb::Error> {
    // Made here for its mode; the database takes an empty file for a new one.
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let mut builder = redb::Builder::new();
    // Without the check a damaged page shows up at any later time, or as a panic.
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    let database = builder.create(path)?;
    create_tables(&database)?;
    Ok(database)
}

/// So that a first read finds its table, and a foreign file is found out at once.
fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(PUBLISHED)?;
    transaction.commit()?;
    Ok(())
}

fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => true,
        redb::Error::Io(error) => {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            )
        }
        _ => false,
    }
}

fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let at = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".damaged-{at}"));
    let aside = PathBuf::from(aside);
    std::fs::rename(path, &aside).map_err(|error| StoreError::Open {
        path: path.to_owned(),
        reason: format!("it is damaged and cannot be set aside: {error}"),
    })?;
    Ok(aside)
}
