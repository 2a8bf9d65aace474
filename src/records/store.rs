//! The durable store: one database file in the state directory, owned by one process.
//!
//! It holds what has to outlive the process: records until the broker has acknowledged them, commands until
//! they are answered, dead letters, the answers of the last hour, the history of devices, what was last recorded of each,
//! and the topics that this bridge has published and not yet cleared again.

mod answers;
mod archive;
pub(crate) mod entry;
mod error;
mod file;
mod health;
mod history;
mod inbox;
mod incidents;
mod job;
mod key;
mod look;
mod marks;
mod memory;
pub mod options;
mod outbox;
mod own_dead_letters;
mod recorded;
mod status;
mod store_file;
mod tables;
mod take_over;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::{Received, Record};
use crate::contract::dead_letter::Summary;
use crate::model::{DeviceId, Recorded};
pub use error::StoreError;
pub use file::FILE_NAME;
use file::Source;
pub use history::{DeviceHistory, Found, HistoryFilter, HistoryPage, HistoryQuery, MAX_OF_DEVICE};
pub use inbox::{Begun, End, Waiting};
pub use incidents::{IncidentChange, OpenIncidents};
use job::{Asked, Changed};
pub use key::AnswerKey;
pub use look::{Look, look};
pub use options::{Limit, Limits, Options};
pub use recorded::Unrecorded;
pub use status::StoreStatus;
use tables::Writing;
use writer::{Job, Writer};

/// Calls that wait for the thread. When it is full the next one waits: the disk is slower than what comes in.
const CALLS_WAITING: usize = 1024;

/// How long the end of the last handle waits for the disk.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Where an answer goes. Whoever called may have been dropped: then the answer is not needed.
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterSet {
    /// All of the archive but these.
    AllBut(Vec<Uuid>),
    /// These; unknown ones do not matter.
    These(Vec<Uuid>),
}

/// What is written together.
#[derive(Debug, Default)]
pub struct Entries {
    /// For the outbox, in order.
    pub records: Vec<Record>,
    /// What becomes of incidents, in order.
    pub incidents: Vec<IncidentChange>,
    /// What is recorded of devices from then on; `None` of one that is not configured any more.
    pub recorded: Unrecorded,
}

impl Entries {
    /// From then on that is recorded of the device; nothing, where it is not configured any more.
    pub fn record(&mut self, device: DeviceId, recorded: Option<Recorded>) {
        recorded::put(&mut self.recorded, device, recorded);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.incidents.is_empty() && self.recorded.is_empty()
    }
}

/// The durable store. Clones share it; with the last of them it is closed, which waits for the disk, but not
/// for long.
///
/// A call that is dropped while it waits is carried out all the same.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

/// In this order: without senders the thread ends, and then it is waited for.
#[derive(Debug)]
struct Shared {
    jobs: mpsc::Sender<Job>,
    newest: watch::Sender<u64>,
    status: watch::Sender<StoreStatus>,
    incidents: watch::Sender<OpenIncidents>,
    _thread: Thread,
}

/// The thread that owns the database.
#[derive(Debug)]
struct Thread {
    /// Ends with the thread's work.
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(CLOSE_WITHIN) {
            tracing::warn!("the durable store is still being written; the disk of state.directory is slow");
        }
    }
}

impl Store {
    /// Opens the store in `directory`, both made if missing. A damaged file is set aside and a new one begun.
    /// Blocks until that is done.
    ///
    /// # Errors
    /// When another process uses it, a later version has written it, or it cannot be made or opened.
    pub fn open(directory: &Path, options: Options) -> Result<Store, StoreError> {
        Store::start(Source::in_directory(directory, options.cache_bytes)?, options)
    }

    /// A store that lives as long as the process: for a demonstration that leaves nothing behind.
    pub fn in_memory(options: Options) -> Store {
        Store::with_backend(InMemoryBackend::new, options).expect("memory takes a new database")
    }

    /// A store on any storage that the database can use. `make` gives it, and gives it again, with the same
    /// contents, after a failure.
    ///
    /// # Errors
    /// When the storage fails or holds something else.
    pub fn with_backend<B: StorageBackend>(
        make: impl Fn() -> B + Send + 'static,
        options: Options,
    ) -> Result<Store, StoreError> {
        Store::start(Source::backend(make), options)
    }

