//! What is in flight to the broker, of state and records alike: one window for both. Pure data.
//!
//! Also finds out which message the broker ends connections for. Some brokers answer what they do not take
//! (too large, no right) in no other way, and with MQTT 3.1.1 there is none.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::size_limit::{SizeLimit, TooLarge};
use crate::mqtt::connection::{Limits, MAX_WINDOW};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// What is to be retained at a topic.
    State(Arc<str>),
    /// The record of that number.
    Record(u64),
}

/// A message in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transmission {
    pub(super) item: Item,
    /// Of state: which content it was.
    pub(super) version: u32,
    /// Of its packet.
    pub(super) bytes: usize,
    is_suspect: bool,
    /// Whether nothing else was in flight with it.
    went_alone: bool,
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// A time-out, our DISCONNECT, or a reason of the broker that concerns no message: no message is suspect.
    ByUs,
    /// The broker or the network has ended it.
    ByPeer,
    /// The broker has said that a message was too large.
    TooLarge,
}

/// How many messages may be on their way together with one that may have cost a connection. It was lost once:
/// that may have been anybody's fault. Twice: a few, so that those without fault come through. Then alone.
const TOGETHER: [usize; 3] = [MAX_WINDOW as usize, 16, 1];

/// Index of the last of them.
const ALONE: usize = TOGETHER.len() - 1;

/// Connections that one message may cost, sent alone, before it is given up.
pub(super) const MAX_FATAL: u8 = 2;

#[derive(Debug, Default)]
pub(super) struct InFlight {
    limits: Option<Limits>,
    size_limit: SizeLimit,
    /// Handed over, packet id not known yet; in order.
    handed: VecDeque<Transmission>,
    by_packet_id: HashMap<u16, Transmission>,
    /// How many of both are state.
    states: usize,
    /// Unacknowledged when a connection was lost, and not acknowledged since.
    suspects: HashSet<Item>,
    /// May be held back, or were, and are to be tried: each alone, whatever becomes of the others.
    on_trial: HashSet<Item>,
    /// Suspects on their way now.
    suspects_under_way: usize,
    /// Those that go alone, on their way now.
    alone_under_way: usize,
    /// How careful we are with suspects: an index of [`TOGETHER`].
    caution: usize,
    /// Whether the broker has taken anything since a message was last found.
    has_taken: bool,
}

impl InFlight {
    pub(super) fn connected(&mut self, limits: Limits) {
        self.limits = Some(limits);
        self.size_limit.announced(limits.maximum_packet_size);
    }

    /// Why a packet of that size is held back; `None` if it may be sent.
    pub(super) fn is_too_large(&self, bytes: usize) -> Option<TooLarge> {
        self.size_limit.check(bytes)
    }

    /// A message was given up, without a reason: whether its size may be one. Then others of that size are held back.
    pub(super) fn blame_size(&mut self, bytes: usize) -> bool {
        self.size_limit.blamed(bytes)
    }

    /// Whether a packet of that size is larger than any that was taken, and smaller than what is held back.
    pub(super) fn is_suspect_size(&self, bytes: usize) -> bool {
        self.size_limit.is_suspect(bytes)
    }

    /// What was held back for its size may be sent again.
    pub(super) fn forget_size(&mut self) {
        self.size_limit.try_again();
    }

    /// This message goes alone.
    pub(super) fn try_alone(&mut self, item: Item) {
        self.on_trial.insert(item);
    }

    /// Whether messages are to be tried alone.
    pub(super) fn has_trials(&self) -> bool {
        !self.on_trial.is_empty()
    }

    /// Messages on their way.
    pub(super) fn len(&self) -> usize {
        self.handed.len() + self.by_packet_id.len()
    }

    /// Whether there is room for state while records wait as well: half of the window is theirs.
    pub(super) fn leaves_room_for_records(&self) -> bool {
        self.limits.is_some() && self.states < self.window().div_ceil(2)
    }

    fn window(&self) -> usize {
        self.limits
            .map_or(0, |limits| usize::from(limits.receive_maximum.min(MAX_WINDOW)))
    }

    /// Whether this message may be what connections were lost for.
    fn is_suspect(&self, item: &Item) -> bool {
        self.suspects.contains(item) || self.on_trial.contains(item)
    }

    /// Whether this message goes with few others, or alone. Whoever can send another one first does, so that a message
    /// for which the broker ends the connection does not keep others from it.
    pub(super) fn is_delicate(&self, item: &Item) -> bool {
        self.on_trial.contains(item) || (self.caution > 0 && self.suspects.contains(item))
    }

    /// Whether nothing else goes with this message.
    fn goes_alone(&self, item: &Item) -> bool {
        self.on_trial.contains(item) || (self.caution == ALONE && self.suspects.contains(item))
    }

