//! Any sequence of records that come and go, of crashes and of a disk that fails: order is kept, no number is
//! used twice, and nothing is lost that was not sent.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use uuid::Uuid;

use super::disk::{Disk, Fault};
use super::{dead_letters, on, record, until};
use crate::records::store::Store;

#[derive(Debug, Clone)]
enum Step {
    /// So many records at once.
    Append(usize),
    /// So many of the oldest are sent.
    Sent(usize),
    /// The disk fails for the next steps.
    Fail(Fault),
    /// It works again.
    Work,
    /// The store is closed and opened again.
    Restart,
    /// The process dies.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..5usize).prop_map(Step::Append),
        3 => (1..5usize).prop_map(Step::Sent),
        1 => prop_oneof![Just(Fault::Dead), Just(Fault::NoSync), Just(Fault::Full)].prop_map(Step::Fail),
        1 => Just(Step::Work),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

struct World {
    disk: Disk,
    store: Store,
    /// Not sent, oldest first.
    waiting: Vec<Uuid>,
    sent: BTreeSet<Uuid>,
    numbers: HashMap<Uuid, u64>,
}

impl World {
    fn new() -> World {
        let disk = Disk::default();
        World {
            store: on(&disk),
            disk,
            waiting: Vec::new(),
            sent: BTreeSet::new(),
            numbers: HashMap::new(),
        }
    }

    async fn work(&self) {
        self.disk.set(Fault::None);
        until(&self.store, "it works", |status| status.failing.is_none()).await;
        // All that waited in memory is written before the answer.
        self.store.append(vec![]).await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(count) => {
                let records: Vec<_> = (0..count).map(|_| record("x")).collect();
                self.waiting.extend(records.iter().map(|record| record.id));
                self.store.append(records).await;
            }
            Step::Sent(count) => {
                // While the disk cannot be read there is nothing to send.
                let oldest = self.store.outbox(0, count, usize::MAX).await.unwrap_or_default();
                for (_, record) in &oldest {
                    self.waiting.retain(|id| *id != record.id);
                    self.sent.insert(record.id);
                }
                self.store
                    .sent(oldest.iter().map(|(number, _)| *number).collect())
                    .await;
            }
            Step::Fail(fault) => self.disk.set(fault),
            Step::Work => self.work().await,
            Step::Restart => {
                self.work().await;
                self.store = on(&Disk::default());
                self.store = on(&self.disk);
            }
            Step::Crash => {
                self.work().await;
                self.disk = self.disk.after_crash();
                self.store = on(&self.disk);
                // What was sent may come again.
                self.sent.clear();
            }
        }
    }

    async fn check(&mut self) {
        let Ok(found) = self.store.outbox(0, usize::MAX, usize::MAX).await else {
            return;
        };
        assert!(found.is_sorted_by(|(a, _), (b, _)| a < b), "ascending");
        let plain = found
            .iter()
            .filter(|record| dead_letters(std::slice::from_ref(record)).is_empty());
        let (numbers, ids): (Vec<_>, Vec<_>) = plain.map(|(number, record)| (*number, record.id)).unzip();
        let left: Vec<_> = ids
            .iter()
            .copied()
            .filter(|id| self.waiting.contains(id))
            .collect();
        assert_eq!(left, self.waiting, "nothing is lost, and the order is kept");
        for (id, number) in ids.into_iter().zip(numbers) {
            assert!(!self.sent.contains(&id), "sent is sent");
            let known = *self.numbers.entry(id).or_insert(number);
            assert_eq!(known, number, "a record keeps its number");
        }
        let distinct: BTreeSet<_> = self.numbers.values().collect();
        assert_eq!(distinct.len(), self.numbers.len(), "no number is used twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_whatever_happens(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.step(step).await;
                world.check().await;
            }
            world.work().await;
            world.check().await;
        });
    }
}
