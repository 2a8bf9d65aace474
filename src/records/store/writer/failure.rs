//! What the writer does while the disk fails: it opens the database again, keeps records in memory up to a bound, and says
//! so when that begins and when it is over.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use tokio::time::Instant;

use super::Writer;
use crate::records::store::file::Damage;
use crate::records::store::own_dead_letters;

impl Writer {
    /// The database has failed: it is opened again, at least for reading.
    pub(super) fn failed(&mut self, error: &str) {
        self.close_database();
        self.note_failure(error);
        if let Err(error) = self.open() {
            tracing::debug!(error, "the durable store cannot be opened again");
        }
    }

    pub(super) fn note_failure(&mut self, error: &str) {
        if let Some(first_at) = self.health.failed(error, Instant::now()) {
            tracing::warn!(
                error,
                "the durable store cannot be written: records are kept in memory, and commands are not taken, until \
                 the disk of state.directory works again"
            );
            self.report_incident(own_dead_letters::disk_fails(error, first_at));
        }
    }

    pub(super) fn open(&mut self) -> Result<(), String> {
        let opened = guarded(|| self.source.open())?;
        let known = std::mem::replace(&mut self.levels, opened.levels);
        // What failed may be on disk all the same. Of commands the sender learned that they are not, and of
        // records those that memory no longer has are sent.
        let ghosts = known.last_command + 1..=self.levels.last_command;
        self.memory.finished.extend(ghosts.map(|number| (number, None)));
        let ghosts = known.newest_on_disk + 1..=self.levels.newest_on_disk;
        let ghosts = ghosts.filter(|number| !self.memory.records.contains_key(number));
        self.memory.sent.extend(ghosts);
        self.levels.last_record = self.levels.last_record.max(known.last_record);
        self.levels.last_command = self.levels.last_command.max(known.last_command);
        self.levels.history.last = self.levels.history.last.max(known.history.last);
        self.begin_history();
        self.levels.dropping = known.dropping;
        self.levels.dropped = known.dropped;
        self.database = Some(opened.database);
        self.write_incidents_again();
        self.report_damage(opened.damage);
        if let Some(aside) = opened.displaced {
            self.push(own_dead_letters::displaced(&self.options.bridge, &aside));
        }
        Ok(())
    }

    pub(super) fn report_damage(&mut self, damage: Option<Damage>) {
        if let Some(Damage { aside, error }) = damage {
            self.push(own_dead_letters::damaged(&self.options.bridge, &aside, &error));
        }
    }

    pub(super) fn end_failure(&mut self) {
        if let Some(failure) = self.health.over(Instant::now()) {
            tracing::info!(failures = failure.count, "the durable store can be written again");
            self.report_incident(own_dead_letters::disk_works(&failure));
        }
    }

    /// Drops the oldest records in memory beyond the bound, and says so when that begins.
    pub(super) fn bound_memory(&mut self) {
        let limit = self.options.limits.memory;
        self.bound_history_in_memory(limit.entries);
        if self.health.failing().is_none() || !self.memory.level.is_above(limit) {
            return;
        }
        let begins = self.levels.dropping.is_none();
        // As in the outbox: the dead letter must not push out more than it says.
        let limit = if begins {
            limit.less(own_dead_letters::ROOM)
        } else {
            limit
        };
        let count = self.memory.bound(limit);
        let dropping = self.levels.note_dropped(count, Timestamp::now());
        if begins {
            let dead_letter =
                own_dead_letters::dropping(&self.options.bridge, dropping.count, dropping.since);
            self.push(dead_letter);
        }
    }

    pub(super) fn log_dropping(&self) {
        match self.levels.dropping {
            Some(_) => tracing::error!("too many records wait for the broker: the oldest are dropped"),
            None => tracing::info!(dropped = self.levels.dropped, "there is room for records again"),
        }
    }

    pub(super) fn close_database(&mut self) {
        let closed = guarded(|| {
            self.database = None;
            Ok::<_, redb::Error>(())
        });
        if let Err(error) = closed {
            tracing::debug!(error, "the durable store could not be closed");
        }
    }
}

/// A fault of the database must not end the thread: a panic is a failure like another.
pub(super) fn guarded<T, E: ToString>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let panicked = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("the database panicked: {}", text.unwrap_or("no text"))
    };
    let result = catch_unwind(AssertUnwindSafe(work)).map_err(panicked)?;
    result.map_err(|error| error.to_string())
}