    fn start(source: Source, options: Options) -> Result<Store, StoreError> {
        let writer = Writer::new(source, options)?;
        let (jobs, calls) = mpsc::channel(CALLS_WAITING);
        let (newest, status, incidents) = (writer.newest(), writer.status(), writer.incidents());
        let (alive, ended) = std::sync::mpsc::channel();
        let work = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().build();
            let runtime = runtime.expect("a runtime without I/O needs nothing that could fail");
            runtime.block_on(writer.run(calls));
            drop(alive);
        };
        let thread = std::thread::Builder::new().name("store".to_owned());
        thread
            .spawn(work)
            .map_err(|error| StoreError::Io(format!("its thread cannot be started: {error}")))?;
        Ok(Store(Arc::new(Shared {
            jobs,
            newest,
            status,
            incidents,
            _thread: Thread {
                ended: Mutex::new(ended),
            },
        })))
    }

    /// Every topic that was published and not yet cleared again, by this process or an earlier one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn published_topics(&self) -> Result<Vec<String>, StoreError> {
        self.read(Writer::published_topics).await
    }

    /// What earlier runs have last recorded of each device.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn recorded(&self) -> Result<BTreeMap<DeviceId, Recorded>, StoreError> {
        self.read(Writer::recorded).await
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
        self.change(move |writing| writing.published_topics(&add, &remove).map(Ok))
            .await
    }

    /// Puts records at the end of the outbox, dead letters into the archive as well. When it returns they are
    /// on disk, or in memory while the disk fails.
    pub async fn append(&self, records: Vec<Record>) {
        let entries = Entries {
            records,
            ..Entries::default()
        };
        self.append_all(entries).await;
    }

    /// The same with what goes with records: all of it is on disk, or nothing is.
    pub async fn append_all(&self, entries: Entries) {
        self.put(|done| Job::Append(entries, done)).await;
    }

    /// The oldest records whose number is above `after`: so many that neither bound is passed, but one at least.
    ///
    /// # Errors
    /// When the storage cannot be read. What is only in memory does not come before what is on disk.
    pub async fn outbox(
        &self,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<(u64, Record)>, StoreError> {
        let limit = Limit::of(max_entries, max_bytes);
        self.read(move |writer| writer.outbox(after, limit)).await
    }

    /// The broker has acknowledged these records: they leave the outbox. Not on disk at once: after a crash
    /// some of them may be there again.
    pub async fn sent(&self, numbers: Vec<u64>) {
        // Nobody takes it only where the thread has ended: then they are sent again after a restart.
        let _ = self.0.jobs.send(Job::Sent(numbers)).await;
    }

    /// The number of the newest record; 0 before the first. Not to be borrowed across an `await`: the store waits
    /// to write it.
    pub fn newest_record(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// What is in the store. Not to be borrowed across an `await`, as for [`newest_record`](Store::newest_record).
    pub fn status(&self) -> watch::Receiver<StoreStatus> {
        self.0.status.subscribe()
    }

    /// Takes commands into the inbox, all or none; when it returns they are on disk. Gives their numbers.
    ///
    /// # Errors
    /// [`StoreError::InboxFull`], or when the storage fails; then nothing of them is stored.
    pub async fn receive(&self, commands: Vec<Received>) -> Result<Vec<u64>, StoreError> {
        self.change(move |writing| writing.receive(&commands)).await
    }

    /// The same, but the store's thread calls `done` with what [`receive`](Store::receive) would give. It does so, in
    /// order, for every call that has returned, unless its work has ended.
    pub async fn receive_then(
        &self,
        commands: Vec<Received>,
        done: impl FnOnce(Result<Vec<u64>, StoreError>) + Send + 'static,
    ) {
        let job = changing(move |writing| writing.receive(&commands), done);
        // Nobody takes it only where the thread has ended.
        let _ = self.0.jobs.send(job).await;
    }

    /// The commands that are not answered yet, in order of arrival.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn inbox(&self) -> Result<Vec<Waiting>, StoreError> {
        self.read(Writer::inbox).await
    }

    /// Counts an attempt at a command, before it begins, unless the same one (with the same `key`) was answered within the
    /// last hour; when it returns that is on disk.
    ///
    /// # Errors
    /// [`StoreError::Finished`], or when the storage fails; then it is not counted.
    pub async fn begin(&self, number: u64, key: Option<AnswerKey>) -> Result<Begun, StoreError> {
        self.change(move |writing| writing.begin(number, key.as_ref()))
            .await
    }

    /// A command has ended: its records go into the outbox, its answer is remembered, and it leaves the inbox, all
    /// at once. While the disk fails that is kept in memory, and written as soon as the disk works.
    pub async fn finish(&self, number: u64, end: End) {
        self.put(|done| Job::Finish(number, Box::new(end), done)).await;
    }

    /// The first answer to the same command within the last hour.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn answer(&self, key: AnswerKey) -> Result<Option<Bytes>, StoreError> {
        self.read(move |writer| writer.answer(&key)).await
    }

    /// At most so many dead letters of the archive, the newest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<Summary>, StoreError> {
        self.read(move |writer| writer.dead_letters(limit)).await
    }

    /// A dead letter of the archive, as it was published; its origin by
    /// `contract::dead_letter::origin`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dead_letter(&self, id: Uuid) -> Result<Option<Bytes>, StoreError> {
        self.read(move |writer| writer.dead_letter(id)).await
    }

    /// Puts dead letters into the archive that somebody else publishes.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub async fn archive(&self, dead_letters: Vec<Record>) -> Result<(), StoreError> {
        self.change(move |writing| writing.archive_all(&dead_letters).map(Ok))
            .await
    }

    /// Drops dead letters from the archive; gives those that there were. What is still to be sent is sent.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub async fn drop_dead_letters(&self, which: DeadLetterSet) -> Result<Vec<Uuid>, StoreError> {
        self.change(move |writing| writing.drop_dead_letters(&which).map(Ok))
            .await
    }

    async fn put(&self, job: impl FnOnce(oneshot::Sender<()>) -> Job) {
        let (done, answered) = oneshot::channel();
        let is_taken = self.0.jobs.send(job(done)).await.is_ok();
        if !is_taken || answered.await.is_err() {
            tracing::error!("the durable store has ended: records are lost");
        }
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Writing<'_, '_>) -> Changed<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = |answer: Answer<T>| changing(work, move |result| drop(answer.send(result)));
        self.ask(job).await
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = |answer: Answer<T>| move |writer: &mut Writer| drop(answer.send(look(writer)));
        self.ask(|answer| Job::Read(Box::new(read(answer)))).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let ended = || StoreError::Io("its thread has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0.jobs.send(job(answer)).await.map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn changing<T: Send + 'static>(
    work: impl FnMut(&mut Writing<'_, '_>) -> Changed<T> + Send + 'static,
    done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
) -> Job {
    let result = None;
    Job::Change(Box::new(Asked { work, result, done }))
}

#[cfg(test)]
mod tests;
