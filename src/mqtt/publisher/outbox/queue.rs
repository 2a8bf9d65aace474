//! The queue of topics to send: each at most once in it, and what nobody waits for last.

use bytes::Bytes;

use super::super::in_flight::{InFlight, Item};
use super::{Content, Entry, KEPT, Next, Outbox, Recorded, Topic};
use crate::mqtt::connection::packet_size;

impl Outbox {
    /// A new connection: everything goes out again, but the first one begins with what was not read back just so. Then
    /// `last`, which reports that it has, and at the end the suspect messages.
    pub(in super::super) fn connected(&mut self, in_flight: &mut InFlight, last: &str) {
        self.is_connected = true;
        for row in self.entries.iter().filter(|row| row.entry.is_of_earlier_run()) {
            in_flight.clear_suspect(&Item::State(row.topic()));
        }
        let is_delicate = |topic: &Topic| in_flight.is_delicate(&Item::State(topic.clone()));
        let is_missing = |entry: &Entry| self.has_ended || !entry.is_there();
        let missing = self.entries.iter().filter(|row| is_missing(row.entry));
        let missing = missing.map(|row| row.topic());
        let is_last_missing = self.entries.get(last).is_some_and(is_missing);
        let (mut suspects, others): (Vec<_>, Vec<_>) = missing.partition(is_delicate);
        suspects.sort_by_key(|topic| self.size(topic));
        // The largest first: once the broker has taken it, no other one is held back for its size. While any is on trial
        // the smallest first: if it fails for its size, the larger ones need no connection of their own.
        if !in_flight.has_trials() {
            suspects.reverse();
        }
        self.enqueue_all(others.into_iter().filter(|topic| **topic != *last));
        if is_last_missing {
            self.enqueue(&last.into());
        }
        for topic in &suspects {
            self.enqueue(topic);
        }
        self.first_round = self.queue.len();
    }

    /// Sends again what is there below `prefix`.
    pub(in super::super) fn send_again(&mut self, prefix: &str) {
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

    /// Sends again what we have at `topic`. Says whether it does; not if it is about to be sent anyway.
    pub(in super::super) fn restore(&mut self, topic: &str) -> bool {
        let is_idle = |entry: &Entry| !entry.queued && entry.is_payload();
        if !self.entries.get(topic).is_some_and(is_idle) {
            return false;
        }
        self.enqueue(&topic.into());
        self.entries.get(topic).is_some_and(|entry| entry.queued)
    }

    /// The connection has ended, and with it what was in flight.
    pub(in super::super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.has_ended = true;
        self.payloads.clear();
        for topic in self.queue.drain(..).chain(self.queue_of_later.drain(..)) {
            if let Some(entry) = self.entries.get_mut(&topic) {
                entry.queued = false;
            }
        }
    }

    /// Queues a topic that may be sent.
    pub(super) fn enqueue(&mut self, topic: &Topic) {
        let Some(entry) = self.entries.get_mut(topic).filter(|_| self.is_connected) else {
            return;
        };
        let is_unsendable = entry.recorded == Recorded::No || entry.is_of_earlier_run();
        if entry.queued || is_unsendable || entry.is_held_back {
            return;
        }
        entry.queued = true;
        let can_wait = entry.content != Content::Cleared;
        match self.later.as_deref() {
            Some(later) if can_wait && topic.starts_with(later) => {
                self.queue_of_later.push_back(topic.clone());
            }
            _ => self.queue.push_back(topic.clone()),
        }
    }

    /// Whether all that there was when the connection began was handed over.
    pub(in super::super) fn is_first_round_over(&self) -> bool {
        self.first_round == 0
    }

    /// Whether the next message goes with few others, or alone.
    pub(in super::super) fn is_next_delicate(&self, in_flight: &InFlight, with_later: bool) -> bool {
        let of_later = self.queue_of_later.front().filter(|_| with_later);
        let next = self.queue.front().or(of_later);
        next.is_some_and(|topic| in_flight.is_delicate(&Item::State(topic.clone())))
    }

    /// The next message that there is room for; one that nobody waits for only `with_later`. `make` gives the payload of a
    /// topic where it has not been kept.
    pub(in super::super) fn next(
        &mut self,
        in_flight: &mut InFlight,
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
            let item = Item::State(topic.clone());
            if !in_flight.may_send(&item) {
                return None;
            }
            let topic = queue.pop_front()?;
            self.first_round = self.first_round.saturating_sub(1);
            let Some(entry) = self.entries.get_mut(&topic) else {
                continue;
            };
            entry.queued = false;
            let payload = match entry.content {
                Content::Remembered | Content::ReadBack(..) => None,
                Content::Cleared => Some(Bytes::new()),
                Content::Payload(..) => self.payloads.remove(&topic).or_else(|| make(&topic)),
            };
            let Some(payload) = payload else {
                if entry.is_payload() {
                    tracing::error!(%topic, "payload cannot be rendered again: report this as a bug");
                }
                continue;
            };
            let bytes = packet_size(&topic, payload.len(), None);
            if let Some(limit) = in_flight.is_too_large(bytes) {
                entry.fatal = 0;
                in_flight.clear_suspect(&item);
                return Some(Next::TooLarge { topic, bytes, limit });
            }
            in_flight.hand_over(item, entry.version, bytes);
            return Some(Next::Send(topic, payload));
        }
    }

    /// All is handed over: what a connection with all of the state has taken is not needed for single changes.
    fn release_memory(&mut self) {
        self.entries.pack();
        self.queue.shrink_to(KEPT);
        self.queue_of_later.shrink_to(KEPT);
        self.payloads.shrink_to(KEPT);
    }

    /// Messages that wait to be recorded or sent; without a connection, all of them.
    pub(in super::super) fn pending(&self) -> usize {
        if self.is_connected {
            self.unrecorded + self.queue.len() + self.queue_of_later.len()
        } else {
            self.entries.len()
        }
    }

    /// Whether all is sent but what nobody waits for.
    pub(in super::super) fn is_state_sent(&self) -> bool {
        self.unrecorded == 0 && self.queue.is_empty()
    }
}

/// What stands behind `skipped` bytes and the next level.
fn owner(topic: &str, skipped: usize) -> &str {
    let below = topic.get(skipped..).unwrap_or_default();
    below.split_once('/').map_or(below, |(_, owner)| owner)
}
