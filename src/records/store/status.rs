//! How much is in the store, and whether its disk works.

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
    /// Number of the dead letter that came last: in a full archive it alone shows that there is a new one.
    pub last_dead_letter: u64,
    /// Entries of the history.
    pub history: usize,
    /// Entries of the history that were dropped while the disk failed, since the store was opened.
    pub history_dropped: u64,
    /// Records that were dropped for want of room, since the store was opened.
    pub dropped: u64,
    /// Why the disk cannot be used now.
    pub failing: Option<String>,
}

impl StoreStatus {
    /// Whether anything begins or ends.
    pub(crate) fn differs_in_kind(&self, other: &StoreStatus) -> bool {
        (self.records == 0) != (other.records == 0)
            || (self.commands == 0) != (other.commands == 0)
            || (self.dead_letters == 0) != (other.dead_letters == 0)
            || (self.dropped == 0) != (other.dropped == 0)
            || self.failing.is_some() != other.failing.is_some()
    }
}
