//! What a device notes about its clients, for tests and load runs. Everything is bounded.

use std::collections::VecDeque;
use std::time::Instant;

/// Changes whose first answer is remembered.
const MAX_ANSWERED: usize = 1024;
/// Requests to change something that are remembered.
const MAX_CHANGE_REQUESTS: usize = 4096;

/// Counts since the fleet was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted (with https: whose handshake succeeded).
    pub connections: u64,
    /// Requests, of any kind and with any outcome.
    pub requests: u64,
    /// Status documents handed out whole, with status 200.
    pub documents: u64,
    /// Requests with a user and password that were refused: what a real device bans a user for.
    pub failed_logins: u64,
    /// Requests with a token that was refused.
    pub refused_tokens: u64,
    /// Tokens given out.
    pub tokens_issued: u64,
    /// Configurations handed out.
    pub configuration_reads: u64,
    /// Writes of the configuration that were carried out.
    pub configuration_writes: u64,
    /// How often the configuration was applied, whether there was anything to apply or not.
    pub applies: u64,
    /// Objects read over SNMP, with GET, GETNEXT or GETBULK.
    pub snmp_gets: u64,
    /// Objects set over SNMP, those of commands too; refused ones are not counted.
    pub snmp_sets: u64,
    /// Commands (`mbgLtNgCmdExecute`) carried out.
    pub snmp_executes: u64,
    /// Traps sent, to each receiver.
    pub traps_sent: u64,
    /// Informs sent, to each receiver; one that is repeated counts once.
    pub informs_sent: u64,
    /// Informs that were acknowledged.
    pub informs_acknowledged: u64,
    /// Notifications that a slow receiver did not get, since too many waited for it.
    pub notifications_missed: u64,
}

/// The latest answer of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// The generation of the world that it was given in.
    pub generation: u64,
    /// When it was handed to the connection.
    pub at: Instant,
}

/// A request over REST that changes something at the device, as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRequest {
    /// Where the client has sent it: its `Host`. A device that listens on all addresses can so tell clients apart.
    pub host: String,
    /// Whether it has everything applied that was written before; else it writes.
    pub is_apply: bool,
    /// When it came.
    pub began: Instant,
    /// When it had been carried out.
    pub ended: Instant,
}

/// The notes of one device.
#[derive(Default)]
pub(super) struct Observations {
    pub(super) counters: Counters,
    pub(super) last_answer: Option<LastAnswer>,
    /// Generation and first answer that carried it, both rising.
    answered: VecDeque<(u64, Instant)>,
    arrivals: VecDeque<Instant>,
    change_requests: VecDeque<ChangeRequest>,
    /// How many arrivals to keep; 0 = none are noted.
    capacity: usize,
}

impl Observations {
    pub(super) fn request(&mut self, is_status: bool) {
        self.counters.requests += 1;
        if is_status && self.capacity > 0 {
            if self.arrivals.len() == self.capacity {
                self.arrivals.pop_front();
            }
            self.arrivals.push_back(Instant::now());
        }
    }

    pub(super) fn record_arrivals(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.arrivals = VecDeque::with_capacity(capacity.min(4096));
    }

    pub(super) fn take_arrivals(&mut self) -> Vec<Instant> {
        self.arrivals.drain(..).collect()
    }

    /// Notes a request that was carried out.
    pub(super) fn changed(&mut self, request: ChangeRequest) {
        if self.change_requests.len() == MAX_CHANGE_REQUESTS {
            self.change_requests.pop_front();
        }
        self.change_requests.push_back(request);
    }

    pub(super) fn change_requests(&self) -> Vec<ChangeRequest> {
        self.change_requests.iter().cloned().collect()
    }

    pub(super) fn answered_whole(&mut self, generation: u64) {
        self.counters.documents += 1;
        if self.answered.back().is_none_or(|(last, _)| *last < generation) {
            if self.answered.len() == MAX_ANSWERED {
                self.answered.pop_front();
            }
            self.answered.push_back((generation, Instant::now()));
        }
    }

    /// An answer of a later generation carries the earlier changes too.
    pub(super) fn answered_at(&self, generation: u64) -> Option<Instant> {
        let first = self
            .answered
            .partition_point(|(answered, _)| *answered < generation);
        let forgotten = first == 0 && self.answered.len() == MAX_ANSWERED;
        self.answered
            .get(first)
            .filter(|(answered, _)| !forgotten || *answered == generation)
            .map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_all_changes_before_it() {
        let mut seen = Observations::default();
        seen.answered_whole(0);
        seen.answered_whole(3);
        seen.answered_whole(3);
        assert_eq!(seen.answered_at(1), seen.answered_at(3));
        assert!(seen.answered_at(1) > seen.answered_at(0));
        assert_eq!(seen.answered_at(4), None);
    }

    #[test]
    fn notes_are_bounded() {
        let mut seen = Observations::default();
        seen.request(true);
        seen.record_arrivals(2);
        (0..5).for_each(|_| seen.request(true));
        seen.request(false);
        assert_eq!(seen.take_arrivals().len(), 2);
        assert_eq!(seen.counters.requests, 7);
        (0..2000).for_each(|generation| seen.answered_whole(generation));
        assert_eq!(seen.answered.len(), MAX_ANSWERED);
        assert!(seen.answered_at(1).is_none() && seen.answered_at(1999).is_some());
    }
}
