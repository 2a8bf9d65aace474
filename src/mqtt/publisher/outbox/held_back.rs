//! State that the broker does not take: when a message is given up, and when what is held back is tried again.

use std::cmp::Reverse;

use super::super::in_flight::{InFlight, Item, MAX_FATAL};
use super::super::size_limit::TooLarge;
use super::{Content, Entry, Outbox, Topic};
use crate::mqtt::connection::packet_size;

impl Outbox {
    pub(super) fn size(&self, topic: &Topic) -> usize {
        match self.entries.get(topic).map(|entry| entry.content) {
            Some(Content::Payload(_, length)) => packet_size(topic, length as usize, None),
            Some(Content::Cleared) => packet_size(topic, 0, None),
            Some(Content::Remembered | Content::ReadBack(..)) | None => 0,
        }
    }

    /// Nothing is sent to that topic any more, whatever it becomes, before it is tried again.
    pub(in super::super) fn hold_back(&mut self, topic: &str) {
        if let Some(entry) = self.entries.get_mut(topic) {
            entry.is_held_back = true;
        }
    }

    /// What was held back, for its size or its topic, is tried again. Each costs one connection at most.
    pub(in super::super) fn try_again(&mut self, in_flight: &mut InFlight) {
        let is_too_large = |bytes| matches!(in_flight.is_too_large(bytes), Some(TooLarge::Learned(_)));
        let mut held = self.topics(|entry, bytes| entry.is_held_back || is_too_large(bytes));
        // On this connection the largest first: if the broker takes it, size is not why others were held back. If that ends
        // the connection, the next one begins with the smallest: see `connected`.
        held.sort_by_key(|topic| Reverse(self.size(topic)));
        in_flight.forget_size();
        self.try_alone(&held, in_flight);
    }

    /// A message was held back for its size: those that are smaller, and larger than any that was taken, are tried.
    pub(in super::super) fn try_suspect_sizes(&mut self, in_flight: &mut InFlight) {
        let suspects = self.topics(|entry, bytes| !entry.is_held_back && in_flight.is_suspect_size(bytes));
        self.try_alone(&suspects, in_flight);
    }

    fn topics(&self, is_wanted: impl Fn(&Entry, usize) -> bool) -> Vec<Topic> {
        let topics = self.entries.iter().map(|row| (row.topic(), row.entry));
        let wanted = topics.filter(|(topic, entry)| is_wanted(entry, self.size(topic)));
        wanted.map(|(topic, _)| topic).collect()
    }

    fn try_alone(&mut self, topics: &[Topic], in_flight: &mut InFlight) {
        for topic in topics {
            if let Some(entry) = self.entries.get_mut(topic) {
                entry.is_held_back = false;
                entry.fatal = MAX_FATAL - 1;
            }
            in_flight.try_alone(Item::State(topic.clone()));
            self.enqueue(topic);
        }
    }

    /// A message of that topic has cost a connection, sent alone. Says whether it is given up, whatever it has become
    /// meanwhile.
    pub(in super::super) fn blame(&mut self, topic: &str) -> bool {
        let Some(entry) = self.entries.get_mut(topic) else {
            return false;
        };
        entry.fatal += 1;
        let is_given_up = entry.fatal >= MAX_FATAL;
        if is_given_up {
            entry.fatal = 0;
        }
        is_given_up
    }
}
