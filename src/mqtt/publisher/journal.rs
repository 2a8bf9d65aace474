//! Writes to the store what has changed: records that are new, records that the broker has, and the list of
//! published topics. One round at a time; what comes meanwhile goes into the next one.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::outbox::{Batch, Outbox};
use crate::model::{DeadLetter, DeviceId, IncidentReport};
use crate::records::store::{IncidentChange, Store, StoreError};
use crate::records::{Record, dead_letter};

/// A round: the list's changes that it wrote, and how that went, where there were any.
type Round = Pin<Box<dyn Future<Output = (Batch, Option<Result<(), StoreError>>)> + Send>>;

/// Pause after the list could not be written. Meanwhile publishing goes on without it.
const RETRY: Duration = Duration::from_secs(30);

/// Records that may wait for a round. A store that fails answers at once; only a disk that hangs comes to this,
/// and then whoever makes more records has to wait.
const MAX_RECORDS: usize = 10_000;

pub(super) struct Journal {
    store: Store,
    bridge: DeviceId,
    running: Option<Round>,
    retry_at: Option<Instant>,
    /// To be appended, in order.
    records: Vec<Record>,
    /// What becomes of incidents, in order.
    incidents: Vec<IncidentChange>,
    /// Numbers of records that may leave the store.
    sent: Vec<u64>,
}

impl Journal {
    pub(super) fn new(store: Store, bridge: DeviceId) -> Journal {
        Journal {
            store,
            bridge,
            running: None,
            retry_at: None,
            records: Vec::new(),
            incidents: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Keeps a record from the next round on.
    pub(super) fn append(&mut self, record: Record) {
        self.records.push(record);
    }

    /// The same for the record of `dead_letter`.
    pub(super) fn append_dead_letter(&mut self, dead_letter: &DeadLetter) {
        self.append(dead_letter::record(dead_letter, &self.bridge));
    }

    /// Keeps an incident, and the record that reports it.
    pub(super) fn report(&mut self, report: IncidentReport) {
        let dead_letter = dead_letter::of_incident(&report);
        dead_letter
            .iter()
            .for_each(|dead_letter| self.append_dead_letter(dead_letter));
        self.incidents.push(report.into());
    }

    /// The incidents of that device are closed, for this reason.
    pub(super) fn close_incidents(&mut self, device: DeviceId, reason: &'static str) {
        self.incidents.push(IncidentChange::AllClosed(device, reason));
    }

    /// Lets the record of that number leave the store.
    pub(super) fn sent(&mut self, number: u64) {
        self.sent.push(number);
    }

    /// Whether records may be made for it.
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < MAX_RECORDS
    }

    /// Begins to write what has changed.
    pub(super) fn start(&mut self, outbox: &mut Outbox) {
        if self.running.is_some() {
            return;
        }
        let list = if self.retry_at.is_some_and(|at| Instant::now() < at) {
            outbox.release_unrecorded();
            None
        } else {
            outbox.take_batch()
        };
        if list.is_none() && self.records.is_empty() && self.incidents.is_empty() && self.sent.is_empty() {
            return;
        }
        let (records, sent) = (std::mem::take(&mut self.records), std::mem::take(&mut self.sent));
        let appended = (records, std::mem::take(&mut self.incidents));
        self.running = Some(Box::pin(write(self.store.clone(), appended, sent, list)));
    }

    /// Whether a round is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.running.is_some()
    }

    /// Waits for the round under way, for ever when there is none; gives the list's changes, and whether they are
    /// written. Safe to drop at any time.
    pub(super) async fn written(&mut self) -> (Batch, bool) {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let (batch, result) = running.await;
        self.running = None;
        match result {
            None => (batch, true),
            Some(Ok(())) => {
                let was_failing = self.retry_at.take().is_some();
                if was_failing {
                    tracing::info!("the list of published topics can be stored again");
                }
                (batch, true)
            }
            Some(Err(error)) => {
                let was_failing = self.retry_at.replace(Instant::now() + RETRY).is_some();
                if !was_failing {
                    tracing::error!(
                        %error,
                        "cannot store the list of published topics; publishing continues, but topics that leave the \
                         configuration meanwhile may stay at the broker"
                    );
                }
                (batch, false)
            }
        }
    }
}

/// All at once, so that the store can write it in one transaction. Records come before what makes them necessary
/// leaves: after a crash in between there is one too many, never one too few.
async fn write(
    store: Store,
    (records, incidents): (Vec<Record>, Vec<IncidentChange>),
    sent: Vec<u64>,
    list: Option<Batch>,
) -> (Batch, Option<Result<(), StoreError>>) {
    let append = async {
        if !records.is_empty() || !incidents.is_empty() {
            store.append_with(records, incidents).await;
        }
    };
    let leave = async {
        if !sent.is_empty() {
            store.sent(sent).await;
        }
    };
    let keep = async {
        match &list {
            None => None,
            Some(batch) => Some(
                store
                    .update_published_topics(batch.add.clone(), batch.remove.clone())
                    .await,
            ),
        }
    };
    let ((), (), result) = tokio::join!(biased; append, leave, keep);
    (list.unwrap_or_default(), result)
}
