//! State that the broker does not take: when a message is given up, and when what is held back is tried again.

use super::super::flights::{Cargo, Flights, MAX_FATAL};
use super::super::size_limit::TooLarge;
use super::{Entry, Outbox, Topic};
use crate::mqtt::connection::packet_size;

impl Outbox {
    pub(super) fn size(&self, topic: &Topic) -> usize {
        let payload = self.entries.get(topic).and_then(Entry::payload);
        payload.map_or(0, |payload| packet_size(topic, &payload, None))
    }

    /// Nothing is sent to that topic any more, whatever it becomes, before it is tried again.
    pub(in super::super) fn hold_back(&mut self, topic: &str) {
        if let Some(entry) = self.entries.get_mut(topic) {
            entry.is_held_back = true;
        }
    }

    /// What was held back, for its size or its topic, is tried again, the smallest first. Each costs one connection at
    /// most.
    pub(in super::super) fn try_again(&mut self, flights: &mut Flights) {
        let is_too_large =
            |topic: &Topic| matches!(flights.is_too_large(self.size(topic)), Some(TooLarge::Learned(_)));
        let is_held = |(topic, entry): &(&Topic, &Entry)| entry.is_held_back || is_too_large(topic);
        let held = self
            .entries
            .iter()
            .filter(is_held)
            .map(|(topic, _)| topic.clone());
        let mut held: Vec<_> = held.collect();
        held.sort_by_key(|topic| self.size(topic));
        flights.try_again(held.iter().cloned().map(Cargo::State));
        for topic in &held {
            if let Some(entry) = self.entries.get_mut(topic) {
                entry.is_held_back = false;
                entry.fatal = MAX_FATAL - 1;
            }
            self.enqueue(topic);
        }
    }

    /// A message has cost a connection, sent alone. Says whether it is given up.
    pub(in super::super) fn blame(&mut self, topic: &str, version: u64) -> bool {
        let Some(entry) = self.entries.get_mut(topic) else {
            return false;
        };
        if entry.version != version {
            return false;
        }
        entry.fatal += 1;
        let is_given_up = entry.fatal >= MAX_FATAL;
        if is_given_up {
            entry.fatal = 0;
        }
        is_given_up
    }
}
