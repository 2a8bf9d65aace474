//! The outbox against a broker and a store that fail at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::super::in_flight::{Ended, InFlight, Item};
use super::*;
use crate::mqtt::connection::{Limits, packet_size};

/// An outbox and what is in flight from it.
struct Way {
    outbox: Outbox,
    in_flight: InFlight,
    /// What is retained, to be made again.
    retained: BTreeMap<String, Bytes>,
}

impl Default for Way {
    fn default() -> Way {
        Way {
            outbox: Outbox::new("state/".to_owned(), Some("later/".to_owned()), true),
            in_flight: InFlight::default(),
            retained: BTreeMap::new(),
        }
    }
}

impl Way {
    fn connected(&mut self, limits: Limits, last: &str) {
        self.in_flight.connected(limits);
        self.outbox.connected(&mut self.in_flight, last);
    }

    /// Gives the topic that is given up.
    fn disconnected(&mut self, ended: bool) -> Option<String> {
        let ended = if ended { Ended::ByPeer } else { Ended::ByUs };
        let blamed = self.in_flight.disconnected(ended);
        self.outbox.disconnected();
        let transmission = blamed?;
        let Item::State(topic) = transmission.item else {
            panic!("no records here");
        };
        let is_given_up = self.outbox.blame(&topic);
        if is_given_up {
            let is_by_size = self.in_flight.blame_size(transmission.bytes);
            self.given_up(&topic, is_by_size);
        }
        is_given_up.then(|| topic.to_string())
    }

    /// The broker has ended the connection, with a reason.
    fn ended(&mut self, refuses: Refuses) {
        let ended = match refuses {
            Refuses::TooLarge => Ended::TooLarge,
            Refuses::Topic | Refuses::Silently => Ended::ByPeer,
        };
        let found = self.in_flight.disconnected(ended);
        self.outbox.disconnected();
        let Some(transmission) = found else { return };
        let Item::State(topic) = transmission.item else {
            panic!("no records here");
        };
        let is_too_large = refuses == Refuses::TooLarge;
        if is_too_large || self.outbox.blame(&topic) {
            let is_by_size = is_too_large
                || (refuses == Refuses::Silently && self.in_flight.blame_size(transmission.bytes));
            self.given_up(&topic, is_by_size);
        }
    }

    fn given_up(&mut self, topic: &Topic, is_by_size: bool) {
        self.in_flight.found(&Item::State(topic.clone()));
        match is_by_size {
            true => self.outbox.try_suspect_sizes(&mut self.in_flight),
            false => self.outbox.hold_back(topic),
        }
    }

    fn set(&mut self, topic: &str, payload: Option<Bytes>) -> bool {
        match &payload {
            Some(payload) => drop(self.retained.insert(topic.to_owned(), payload.clone())),
            None => drop(self.retained.remove(topic)),
        }
        let topic = topic.to_owned();
        self.outbox.set([Message { topic, payload }])
    }

    fn next(&mut self) -> Option<Next> {
        self.next_of(true)
    }

    fn next_of(&mut self, with_later: bool) -> Option<Next> {
        let retained = &self.retained;
        self.outbox.next(&mut self.in_flight, with_later, |topic| {
            retained.get(topic).cloned()
        })
    }

    fn acked(&mut self, pkid: u16, refused: bool) {
        self.is_current(pkid, refused);
    }

    /// The broker has answered; gives whether that is about what is to be there now.
    fn is_current(&mut self, pkid: u16, refused: bool) -> bool {
        let transmission = self.in_flight.acked(pkid, !refused).unwrap();
        let Item::State(topic) = transmission.item else {
            panic!("no records here");
        };
        self.outbox.acked(&topic, transmission.version, refused)
    }

    fn pending(&self) -> usize {
        self.outbox.pending() + self.in_flight.len()
    }

