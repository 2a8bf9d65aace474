//! The thread that owns the database: takes all that waits, puts it into one transaction, and answers when that
//! is on disk. While the disk fails it keeps in memory what must not be lost, and tries again (`failure`).

mod failure;
mod history;
mod incidents;
mod reads;

use std::time::Duration;

use redb::Database;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::file::Source;
use super::health::Health;
use super::job::Change;
use super::memory::Memory;
use super::options::Options;
use super::recorded;
use super::tables::{Levels, write};
use super::{End, Entries, OpenIncidents, StoreError, StoreStatus, own_dead_letters};
use crate::records::Record;
use failure::guarded;

/// Jobs that go into one transaction.
const JOBS_AT_ONCE: usize = 1024;

/// How long records that were sent may stay on disk when nothing else is written: not a transaction for each.
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// One call of a handle.
pub(super) enum Job {
    Append(Entries, oneshot::Sender<()>),
    Sent(Vec<u64>),
    Finish(u64, Box<End>, oneshot::Sender<()>),
    Change(Box<dyn Change>),
    /// A look at what is stored. It sees every change that was asked for before.
    Read(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// The owner of the database.
pub(super) struct Writer {
    options: Options,
    source: Source,
    /// `None` while it cannot be opened. It refuses everything after a failure, and is then opened again.
    database: Option<Database>,
    levels: Levels,
    memory: Memory,
    health: Health,
    incidents: watch::Sender<OpenIncidents>,
    /// When records that were sent are taken off the disk at the latest.
    flush_at: Option<Instant>,
    /// When it is looked at the latest whether the file is still there.
    check_at: Instant,
    /// Whether commands of a later version were reported.
    newer_reported: bool,
    /// Entries of the history for which there was no room in memory.
    history_dropped: u64,
    newest: watch::Sender<u64>,
    status: watch::Sender<StoreStatus>,
}

impl Writer {
    pub(super) fn new(mut source: Source, options: Options) -> Result<Writer, StoreError> {
        let opened = source.open()?;
        let mut writer = Writer {
            health: Health::new(options.limits.retry),
            check_at: Instant::now() + options.limits.check_every,
            options,
            source,
            database: Some(opened.database),
            levels: opened.levels,
            memory: Memory::default(),
            incidents: watch::Sender::default(),
            flush_at: None,
            newer_reported: false,
            history_dropped: 0,
            newest: watch::Sender::new(0),
            status: watch::Sender::new(StoreStatus::default()),
        };
        writer.load_incidents();
        writer.begin_history();
        writer.show_dropping();
        writer.report_damage(opened.damage);
        writer.report_status();
        Ok(writer)
    }

    pub(super) fn newest(&self) -> watch::Sender<u64> {
        self.newest.clone()
    }

    pub(super) fn status(&self) -> watch::Sender<StoreStatus> {
        self.status.clone()
    }

    pub(super) fn incidents(&self) -> watch::Sender<OpenIncidents> {
        self.incidents.clone()
    }

    /// Works until the channel of jobs is closed; then writes what is left, and closes the database.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        loop {
            let next = jobs.recv_many(&mut batch, JOBS_AT_ONCE);
            if timeout_at(self.due(), next).await == Ok(0) {
                break;
            }
            self.work(batch.drain(..));
        }
        self.close();
    }

    /// When there is something to do without being asked.
    fn due(&self) -> Instant {
        let is_due = !self.memory.is_written() || self.is_history_due();
        if is_due && self.health.failing().is_none() {
            return Instant::now();
        }
        // While the disk fails the next try writes what was sent, too.
        let flush_at = self.flush_at.filter(|_| self.health.failing().is_none());
        let due = flush_at.into_iter().chain(self.health.due());
        due.fold(self.check_at, Instant::min)
    }

    fn work(&mut self, jobs: impl Iterator<Item = Job>) {
        let (mut done, mut changes, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        let mut replies = Vec::new();
        for job in jobs {
            match job {
                Job::Append(entries, reply) => {
                    self.append(entries);
                    done.push(reply);
                }
                Job::Sent(numbers) => self.sent(numbers),
                Job::Finish(number, mut end, reply) => {
                    replies.extend(end.local.take());
                    self.finish(number, *end);
                    done.push(reply);
                }
                Job::Change(change) => changes.push(change),
                Job::Read(read) => reads.push(read),
            }
        }
        let dropping = self.levels.dropping;
        self.commit_if_due(&mut changes);
        self.check_file_if_due();
        self.end_failure();
        self.bound_memory();
        if dropping.is_none() != self.levels.dropping.is_none() {
            self.log_dropping();
        }
        self.show_dropping();
        self.report_status();
        let failure = self
            .health
            .failing()
            .map(|error| StoreError::Io(error.to_owned()));
        for (asker, reply) in replies {
            let _ = asker.send(reply);
        }
        for reply in done {
            let _ = reply.send(());
        }
        changes
            .into_iter()
            .for_each(|change| change.answer(failure.as_ref()));
        reads.into_iter().for_each(|read| read(self));
    }

    fn push(&mut self, record: Record) {
        self.push_history(&record);
        let number = self.levels.next_record();
        self.memory.push(number, record);
    }

    fn append(&mut self, entries: Entries) {
        self.push_all(entries.records);
        let incidents = entries.incidents.into_iter();
        incidents.for_each(|change| self.change_incident(change));
        for (device, state) in entries.recorded {
            recorded::put(&mut self.memory.recorded, device, state);
        }
    }

    fn push_all(&mut self, records: Vec<Record>) {
        records.into_iter().for_each(|record| self.push(record));
    }

    fn sent(&mut self, numbers: Vec<u64>) {
        for number in numbers {
            self.memory.remove(number);
            if number <= self.levels.newest_on_disk {
                self.memory.sent.insert(number);
            }
        }
        if !self.memory.sent.is_empty() {
            self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_AFTER);
        }
    }

