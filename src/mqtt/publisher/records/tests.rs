//! The queue of records against a broker that fails at any moment.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::super::in_flight::Ended;
use super::super::size_limit::TooLarge;
use super::*;
use crate::contract::topics::Destination;
use crate::model::DeviceId;
use crate::mqtt::connection::Limits;

fn topics() -> Topics {
    Topics::new("lantime", DeviceId::new("b1").unwrap())
}

fn limits(receive_maximum: u16, maximum_packet_size: Option<u32>) -> Limits {
    Limits {
        receive_maximum,
        maximum_packet_size,
        keep_alive: Duration::from_secs(5),
        ..Limits::default()
    }
}

fn record(number: u64) -> (u64, Record) {
    let record = Record {
        id: Uuid::from_u128(number.into()),
        destination: Destination::Events(DeviceId::new("m1").unwrap()),
        payload: Bytes::from(number.to_string()),
        correlation: None,
    };
    (number, record)
}

fn reply(number: u64, topic: &str) -> (u64, Record) {
    let destination = Destination::Reply(topic.to_owned());
    (
        number,
        Record {
            destination,
            ..record(number).1
        },
    )
}

/// A queue, the store behind it, what is in flight from it, and what the broker has got.
#[derive(Default)]
struct Way {
    stored: Vec<(u64, Record)>,
    queue: RecordQueue,
    in_flight: InFlight,
    pkid: u16,
    on_their_way: VecDeque<(u16, u64)>,
    got: Vec<u64>,
}

impl Way {
    fn of(records: Vec<(u64, Record)>) -> Way {
        let mut way = Way::default();
        way.store(records);
        way
    }

    fn store(&mut self, records: Vec<(u64, Record)>) {
        self.stored.extend(records);
    }

    fn connect(&mut self, limits: Limits) {
        self.in_flight.connected(limits);
    }

    fn read(&mut self) {
        let newest = self.queue.newest();
        let records = self.stored.iter().filter(|(number, _)| *number > newest);
        self.queue.take_in(records.cloned().collect(), &topics());
    }

    /// Sends what there is room for; gives the numbers, and what is rejected.
    fn send(&mut self) -> (Vec<u64>, Vec<Rejected>) {
        self.read();
        let (mut sent, mut rejected) = (Vec::new(), Vec::new());
        while let Some(next) = self.queue.next(&mut self.in_flight) {
            match next {
                Next::Rejected(record) => rejected.push(record),
                Next::Send { payload, .. } => {
                    let number = std::str::from_utf8(&payload).unwrap().parse().unwrap();
                    self.pkid = self.pkid % 5000 + 1;
                    self.in_flight.sent(self.pkid);
                    self.on_their_way.push_back((self.pkid, number));
                    sent.push(number);
                }
            }
        }
        (sent, rejected)
    }

    fn answer(&mut self, refused: Option<Refusal>) -> Answered {
        let (pkid, number) = self.on_their_way.pop_front().unwrap();
        self.got.push(number);
        let transmission = self.in_flight.acked(pkid, refused.is_none()).unwrap();
        assert_eq!(transmission.item, Item::Record(number));
        self.queue.answered(number, refused)
    }

    fn disconnect(&mut self, ended: bool) -> Option<Rejected> {
        self.on_their_way.clear();
        let ended = if ended { Ended::ByPeer } else { Ended::ByUs };
        let blamed = self.in_flight.disconnected(ended);
        self.queue.disconnected();
        let item = blamed?.item;
        let Item::Record(number) = item else {
            panic!("no state here");
        };
        let rejected = self.queue.blame(number, None);
        if rejected.is_some() {
            self.in_flight.found(&item);
        }
        rejected
    }
}

#[test]
fn after_a_lost_connection_all_that_was_not_acknowledged_goes_out_again_in_order() {
    let mut way = Way::of((1..=5).map(record).collect());
    way.connect(limits(4, None));
    assert_eq!(way.send().0, [1, 2, 3, 4]);
    assert_eq!(way.answer(None), Answered::Taken);
    assert_eq!(way.send().0, [5]);
    way.disconnect(true);
    way.connect(limits(4, None));
    assert_eq!(way.send().0, [2, 3, 4, 5]);
}

#[test]
fn what_was_never_sent_is_left_to_the_store() {
    let mut way = Way::of((1..=9).map(record).collect());
    way.connect(limits(4, None));
    way.send();
    way.answer(None);
    way.disconnect(true);
    assert_eq!((way.queue.len(), way.queue.bytes, way.queue.newest()), (3, 3, 4));
    // It has to drop some.
    way.stored.retain(|(number, _)| *number > 7);
    way.connect(limits(9, None));
    assert_eq!(way.send().0, [2, 3, 4, 8, 9]);
}