    /// What goes out now, with the packet ids that follow `pkid`.
    fn sent(&mut self, mut pkid: u16) -> Vec<String> {
        let mut topics = Vec::new();
        while let Some(next) = self.next() {
            // What is too large stays unsent.
            let Next::Send(topic, _) = next else { continue };
            pkid += 1;
            self.in_flight.sent(pkid);
            topics.push(topic.to_string());
        }
        topics
    }
}

fn limits(receive_maximum: u16, maximum_packet_size: Option<u32>) -> Limits {
    Limits {
        receive_maximum,
        maximum_packet_size,
        keep_alive: Duration::from_secs(5),
        ..Limits::default()
    }
}

fn payload(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

/// With topics that are all recorded at once.
fn way(topics: &[&str]) -> Way {
    let mut way = Way::default();
    for topic in topics {
        way.set(topic, payload("1"));
    }
    if let Some(batch) = way.outbox.take_batch() {
        way.outbox.recorded(batch, true);
    }
    way
}

#[test]
fn the_window_is_never_above_the_brokers() {
    let mut way = way(&["a", "b", "c", "d"]);
    way.connected(limits(2, None), "c");
    assert_eq!(way.sent(0), ["a", "b"]);
    way.acked(1, false);
    assert_eq!(way.sent(2), ["d"]);
    way.acked(2, false);
    assert_eq!(way.sent(3), ["c"], "it reports that all else is out");
}

#[test]
fn after_one_lost_connection_all_is_out_before_it_is_reported() {
    let mut way = way(&["a", "b", "online", "z"]);
    way.connected(limits(9, None), "online");
    assert_eq!(way.sent(0), ["a", "b", "z", "online"]);
    way.acked(1, false);
    way.disconnected(true);
    way.connected(limits(9, None), "online");
    assert_eq!(way.sent(0), ["a", "b", "z", "online"]);
    way.disconnected(true);
    way.connected(limits(9, None), "online");
    assert_eq!(way.sent(0)[0], "online", "the others may cost the connection");
}

#[test]
fn a_topic_waits_for_the_list_and_is_queued_once() {
    let mut way = Way::default();
    way.connected(limits(9, None), "");
    way.set("a", payload("1"));
    assert_eq!(way.sent(0), Vec::<String>::new());
    assert_eq!((way.pending(), way.outbox.is_released("a")), (1, false));
    let batch = way.outbox.take_batch().unwrap();
    way.set("a", payload("2"));
    way.outbox.recorded(batch, true);
    way.set("a", payload("3"));
    assert_eq!(way.sent(0), ["a"]);
    assert!(!way.set("a", payload("3")), "no change");
    assert_eq!(way.pending(), 1);
    way.acked(1, false);
    assert_eq!(way.pending(), 0);
}

#[test]
fn a_store_that_fails_holds_nothing_up() {
    let mut way = Way::default();
    way.connected(limits(9, None), "");
    way.set("a", payload("1"));
    let batch = way.outbox.take_batch().unwrap();
    way.outbox.recorded(batch, false);
    assert_eq!(way.sent(0), ["a"]);
    way.set("b", payload("1"));
    way.outbox.release_unrecorded();
    assert_eq!(way.sent(1), ["b"]);
    let again = way.outbox.take_batch().unwrap();
    assert_eq!(again.add, ["a".into(), "b".into()] as [Topic; 2], "tried again");
}

#[test]
fn what_was_never_published_needs_no_clearing() {
    let mut way = way(&[]);
    way.connected(limits(9, None), "");
    assert!(!way.set("a", None));
    assert_eq!((way.outbox.len(), way.pending()), (0, 0));
}

#[test]
fn a_clearing_is_forgotten_only_once_acknowledged() {
    let mut way = way(&["a"]);
    way.connected(limits(9, None), "");
    way.sent(0);
    way.acked(1, false);
    way.set("a", None);
    assert_eq!(way.sent(1), ["a"]);
    way.disconnected(true);
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["a"], "cleared again");
    way.acked(1, true);
    assert_eq!(way.outbox.len(), 1, "refused: not cleared");
    way.disconnected(true);
    way.connected(limits(9, None), "");
    way.sent(0);
    way.acked(1, false);
    assert_eq!(way.outbox.len(), 0);
    assert_eq!(
        way.outbox.take_batch().unwrap().remove,
        ["a".into()] as [Topic; 1]
    );
}

