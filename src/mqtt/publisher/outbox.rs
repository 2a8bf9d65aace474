//! What is retained at the broker, and what is on its way there. Pure data: no task, no clock, no I/O.
//!
//! Owns the cache topic -> payload (latest wins), the queue of topics to send (each at most once in it), the
//! messages in flight, and which topics the durable list holds. After a new connection everything is sent
//! again, so a message that was lost with the old one needs no care.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::mqtt::connection::{Limits, MAX_WINDOW};

type Topic = Arc<str>;

/// What is to be at a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// An earlier run published something; whether this one does is not known yet.
    Remembered,
    /// This.
    Payload(Bytes),
    /// Nothing: once the broker has acknowledged that, the topic is forgotten.
    Cleared,
}

/// Whether the durable list holds a topic: a topic is sent only once it does, so that a crash right
/// after the first publish leaves no topic behind that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    No,
    /// The store has failed: sent all the same.
    Failed,
    Yes,
}

#[derive(Debug)]
struct Entry {
    content: Content,
    /// Counts the changes of `content`, to tell what an acknowledgement is for.
    version: u64,
    recorded: Recorded,
    queued: bool,
    /// Connections in a row that the broker ended while this message alone was unacknowledged.
    fatal: u8,
}

/// A message on its way.
#[derive(Debug)]
struct Flight {
    topic: Topic,
    version: u64,
}

/// Changes of the durable list: removals first, then additions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) remove: Vec<Topic>,
    pub(super) add: Vec<Topic>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hand this over.
    Send(Topic, Bytes),
    /// The broker would not take this; it stays unsent.
    TooLarge { topic: Topic, bytes: usize, limit: u32 },
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: BTreeMap<Topic, Entry>,
    queue: VecDeque<Topic>,
    /// Handed over, packet id not known yet; in order.
    handed: VecDeque<Flight>,
    in_flight: HashMap<u16, Flight>,
    limits: Option<Limits>,
    /// Unacknowledged when the last connection was lost: they go last into the next one, so that a message
    /// for which the broker ends the connection does not keep the others from it.
    suspects: HashSet<Topic>,
    /// A suspect was unacknowledged again when its connection was lost: suspects are sent alone.
    careful: bool,
    /// Topics that wait for the durable list.
    unrecorded: usize,
    batch: Batch,
}

/// Connections that one message may cost, sent alone. Some brokers answer what they do not take (too large,
/// no right) by ending the connection, and with MQTT 3.1.1 they have no other way.
const MAX_FATAL: u8 = 2;

impl Outbox {
    /// A topic that an earlier run published.
    pub(super) fn remember(&mut self, topic: String) {
        let entry = Entry {
            content: Content::Remembered,
            version: 0,
            recorded: Recorded::Yes,
            queued: false,
            fatal: 0,
        };
        self.entries.entry(Topic::from(topic)).or_insert(entry);
    }

    /// What is to be at `topic` from now on; `None` for nothing. Says whether that is a change.
    pub(super) fn set(&mut self, topic: &str, payload: Option<Bytes>) -> bool {
        let Some(entry) = self.entries.get_mut(topic) else {
            let Some(payload) = payload else { return false };
            let topic = Topic::from(topic);
            let entry = Entry {
                content: Content::Payload(payload),
                version: 0,
                recorded: Recorded::No,
                queued: false,
                fatal: 0,
            };
            self.batch.add.push(topic.clone());
            self.entries.insert(topic, entry);
            self.unrecorded += 1;
            return true;
        };
        let content = payload.map_or(Content::Cleared, Content::Payload);
        if entry.content == content {
            return false;
        }
        entry.content = content;
        entry.version += 1;
        entry.fatal = 0;
        self.enqueue(topic);
        true
    }

    /// Clears what is remembered below `prefix` and was not published anew.
    pub(super) fn clear_remembered(&mut self, prefix: &str) {
        for topic in self.below(prefix, |entry| entry.content == Content::Remembered) {
            self.set(&topic, None);
        }
    }

