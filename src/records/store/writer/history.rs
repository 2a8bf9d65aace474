//! The history, as far as the writer has to do with it: entries wait with the records that they are of, and the oldest go
//! in pieces, between other work.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Writer;
use crate::history::Entry;
use crate::records::Record;

impl Writer {
    /// A history is kept from now on, or is not any more.
    pub(super) fn begin_history(&mut self) {
        let options = &self.options.history;
        self.levels.history.begin(options, Timestamp::now());
    }

    /// What the record says is an entry, too.
    pub(super) fn push_history(&mut self, record: &Record) {
        if !self.options.history.is_kept() {
            return;
        }
        if let Some(entry) = Entry::read(&record.destination, &record.payload) {
            let number = self.levels.history.next();
            self.memory.history.insert(number, entry);
        }
    }

    /// Whether entries have to go.
    pub(super) fn is_history_due(&self) -> bool {
        let options = &self.options.history;
        self.levels.history.is_due(options, Timestamp::now())
    }

    /// Drops the oldest entries in memory beyond the bound.
    pub(super) fn bound_history_in_memory(&mut self, most: usize) {
        let count = self.memory.bound_history(most);
        if count > 0 && self.history_dropped == 0 {
            tracing::error!(
                "the disk of state.directory fails for too long: the history loses what there is no room for in memory"
            );
        }
        self.history_dropped += count;
    }

    /// Entries that are not on disk yet.
    pub(in super::super) fn unwritten_history(&self) -> BTreeMap<u64, Entry> {
        self.memory.history.clone()
    }

    /// Before then nothing is kept.
    pub(in super::super) fn history_kept_since(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.levels.history.kept_since?).ok()
    }
}