#[test]
fn an_old_acknowledgement_forgets_nothing() {
    let mut way = way(&["a"]);
    way.connected(limits(9, None), "");
    way.sent(0);
    way.set("a", None);
    way.sent(1);
    way.set("a", payload("2"));
    assert!(!way.is_current(1, false) && !way.is_current(2, false));
    assert_eq!(way.outbox.len(), 1);
    assert_eq!(way.sent(2), ["a"]);
    assert!(way.is_current(3, false));
}

#[test]
fn what_is_too_large_is_said_and_not_sent() {
    let mut way = way(&["aa"]);
    let size = packet_size("aa", 1, None);
    way.connected(limits(9, Some(size as u32 - 1)), "");
    assert!(matches!(way.next(), Some(Next::TooLarge { bytes, .. }) if bytes == size));
    assert_eq!(way.next(), None);
    way.disconnected(true);
    way.connected(limits(9, Some(size as u32)), "");
    assert_eq!(way.sent(0), ["aa"]);
}

#[test]
fn remembered_topics_are_kept_until_they_are_cleared() {
    let mut way = Way::default();
    for topic in ["p/d/a", "p/d/b", "p/dd/a"] {
        way.outbox.remember(topic.to_owned(), None);
    }
    way.connected(limits(9, None), "");
    assert_eq!(way.next(), None);
    way.set("p/d/a", payload("1"));
    way.outbox.clear_remembered("p/d/");
    assert_eq!(way.sent(0), ["p/d/a", "p/d/b"]);
    assert_eq!(
        way.outbox.take_batch(),
        None,
        "all of them are in the list already"
    );
}

/// An outbox of a run that has read `1` back at these topics.
fn read_back(topics: &[&str]) -> Way {
    let mut way = Way::default();
    for topic in topics {
        way.outbox.remember((*topic).to_owned(), Some(Digest::of(b"1")));
    }
    way
}

#[test]
fn the_first_connection_leaves_alone_what_was_read_back_and_is_so_still() {
    let mut way = read_back(&["as-before", "late", "other", "other-late"]);
    way.set("as-before", payload("1"));
    way.set("other", payload("2"));
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["other"]);
    assert!(!way.set("late", payload("1")), "what is learned only now, too");
    way.set("other-late", payload("2"));
    assert_eq!(way.sent(1), ["other-late"]);
    way.set("as-before", payload("2"));
    way.set("as-before", payload("1"));
    assert_eq!(way.sent(2), ["as-before"], "its message may be in flight");
    way.disconnected(false);
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["as-before", "late", "other", "other-late"]);
}

#[test]
fn what_was_read_back_counts_for_nothing_once_an_attempt_to_connect_has_failed() {
    let mut way = read_back(&["before", "later"]);
    way.set("before", payload("1"));
    way.disconnected(false);
    way.connected(limits(9, None), "");
    way.set("later", payload("1"));
    assert_eq!(way.sent(0), ["before", "later"]);
}

#[test]
fn what_may_have_been_replaced_since_it_was_read_back_is_published_again() {
    let mut way = read_back(&["known", "learned", "untouched"]);
    way.set("known", payload("1"));
    way.outbox.suspect("known");
    way.outbox.suspect("learned");
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["known"]);
    way.set("learned", payload("1"));
    way.set("untouched", payload("1"));
    assert_eq!(way.sent(1), ["learned"]);
}

#[test]
fn what_somebody_else_has_overwritten_is_published_again() {
    let mut way = read_back(&["echoed", "overwritten"]);
    way.connected(limits(9, None), "");
    way.outbox.is_overwritten("echoed", b"1");
    way.outbox.is_overwritten("overwritten", b"2");
    way.set("echoed", payload("1"));
    way.set("overwritten", payload("1"));
    assert_eq!(way.sent(0), ["overwritten"]);
}

