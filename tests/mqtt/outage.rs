//! A broker that is down for an hour while fifty devices change: what waits stays within its bounds, what has to be
//! dropped is reported, and when the broker is back it has the state at once and then the records, in order.
//!
//! The hour is that of the devices: each changes every ten seconds of it. How long it takes here does not matter, since
//! nothing that waits for the broker goes by the clock. It becomes three hours, to see that what is full does not grow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lantime2mqtt::model::{Position, Provenance, Relay, RelayState, Signal, SlotTopic, Transition, Via};
use lantime2mqtt::records::store::options::History;
use lantime2mqtt::records::store::{FILE_NAME, Limit, Limits, Options, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::bridge::{Bridge, Edit, slot};
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::{PATIENCE, Seen, Watcher};
use crate::{settings, store_options};

const DEVICES: usize = 50;
/// One every ten seconds.
const CHANGES_AN_HOUR: usize = 360;
const HOURS: usize = 3;
const CHANGES: usize = HOURS * CHANGES_AN_HOUR;
/// A fourth of what an hour brings.
const OUTBOX: Limit = Limit {
    entries: 4_500,
    bytes: 4 * 1024 * 1024,
};

/// What a relay is after that many changes; its cause says how many.
fn after(change: usize) -> RelayState {
    RelayState {
        position: match change % 2 {
            0 => Position::No,
            _ => Position::Nc,
        },
        driven_by: Some(Signal::Clk1),
        cause: Some(change.to_string()),
        provenance: Provenance::Derived,
        causes: Vec::new(),
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: Timestamp::UNIX_EPOCH,
        last: None,
        last_fault: None,
    }
}

fn change(number: usize) -> Edit {
    let edit = Edit::in_slot(SlotTopic::Relay(Relay::A), move |slot| {
        slot.relays.insert(Relay::A, after(number));
    });
    match number.checked_sub(1) {
        None => edit,
        Some(before) => edit.recorded(Transition::Relay {
            slot: slot(),
            relay: Relay::A,
            old: after(before).position,
            new: after(number),
            taken_over: false,
        }),
    }
}

/// The change that a record or a state is about.
fn number(payload: &str) -> usize {
    let json: Value = serde_json::from_str(payload).expect("it is JSON");
    json["cause"]
        .as_str()
        .and_then(|cause| cause.parse().ok())
        .expect("its cause is a number")
}

fn device(index: usize) -> String {
    format!("d{index}")
}

/// That what waits is within its bounds; gives the size of the file.
fn check(store: &Store, directory: &TempDir) -> u64 {
    let status = store.status().borrow().clone();
    assert!(status.records <= OUTBOX.entries, "{status:?}");
    assert!(status.record_bytes <= OUTBOX.bytes, "{status:?}");
    assert_eq!(status.failing, None);
    let file = directory.path().join(FILE_NAME);
    std::fs::metadata(file).expect("the store is a file").len()
}

/// Waits until that change of the last device is in the store.
async fn until_kept(store: &Store, change: usize) {
    let mut newest = store.newest_record();
    loop {
        let number = *newest.borrow_and_update();
        let records = store
            .outbox(number.saturating_sub(3), 10, usize::MAX)
            .await
            .unwrap();
        let texts = records
            .iter()
            .map(|(_, record)| String::from_utf8_lossy(&record.payload));
        let (device, cause) = (
            format!("\"{}\"", device(DEVICES - 1)),
            format!("\"cause\":\"{change}\""),
        );
        if texts
            .into_iter()
            .any(|text| text.contains(&device) && text.contains(&cause))
        {
            return;
        }
        newest.changed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_a_broker_stays_within_bounds_and_ends_with_the_state_first() {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.address()).await;
    let directory = TempDir::new().unwrap();
    let options = Options {
        limits: Limits {
            outbox: OUTBOX,
            ..Limits::default()
        },
        // It has bounds of its own.
        history: History {
            keep: std::time::Duration::ZERO,
            ..History::default()
        },
        ..store_options()
    };
    let store = Store::open(directory.path(), options).unwrap();
    let ids: Vec<_> = (0..DEVICES).map(device).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let mut bridge = Bridge::start(settings(proxy.address()), "b1", &ids, &store).await;
    for id in &ids {
        bridge.send(id, vec![change(0)]).await;
    }
    let all_is_sent = bridge.until("the first state", |status| {
        status.link.connected && status.pending == 0 && status.topics == DEVICES + 2
    });
    all_is_sent.await;
    proxy.refuse(true);
    bridge
        .until("no connection", |status| !status.link.connected)
        .await;

    let mut sizes = Vec::new();
    for hour in 0..HOURS {
        let last = (hour + 1) * CHANGES_AN_HOUR;
        for number in last - CHANGES_AN_HOUR + 1..=last {
            for id in &ids {
                bridge.send(id, vec![change(number)]).await;
            }
            check(&store, &directory);
        }
        let kept = timeout(PATIENCE, until_kept(&store, last));
        kept.await.expect("the last one is kept");
        sizes.push(check(&store, &directory));
    }
    let status = store.status().borrow().clone();
    println!("{status:?}; the file after each hour: {sizes:?} bytes");
    assert!(
        sizes.iter().all(|size| *size == sizes[0]),
        "the file grows on: {sizes:?}"
    );
    assert!(sizes[0] <= 2 * OUTBOX.bytes as u64, "{sizes:?}");
    assert!(
        status.dropped >= (DEVICES * CHANGES - OUTBOX.entries) as u64,
        "{status:?}"
    );

    let mut watcher = Watcher::connect(broker.address()).await;
    let before = watcher.now().log.len();
    proxy.refuse(false);
    let seen = watcher.until(
        "the last record, and the dead letter about those that were dropped",
        |seen| {
            let has_last = seen
                .log
                .iter()
                .any(|(topic, payload)| topic == "lantime/d49/io3/changes" && number(payload) == CHANGES);
            has_last
                && dead_letters(seen)
                    .iter()
                    .any(|dead_letter| dead_letter["recovered"] == true)
        },
    );
    let seen = seen.await;
    let log = &seen.log[before..];
    the_state_is_there_first(log);
    let arrived = the_records_are_the_newest_in_order(log);
    let dead_letters = dead_letters(&seen);
    let reported = dead_letters
        .iter()
        .find(|dead_letter| dead_letter["recovered"] == true)
        .expect("it has come");
    assert_eq!(reported["error"]["kind"], "storage", "{reported}");
    let dropped = store.status().borrow().dropped;
    assert_eq!(reported["repeats"], dropped, "{reported}");
    // One of them is the dead letter by which it began.
    assert_eq!(
        (DEVICES * CHANGES - arrived) as u64 + 1,
        dropped,
        "{arrived} have arrived"
    );
    bridge.stop().await;
}

fn dead_letters(seen: &Seen) -> Vec<Value> {
    let dead_letters = seen
        .log
        .iter()
        .filter(|(topic, _)| topic == "lantime/dead-letter/bridge");
    dead_letters
        .map(|(_, payload)| serde_json::from_str(payload).expect("it is JSON"))
        .collect()
}

fn the_state_is_there_first(log: &[(String, String)]) {
    let first_record = log.iter().position(|(topic, _)| topic.ends_with("/changes"));
    let (states, records) = log.split_at(first_record.expect("some have come"));
    let current: BTreeMap<_, _> = states
        .iter()
        .filter(|(topic, _)| topic.ends_with("/io3/relay/a"))
        .map(|(topic, payload)| (topic.clone(), number(payload)))
        .collect();
    let expected: BTreeMap<_, _> = (0..DEVICES)
        .map(|index| (format!("lantime/{}/io3/relay/a", device(index)), CHANGES))
        .collect();
    assert_eq!(current, expected, "the newest state of each device");
    assert!(
        !records.iter().any(|(topic, _)| topic.ends_with("/relay/a")),
        "no state waits for the records"
    );
}

/// Of each device the last ones, without a gap; gives how many there are of all.
fn the_records_are_the_newest_in_order(log: &[(String, String)]) -> usize {
    let mut reported = BTreeMap::<&str, Vec<usize>>::new();
    for (topic, payload) in log.iter().filter(|(topic, _)| topic.ends_with("/changes")) {
        reported.entry(topic).or_default().push(number(payload));
    }
    assert_eq!(reported.len(), DEVICES);
    for (topic, numbers) in &reported {
        let first = CHANGES + 1 - numbers.len();
        assert!(
            numbers.iter().copied().eq(first..=CHANGES),
            "{topic}: {numbers:?}"
        );
    }
    reported.values().map(Vec::len).sum()
}
