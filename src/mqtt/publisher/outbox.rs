//! What is retained at the broker. Pure data: no task, no clock, no I/O.
//!
//! Owns which content each topic has (its digest, not the payload: that is made again when it is needed again), the queue
//! of topics to send (each at most once in it), and which topics the durable list holds. After a new connection everything
//! is sent again, so a message that was lost with the old one needs no care.

mod held_back;
mod listed;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::flights::{Cargo, Flights};
use super::size_limit::TooLarge;
use crate::mqtt::connection::packet_size;

pub(super) use listed::Batch;

type Topic = Arc<str>;

/// Room for topics that is kept where nothing is to be sent.
const KEPT: usize = 64;

/// What is to be at a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// An earlier run published something; whether this one does is not known yet.
    Remembered,
    /// A payload, by its digest and its length.
    Payload(u64, usize),
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
    /// Connections that the broker ended while a message of this topic alone was unacknowledged, since it took one.
    fatal: u8,
    /// Whether it is not sent, whatever it becomes, before [`Outbox::try_again`].
    is_held_back: bool,
}

impl Entry {
    fn new(content: Content, recorded: Recorded) -> Entry {
        Entry {
            content,
            version: 0,
            recorded,
            queued: false,
            fatal: 0,
            is_held_back: false,
        }
    }

    fn is_payload(&self) -> bool {
        matches!(self.content, Content::Payload(..))
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hand this over.
    Send(Topic, Bytes),
    /// The broker would not take this; it stays unsent.
    TooLarge {
        topic: Topic,
        bytes: usize,
        limit: TooLarge,
    },
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: BTreeMap<Topic, Entry>,
    digests: RandomState,
    /// Payloads that have not been handed over yet, as far as a connection waits for them.
    payloads: HashMap<Topic, Bytes>,
    queue: VecDeque<Topic>,
    /// How many of them were queued when the connection began.
    first_round: usize,
    /// What topics begin with for which nobody waits; for their clearing one does.
    later: Option<String>,
    /// Those that are to be sent: when nothing else is.
    queue_of_later: VecDeque<Topic>,
    /// Without a connection there is no queue: the next one begins with everything.
    is_connected: bool,
    /// Topics that wait for the durable list.
    unrecorded: usize,
    batch: Batch,
}

impl Outbox {
    /// Nothing yet. What lies below `later` gives way to all else.
    pub(super) fn new(later: Option<String>) -> Outbox {
        Outbox {
            later,
            ..Outbox::default()
        }
    }

    /// A topic that an earlier run published.
    pub(super) fn remember(&mut self, topic: String) {
        let entry = Entry::new(Content::Remembered, Recorded::Yes);
        self.entries.entry(Topic::from(topic)).or_insert(entry);
    }

    /// What is to be at `topic` from now on; `None` for nothing. Says whether that is a change.
    pub(super) fn set(&mut self, topic: &str, payload: Option<Bytes>) -> bool {
        let content = payload
            .as_ref()
            .map_or(Content::Cleared, |payload| self.content(payload));
        match self.entries.get_mut(topic) {
            Some(entry) if entry.content == content => return false,
            Some(entry) => {
                entry.content = content;
                entry.version += 1;
            }
            None if content == Content::Cleared => return false,
            None => {
                let topic = Topic::from(topic);
                self.batch.add.push(topic.clone());
                self.entries.insert(topic, Entry::new(content, Recorded::No));
                self.unrecorded += 1;
            }
        }
        self.payloads.remove(topic);
        if let Some((topic, entry)) = self.entries.get_key_value(topic).filter(|_| self.is_connected)
            && let Some(payload) = payload.filter(|_| !entry.is_held_back)
        {
            self.payloads.insert(topic.clone(), payload);
        }
        self.enqueue(topic);
        true
    }

    fn content(&self, payload: &[u8]) -> Content {
        Content::Payload(self.digests.hash_one(payload), payload.len())
    }

