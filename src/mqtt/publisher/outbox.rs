//! What is retained at the broker. Pure data: no task, no clock, no I/O.
//!
//! Owns which content each topic has (its digest, not the payload: that is made again when it is needed again), the queue
//! of topics to send (each at most once in it), and which topics the durable list holds. After a new connection everything
//! is sent again, so a message that was lost with the old one needs no care.

mod held_back;
mod listed;
mod queue;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::size_limit::TooLarge;
use crate::mqtt::payload::Message;

pub(super) use listed::Batch;

type Topic = Arc<str>;

/// Room for topics that is kept where nothing is to be sent.
const KEPT: usize = 64;

/// What is to be at a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// An earlier run published something; whether this one does is not known yet.
    Remembered,
    /// A payload, by its digest and its length. A packet of MQTT is no larger than 256 MiB.
    Payload(u64, u32),
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
    /// Counts the changes of `content`, to find out what an acknowledgement is for.
    version: u32,
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

    /// Topics of earlier runs of which nobody knows yet whether this one publishes something there.
    pub(super) fn remembered(&self) -> Vec<Topic> {
        self.below("", |entry| entry.content == Content::Remembered)
    }

    /// What is to be at these topics from now on. Says whether any of that is a change.
    pub(super) fn set(&mut self, messages: impl IntoIterator<Item = Message>) -> bool {
        let mut has_changed = false;
        for Message { topic, payload } in messages {
            let content = payload
                .as_ref()
                .map_or(Content::Cleared, |payload| self.content(payload));
            match self.entries.get_mut(&*topic) {
                Some(entry) if entry.content == content => continue,
                Some(entry) => {
                    entry.content = content;
                    entry.version = entry.version.wrapping_add(1);
                }
                None if content == Content::Cleared => continue,
                None => {
                    let topic = Topic::from(&*topic);
                    self.batch.add.push(topic.clone());
                    self.entries.insert(topic, Entry::new(content, Recorded::No));
                    self.unrecorded += 1;
                }
            }
            has_changed = true;
            self.payloads.remove(&*topic);
            let entry = self.entries.get_key_value(&*topic).filter(|_| self.is_connected);
            if let Some((topic, entry)) = entry
                && let Some(payload) = payload.filter(|_| !entry.is_held_back)
            {
                self.payloads.insert(topic.clone(), payload);
            }
            self.enqueue(&topic);
        }
        has_changed
    }

    fn content(&self, payload: &[u8]) -> Content {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        Content::Payload(self.digests.hash_one(payload), length)
    }

    pub(super) fn clear(&mut self, topics: &[Topic]) {
        self.set(topics.iter().map(|topic| Message {
            topic: topic.to_string(),
            payload: None,
        }));
    }

    /// Clears what is remembered below `prefix` and was not published again.
    pub(super) fn clear_remembered(&mut self, prefix: &str) {
        let topics = self.below(prefix, |entry| entry.content == Content::Remembered);
        self.clear(&topics);
    }

    /// Clears the topics below `prefix` that are `obsolete`.
    pub(super) fn clear_below(&mut self, prefix: &str, obsolete: impl Fn(&str) -> bool) {
        let mut topics = self.below(prefix, |entry| entry.content != Content::Cleared);
        topics.retain(|topic| obsolete(topic));
        self.clear(&topics);
    }

    /// What was published below `prefix` is from now on as if an earlier run had done it.
    pub(super) fn mark_stale(&mut self, prefix: &str) {
        for topic in self.below(prefix, Entry::is_payload) {
            let Some(entry) = self.entries.get_mut(&topic) else {
                continue;
            };
            entry.content = Content::Remembered;
            entry.version = entry.version.wrapping_add(1);
            self.payloads.remove(&topic);
        }
    }

    /// Clears everything below `prefix`.
    pub(super) fn clear_all(&mut self, prefix: &str) {
        let topics = self.below(prefix, |_| true);
        self.clear(&topics);
    }

    fn below(&self, prefix: &str, wanted: impl Fn(&Entry) -> bool) -> Vec<Topic> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .filter(|(_, entry)| wanted(entry))
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// Whether that payload is what we have at `topic`; `None` where we have none.
    pub(super) fn holds(&self, topic: &str, payload: &[u8]) -> Option<bool> {
        let entry = self.entries.get(topic).filter(|entry| entry.is_payload())?;
        Some(entry.content == self.content(payload))
    }

    /// The broker has answered. What it refused is sent again only after the next connect. Says whether that was about
    /// what is to be there now.
    pub(super) fn acked(&mut self, topic: &Topic, version: u32, refused: bool) -> bool {
        let Some(entry) = self.entries.get_mut(topic) else {
            return false;
        };
        entry.fatal = 0;
        if entry.version != version {
            return false;
        }
        if entry.content == Content::Cleared && !refused {
            self.forget(topic);
        }
        true
    }

    /// Topics with a payload, or whose clearing is not acknowledged yet.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests;
