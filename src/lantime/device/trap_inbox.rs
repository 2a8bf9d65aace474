//! The traps of a device on their way: taken in for the state to decide, their records stored, informs acknowledged.

use std::future::pending;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::in_flight::InFlight;
use super::input::Input;
use crate::lantime::snmp::traps::{Counts, DeviceTrap, Receipt, SenderIdentity};
use crate::records::Record;
use crate::records::store::Store;

/// Most traps of a device that are stored with one call; the store writes the calls of several devices in one go.
const AT_ONCE: usize = 256;
/// How long the records of the last traps may take at the end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What gives a device's task its traps.
#[derive(Debug)]
pub struct TrapHandles {
    /// Its traps and informs, in order.
    pub traps: mpsc::Receiver<DeviceTrap>,
    /// By what they are known to be its own.
    pub identity: watch::Sender<SenderIdentity>,
    /// What is counted of the traps of all devices.
    pub counts: watch::Sender<Counts>,
    /// Takes their records.
    pub store: Store,
}

/// The traps of one device. It outlives the task: what waits for the store when the device is given to another one is
/// stored there.
#[derive(Debug)]
pub struct TrapInbox {
    /// `None` where nothing takes traps.
    handles: Option<TrapHandles>,
    /// What waits for the store.
    to_store: Vec<(Record, Receipt)>,
    storing: InFlight<Vec<Receipt>>,
    /// What was taken, and repeated what stands, since that was last counted.
    uncounted: (u64, u64),
}

impl TrapInbox {
    /// What these bring; nothing, where nothing takes traps.
    pub fn new(handles: Option<TrapHandles>) -> TrapInbox {
        TrapInbox {
            handles,
            to_store: Vec::new(),
            storing: InFlight::idle(),
            uncounted: (0, 0),
        }
    }

    /// Waits for traps, or for the end of storing some. It may be dropped while it waits.
    pub(super) async fn next(&mut self) -> Input {
        let Some(handles) = &mut self.handles else {
            return pending().await;
        };
        let room = AT_ONCE.saturating_sub(self.to_store.len());
        let mut traps = Vec::new();
        tokio::select! {
            biased;
            receipts = self.storing.end() => Input::Stored(receipts),
            // It is closed only when the bridge stops.
            count @ 1.. = handles.traps.recv_many(&mut traps, room), if room > 0 => {
                self.uncounted.0 += count as u64;
                Input::Traps(traps)
            }
        }
    }

    /// What is left to be done at the end, one after the other; `None` when nothing is, or the time is over.
    pub(super) async fn last(&mut self, until: Instant) -> Option<Input> {
        let is_left = self
            .handles
            .as_ref()
            .is_some_and(|handles| !handles.traps.is_empty());
        match is_left || !self.storing.is_idle() {
            true => timeout_at(until, self.next()).await.ok(),
            false => None,
        }
    }

    /// When the end is over.
    pub(super) fn ends_by() -> Instant {
        Instant::now() + END_WITHIN
    }

    /// Stores that record, together with others.
    pub(super) fn record(&mut self, record: Record, receipt: Receipt) {
        self.to_store.push((record, receipt));
    }

    /// Acknowledges an inform, unless the store keeps its record in memory only.
    pub(super) fn acknowledge(&self, receipt: Receipt) {
        let store = self.handles.as_ref().map(|handles| &handles.store);
        if store.is_some_and(|store| store.status().borrow().failing.is_none()) {
            receipt.acknowledge();
        }
    }

    /// The trap repeats what stands.
    pub(super) fn repeated(&mut self, receipt: Receipt) {
        self.uncounted.1 += 1;
        self.acknowledge(receipt);
    }

    pub(super) fn identify(&self, identity: SenderIdentity) {
        if let Some(handles) = &self.handles {
            handles.identity.send_replace(identity);
        }
    }

    /// Counts what was taken, and has what waits stored.
    pub(super) fn settle(&mut self) {
        let Some(TrapHandles { counts, store, .. }) = &self.handles else {
            return;
        };
        let (taken, repeated) = std::mem::take(&mut self.uncounted);
        if taken > 0 {
            counts.send_modify(|counts| {
                counts.taken += taken;
                counts.repeated += repeated;
            });
        }
        if self.storing.is_idle() && !self.to_store.is_empty() {
            let (records, receipts) = std::mem::take(&mut self.to_store).into_iter().unzip();
            let store = store.clone();
            self.storing.begin(async move {
                store.append(records).await;
                receipts
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::contract::topics::Destination;
    use crate::model::DeviceId;
    use crate::records::store::Options;

    fn record(number: u128) -> Record {
        Record {
            id: Uuid::from_u128(number),
            destination: Destination::Reply("r".to_owned()),
            payload: Bytes::from_static(b"{}"),
            correlation: None,
        }
    }

    #[tokio::test]
    async fn what_waits_for_the_store_is_stored_by_the_task_that_follows() {
        let store = Store::in_memory(Options::new(DeviceId::new("b").unwrap()));
        let (_sender, traps) = mpsc::channel(1);
        let handles = TrapHandles {
            traps,
            identity: watch::Sender::default(),
            counts: watch::Sender::default(),
            store: store.clone(),
        };
        let mut inbox = TrapInbox::new(Some(handles));
        inbox.record(record(1), Receipt::of_test(None).0);
        inbox.settle();
        inbox.record(record(2), Receipt::of_test(None).0);
        // The task ends while the first call to the store is in flight; the next one begins with what there is.
        let mut next = Box::new(inbox);
        for _ in 0..2 {
            assert!(matches!(next.next().await, Input::Stored(receipts) if receipts.len() == 1));
            next.settle();
        }
        assert_eq!(store.outbox(0, 9, 1 << 20).await.unwrap().len(), 2);
    }
}