#[test]
fn what_nobody_waits_for_gives_way_to_state_whenever_that_changes() {
    let mut way = way(&["a", "later/1", "later/2", "later/3", "z"]);
    way.connected(limits(1, None), "a");
    assert_eq!(way.sent(0), ["z"]);
    way.acked(1, false);
    assert!(!way.outbox.is_first_round_over());
    assert_eq!(way.sent(1), ["a"]);
    way.acked(2, false);
    assert!(way.outbox.is_first_round_over(), "the state is out");
    assert!(way.outbox.is_state_sent());
    assert_eq!(way.next_of(false), None, "the end does not wait");
    assert_eq!(way.sent(2), ["later/1"]);
    way.acked(3, false);
    way.set("a", payload("2"));
    assert_eq!(way.sent(3), ["a"], "two of later are still to come");
    way.acked(4, false);
    way.outbox.send_again("later/");
    way.outbox.send_again("later/");
    let mut rest = Vec::new();
    for pkid in 5..=7 {
        rest.extend(way.sent(pkid - 1));
        way.acked(pkid, false);
    }
    assert_eq!(rest, ["later/2", "later/3", "later/1"], "each once");
    assert_eq!(way.pending(), 0);
}

#[test]
fn what_is_stale_stays_at_the_broker_until_it_is_published_again_or_cleared() {
    let mut way = way(&["later/1", "later/2"]);
    way.connected(limits(9, None), "");
    way.sent(0);
    (1..=2).for_each(|pkid| way.acked(pkid, false));
    way.outbox.mark_stale("later/");
    assert_eq!(way.next(), None);
    way.set("later/2", payload("1"));
    way.outbox.clear_remembered("later/");
    let sent: Vec<_> = std::iter::from_fn(|| way.next()).collect();
    let expected = [("later/1", ""), ("later/2", "1")];
    assert_eq!(
        sent,
        expected.map(|(topic, payload)| Next::Send(topic.into(), payload.into()))
    );
}

/// Connections that the broker ends, each at `bad`, until that is given up: how many.
fn until_given_up(way: &mut Way) -> usize {
    let mut given_up = None;
    let mut connections = 0;
    while given_up.is_none() {
        connections += 1;
        assert!(connections < 10, "it would go on for ever");
        way.connected(limits(9, None), "a");
        let mut pkid = 0;
        // The broker acknowledges all but the bad one, and its end takes late acknowledgements along.
        'connection: loop {
            let mut on_their_way = Vec::new();
            while let Some(Next::Send(topic, _)) = way.next() {
                pkid += 1;
                way.in_flight.sent(pkid);
                on_their_way.push((pkid, topic));
            }
            assert!(!on_their_way.is_empty(), "the bad one is still to come");
            if on_their_way.iter().any(|(_, topic)| &**topic == "bad") {
                break 'connection;
            }
            for (pkid, _) in on_their_way {
                way.acked(pkid, false);
            }
        }
        given_up = way.disconnected(true);
    }
    assert_eq!(given_up.as_deref(), Some("bad"));
    connections
}

#[test]
fn a_message_that_ends_connections_is_found_and_given_up() {
    let mut way = way(&["a", "bad", "c", "d"]);
    assert_eq!(until_given_up(&mut way), 5);
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["a", "c", "d"]);
    way.set("bad", payload("worse than before"));
    assert_eq!(way.sent(3), [] as [&str; 0], "as large as what was given up");
    way.set("bad", payload(""));
    assert_eq!(way.sent(3), ["bad"], "smaller than what was given up");
}

#[test]
fn a_message_that_changes_all_the_time_is_found() {
    let mut way = way(&["a", "bad"]);
    let mut given_up = None;
    for connection in 1..=5 {
        assert_eq!(given_up, None, "connection {connection}");
        way.set("bad", payload(&"x".repeat(100 + connection)));
        way.connected(limits(9, None), "a");
        let sent = way.sent(0);
        if sent == ["a"] {
            way.acked(1, false);
            assert_eq!(way.sent(1), ["bad"]);
        }
        way.set("bad", payload(&"y".repeat(100 + connection)));
        given_up = way.disconnected(true);
    }
    assert_eq!(given_up.as_deref(), Some("bad"));
}