    /// Whether there is room for this message now.
    pub(super) fn may_send(&self, item: &Item) -> bool {
        let room = if self.alone_under_way > 0 || self.goes_alone(item) {
            1
        } else if self.suspects_under_way > 0 || self.is_suspect(item) {
            TOGETHER[self.caution]
        } else {
            usize::MAX
        };
        self.len() < self.window().min(room)
    }

    /// A message was handed over.
    pub(super) fn hand_over(&mut self, item: Item, version: u32, bytes: usize) {
        let is_suspect = self.is_suspect(&item);
        let went_alone = self.goes_alone(&item);
        self.suspects_under_way += usize::from(is_suspect);
        self.alone_under_way += usize::from(went_alone);
        self.states += usize::from(matches!(item, Item::State(_)));
        self.handed.push_back(Transmission {
            item,
            version,
            bytes,
            is_suspect,
            went_alone,
        });
    }

    /// The oldest message without a packet id has got this one.
    pub(super) fn sent(&mut self, pkid: u16) {
        if let Some(transmission) = self.handed.pop_front() {
            self.by_packet_id.insert(pkid, transmission);
        }
    }

    /// The broker has answered, with success or not: gives what that packet id was.
    pub(super) fn acked(&mut self, pkid: u16, is_taken: bool) -> Option<Transmission> {
        let transmission = self.by_packet_id.remove(&pkid)?;
        if is_taken {
            self.size_limit.took(transmission.bytes);
            self.has_taken = true;
        }
        self.states -= usize::from(matches!(transmission.item, Item::State(_)));
        self.alone_under_way -= usize::from(transmission.went_alone);
        if transmission.is_suspect {
            self.suspects_under_way -= 1;
            self.clear_suspect(&transmission.item);
        }
        Some(transmission)
    }

    /// That message is not to be sent any more: it is no suspect.
    pub(super) fn clear_suspect(&mut self, item: &Item) {
        self.suspects.remove(item);
        self.on_trial.remove(item);
    }

    /// The connection has ended, and with it what was in flight. Gives the message that must have been the reason: a
    /// suspect that was sent alone, or the only one if the broker reported that one was too large.
    pub(super) fn disconnected(&mut self, ended: Ended) -> Option<Transmission> {
        self.limits = None;
        self.states = 0;
        self.suspects_under_way = 0;
        self.alone_under_way = 0;
        let by_packet_id = self.by_packet_id.drain().map(|(_, transmission)| transmission);
        let mut lost: Vec<Transmission> = by_packet_id.chain(self.handed.drain(..)).collect();
        if ended == Ended::ByUs {
            return None;
        }
        let was_alone = lost.iter().all(|transmission| transmission.went_alone);
        let is_found = lost.len() == 1 && (was_alone || ended == Ended::TooLarge);
        // Also where the suspects' turn has not come: there is another message that the broker does not take.
        let is_again = !self.suspects.is_empty();
        self.caution = match ended {
            Ended::TooLarge => ALONE,
            _ if is_again => (self.caution + 1).min(ALONE),
            _ => 0,
        };
        self.suspects
            .extend(lost.iter().map(|transmission| transmission.item.clone()));
        let found = lost.pop_if(|_| is_found)?;
        if ended == Ended::TooLarge {
            self.size_limit.refused(found.bytes);
        }
        Some(found)
    }

