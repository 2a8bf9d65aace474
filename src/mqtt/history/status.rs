//! How records come in, for who reports it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::mqtt::link::LinkStatus;

/// What is known of the way records come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStatus {
    /// The connection.
    pub link: LinkStatus,
    /// Whether the broker delivers all of them.
    pub subscribed: bool,
    /// Filters that it has refused.
    pub refused: BTreeSet<String>,
    /// How long the broker keeps the session while the bridge is disconnected, where that is less than was asked for.
    pub kept_for: Option<Duration>,
    /// How often the broker had lost the session in this run: records that were made meanwhile may be missing.
    pub sessions_lost: u64,
    /// Records that were stored, or were there already.
    pub stored: u64,
    /// Records that are being stored.
    pub storing: usize,
    /// Messages that could not be read.
    pub unreadable: u64,
    /// Why records could not be stored, as long as that lasts.
    pub failing: Option<String>,
}

impl HistoryStatus {
    /// Of a connection by which nothing has come yet.
    pub(super) fn of(link: LinkStatus) -> HistoryStatus {
        HistoryStatus {
            link,
            subscribed: false,
            refused: BTreeSet::new(),
            kept_for: None,
            sessions_lost: 0,
            stored: 0,
            storing: 0,
            unreadable: 0,
            failing: None,
        }
    }
}