/// How a broker ends the connection at a message that it does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuses {
    /// It says that the message is too large.
    TooLarge,
    /// It gives a reason that is not the size.
    Topic,
    /// It says nothing.
    Silently,
}

/// Connections to a broker that ends them at each of `bad`, until one lasts: how many. It acknowledges so many of those
/// before the bad one; the other acknowledgements are lost with the connection.
fn until_one_lasts(
    way: &mut Way,
    bad: &BTreeSet<String>,
    refuses: Refuses,
    window: u16,
    acks: usize,
) -> usize {
    // Five for the first one; each other one may cost one more, as long as it hides behind it.
    let most = bad.len() * (bad.len() + 9) / 2 + 1;
    for connections in 1..=most {
        way.connected(limits(window, None), "online");
        let mut in_flight = VecDeque::new();
        let mut acked = 0;
        loop {
            for topic in way.sent(acked as u16 + in_flight.len() as u16) {
                in_flight.push_back(topic);
            }
            if in_flight.is_empty() {
                return connections;
            }
            let first_bad = in_flight.iter().position(|topic| bad.contains(topic));
            for _ in 0..first_bad.map_or(1, |bad| bad.min(acks)) {
                in_flight.pop_front();
                acked += 1;
                way.acked(acked as u16, false);
            }
            if first_bad.is_some() {
                break;
            }
        }
        way.ended(refuses);
    }
    panic!("none of {most} connections lasts");
}

proptest! {
    #[test]
    fn however_many_are_not_taken_all_others_pass(
        lengths in prop::collection::vec(0..200_usize, 2..150),
        bad in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        window in prop_oneof![1..30_u16, Just(1024)],
        acks in 0..40_usize,
        (refuses, is_for_size) in prop_oneof![
            Just((Refuses::TooLarge, true)),
            Just((Refuses::Silently, true)),
            Just((Refuses::Silently, false)),
            Just((Refuses::Topic, false)),
        ],
    ) {
        let bad: BTreeSet<_> = bad.iter().map(|index| index.index(lengths.len())).collect();
        let names: Vec<_> = (0..lengths.len()).map(|n| format!("t{n:03}")).collect();
        let names: Vec<_> = names.into_iter().chain(["large".to_owned()]).collect();
        let mut way = way(&names.iter().map(String::as_str).chain(["online"]).collect::<Vec<_>>());
        // If the largest of all is one that is not taken, its size might be why.
        way.set("large", payload(&"x".repeat(500)));
        for (n, length) in lengths.iter().enumerate() {
            let too_long = if bad.contains(&n) && is_for_size { 1000 } else { 0 };
            way.set(&names[n], payload(&"x".repeat(too_long + length)));
        }
        let bad: BTreeSet<_> = bad.into_iter().map(|n| names[n].clone()).collect();
        until_one_lasts(&mut way, &bad, refuses, window, acks);
        way.disconnected(false);
        // What was held back with one that was as large gets through when it is tried again.
        way.outbox.try_again(&mut way.in_flight);
        until_one_lasts(&mut way, &bad, refuses, window, acks);
        way.disconnected(false);
        way.connected(limits(1024, None), "online");
        let sent: BTreeSet<_> = way.sent(0).into_iter().filter(|topic| topic != "online").collect();
        let innocent: BTreeSet<_> = names.into_iter().filter(|name| !bad.contains(name)).collect();
        prop_assert_eq!(sent, innocent);
    }
}

