//! Where the records come from that a publisher sends: the store of this host, or etcd for the replies of a shard.

use tokio::sync::watch;

use crate::cluster::ledger::Ledger;
use crate::records::Record;
use crate::records::store::{Store, StoreError, StoreStatus};

/// Where records are kept until the broker has them.
#[derive(Debug, Clone)]
pub(super) enum RecordStore {
    /// All records of this host.
    Local(Store),
    /// The replies to the commands of a shard, and their dead letters.
    Shared(Ledger),
}

impl RecordStore {
    /// The number of the newest record.
    pub(super) fn newest_record(&self) -> watch::Receiver<u64> {
        match self {
            RecordStore::Local(store) => store.newest_record(),
            RecordStore::Shared(ledger) => ledger.newest_record(),
        }
    }

    /// The oldest records above `after`, within these bounds.
    pub(super) async fn outbox(
        &self,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<(u64, Record)>, StoreError> {
        match self {
            RecordStore::Local(store) => store.outbox(after, max_entries, max_bytes).await,
            RecordStore::Shared(ledger) => Ok(ledger.outbox(after, max_entries, max_bytes)),
        }
    }

    /// The broker has these records.
    pub(super) async fn sent(&self, numbers: Vec<u64>) {
        match self {
            RecordStore::Local(store) => store.sent(numbers).await,
            RecordStore::Shared(ledger) => ledger.sent(numbers).await,
        }
    }

    /// How much is in there.
    pub(super) fn status(&self) -> watch::Receiver<StoreStatus> {
        match self {
            RecordStore::Local(store) => store.status(),
            RecordStore::Shared(ledger) => ledger.status(),
        }
    }
}
