//! The history, as far as the writer has to do with it: entries wait with the records that they are of, and the oldest go
//! in pieces, between other work.

use std::collections::BTreeSet;

use jiff::Timestamp;
use redb::ReadableDatabase;

use super::Writer;
use crate::history::{Entry, Part, Subject};
use crate::model::DeviceId;
use crate::records::Record;
use crate::records::store::history::levels::{number_at, of_same_time};
use crate::records::store::history::reading::Snapshot;
use crate::records::store::{DeviceHistory, HistoryPage, HistoryQuery, Store, StoreError};

impl Store {
    /// A part of the history.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.look_back(move |snapshot| snapshot.page(&query)).await
    }

    /// The history of a device from that time on.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn device_history(
        &self,
        device: DeviceId,
        from: Timestamp,
    ) -> Result<DeviceHistory, StoreError> {
        self.look_back(move |snapshot| snapshot.device(&device, from, |_| true))
            .await
    }

    /// The devices that have a history.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn devices_with_history(&self) -> Result<BTreeSet<DeviceId>, StoreError> {
        self.look_back(Snapshot::devices).await
    }

    /// Whether the history has anything of that device.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_history(&self, device: DeviceId) -> Result<bool, StoreError> {
        self.look_back(move |snapshot| snapshot.has(&device)).await
    }

    /// What `look` finds in the history of each of those devices from that time on, without signals and events. One is read
    /// after the other: there is never more than one in memory.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn look_at_relays<T: Send + 'static>(
        &self,
        devices: BTreeSet<DeviceId>,
        from: Timestamp,
        mut look: impl FnMut(&DeviceId, DeviceHistory) -> T + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let is_wanted = |subject: &Subject| !matches!(subject.part, Some(Part::Event(_) | Part::Signal(..)));
        self.look_back(move |snapshot| {
            let mut found = Vec::with_capacity(devices.len());
            for device in &devices {
                found.push(look(device, snapshot.device(device, from, is_wanted)?));
            }
            Ok(found)
        })
        .await
    }

    /// Adds entries that another bridge has recorded, but for those whose record is there already; when it returns they
    /// are on disk.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub async fn add_history(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.change(move |writing| writing.add_history(&entries).map(Ok))
            .await
    }

    /// The history begins at `since`, where it would begin later: entries of before the store are to be added.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub async fn begin_history_at(&self, since: Timestamp) -> Result<(), StoreError> {
        self.change(move |writing| {
            writing.levels.history.reach_back(since);
            Ok(Ok(()))
        })
        .await
    }

    /// Reads on a thread of its own: only the snapshot is taken on that of the store.
    async fn look_back<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let snapshot = self.read(Writer::snapshot).await?;
        let looked = tokio::task::spawn_blocking(move || look(&snapshot)).await;
        let looked = looked.map_err(|error| StoreError::Io(error.to_string()))?;
        looked.map_err(|error| StoreError::Io(error.to_string()))
    }
}

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
            let waiting = &mut self.memory.history;
            let number = match self.options.history.by_id {
                true => {
                    let first = number_at(entry.at.as_millisecond());
                    let last = waiting.range(of_same_time(first)).next_back();
                    last.map_or(first, |(last, _)| last + 1)
                }
                false => self.levels.history.next(),
            };
            waiting.insert(number, entry);
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

    /// The history as it is now.
    fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        let transaction = self.look(|database| Ok(database.begin_read()?));
        let transaction = self.noted(transaction)?;
        let kept_since = self.levels.history.kept_since;
        Ok(Snapshot {
            transaction,
            unwritten: self.memory.history.clone(),
            kept_since: kept_since.and_then(|since| Timestamp::from_millisecond(since).ok()),
        })
    }
}