    /// Clears what is remembered below `prefix` and was not published anew.
    pub(super) fn clear_remembered(&mut self, prefix: &str) {
        for topic in self.below(prefix, |entry| entry.content == Content::Remembered) {
            self.set(&topic, None);
        }
    }

    /// Clears the topics below `prefix` that are `gone`.
    pub(super) fn clear_below(&mut self, prefix: &str, gone: impl Fn(&str) -> bool) {
        for topic in self.below(prefix, |entry| entry.content != Content::Cleared) {
            if gone(&topic) {
                self.set(&topic, None);
            }
        }
    }

    /// What was published below `prefix` is from now on as if an earlier run had done it.
    pub(super) fn doubt(&mut self, prefix: &str) {
        for topic in self.below(prefix, Entry::is_payload) {
            let Some(entry) = self.entries.get_mut(&topic) else {
                continue;
            };
            entry.content = Content::Remembered;
            entry.version += 1;
            self.payloads.remove(&topic);
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

    /// A new connection: everything goes out again, then `last`, which tells that it has, and after all else what
    /// connections may have been lost for.
    pub(super) fn connected(&mut self, flights: &mut Flights, last: &str) {
        self.is_connected = true;
        for (topic, entry) in &self.entries {
            if entry.content == Content::Remembered {
                flights.acquit(&Cargo::State(topic.clone()));
            }
        }
        let is_delicate = |topic: &Topic| flights.is_delicate(&Cargo::State(topic.clone()));
        let (mut suspects, others): (Vec<_>, Vec<_>) = self.entries.keys().cloned().partition(is_delicate);
        suspects.sort_by_key(|topic| self.size(topic));
        // The largest first: once the broker has taken it, no other one is held back for its size. While any is on trial
        // the smallest first: if it fails for its size, the larger ones need no connection of their own.
        if !flights.has_trials() {
            suspects.reverse();
        }
        self.enqueue_all(others.into_iter().filter(|topic| **topic != *last));
        self.enqueue(last);
        for topic in &suspects {
            self.enqueue(topic);
        }
        self.first_round = self.queue.len();
    }

    /// What is there below `prefix` goes out once more.
    pub(super) fn send_again(&mut self, prefix: &str) {
        let topics = self.below(prefix, |_| true);
        self.enqueue_all(topics.into_iter());
    }

    /// Queues topics in their order; those that can wait by what stands behind their first two levels, so that those of one
    /// owner follow one another.
    fn enqueue_all(&mut self, topics: impl Iterator<Item = Topic>) {
        let is_later = |topic: &Topic| {
            let is_cleared = self
                .entries
                .get(topic)
                .is_some_and(|entry| entry.content == Content::Cleared);
            let later = self.later.as_deref().filter(|_| !is_cleared);
            later.is_some_and(|later| topic.starts_with(later))
        };
        let (mut later, others): (Vec<_>, Vec<_>) = topics.partition(is_later);
        let skipped = self.later.as_ref().map_or(0, String::len);
        later.sort_by(|one, other| owner(one, skipped).cmp(owner(other, skipped)));
        for topic in others.iter().chain(&later) {
            self.enqueue(topic);
        }
    }

    /// Whether that payload is what we have at `topic`; `None` where we have none.
    pub(super) fn holds(&self, topic: &str, payload: &[u8]) -> Option<bool> {
        let entry = self.entries.get(topic).filter(|entry| entry.is_payload())?;
        Some(entry.content == self.content(payload))
    }

    /// What we have at `topic` goes out once more. Says whether it does; not where it is about to go out anyway.
    pub(super) fn restore(&mut self, topic: &str) -> bool {
        let is_idle = |entry: &Entry| !entry.queued && entry.is_payload();
        if !self.entries.get(topic).is_some_and(is_idle) {
            return false;
        }
        self.enqueue(topic);
        self.entries[topic].queued
    }

    /// The connection is gone, and with it what was on its way.
    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.payloads.clear();
        for topic in self.queue.drain(..).chain(self.queue_of_later.drain(..)) {
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.queued = false;
            }
        }
    }