#[test]
fn what_the_broker_has_no_room_for_is_sent_again() {
    let mut way = Way::of((1..=2).map(record).collect());
    way.connect(limits(9, None));
    way.send();
    let quota = Refusal {
        reason: "quota exceeded".to_owned(),
        is_for_now: true,
    };
    assert_eq!(way.answer(Some(quota)), Answered::Later);
    assert_eq!(way.answer(None), Answered::Taken);
    assert_eq!(way.send().0, [1]);
}

#[test]
fn what_the_broker_refuses_or_could_not_take_leaves_the_queue() {
    let long = "x".repeat(300);
    let mut way = Way::of(vec![reply(1, "a/#"), reply(2, &long), record(3), record(4)]);
    way.connect(limits(9, Some(100)));
    let (sent, rejected) = way.send();
    assert_eq!(sent, [3, 4]);
    let reasons: Vec<_> = rejected
        .iter()
        .map(|rejected| (rejected.number, &rejected.reason))
        .collect();
    assert!(
        matches!(
            reasons[..],
            [
                (1, Reason::NoTopic),
                (
                    2,
                    Reason::TooLarge {
                        limit: TooLarge::Announced(100),
                        ..
                    }
                )
            ]
        ),
        "{reasons:?}"
    );
    let refusal = Refusal {
        reason: "not authorized".to_owned(),
        is_for_now: false,
    };
    let Answered::Rejected(refused) = way.answer(Some(refusal)) else {
        panic!("rejected");
    };
    assert_eq!((refused.number, refused.attempts), (3, 1));
    way.answer(None);
    assert_eq!((way.queue.len(), way.queue.bytes), (0, 0));
}

#[test]
fn a_record_that_ends_connections_is_found_and_leaves_alone() {
    const BAD: u64 = 40;
    let mut way = Way::of((1..=100).map(record).collect());
    let mut connections = 0;
    let rejected = loop {
        connections += 1;
        assert!(connections < 10, "it would go on for ever");
        way.connect(limits(20, None));
        // The broker acknowledges what comes before the bad one; the end takes the last answers along.
        loop {
            way.send();
            if way.on_their_way.len() > 10 && way.on_their_way[10].1 < BAD {
                way.answer(None);
            } else if way.on_their_way.iter().any(|(_, number)| *number == BAD) {
                break;
            } else {
                way.answer(None);
            }
        }
        if let Some(rejected) = way.disconnect(true) {
            break rejected;
        }
    };
    assert_eq!((rejected.number, connections), (BAD, 5));
    assert_eq!(rejected.reason, Reason::EndsConnections);
    way.connect(limits(200, None));
    way.send();
    while !way.on_their_way.is_empty() {
        way.answer(None);
    }
    way.got.dedup();
    let expected: Vec<_> = (1..=100).filter(|number| *number != BAD).collect();
    assert_eq!(way.got, expected);
}

/// Connections that the broker ends at the record `bad`, until that is rejected. All that is sent before is answered.
fn until_rejected(way: &mut Way, bad: u64) -> Rejected {
    for _ in 0..5 {
        way.connect(limits(20, None));
        loop {
            assert!(way.send().1.is_empty(), "not before it has cost connections");
            if way.on_their_way.front().unwrap().1 == bad {
                break;
            }
            way.answer(None);
        }
        if let Some(rejected) = way.disconnect(true) {
            assert_eq!(rejected.number, bad);
            return rejected;
        }
    }
    panic!("it goes on for ever");
}

/// Four records, of which the second and the third have to do with each other.
fn way_with_two_alike() -> Way {
    Way::of(vec![record(1), reply(2, "bad"), reply(3, "bad"), record(4)])
}

#[test]
fn what_is_like_a_record_that_ended_connections_waits_to_be_tried_again() {
    let mut way = way_with_two_alike();
    let rejected = until_rejected(&mut way, 2);
    assert!(way.queue.bar(&rejected.topic, None));
    way.connect(limits(20, None));
    assert_eq!(way.send(), (vec![4], vec![]), "later ones pass it");
    way.answer(None);
    assert_eq!((way.queue.len(), way.queue.bytes), (0, 0), "nobody waits for it");
    way.disconnect(false);
    way.connect(limits(20, None));
    assert_eq!(way.send(), (vec![], vec![]));
    way.queue.try_again(&mut way.in_flight);
    assert_eq!(way.send().0, [3]);
    assert_eq!(way.answer(None), Answered::Taken);
    way.store(vec![reply(5, "bad")]);
    assert_eq!(way.send().0, [5], "the broker takes it now");
}

