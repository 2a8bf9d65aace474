//! What is retained at the broker. Pure data: no task, no clock, no I/O.
//!
//! Owns which content each topic has (its digest, not the payload: that is made again when it is needed again), the queue
//! of topics to send (each at most once in it), and which topics the durable list holds. After a new connection everything
//! is sent again, so a message that was lost with the old one needs no care.

mod held_back;
mod listed;
mod queue;
mod topic_table;

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::quality::FixedState;

use super::size_limit::TooLarge;
use crate::mqtt::payload::Message;

pub(super) use listed::Batch;
use topic_table::TopicTable;

type Topic = Arc<str>;

/// Room that is kept for topics where nothing is to be sent, and for updates where none come.
pub(super) const KEPT: usize = 64;

/// The version of what an earlier run has published and the broker has, as it was read back.
const READ_BACK: u32 = 0;

/// Identifies a payload: its hash and its length. A packet of MQTT is no larger than 256 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u64, u32);

impl Digest {
    /// That of a payload.
    pub fn of(payload: &[u8]) -> Digest {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        Digest(FixedState::default().hash_one(payload), length)
    }
}

/// What is to be at a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// An earlier run published something; whether this one does is not known yet.
    Remembered,
    /// The same, and it was read back: this [`Digest`].
    ReadBack(u64, u32),
    /// A payload, by its [`Digest`].
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
            version: READ_BACK + 1,
            recorded,
            queued: false,
            fatal: 0,
            is_held_back: false,
        }
    }

    fn becomes(&mut self, content: Content) {
        self.content = content;
        self.version = self.version.checked_add(1).unwrap_or(READ_BACK + 1);
    }

    fn is_payload(&self) -> bool {
        matches!(self.content, Content::Payload(..))
    }

    /// Whether nobody knows yet what this run publishes there.
    fn is_of_earlier_run(&self) -> bool {
        matches!(self.content, Content::Remembered | Content::ReadBack(..))
    }

    /// Whether the broker had it just so before this run began.
    fn is_there(&self) -> bool {
        self.version == READ_BACK && self.is_payload()
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
    entries: TopicTable,
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
    /// A connection has ended, or could not be made, since what is retained was read back: it may be lost.
    has_ended: bool,
    /// Whether there is a durable list.
    is_listed: bool,
    /// Topics that wait for it.
    unrecorded: usize,
    batch: Batch,
}

impl Outbox {
    /// Nothing yet. Topics lie below `state`, and what lies below `later` gives way to all else. Where there is no durable
    /// list, none is waited for.
    pub(super) fn new(state: String, later: Option<String>, is_listed: bool) -> Outbox {
        Outbox {
            entries: TopicTable::new(state, later.clone()),
            later,
            is_listed,
            ..Outbox::default()
        }
    }

    /// A topic that an earlier run published, and what was read back there.
    pub(super) fn remember(&mut self, topic: String, there: Option<Digest>) {
        let mut entry = Entry::new(Content::Remembered, Recorded::Yes);
        if let Some(Digest(hash, length)) = there {
            entry.content = Content::ReadBack(hash, length);
            entry.version = READ_BACK;
        }
        self.entries.insert(&topic, entry);
    }

    /// Whether that topic was read back, and this run has published nothing there yet.
    pub(super) fn is_read_back(&self, topic: &str) -> bool {
        let entry = self.entries.get(topic);
        entry.is_some_and(|entry| matches!(entry.content, Content::ReadBack(..)))
    }

    /// Topics of earlier runs of which nobody knows yet whether this one publishes something there.
    pub(super) fn remembered(&self) -> Vec<Topic> {
        self.below("", Entry::is_of_earlier_run)
    }

    /// What is to be at these topics from now on. Says whether any of that is a change.
    pub(super) fn set(&mut self, messages: impl IntoIterator<Item = Message>) -> bool {
        let mut has_changed = false;
        for Message { topic, payload } in messages {
            let (content, read_back) = match payload.as_deref().map(Digest::of) {
                Some(Digest(hash, length)) => (
                    Content::Payload(hash, length),
                    Some(Content::ReadBack(hash, length)),
                ),
                None => (Content::Cleared, None),
            };
            match self.entries.get_mut(&topic) {
                Some(entry) if entry.content == content => continue,
                Some(entry) if Some(entry.content) == read_back && !self.has_ended => {
                    entry.content = content;
                    continue;
                }
                Some(entry) => entry.becomes(content),
                None if content == Content::Cleared => continue,
                None => {
                    let recorded = if self.is_listed {
                        Recorded::No
                    } else {
                        Recorded::Yes
                    };
                    if self.is_listed {
                        self.batch.add.push(Topic::from(&*topic));
                        self.unrecorded += 1;
                    }
                    self.entries.insert(&topic, Entry::new(content, recorded));
                }
            }
            has_changed = true;
            let topic = Topic::from(topic);
            self.payloads.remove(&topic);
            let entry = self.entries.get(&topic).filter(|_| self.is_connected);
            if let Some(entry) = entry
                && let Some(payload) = payload.filter(|_| !entry.is_held_back)
            {
                self.payloads.insert(topic.clone(), payload);
            }
            self.enqueue(&topic);
        }
        has_changed
    }

    pub(super) fn clear(&mut self, topics: &[Topic]) {
        self.set(topics.iter().map(|topic| Message {
            topic: topic.to_string(),
            payload: None,
        }));
    }

    /// Clears what is remembered below `prefix` and was not published again.
    pub(super) fn clear_remembered(&mut self, prefix: &str) {
        let topics = self.below(prefix, Entry::is_of_earlier_run);
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
            entry.becomes(Content::Remembered);
            self.payloads.remove(&topic);
        }
    }

    /// Clears everything below `prefix`.
    pub(super) fn clear_all(&mut self, prefix: &str) {
        let topics = self.below(prefix, |_| true);
        self.clear(&topics);
    }

    fn below(&self, prefix: &str, wanted: impl Fn(&Entry) -> bool) -> Vec<Topic> {
        let rows = self.entries.below(prefix).filter(|row| wanted(row.entry));
        rows.map(|row| row.topic()).collect()
    }

    /// Somebody has published there. What an earlier run has left there, and was read back, is there no longer.
    pub(super) fn is_overwritten(&mut self, topic: &str, payload: &[u8]) {
        if let Some(entry) = self.entries.get_mut(topic)
            && let Content::ReadBack(hash, length) = entry.content
            && Digest(hash, length) != Digest::of(payload)
        {
            entry.becomes(Content::Remembered);
        }
    }

    /// What was read back at that topic may have been replaced since.
    pub(super) fn suspect(&mut self, topic: &str) {
        if let Some(entry) = self
            .entries
            .get_mut(topic)
            .filter(|entry| entry.version == READ_BACK)
        {
            entry.becomes(match entry.content {
                Content::ReadBack(..) => Content::Remembered,
                content => content,
            });
        }
    }

    /// Whether that payload is what we have at `topic`; `None` where we have none.
    pub(super) fn holds(&self, topic: &str, payload: &[u8]) -> Option<bool> {
        let entry = self.entries.get(topic).filter(|entry| entry.is_payload())?;
        let Digest(hash, length) = Digest::of(payload);
        Some(entry.content == Content::Payload(hash, length))
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
