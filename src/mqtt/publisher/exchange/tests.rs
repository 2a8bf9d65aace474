//! The publisher without a task, and with a connection that takes nothing: what it would hand over.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::Setup;
use super::*;
use crate::config::{Mqtt, MqttVersion};
use crate::contract::state::BridgeInfo;
use crate::contract::topics::Destination;
use crate::hub::{Hub, Taken};
use crate::model::{DeviceId, Update};
use crate::mqtt::payload::Message;
use crate::records::Record;
use crate::records::store::{Options, Store};

fn publisher() -> Publisher {
    publisher_with(Store::in_memory(Options::new(DeviceId::new("b1").unwrap())))
}

fn publisher_with(store: Store) -> Publisher {
    let setup = Setup {
        mqtt: Mqtt::for_test(MqttVersion::V311),
        role: super::super::Role::Bridge(BridgeInfo {
            version: "1",
            started_at: Timestamp::UNIX_EPOCH,
            devices: 0,
            mqtt_version: "3.1.1",
            capabilities: Vec::new(),
        }),
        store,
        bridge: DeviceId::new("b1").unwrap(),
        remembered: Vec::new(),
        discovery: None,
        stop_within: Duration::from_secs(1),
    };
    Publisher::new(
        setup,
        Hub::new([DeviceId::new("m1").unwrap()], mpsc::channel(1).1),
    )
    .0
}

/// The broker has accepted us, and has all of the state.
fn connected(publisher: &mut Publisher) {
    publisher.in_flight.connected(Limits {
        receive_maximum: 100,
        ..Limits::default()
    });
    publisher.outbox.connected(&mut publisher.in_flight, "");
}

/// What is retained at the state topic of a device of which nobody has heard.
fn offline(topic: &str) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: Some(Bytes::from_static(b"offline")),
    }
}

const BAD: &str = "lantime/bad/state";

fn state(topic: &str) -> Item {
    Item::State(Arc::from(topic))
}

/// State at a topic that is held back; an earlier run has published it.
fn hold_back(publisher: &mut Publisher, topic: &str) {
    publisher.outbox.remember(topic.to_owned(), None);
    publisher.outbox.set([offline(topic)]);
    publisher.outbox.hold_back(topic);
}

/// Records with these numbers wait.
fn records_wait(publisher: &mut Publisher, numbers: impl IntoIterator<Item = u64>) {
    let record = Record {
        id: uuid::Uuid::nil(),
        destination: Destination::Reply("reply".to_owned()),
        payload: Bytes::from_static(b"{}"),
        correlation: None,
    };
    let records = numbers.into_iter().map(|number| (number, record.clone()));
    let topics = publisher.retained.topics();
    publisher.records.take_in(records.collect(), topics);
}

#[test]
fn records_do_not_hold_up_state_that_goes_alone() {
    let mut publisher = publisher();
    hold_back(&mut publisher, BAD);
    connected(&mut publisher);
    records_wait(&mut publisher, [2, 3]);
    publisher.in_flight.hand_over(Item::Record(1), 0, 100);
    publisher.outbox.try_again(&mut publisher.in_flight);
    publisher.fill_window();
    assert_eq!(publisher.in_flight.len(), 1, "the window has to become empty");
    publisher.in_flight.try_alone(Item::Record(2));
    assert!(
        !publisher.do_records_give_way(),
        "a record that goes alone is first"
    );
    publisher.in_flight.clear_suspect(&Item::Record(2));
    publisher.in_flight.clear_suspect(&state(BAD));
    publisher.fill_window();
    assert_eq!(publisher.in_flight.len(), 2, "there is nothing to wait for");
}

#[test]
fn too_many_records_aside_are_tried_again_without_the_state() {
    let mut publisher = publisher();
    hold_back(&mut publisher, BAD);
    connected(&mut publisher);
    let retry_at = Some(Instant::now() + RETRY_HELD_BACK);
    publisher.refusals.retry_at = retry_at;
    publisher.records.bar("reply", None);
    records_wait(&mut publisher, 1..=256);
    publisher.send_records();
    assert!(publisher.records.has_next() && publisher.records.is_next_delicate(&publisher.in_flight));
    assert!(!publisher.in_flight.is_delicate(&state(BAD)));
    assert_eq!(publisher.refusals.retry_at, retry_at);
}

/// The pause after so many connections, each ended at `bad` topics that follow one another; others are taken or not.
fn pause_after(connections: usize, takes_others: bool) -> Duration {
    let mut publisher = publisher();
    let error = ConnectionError::for_test(Cause::Lost("closed".to_owned()));
    for n in 0..connections {
        let topic = format!("lantime/bad{n}/state");
        publisher.outbox.remember(topic.clone(), None);
        publisher.outbox.set([offline(&topic)]);
    }
    let mut pause = Duration::ZERO;
    for _ in 0..connections {
        connected(&mut publisher);
        if takes_others {
            publisher.in_flight.hand_over(state("good"), 0, 10_000);
            publisher.in_flight.sent(1);
            publisher.in_flight.acked(1, true);
        }
        while publisher
            .outbox
            .next(&mut publisher.in_flight, true, |topic| offline(topic).payload)
            .is_some()
        {}
        pause = publisher.link.ended_for_test(&error);
        publisher.on_closed(Some(error.clone()));
    }
    pause
}

#[tokio::test(start_paused = true)]
async fn the_pause_grows_while_the_broker_takes_nothing_at_all() {
    assert!(
        pause_after(20, true) <= Duration::from_secs(4),
        "each one explained"
    );
    assert!(pause_after(20, false) >= Duration::from_secs(60));
}

#[tokio::test]
async fn what_is_refused_of_a_device_lasts_while_the_device_is_there() {
    let store = Store::in_memory(Options::new(DeviceId::new("b1").unwrap()));
    let mut publisher = publisher_with(store.clone());
    // What is refused, or that the task of `m1` has failed.
    let steps = [
        (Some("lantime/m1/info"), 1, 1),
        (None, 0, 1),
        (Some("lantime/m1/info"), 1, 1),
        (Some("lantime/removed/info"), 1, 2),
    ];
    for (n, (refused, open, dead_letters)) in steps.into_iter().enumerate() {
        let device = DeviceId::new("m1").unwrap();
        let (update, changed) = (Update::Forgotten { device }, Vec::new());
        let error = ErrorReport::new(ErrorKind::Rejected, "no", "allow it");
        match refused {
            Some(topic) => publisher.report_unpublished(topic, error),
            None => publisher.apply(Taken { update, changed }),
        }
        publisher.journal.start(&mut publisher.outbox);
        while publisher.journal.is_writing() {
            publisher.journal.written().await;
        }
        assert_eq!(store.incidents().borrow().len(), open, "step {n}");
        let archived = store.dead_letters(9).await.unwrap();
        assert_eq!(archived.len(), dead_letters, "step {n}");
    }
}
