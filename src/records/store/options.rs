//! What a store is for, and how much it keeps.

use std::time::Duration;

use crate::model::DeviceId;

const MIB: usize = 1024 * 1024;

/// Records that the broker has not acknowledged: an hour of 25 records a second.
pub const OUTBOX: Limit = Limit::of(100_000, 64 * MIB);
/// Commands that are not answered yet.
pub const INBOX: Limit = Limit::of(1_000, 16 * MIB);
/// Dead letters that stay in the archive, unless the configuration says otherwise.
pub const KEEP: usize = 1_000;
/// Bytes of all dead letters in the archive.
pub const ARCHIVE_BYTES: usize = 64 * MIB;
/// Answers that are remembered.
pub const ANSWERS: Limit = Limit::of(10_000, 16 * MIB);
/// How long an answer is remembered.
pub const ANSWERS_FOR: Duration = Duration::from_secs(3600);
/// Records that are kept in memory while the disk fails.
pub const MEMORY: Limit = Limit::of(10_000, 8 * MIB);
/// Pause before a disk that failed is tried again.
pub const RETRY: Duration = Duration::from_secs(5);

/// How often it is looked whether the file is still there, when nothing is written: a deletion is noticed within a minute.
pub const CHECK_EVERY: Duration = Duration::from_secs(20);

/// The database's page cache. Its default of 1 GiB is for other jobs.
pub const CACHE_BYTES: usize = MIB;

/// What a store is for, and how much it keeps.
#[derive(Debug, Clone)]
pub struct Options {
    /// This bridge: the store's own dead letters name it.
    pub bridge: DeviceId,
    /// How much is kept.
    pub limits: Limits,
    /// Dead letters that stay in the archive.
    pub keep: usize,
    /// What is kept of changes.
    pub history: History,
    /// The database's page cache, at most.
    pub cache_bytes: usize,
}

/// What is kept of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// How long; zero for not at all.
    pub keep: Duration,
    /// How many at most.
    pub max_entries: usize,
    /// Whether entries come from other bridges, too: then one whose record is there already is not taken twice.
    pub by_id: bool,
}

impl History {
    /// Whether any are kept.
    pub(super) fn is_kept(&self) -> bool {
        !self.keep.is_zero() && self.max_entries > 0
    }

    /// How many are kept at most.
    pub(super) fn most(&self) -> usize {
        if self.is_kept() { self.max_entries } else { 0 }
    }
}

impl Default for History {
    fn default() -> History {
        History {
            keep: Duration::from_secs(90 * 86_400),
            max_entries: 1_000_000,
            by_id: false,
        }
    }
}

impl Options {
    /// The usual limits.
    pub fn new(bridge: DeviceId) -> Options {
        Options {
            bridge,
            limits: Limits::default(),
            keep: KEEP,
            history: History::default(),
            cache_bytes: CACHE_BYTES,
        }
    }
}

/// A bound in entries and in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub entries: usize,
    /// Bytes of all together, as they are stored.
    pub bytes: usize,
}

impl Limit {
    /// That bound.
    pub const fn of(entries: usize, bytes: usize) -> Limit {
        Limit { entries, bytes }
    }

    /// The bound that leaves room for so much more.
    pub(super) fn less(self, room: Limit) -> Limit {
        Limit {
            entries: self.entries.saturating_sub(room.entries),
            bytes: self.bytes.saturating_sub(room.bytes),
        }
    }

    pub(super) fn nine_tenths(self) -> Limit {
        Limit {
            entries: self.entries - self.entries.div_ceil(10),
            bytes: self.bytes - self.bytes.div_ceil(10),
        }
    }
}

/// How much the store keeps; by default what the constants of this module say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records that the broker has not acknowledged. Beyond it the oldest are dropped, and dead letters report
    /// when that begins and when it is over.
    pub outbox: Limit,
    /// Commands that are not answered yet. Beyond it no more are taken.
    pub inbox: Limit,
    /// Bytes of all dead letters. Beyond it, and beyond [`Options::keep`], the oldest go.
    pub archive_bytes: usize,
    /// Answers that are remembered. Beyond it the oldest go.
    pub answers: Limit,
    /// How long an answer is remembered.
    pub answers_for: Duration,
    /// Records in memory while the disk fails. Beyond it the oldest are dropped, and reported as for the outbox.
    pub memory: Limit,
    /// Pause before a disk that failed is tried again.
    pub retry: Duration,
    /// How often it is looked whether the file is still there, when nothing is written.
    pub check_every: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            outbox: OUTBOX,
            inbox: INBOX,
            archive_bytes: ARCHIVE_BYTES,
            answers: ANSWERS,
            answers_for: ANSWERS_FOR,
            memory: MEMORY,
            retry: RETRY,
            check_every: CHECK_EVERY,
        }
    }
}
