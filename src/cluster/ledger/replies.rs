//! The replies that wait for the broker, and the answers that are not in etcd yet: what others read of a ledger while its task is
//! at work.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use crate::records::Record;
use crate::records::store::{AnswerKey, Limit, options};

/// Records that wait at most: the broker that takes them is also where most commands come from.
const LIMIT: Limit = options::MEMORY;

/// All of these are in etcd, but for the answers.
#[derive(Debug, Default)]
pub(super) struct Replies {
    held: Mutex<Held>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Held {
    /// With their keys, by numbers in order.
    records: BTreeMap<u64, (Vec<u8>, Record)>,
    bytes: usize,
    last: u64,
    answers: HashMap<AnswerKey, Bytes>,
}

impl Held {
    fn remove(&mut self, number: u64) -> Option<Vec<u8>> {
        let (key, record) = self.records.remove(&number)?;
        self.bytes -= record.payload.len();
        Some(key)
    }
}

impl Replies {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// How many records wait, and their bytes.
    pub(super) fn level(&self) -> (usize, usize) {
        let held = self.held();
        (held.records.len(), held.bytes)
    }

    /// Adds records that are in etcd under these keys. Gives the keys of those that have to go for want of room: the oldest.
    pub(super) fn add(&self, records: Vec<(Vec<u8>, Record)>) -> Vec<Vec<u8>> {
        let mut held = self.held();
        for (key, record) in records {
            held.last += 1;
            held.bytes += record.payload.len();
            let number = held.last;
            held.records.insert(number, (key, record));
        }
        let mut dropped = Vec::new();
        while held.records.len() > LIMIT.entries || held.bytes > LIMIT.bytes {
            let oldest = held.records.first_key_value().map(|(number, _)| *number);
            dropped.extend(oldest.and_then(|number| held.remove(number)));
        }
        let last = held.last;
        drop(held);
        self.newest
            .send_if_modified(|newest| std::mem::replace(newest, last) != last);
        dropped
    }

    /// Takes records out that the broker has; gives their keys.
    pub(super) fn remove(&self, numbers: &[u64]) -> Vec<Vec<u8>> {
        let mut held = self.held();
        let keys = numbers.iter().filter_map(|number| held.remove(*number));
        keys.collect()
    }

    /// The oldest above `after`: so many that neither bound is passed, but one at least.
    pub(super) fn after(&self, after: u64, max_entries: usize, max_bytes: usize) -> Vec<(u64, Record)> {
        let held = self.held();
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (number, (_, record)) in held.records.range(after.saturating_add(1)..) {
            bytes += record.payload.len();
            let fits = records.len() < max_entries && bytes <= max_bytes;
            if !fits && !records.is_empty() {
                break;
            }
            records.push((*number, record.clone()));
        }
        records
    }

    /// From now on this is the answer under that key.
    pub(super) fn hold_answer(&self, key: AnswerKey, answer: Bytes) {
        self.held().answers.entry(key).or_insert(answer);
    }

    /// The answer is in etcd, or nowhere.
    pub(super) fn release_answer(&self, key: &AnswerKey) {
        self.held().answers.remove(key);
    }

    /// The answer that is held under that key.
    pub(super) fn answer(&self, key: &AnswerKey) -> Option<Bytes> {
        self.held().answers.get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::contract::topics::Destination;

    fn record(bytes: usize) -> (Vec<u8>, Record) {
        let id = Uuid::now_v7();
        let record = Record {
            id,
            destination: Destination::Reply("t".to_owned()),
            payload: Bytes::from(vec![b'x'; bytes]),
            correlation: None,
        };
        (id.as_bytes().to_vec(), record)
    }

    fn numbers(records: &[(u64, Record)]) -> Vec<u64> {
        records.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn records_are_given_in_order_and_within_bounds() {
        let replies = Replies::default();
        replies.add([5, 5, 5].map(record).into());
        assert_eq!(numbers(&replies.after(0, 9, 10)), [1, 2]);
        assert_eq!(numbers(&replies.after(0, 1, 99)), [1]);
        assert_eq!(numbers(&replies.after(1, 9, 1)), [2]);
        assert_eq!(replies.remove(&[2, 7]).len(), 1);
        assert_eq!(numbers(&replies.after(0, 9, 99)), [1, 3]);
        assert_eq!((*replies.newest().borrow(), replies.level()), (3, (2, 10)));
    }

    #[test]
    fn the_oldest_go_for_want_of_room() {
        let replies = Replies::default();
        let first = record(LIMIT.bytes);
        let key = first.0.clone();
        assert_eq!(replies.add(vec![first]), Vec::<Vec<u8>>::new());
        assert_eq!(replies.add(vec![record(1)]), [key]);
        assert_eq!(replies.level(), (1, 1));
    }
}
