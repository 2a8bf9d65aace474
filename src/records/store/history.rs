//! The history: an entry for each record of a change or an event, written together with the record, and found again.
//!
//! Entries have numbers in order of arrival, so that a clock that is set back or forth changes no order. In a cluster the
//! order is that of their times: a bridge that was cut off sends old ones late. What is found is read beside the store's thread,
//! from a snapshot, a page at a time.

pub(super) mod definitions;
pub(super) mod levels;
mod packed;
pub(super) mod reading;
mod writing;

use jiff::Timestamp;

use crate::history::{Entry, Subject};
use crate::model::DeviceId;

/// Entries of a device that are given at once, at most.
pub const MAX_OF_DEVICE: usize = 100_000;

/// Which entries.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Of what.
    pub of: HistoryFilter,
    /// Not before then.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
    /// Only those that came before the one of that number.
    pub before: Option<u64>,
    /// How many at most.
    pub limit: usize,
}

/// Of what; `None` for any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// The device.
    pub device: Option<DeviceId>,
    /// The slot.
    pub slot: Option<String>,
    /// The relay.
    pub relay: Option<String>,
    /// The signal.
    pub signal: Option<String>,
    /// The event.
    pub event: Option<String>,
}

impl HistoryFilter {
    /// Whether it takes all there is.
    fn is_all(&self) -> bool {
        *self == HistoryFilter::default()
    }

    fn takes(&self, subject: &Subject) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.device
            .as_ref()
            .is_none_or(|device| subject.device == *device)
            && is(&self.slot, subject.slot().map(|slot| slot.as_str()))
            && is(&self.relay, subject.relay().map(|relay| relay.as_str()))
            && is(&self.signal, subject.signal().map(|signal| signal.as_str()))
            && is(&self.event, subject.event().map(|event| event.as_str()))
    }
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub number: u64,
    /// The entry.
    pub entry: Entry,
    /// When the same was next something else; `None` where it is still so.
    pub until: Option<Timestamp>,
}

/// A part of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// Newest first, in the order of their numbers.
    pub entries: Vec<Found>,
    /// Whether there are more.
    pub has_more: bool,
    /// Before then nothing is kept; `None` where there is no history.
    pub kept_since: Option<Timestamp>,
}

/// The history of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceHistory {
    /// Of each part: the newest entry of before, and all that came after it; oldest first.
    pub subjects: Vec<(Subject, Vec<Entry>)>,
    /// Before then nothing is kept; `None` where there is no history.
    pub kept_since: Option<Timestamp>,
    /// Whether that is all; otherwise there are more than [`MAX_OF_DEVICE`].
    pub is_all: bool,
}
