//! Reads records from the store when there is room for more of them and a connection.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::record_store::RecordStore;
use super::records::RecordQueue;
use crate::records::Record;
use crate::records::store::StoreError;

/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// What was read, and the newest number there was when it began.
type Reading = Pin<Box<dyn Future<Output = (u64, Result<Vec<(u64, Record)>, StoreError>)> + Send>>;

/// What came of waiting.
pub(super) enum Fetched {
    /// More records.
    Records(Vec<(u64, Record)>),
    /// Up to that number there are no more.
    NoneUpTo(u64),
    /// Look again whether to read.
    News,
}

pub(super) struct RecordSource {
    store: RecordStore,
    newest: watch::Receiver<u64>,
    running: Option<Reading>,
    /// After a failure: when to try again.
    retry_at: Option<Instant>,
    is_failing: bool,
}

impl RecordSource {
    pub(super) fn new(store: RecordStore) -> RecordSource {
        RecordSource {
            newest: store.newest_record(),
            store,
            running: None,
            retry_at: None,
            is_failing: false,
        }
    }

    /// Whether the store has records that the queue has not, as far as it can be read.
    pub(super) fn has_more(&self, queue: &RecordQueue) -> bool {
        self.retry_at.is_none() && *self.newest.borrow() > queue.newest()
    }

    /// Begins to read, if there is more and room for it.
    pub(super) fn start(&mut self, queue: &RecordQueue) {
        if self.running.is_some() || !self.has_more(queue) {
            return;
        }
        if let Some((records, bytes)) = queue.room() {
            let (store, newest, after) = (self.store.clone(), *self.newest.borrow(), queue.newest());
            self.running = Some(Box::pin(async move {
                (newest, store.outbox(after, records, bytes).await)
            }));
        }
    }

    /// Forgets what is being read: the queue begins at an earlier record.
    pub(super) fn stop(&mut self) {
        self.running = None;
    }

    /// Waits for what is being read, or for a reason to read. Safe to drop at any time.
    pub(super) async fn next(&mut self) -> Fetched {
        let Some(running) = &mut self.running else {
            match self.retry_at {
                Some(at) => {
                    sleep_until(at).await;
                    self.retry_at = None;
                }
                None if self.newest.changed().await.is_err() => std::future::pending().await,
                None => {}
            }
            return Fetched::News;
        };
        let (newest, read) = running.await;
        self.running = None;
        let was_failing = std::mem::replace(&mut self.is_failing, read.is_err());
        match read {
            Ok(records) => {
                if was_failing {
                    tracing::info!("records for the broker can be read again");
                }
                match records.is_empty() {
                    true => Fetched::NoneUpTo(newest),
                    false => Fetched::Records(records),
                }
            }
            Err(error) => {
                if !was_failing {
                    tracing::error!(%error, "cannot read records for the broker; retrying");
                }
                self.retry_at = Some(Instant::now() + RETRY);
                Fetched::News
            }
        }
    }
}