#[test]
fn what_was_tried_again_in_vain_is_rejected_with_all_that_is_alike() {
    let mut way = way_with_two_alike();
    way.store((5..=300).map(|number| reply(number, "bad")).collect());
    let rejected = until_rejected(&mut way, 2);
    way.queue.bar(&rejected.topic, None);
    way.connect(limits(20, None));
    assert_eq!(way.send().0, [4]);
    way.answer(None);
    assert!(way.queue.is_aside_full());
    way.queue.try_again(&mut way.in_flight);
    assert_eq!(way.send().0, [3], "alone");
    assert_eq!(way.disconnect(true), None);
    let rejected = until_rejected(&mut way, 3);
    way.queue.bar(&rejected.topic, None);
    way.connect(limits(20, None));
    let (sent, rejected) = way.send();
    assert_eq!(sent, [] as [u64; 0]);
    assert!(rejected.len() >= 255, "{}", rejected.len());
    assert!(
        rejected
            .iter()
            .all(|rejected| rejected.reason == Reason::EndsConnections)
    );
}

#[test]
fn a_size_that_was_only_learned_rejects_no_record() {
    let mut way = Way::of(vec![record(1), reply(2, &"x".repeat(200)), record(3)]);
    way.connect(limits(20, None));
    let state = Item::State("state".into());
    way.in_flight.hand_over(state.clone(), 0, 100);
    assert!(way.in_flight.disconnected(Ended::TooLarge).is_some());
    way.in_flight.found(&state);
    way.connect(limits(20, None));
    assert_eq!(way.send(), (vec![1, 3], vec![]));
    way.answer(None);
    way.answer(None);
    way.queue.try_again(&mut way.in_flight);
    assert_eq!(
        way.send().0,
        [2],
        "alone, though state of that size has failed again"
    );
    assert_eq!(way.answer(None), Answered::Taken);
    assert_eq!((way.queue.len(), way.queue.bytes), (0, 0));
}

#[test]
fn few_are_in_memory_whatever_waits() {
    let mut way = Way::default();
    assert_eq!(way.queue.room(), Some((MAX_RECORDS, MAX_BYTES)));
    way.queue.take_in((1..=300).map(record).collect(), &topics());
    assert_eq!((way.queue.room(), way.queue.newest()), (None, 300));
    way.connect(limits(1000, None));
    way.send();
    for _ in 0..200 {
        way.answer(None);
    }
    assert_eq!(way.queue.room().unwrap().0, MAX_RECORDS - 100);
    way.queue.skip_to(400);
    assert_eq!(way.queue.newest(), 400);
}

#[derive(Debug, Clone)]
enum Step {
    More(u64),
    Connect(u16),
    Disconnect,
    Answer(usize),
    Quota,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..20_u64).prop_map(Step::More),
        (1..30_u16).prop_map(Step::Connect),
        Just(Step::Disconnect),
        (1..30_usize).prop_map(Step::Answer),
        Just(Step::Quota),
    ]
}

proptest! {
    #[test]
    fn every_record_comes_and_first_comings_are_in_order(steps in prop::collection::vec(any_step(), 0..80)) {
        let mut way = Way::default();
        let (mut last, mut is_connected, mut is_reordered) = (0, false, false);
        for step in steps {
            match step {
                Step::More(count) => {
                    way.store((last + 1..=last + count).map(record).collect());
                    last += count;
                }
                Step::Connect(window) if !is_connected => {
                    is_connected = true;
                    way.connect(limits(window, None));
                }
                Step::Disconnect if is_connected => {
                    is_connected = false;
                    // Our own end: nothing is blamed, so nothing may be missing.
                    prop_assert_eq!(way.disconnect(false), None);
                }
                Step::Connect(_) | Step::Disconnect => {}
                Step::Answer(count) => {
                    way.send();
                    for _ in 0..count.min(way.on_their_way.len()) {
                        way.answer(None);
                    }
                }
                Step::Quota => {
                    way.send();
                    if !way.on_their_way.is_empty() {
                        is_reordered = true;
                        let reason = "quota exceeded".to_owned();
                        way.answer(Some(Refusal { reason, is_for_now: true }));
                        way.got.pop();
                    }
                }
            }
        }
        if !is_connected {
            way.connect(limits(7, None));
        }
        loop {
            way.send();
            if way.on_their_way.is_empty() {
                break;
            }
            way.answer(None);
        }
        let mut got = way.got;
        if is_reordered {
            got.sort_unstable();
        }
        prop_assert!(got.into_iter().eq(1..=last));
        prop_assert_eq!((way.queue.len(), way.queue.bytes), (0, 0));
    }
}
