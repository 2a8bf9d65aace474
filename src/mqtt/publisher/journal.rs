//! Writes to the store what has changed: records that are new, records that the broker has, and the list of
//! published topics. One round at a time; what comes meanwhile goes into the next one. Records of changes wait a moment for
//! others: what a crash takes of them, the next run makes from what was last recorded.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::outbox::{Batch, Outbox};
use super::record_store::RecordStore;
use crate::model::{DeadLetter, DeviceId, IncidentReport, Recorded};
use crate::records::store::{Entries, IncidentChange, Store, StoreError};
use crate::records::{Record, dead_letter};

/// A round: the list's changes that it wrote, and how that went, where there were any.
type Round = Pin<Box<dyn Future<Output = (Batch, Option<Result<(), StoreError>>)> + Send>>;

/// Pause after the list could not be written. Meanwhile publishing goes on without it.
const RETRY: Duration = Duration::from_secs(30);

/// How long records of changes, and those that the broker has, wait for others: a transaction for each would cost more
/// than the polls that they come from.
const GATHER_FOR: Duration = Duration::from_millis(250);

/// Records that may wait for a round. A store that fails answers at once; only a disk that hangs comes to this,
/// and then whoever makes more records has to wait.
const MAX_RECORDS: usize = 10_000;

pub(super) struct Journal {
    store: Store,
    /// What the records come from that the broker gets.
    outgoing: RecordStore,
    bridge: DeviceId,
    running: Option<Round>,
    retry_at: Option<Instant>,
    /// To be written.
    entries: Entries,
    /// Numbers of records that may leave `outgoing`.
    sent: Vec<u64>,
    /// When these are written at the latest; `None` while there is nothing.
    due_at: Option<Instant>,
    /// [`GATHER_FOR`], or nothing at a stop.
    gather_for: Duration,
}

impl Journal {
    pub(super) fn new(store: Store, outgoing: RecordStore, bridge: DeviceId) -> Journal {
        Journal {
            store,
            outgoing,
            bridge,
            running: None,
            retry_at: None,
            entries: Entries::default(),
            sent: Vec::new(),
            due_at: None,
            gather_for: GATHER_FOR,
        }
    }

    /// Keeps what has changed of a device: the records of that, and what is recorded from now on.
    pub(super) fn append_changes(
        &mut self,
        device: DeviceId,
        records: Vec<Record>,
        recorded: Option<Box<Recorded>>,
    ) {
        // Traps have records that are written at once: those of events must not come after later ones.
        let has_events = recorded
            .as_ref()
            .is_some_and(|recorded| recorded.events.is_some());
        let is_more = recorded.is_some() || !records.is_empty();
        self.entries.records.extend(records);
        if let Some(recorded) = recorded {
            self.entries.record(device, Some(*recorded));
        }
        if has_events {
            self.write_at_once();
        } else if is_more {
            self.gather();
        }
    }

    /// Nothing is recorded of that device any more.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.entries.record(device, None);
        self.gather();
    }

    /// Keeps the record of `dead_letter` from the next round on.
    pub(super) fn append_dead_letter(&mut self, dead_letter: &DeadLetter) {
        self.entries
            .records
            .push(dead_letter::record(dead_letter, &self.bridge));
        self.write_at_once();
    }

    /// Keeps an incident, and the record that reports it.
    pub(super) fn report(&mut self, report: IncidentReport) {
        let dead_letter = dead_letter::of_incident(&report);
        dead_letter
            .iter()
            .for_each(|dead_letter| self.append_dead_letter(dead_letter));
        self.entries.incidents.push(report.into());
        self.write_at_once();
    }

    /// The incidents of that device are closed, for this reason.
    pub(super) fn close_incidents(&mut self, device: DeviceId, reason: &'static str) {
        self.entries
            .incidents
            .push(IncidentChange::AllClosed(device, reason));
        self.write_at_once();
    }

    /// Lets the record of that number leave the store.
    pub(super) fn sent(&mut self, number: u64) {
        self.sent.push(number);
        self.gather();
    }

    fn gather(&mut self) {
        self.due_at
            .get_or_insert_with(|| Instant::now() + self.gather_for);
    }

    fn write_at_once(&mut self) {
        self.due_at = Some(Instant::now());
    }

    /// Nothing waits for others any more.
    pub(super) fn stop_gathering(&mut self) {
        self.gather_for = Duration::ZERO;
        self.due_at = self.due_at.map(|_| Instant::now());
    }

    /// When there is something to write, unless a round is under way.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at.filter(|_| self.running.is_none())
    }

    /// Whether records may be made for it.
    pub(super) fn has_room(&self) -> bool {
        self.entries.records.len() < MAX_RECORDS
    }

    /// Begins to write what has changed, once that is due.
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
        if list.is_none() && self.due_at.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.due_at = None;
        let (entries, sent) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.sent));
        let stores = (self.store.clone(), self.outgoing.clone());
        self.running = Some(Box::pin(write(stores, entries, sent, list)));
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
    (store, outgoing): (Store, RecordStore),
    entries: Entries,
    sent: Vec<u64>,
    list: Option<Batch>,
) -> (Batch, Option<Result<(), StoreError>>) {
    let append = async {
        if !entries.is_empty() {
            store.append_all(entries).await;
        }
    };
    let leave = async {
        if !sent.is_empty() {
            outgoing.sent(sent).await;
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