    fn finish(&mut self, number: u64, end: End) {
        self.push_all(end.records);
        self.memory.replayed.extend(end.replayed);
        let answer = self.memory.finished.entry(number).or_default();
        *answer = answer.take().or(end.answer);
    }

    fn commit_if_due(&mut self, changes: &mut [Box<dyn Change>]) {
        let now = Instant::now();
        let is_due = !changes.is_empty()
            || !self.memory.is_written()
            || self.is_history_due()
            || self.flush_at.is_some_and(|at| at <= now)
            || self.health.failing().is_some();
        if is_due && self.health.may_try(now) {
            self.commit(changes);
        }
    }

    /// Notices a file that was deleted or replaced while nothing is written.
    fn check_file_if_due(&mut self) {
        let now = Instant::now();
        if self.check_at > now {
            return;
        }
        self.check_at = now + self.options.limits.check_every;
        if self.health.failing().is_none()
            && let Err(error) = self.source.check()
        {
            self.failed(&error);
        }
    }

    /// One transaction with everything that is not on disk yet, and `changes`.
    fn commit(&mut self, changes: &mut [Box<dyn Change>]) {
        let is_retry = self.health.failing().is_some();
        if self.database.is_none()
            && let Err(error) = self.open()
        {
            return self.note_failure(&error);
        }
        let Some(database) = &self.database else { return };
        let (memory, options) = (&self.memory, &self.options);
        let result = guarded(|| {
            let mut levels = self.levels.clone();
            if is_retry {
                // On a full disk this may work where the whole does not, and makes room for it.
                levels = write(database, &levels, options, |writing| {
                    writing.remove_finished(memory)
                })?;
            }
            write(database, &levels, options, |writing| {
                writing.put_all(memory)?;
                changes.iter_mut().try_for_each(|change| change.run(writing))
            })
        });
        // After it: what went into a file that is no longer there is not on disk.
        match result.and_then(|levels| self.source.check().map(|()| levels)) {
            Ok(levels) => {
                self.levels = levels;
                self.memory = Memory::default();
                self.flush_at = None;
                self.health.worked(Instant::now());
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Reports how much there is.
    fn report_status(&self) {
        self.newest.send_if_modified(|newest| {
            let is_news = *newest != self.levels.last_record;
            *newest = self.levels.last_record;
            is_news
        });
        let on_disk = self.levels.outbox.entries.saturating_sub(self.memory.sent.len());
        // What was sent is not taken off before the next commit, and how large it was is not known here.
        let bytes_on_disk = if on_disk == 0 { 0 } else { self.levels.outbox.bytes };
        let status = StoreStatus {
            records: on_disk + self.memory.records.len(),
            record_bytes: bytes_on_disk + self.memory.level.bytes,
            commands: self
                .levels
                .inbox
                .entries
                .saturating_sub(self.memory.finished.len()),
            dead_letters: self.levels.archive.entries,
            last_dead_letter: self.levels.newest_dead_letter,
            history: self.levels.history.entries + self.memory.history.len(),
            history_dropped: self.history_dropped,
            dropped: self.levels.dropped,
            failing: self.health.failing().map(str::to_owned),
        };
        self.status.send_if_modified(|known| {
            let is_news = status.differs_in_kind(known);
            *known = status;
            is_news
        });
    }

    fn close(&mut self) {
        let has_more = |memory: &Memory| !memory.is_written() || !memory.sent.is_empty();
        if has_more(&self.memory) {
            self.commit(&mut []);
        }
        if let Some(failure) = self.health.over_at_end() {
            self.report_incident(own_dead_letters::disk_works(&failure));
        }
        if has_more(&self.memory) && self.health.failing().is_none() {
            self.commit(&mut []);
        }
        if !self.memory.is_written() {
            let (records, error) = (self.memory.records.len(), self.health.failing());
            tracing::error!(
                records,
                error,
                "the durable store cannot be written: these records are lost"
            );
        }
        self.close_database();
    }
}