#[test]
fn what_was_given_up_is_tried_again_alone_and_costs_one_connection() {
    for taken in ["", "much longer than the other one"] {
        let mut way = way(&["taken", "bad"]);
        way.set("taken", payload(taken));
        until_given_up(&mut way);
        way.connected(limits(9, None), "");
        assert_eq!(way.sent(0), ["taken"]);
        way.acked(1, false);
        way.set("bad", payload("other"));
        assert_eq!(way.sent(1), [] as [&str; 0], "no change is another chance");
        way.outbox.try_again(&mut way.in_flight);
        assert_eq!(way.sent(1), ["bad"]);
        assert_eq!(way.disconnected(true).as_deref(), Some("bad"));
        way.connected(limits(9, None), "");
        assert_eq!(way.sent(0), ["taken"]);
        way.acked(1, false);
        way.outbox.try_again(&mut way.in_flight);
        assert_eq!(way.sent(1), ["bad"]);
        way.acked(2, false);
        way.set("bad", payload("other than before"));
        assert_eq!(way.sent(2), ["bad"], "the broker takes it now");
    }
}

#[test]
fn a_size_that_the_broker_names_too_large_holds_larger_ones_back() {
    let mut way = way(&["a", "b", "c"]);
    for (topic, length) in [("a", 10), ("b", 300), ("c", 200)] {
        way.set(topic, payload(&"x".repeat(length)));
    }
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["a", "b", "c"]);
    assert_eq!(way.in_flight.disconnected(Ended::TooLarge), None, "one of three");
    way.outbox.disconnected();
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["b"], "the largest first, alone");
    way.ended(Refuses::TooLarge);
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["a"], "each of the others alone, the smallest first");
    way.acked(1, false);
    assert_eq!(way.sent(1), ["c"]);
    way.ended(Refuses::TooLarge);
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["a"], "the others are as large, or larger");
}

#[test]
fn each_topic_that_is_held_back_costs_one_connection_when_it_is_tried_again() {
    let mut way = way(&["a", "bad1", "bad2", "bad3", "z"]);
    for bad in ["bad1", "bad2", "bad3"] {
        way.outbox.hold_back(bad);
    }
    way.connected(limits(9, None), "");
    assert_eq!(way.sent(0), ["a", "z"]);
    (1..=2).for_each(|pkid| way.acked(pkid, false));
    way.outbox.try_again(&mut way.in_flight);
    assert_eq!(way.sent(2), ["bad1"]);
    for next in [Some("bad2"), Some("bad3"), None] {
        way.ended(Refuses::Topic);
        way.connected(limits(9, None), "");
        assert_eq!(way.sent(0), ["a", "z"], "these do not wait");
        (1..=2).for_each(|pkid| way.acked(pkid, false));
        assert_eq!(way.sent(2), Vec::from_iter(next));
    }
}

/// What may happen.
#[derive(Debug, Clone)]
enum Step {
    Set(usize, Option<u8>),
    /// What is discovered is as if an earlier run had published it, and is then published again.
    MarkStaleAndReport,
    Connect(u16),
    /// Acknowledgements that had not come yet are lost.
    Disconnect,
    /// The broker takes so many messages and acknowledges them.
    Broker(usize),
    /// A transaction of the list is done, or fails.
    Store(bool),
    /// Another run begins, with what it has read back. Before its first connection the broker loses everything, or not.
    Restart {
        loses: bool,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_usize, prop::option::of(0..3_u8)).prop_map(|(n, value)| Step::Set(n, value)),
        1 => Just(Step::MarkStaleAndReport),
        1 => (1..5_u16).prop_map(Step::Connect),
        1 => Just(Step::Disconnect),
        4 => (1..6_usize).prop_map(Step::Broker),
        2 => prop::bool::weighted(0.8).prop_map(Step::Store),
        1 => any::<bool>().prop_map(|loses| Step::Restart { loses }),
    ]
}

