//! Keeps the durable list of published topics in step with the outbox.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::outbox::{Batch, Outbox};
use crate::records::store::{Store, StoreError};

type Writing = Pin<Box<dyn Future<Output = (Batch, Result<(), StoreError>)> + Send>>;

/// Pause after a failure. Meanwhile publishing goes on without the list.
const RETRY: Duration = Duration::from_secs(30);

pub(super) struct Journal {
    store: Store,
    /// One transaction at a time; what comes meanwhile goes into the next one.
    running: Option<Writing>,
    retry_at: Option<Instant>,
}

impl Journal {
    pub(super) fn new(store: Store) -> Journal {
        Journal {
            store,
            running: None,
            retry_at: None,
        }
    }

    /// Begins to write what has changed.
    pub(super) fn start(&mut self, outbox: &mut Outbox) {
        if self.running.is_some() {
            return;
        }
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            outbox.release_unrecorded();
            return;
        }
        if let Some(batch) = outbox.take_batch() {
            let store = self.store.clone();
            self.running = Some(Box::pin(async move {
                let (add, remove) = (batch.add.clone(), batch.remove.clone());
                let result = store.update_published_topics(add, remove).await;
                (batch, result)
            }));
        }
    }

    /// Whether a transaction is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.running.is_some()
    }

    /// Waits for the transaction under way; for ever when there is none. Safe to drop at any time.
    pub(super) async fn written(&mut self) -> (Batch, bool) {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let (batch, result) = running.await;
        self.running = None;
        match result {
            Ok(()) if self.retry_at.take().is_some() => {
                tracing::info!("the list of published topics is kept again")
            }
            Ok(()) => {}
            Err(error) => {
                let first = self.retry_at.replace(Instant::now() + RETRY).is_none();
                if first {
                    tracing::error!(
                        %error,
                        "cannot keep the list of published topics; publishing goes on, but topics that leave the \
                         configuration while this lasts may stay at the broker"
                    );
                }
                return (batch, false);
            }
        }
        (batch, true)
    }
}