    /// Clears everything below `prefix`.
    pub(super) fn clear_all(&mut self, prefix: &str) {
        for topic in self.below(prefix, |_| true) {
            self.set(&topic, None);
        }
    }

    fn below(&self, prefix: &str, wanted: impl Fn(&Entry) -> bool) -> Vec<Topic> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .filter(|(_, entry)| wanted(entry))
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// A new connection: everything goes out again, `first` before all else.
    pub(super) fn connected(&mut self, limits: Limits, first: &[String]) {
        self.limits = Some(limits);
        for topic in first {
            self.enqueue(topic);
        }
        let all = self.entries.keys().cloned();
        let (suspects, others): (Vec<_>, Vec<_>) = all.partition(|topic| self.suspects.contains(topic));
        for topic in others.iter().chain(&suspects) {
            self.enqueue(topic);
        }
    }

    /// The connection is gone, and with it what was in flight. `ended` says that the broker or the network
    /// ended it, not our patience; then gives the topic that is not sent again, if it has cost too many.
    pub(super) fn disconnected(&mut self, ended: bool) -> Option<Topic> {
        self.limits = None;
        for topic in std::mem::take(&mut self.queue) {
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.queued = false;
            }
        }
        let lost: Vec<Flight> = self.in_flight.drain().map(|(_, flight)| flight).collect();
        let lost: Vec<Flight> = lost.into_iter().chain(self.handed.drain(..)).collect();
        let again = lost.iter().any(|flight| self.suspects.contains(&flight.topic));
        let was_careful = std::mem::replace(&mut self.careful, ended && again);
        self.suspects = lost.iter().map(|flight| flight.topic.clone()).collect();
        match &lost[..] {
            [alone] if ended && was_careful => self.blame(alone),
            _ => None,
        }
    }

    fn blame(&mut self, flight: &Flight) -> Option<Topic> {
        let entry = self.entries.get_mut(&flight.topic)?;
        if entry.version != flight.version {
            return None;
        }
        entry.fatal += 1;
        if entry.fatal < MAX_FATAL {
            return None;
        }
        self.suspects.clear();
        self.careful = false;
        Some(flight.topic.clone())
    }

    /// Queues a topic that may be sent. Without a connection there is no queue: the next one begins with everything.
    fn enqueue(&mut self, topic: &str) {
        if self.limits.is_none() {
            return;
        }
        let Some((topic, _)) = self.entries.get_key_value(topic) else {
            return;
        };
        let topic = topic.clone();
        let Some(entry) = self.entries.get_mut(&topic) else {
            return;
        };
        let is_unsendable = entry.recorded == Recorded::No || entry.content == Content::Remembered;
        if entry.queued || is_unsendable || entry.fatal >= MAX_FATAL {
            return;
        }
        entry.queued = true;
        self.queue.push_back(topic);
    }

    /// The next message that the window has room for.
    pub(super) fn next(&mut self) -> Option<Next> {
        let limits = self.limits?;
        let window = limits.receive_maximum.min(MAX_WINDOW);
        while self.in_transit() < usize::from(window) && !self.must_wait() {
            let topic = self.queue.pop_front()?;
            let Some(entry) = self.entries.get_mut(&topic) else {
                continue;
            };
            entry.queued = false;
            let payload = match &entry.content {
                Content::Payload(payload) => payload.clone(),
                Content::Cleared => Bytes::new(),
                Content::Remembered => continue,
            };
            let bytes = packet_size(&topic, &payload);
            if let Some(limit) = limits.maximum_packet_size.filter(|limit| bytes > *limit as usize) {
                return Some(Next::TooLarge { topic, bytes, limit });
            }
            self.handed.push_back(Flight {
                topic: topic.clone(),
                version: entry.version,
            });
            return Some(Next::Send(topic, payload));
        }
        None
    }

    fn in_transit(&self) -> usize {
        self.handed.len() + self.in_flight.len()
    }

    /// Whether a suspect is on its way, or the next one is a suspect and others are.
    fn must_wait(&self) -> bool {
        if !self.careful || self.in_transit() == 0 {
            return false;
        }
        let next = self.queue.front();
        let mut on_their_way = self.handed.iter().chain(self.in_flight.values());
        next.is_some_and(|next| self.suspects.contains(next))
            || on_their_way.any(|flight| self.suspects.contains(&flight.topic))
    }

    /// The oldest message without a packet id has got this one.
    pub(super) fn sent(&mut self, pkid: u16) {
        if let Some(flight) = self.handed.pop_front() {
            self.in_flight.insert(pkid, flight);
        }
    }

    /// The broker has answered; gives the topic of that message. What it refused is sent again only after
    /// the next connect.
    pub(super) fn acked(&mut self, pkid: u16, refused: bool) -> Option<Topic> {
        let flight = self.in_flight.remove(&pkid)?;
        self.suspects.remove(&flight.topic);
        if let Some(entry) = self.entries.get_mut(&flight.topic)
            && entry.version == flight.version
        {
            entry.fatal = 0;
            if entry.content == Content::Cleared && !refused {
                self.forget(&flight.topic);
            }
        }
        Some(flight.topic)
    }

    fn forget(&mut self, topic: &Topic) {
        if self.entries.remove(topic).map(|entry| entry.recorded) == Some(Recorded::Failed) {
            self.batch.add.retain(|add| add != topic);
        }
        self.batch.remove.push(topic.clone());
    }

    /// The changes of the durable list since the last time; `None` when there are none.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        let batch = std::mem::take(&mut self.batch);
        (batch != Batch::default()).then_some(batch)
    }

    /// The store has done with a batch: its topics may be sent. After a failure the batch waits for another attempt.
    pub(super) fn recorded(&mut self, batch: Batch, stored: bool) {
        for topic in &batch.add {
            self.release(topic, if stored { Recorded::Yes } else { Recorded::Failed });
        }
        if !stored {
            // The older changes come first; a topic that has come back since must not be removed.
            let mut remove = batch.remove;
            remove.append(&mut self.batch.remove);
            let mut add = batch.add;
            add.retain(|topic| self.entries.contains_key(topic));
            add.append(&mut self.batch.add);
            self.batch = Batch { remove, add };
        }
    }

    /// Lets topics go out that the store cannot take now.
    pub(super) fn release_unrecorded(&mut self) {
        if self.unrecorded == 0 {
            return;
        }
        for topic in self.batch.add.clone() {
            self.release(&topic, Recorded::Failed);
        }
    }

    fn release(&mut self, topic: &Topic, recorded: Recorded) {
        let Some(entry) = self.entries.get_mut(topic) else {
            return;
        };
        let waited = entry.recorded == Recorded::No;
        entry.recorded = recorded;
        if waited {
            self.unrecorded -= 1;
            self.enqueue(topic);
        }
    }

    /// Whether `topic` may be sent as far as the durable list is concerned.
    pub(super) fn is_released(&self, topic: &str) -> bool {
        self.entries
            .get(topic)
            .is_some_and(|entry| entry.recorded != Recorded::No)
    }

    /// Messages that wait to be recorded, sent or acknowledged; without a connection, all of them.
    pub(super) fn pending(&self) -> usize {
        match self.limits {
            Some(_) => self.unrecorded + self.queue.len() + self.in_transit(),
            None => self.entries.len(),
        }
    }

    /// Topics with a payload, or whose clearing is not acknowledged yet.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Bytes of the PUBLISH packet of MQTT 5; that of 3.1.1 is one byte shorter.
fn packet_size(topic: &str, payload: &Bytes) -> usize {
    // Topic length, packet id, property length.
    let remaining = 2 + topic.len() + 2 + 1 + payload.len();
    let length_bytes = match remaining {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    };
    1 + length_bytes + remaining
}

#[cfg(test)]
mod tests;
