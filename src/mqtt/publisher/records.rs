//! Records on their way from the store to the broker, in order. Pure data: no task, no clock, no I/O.
//!
//! Owns a few of the oldest records. One leaves when the broker has acknowledged it, or for good when the broker
//! does not take it; with a new connection all others go out again, from the oldest. One that the broker would probably
//! not take is put aside and tried later.

mod aside;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use tokio::time::Instant;

use super::in_flight::{InFlight, Item, MAX_FATAL};
use super::rejected::{Reason, Rejected};
use super::size_limit::TooLarge;
use crate::contract::topics::{Topics, is_publishable};
use crate::mqtt::connection::{Refusal, packet_size};
use crate::records::Record;

/// Records in memory at most: half of it at least is in flight while more are read.
const MAX_RECORDS: usize = 512;

/// Bytes of their payloads; one record may pass it.
const MAX_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
struct Entry {
    record: Record,
    topic: String,
    /// How often it was handed over.
    attempts: u32,
    /// Connections that the broker ended while this record alone was unacknowledged.
    fatal: u8,
    /// Whether it was put aside before.
    was_aside: bool,
}

impl Entry {
    fn size(&self) -> usize {
        let Record {
            payload, correlation, ..
        } = &self.record;
        packet_size(&self.topic, payload.len(), correlation.as_ref())
    }
}

/// Bytes of their payloads.
fn payloads(entries: &BTreeMap<u64, Entry>) -> usize {
    entries.values().map(|entry| entry.record.payload.len()).sum()
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hand this over.
    Send {
        topic: String,
        payload: Bytes,
        correlation: Option<Bytes>,
    },
    /// No broker, or not this one, would take it: it has left the queue.
    Rejected(Rejected),
}

/// What became of a record that the broker has answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Delivered: it may leave the store.
    Taken,
    /// Not taken for now: it waits to be sent again.
    Later,
    /// It has left the queue.
    Rejected(Rejected),
}

#[derive(Debug, Default)]
pub(super) struct RecordQueue {
    waiting: BTreeMap<u64, Entry>,
    under_way: BTreeMap<u64, Entry>,
    /// Left until [`Self::try_again`]: the broker has not taken another one that is no larger, or at the same topic.
    aside: BTreeMap<u64, Entry>,
    /// Topics of records that have ended connections.
    barred: HashSet<String>,
    /// Size of the smallest record that has, where its size may be why.
    barred_size: Option<usize>,
    /// Of those that wait and those under way.
    bytes: usize,
    /// Number of the newest record that was taken in.
    newest: u64,
    /// The highest number that was handed over, put aside or rejected: all that follow wait for the first time.
    considered: u64,
    /// The broker has no room for records until then.
    pub(super) paused_until: Option<Instant>,
}

impl RecordQueue {
    /// Number of the newest record that was taken in: the next ones come after it.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// How many records and bytes more are wanted; `None` while there is enough to send.
    pub(super) fn room(&self) -> Option<(usize, usize)> {
        let is_half_empty = self.len() <= MAX_RECORDS / 2 && self.bytes <= MAX_BYTES / 2;
        is_half_empty.then(|| (MAX_RECORDS - self.len(), MAX_BYTES - self.bytes))
    }

    /// Takes records in, with their numbers, oldest first.
    pub(super) fn take_in(&mut self, records: Vec<(u64, Record)>, topics: &Topics) {
        for (number, record) in records {
            self.newest = self.newest.max(number);
            self.bytes += record.payload.len();
            let entry = Entry {
                topic: topics.record(&record.destination),
                record,
                attempts: 0,
                fatal: 0,
                was_aside: false,
            };
            self.waiting.insert(number, entry);
        }
    }

    /// There are no records up to that number that were not taken in.
    pub(super) fn skip_to(&mut self, number: u64) {
        self.newest = self.newest.max(number);
    }