/// A broker with what it has retained, and the durable list.
#[derive(Default)]
struct World {
    way: Way,
    retained: BTreeMap<String, Bytes>,
    list: BTreeSet<String>,
    wanted: BTreeMap<String, Bytes>,
    on_their_way: VecDeque<(u16, Topic, Bytes)>,
    pkid: u16,
    connected: bool,
    store_failed: bool,
    stale: bool,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Set(n, value) => {
                let topic = match n % 2 {
                    0 => format!("t{n}"),
                    _ => format!("later/{n}"),
                };
                let payload = value.map(|value| Bytes::from(vec![b'0' + value]));
                match payload.clone() {
                    Some(payload) => self.wanted.insert(topic.clone(), payload),
                    None => self.wanted.remove(&topic),
                };
                self.way.set(&topic, payload);
            }
            Step::MarkStaleAndReport => {
                self.way.outbox.mark_stale("later/");
                self.stale = true;
                // As soon as the device is seen again, some of it or all.
                for (topic, payload) in self.wanted.iter().take(self.wanted.len() / 2) {
                    self.way.set(topic, Some(payload.clone()));
                }
            }
            Step::Connect(window) if !self.connected => {
                self.connected = true;
                self.way.connected(limits(window, None), "");
            }
            Step::Disconnect if self.connected => {
                self.connected = false;
                // What the network still carries may arrive or not: here, all of it does.
                for (_, topic, payload) in std::mem::take(&mut self.on_their_way) {
                    self.retain(&topic, payload);
                }
                self.way.disconnected(false);
            }
            Step::Connect(_) | Step::Disconnect => {}
            Step::Broker(count) => self.take(count),
            // After a failure of the store the list is not known to be whole.
            Step::Restart { loses } if !self.store_failed => self.restart(loses),
            Step::Restart { .. } => {}
            Step::Store(works) => {
                if let Some(batch) = self.way.outbox.take_batch() {
                    self.store_failed |= !works;
                    if works {
                        self.list
                            .retain(|topic| !batch.remove.iter().any(|removed| **removed == **topic));
                        self.list.extend(batch.add.iter().map(|topic| topic.to_string()));
                    }
                    self.way.outbox.recorded(batch, works);
                }
            }
        }
    }

    fn restart(&mut self, loses: bool) {
        self.step(Step::Disconnect);
        self.way = Way::default();
        for topic in &self.list {
            let there = self.retained.get(topic).map(|payload| Digest::of(payload));
            self.way.outbox.remember(topic.clone(), there);
        }
        if loses {
            self.retained.clear();
            self.way.disconnected(false);
        }
        self.stale = true;
        // Some of it has been polled already.
        for (topic, payload) in self.wanted.iter().step_by(2) {
            self.way.set(topic, Some(payload.clone()));
        }
    }

    fn take(&mut self, count: usize) {
        while let Some(next) = self.way.next() {
            let Next::Send(topic, payload) = next else {
                continue;
            };
            self.pkid = self.pkid % 1000 + 1;
            self.way.in_flight.sent(self.pkid);
            self.on_their_way.push_back((self.pkid, topic, payload));
        }
        for _ in 0..count {
            let Some((pkid, topic, payload)) = self.on_their_way.pop_front() else {
                return;
            };
            self.retain(&topic, payload);
            self.way.acked(pkid, false);
        }
    }

    fn retain(&mut self, topic: &str, payload: Bytes) {
        if payload.is_empty() {
            self.retained.remove(topic);
        } else {
            self.retained.insert(topic.to_owned(), payload);
        }
    }
}

proptest! {
    #[test]
    fn in_the_end_the_broker_has_what_is_wanted(steps in prop::collection::vec(any_step(), 0..120)) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
            if !world.store_failed {
                prop_assert!(world.retained.keys().all(|topic| world.list.contains(topic)), "unknown to the list");
            }
        }
        if world.stale {
            for (topic, payload) in &world.wanted {
                world.way.set(topic, Some(payload.clone()));
            }
            world.way.outbox.clear_remembered("");
        }
        world.step(Step::Connect(3));
        for _ in 0..200 {
            world.step(Step::Store(true));
            world.step(Step::Broker(3));
        }
        world.step(Step::Store(true));
        prop_assert_eq!(world.way.pending(), 0);
        prop_assert_eq!(&world.retained, &world.wanted);
        prop_assert!(world.list.iter().eq(world.wanted.keys()), "{:?}", world.list);
        prop_assert_eq!(world.way.outbox.len(), world.wanted.len());
    }
}