    /// Queues a topic that may be sent.
    fn enqueue(&mut self, topic: &str) {
        if !self.is_connected {
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
        if entry.queued || is_unsendable || entry.is_held_back {
            return;
        }
        entry.queued = true;
        let can_wait = entry.content != Content::Cleared;
        match self.later.as_deref() {
            Some(later) if can_wait && topic.starts_with(later) => self.queue_of_later.push_back(topic),
            _ => self.queue.push_back(topic),
        }
    }

    /// Whether all that there was when the connection began was handed over.
    pub(super) fn is_first_round_over(&self) -> bool {
        self.first_round == 0
    }

    /// Whether the next message goes with few others, or alone.
    pub(super) fn is_next_delicate(&self, flights: &Flights, with_later: bool) -> bool {
        let of_later = self.queue_of_later.front().filter(|_| with_later);
        let next = self.queue.front().or(of_later);
        next.is_some_and(|topic| flights.is_delicate(&Cargo::State(topic.clone())))
    }

    /// The next message that there is room for; one that nobody waits for only `with_later`. `make` gives the payload of a
    /// topic where it has not been kept.
    pub(super) fn next(
        &mut self,
        flights: &mut Flights,
        with_later: bool,
        mut make: impl FnMut(&str) -> Option<Bytes>,
    ) -> Option<Next> {
        loop {
            let queue = match self.queue.is_empty() && with_later {
                true => &mut self.queue_of_later,
                false => &mut self.queue,
            };
            let Some(topic) = queue.front() else {
                self.release_memory();
                return None;
            };
            let cargo = Cargo::State(topic.clone());
            if !flights.may_send(&cargo) {
                return None;
            }
            let topic = queue.pop_front()?;
            self.first_round = self.first_round.saturating_sub(1);
            let Some(entry) = self.entries.get_mut(&topic) else {
                continue;
            };
            entry.queued = false;
            let payload = match entry.content {
                Content::Remembered => None,
                Content::Cleared => Some(Bytes::new()),
                Content::Payload(..) => self.payloads.remove(&topic).or_else(|| make(&topic)),
            };
            let Some(payload) = payload else {
                if entry.is_payload() {
                    tracing::error!(%topic, "what is to be retained there cannot be made again; please report it");
                }
                continue;
            };
            let bytes = packet_size(&topic, payload.len(), None);
            if let Some(limit) = flights.is_too_large(bytes) {
                entry.fatal = 0;
                flights.acquit(&cargo);
                return Some(Next::TooLarge { topic, bytes, limit });
            }
            flights.hand_over(cargo, entry.version, bytes);
            return Some(Next::Send(topic, payload));
        }
    }

    /// All is handed over: what a connection with all of the state has taken is not needed for single changes.
    fn release_memory(&mut self) {
        self.queue.shrink_to(KEPT);
        self.queue_of_later.shrink_to(KEPT);
        self.payloads.shrink_to(KEPT);
    }

    /// The broker has answered. What it refused is sent again only after the next connect.
    pub(super) fn acked(&mut self, topic: &Topic, version: u64, refused: bool) {
        let Some(entry) = self.entries.get_mut(topic) else {
            return;
        };
        entry.fatal = 0;
        if entry.version != version {
            return;
        }
        if entry.content == Content::Cleared && !refused {
            self.forget(topic);
        }
    }

    /// Messages that wait to be recorded or sent; without a connection, all of them.
    pub(super) fn pending(&self) -> usize {
        if self.is_connected {
            self.unrecorded + self.queue.len() + self.queue_of_later.len()
        } else {
            self.entries.len()
        }
    }

    /// Whether all is sent but what nobody waits for.
    pub(super) fn is_state_sent(&self) -> bool {
        self.unrecorded == 0 && self.queue.is_empty()
    }

    /// Topics with a payload, or whose clearing is not acknowledged yet.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// What stands behind `skipped` bytes and the next level.
fn owner(topic: &str, skipped: usize) -> &str {
    let below = topic.get(skipped..).unwrap_or_default();
    below.split_once('/').map_or(below, |(_, owner)| owner)
}

#[cfg(test)]
mod tests;