    /// Records in memory.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// Whether a record waits to be handed over.
    pub(super) fn has_next(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the next record goes with few others, or alone.
    pub(super) fn is_next_delicate(&self, in_flight: &InFlight) -> bool {
        let next = self.waiting.first_key_value();
        next.is_some_and(|(number, _)| in_flight.is_delicate(&Item::Record(*number)))
    }

    /// The next record that there is room for.
    pub(super) fn next(&mut self, in_flight: &mut InFlight) -> Option<Next> {
        loop {
            let first = self.waiting.first_entry()?;
            let number = *first.key();
            let item = Item::Record(number);
            if !in_flight.may_send(&item) {
                return None;
            }
            let entry = first.remove();
            self.considered = self.considered.max(number);
            let Some(reason) = self.objection(&entry, in_flight) else {
                return Some(self.hand_over(number, entry, in_flight));
            };
            in_flight.clear_suspect(&item);
            if !reason.is_guess() || entry.was_aside {
                return Some(Next::Rejected(self.reject(number, entry, reason)));
            }
            self.put_aside(number, entry);
        }
    }

    /// Why the broker would not take it.
    fn objection(&self, entry: &Entry, in_flight: &InFlight) -> Option<Reason> {
        if !is_publishable(&entry.topic) {
            return Some(Reason::NoTopic);
        }
        let bytes = entry.size();
        // A second time state alone is no evidence against a record.
        let is_tried = entry.was_aside && self.barred_size.is_none_or(|barred| bytes < barred);
        match in_flight.is_too_large(bytes) {
            Some(limit) if !(is_tried && matches!(limit, TooLarge::Learned(_))) => {
                Some(Reason::TooLarge { bytes, limit })
            }
            _ => self
                .barred
                .contains(&entry.topic)
                .then_some(Reason::EndsConnections),
        }
    }

    fn hand_over(&mut self, number: u64, mut entry: Entry, in_flight: &mut InFlight) -> Next {
        entry.attempts += 1;
        in_flight.hand_over(Item::Record(number), 0, entry.size());
        let next = Next::Send {
            topic: entry.topic.clone(),
            payload: entry.record.payload.clone(),
            correlation: entry.record.correlation.clone(),
        };
        self.under_way.insert(number, entry);
        next
    }

    /// The broker has answered.
    pub(super) fn answered(&mut self, number: u64, refused: Option<Refusal>) -> Answered {
        let Some(entry) = self.under_way.remove(&number) else {
            return Answered::Taken;
        };
        match refused {
            None => {
                self.bytes -= entry.record.payload.len();
                Answered::Taken
            }
            Some(refusal) if refusal.is_for_now => {
                self.waiting.insert(number, entry);
                Answered::Later
            }
            Some(refusal) => Answered::Rejected(self.reject(number, entry, Reason::Refused(refusal.reason))),
        }
    }

    /// The connection has ended: what was in flight waits again. What was never sent is left to the store, which may
    /// have to drop it before there is another connection; the next ones come after [`Self::newest`] again.
    pub(super) fn disconnected(&mut self) {
        self.waiting.append(&mut self.under_way);
        let left = self.waiting.split_off(&(self.considered + 1));
        if !left.is_empty() {
            self.bytes -= payloads(&left);
            self.newest = self.considered;
        }
    }

    /// A record has cost a connection, sent alone. Gives it when it was one too many, or when the broker has said that
    /// it is too large: it has so many bytes.
    pub(super) fn blame(&mut self, number: u64, too_large: Option<usize>) -> Option<Rejected> {
        let entry = self.waiting.get_mut(&number)?;
        entry.fatal += 1;
        let reason = match too_large {
            Some(bytes) => Reason::TooLarge {
                bytes,
                limit: TooLarge::Learned(bytes),
            },
            None if entry.fatal < MAX_FATAL => return None,
            None => Reason::EndsConnections,
        };
        let entry = self.waiting.remove(&number)?;
        Some(self.reject(number, entry, reason))
    }

    fn reject(&mut self, number: u64, entry: Entry, reason: Reason) -> Rejected {
        self.bytes -= entry.record.payload.len();
        Rejected {
            number,
            record: entry.record,
            topic: entry.topic,
            attempts: entry.attempts,
            reason,
        }
    }
}

#[cfg(test)]
mod tests;