    /// That message was the reason: nobody else is suspected. What is on trial still has to be tried. Says whether the
    /// broker has taken anything since the last one was found: if not, it may take nothing at all.
    pub(super) fn found(&mut self, item: &Item) -> bool {
        self.on_trial.remove(item);
        self.suspects.clear();
        self.caution = 0;
        std::mem::take(&mut self.has_taken)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn connected(in_flight: &mut InFlight, receive_maximum: u16) {
        in_flight.connected(Limits {
            receive_maximum,
            maximum_packet_size: None,
            keep_alive: Duration::from_secs(5),
            ..Limits::default()
        });
    }

    fn record(number: u64) -> Item {
        Item::Record(number)
    }

    /// Sends as many of `numbers` as there is room for; their packet ids are their numbers.
    fn send(in_flight: &mut InFlight, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut sent = Vec::new();
        for number in numbers {
            if !in_flight.may_send(&record(number)) {
                break;
            }
            in_flight.hand_over(record(number), 0, 100);
            in_flight.sent(number as u16);
            sent.push(number);
        }
        sent
    }

    #[test]
    fn the_window_is_never_above_the_brokers_or_ours() {
        let mut in_flight = InFlight::default();
        assert!(!in_flight.may_send(&record(1)), "no connection");
        connected(&mut in_flight, 2);
        assert_eq!(send(&mut in_flight, 1..9), [1, 2]);
        assert_eq!(
            in_flight.acked(1, true).map(|transmission| transmission.item),
            Some(record(1))
        );
        assert_eq!(in_flight.acked(1, true), None);
        assert_eq!(send(&mut in_flight, 3..9), [3]);
        in_flight.disconnected(Ended::ByPeer);
        connected(&mut in_flight, u16::MAX);
        assert_eq!(send(&mut in_flight, 4..9999).len(), usize::from(MAX_WINDOW));
    }

    #[test]
    fn one_lost_connection_makes_nobody_wait() {
        let mut in_flight = InFlight::default();
        connected(&mut in_flight, 100);
        send(&mut in_flight, 1..=100);
        assert_eq!(in_flight.disconnected(Ended::ByPeer), None);
        connected(&mut in_flight, 100);
        assert_eq!(send(&mut in_flight, 1..=100).len(), 100);
    }

    #[test]
    fn the_more_often_the_same_are_lost_the_fewer_go_together() {
        let mut in_flight = InFlight::default();
        for (connection, together) in [100, 100, 16, 1, 1].into_iter().enumerate() {
            connected(&mut in_flight, 100);
            let sent = send(&mut in_flight, 1..=100);
            assert_eq!(sent.len(), together, "connection {connection}");
            let blamed = in_flight
                .disconnected(Ended::ByPeer)
                .map(|transmission| transmission.item);
            assert_eq!(
                blamed,
                (together == 1).then(|| record(1)),
                "connection {connection}"
            );
        }
        in_flight.found(&record(1));
        connected(&mut in_flight, 100);
        assert_eq!(send(&mut in_flight, 2..=101).len(), 100);
    }

    #[test]
    fn what_is_acknowledged_is_no_longer_suspected() {
        let mut in_flight = InFlight::default();
        for _ in 0..2 {
            connected(&mut in_flight, 100);
            send(&mut in_flight, 1..=3);
            in_flight.disconnected(Ended::ByPeer);
        }
        connected(&mut in_flight, 100);
        assert_eq!(send(&mut in_flight, 1..=3), [1, 2, 3]);
        (1..=3).for_each(|pkid| assert!(in_flight.acked(pkid, true).is_some()));
        assert_eq!(
            send(&mut in_flight, 4..=99).len(),
            96,
            "none of these is suspected"
        );
        assert_eq!(in_flight.disconnected(Ended::ByPeer), None);
        connected(&mut in_flight, 100);
        assert_eq!(send(&mut in_flight, 4..=99).len(), 96, "begun again");
    }

    #[test]
    fn a_suspect_whose_turn_has_not_come_stays_one() {
        let mut in_flight = InFlight::default();
        for numbers in [1..=100, 1..=100, 101..=200] {
            connected(&mut in_flight, 100);
            send(&mut in_flight, numbers);
            assert_eq!(in_flight.disconnected(Ended::ByPeer), None);
        }
        connected(&mut in_flight, 100);
        assert_eq!(send(&mut in_flight, 1..=200), [1], "alone");
        assert_eq!(
            in_flight
                .disconnected(Ended::ByPeer)
                .map(|transmission| transmission.item),
            Some(record(1))
        );
    }

    #[test]
    fn what_is_on_trial_makes_no_other_suspect_wait_or_be_blamed_sooner() {
        let mut in_flight = InFlight::default();
        connected(&mut in_flight, 100);
        send(&mut in_flight, 1..=100);
        assert_eq!(in_flight.disconnected(Ended::ByPeer), None);
        in_flight.try_alone(record(200));
        connected(&mut in_flight, 100);
        assert!(in_flight.is_delicate(&record(200)) && !in_flight.is_delicate(&record(1)));
        assert_eq!(send(&mut in_flight, 1..=100).len(), 100);
        assert_eq!(send(&mut in_flight, [200]), [] as [u64; 0]);
        (2..=100).for_each(|pkid| assert!(in_flight.acked(pkid, true).is_some()));
        assert_eq!(in_flight.disconnected(Ended::ByPeer), None, "lost twice only");
        connected(&mut in_flight, 100);
        assert_eq!(send(&mut in_flight, [200, 1]), [200], "alone");
        let found = in_flight.disconnected(Ended::ByPeer);
        assert_eq!(found.map(|transmission| transmission.item), Some(record(200)));
    }

    #[test]
    fn our_own_patience_is_nobodys_fault() {
        let mut in_flight = InFlight::default();
        for _ in 0..9 {
            connected(&mut in_flight, 100);
            assert_eq!(send(&mut in_flight, 1..=3).len(), 3);
            assert_eq!(in_flight.disconnected(Ended::ByUs), None);
        }
    }
}
