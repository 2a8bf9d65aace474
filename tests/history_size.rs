//! A full history: how long it takes to find a month of a relay among a million entries, and what it costs in memory and on
//! disk. It prints the figures; of times it asserts nothing.

#![cfg(feature = "stress")]
// Helpers beside the test, too.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use lantime2mqtt::contract::topics::Destination;
use lantime2mqtt::history::{Known, Timeline, Window, faults};
use lantime2mqtt::model::{DeviceId, SlotId};
use lantime2mqtt::records::Record;
use lantime2mqtt::records::store::{DeviceHistory, FILE_NAME, HistoryFilter, HistoryQuery, Options, Store};
use uuid::Uuid;

/// A million in a release build, which is what is measured; the others show that it works.
const ENTRIES: u32 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
/// From one to the next, in ms: all of them are of the last 89 days.
const EVERY: i64 = 7_700_000_000 / ENTRIES as i64;
const SUBJECTS: u32 = 100;
/// Of 90 days.
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

fn change(number: u32, begin: Timestamp) -> Record {
    let id = Uuid::now_v7();
    let relays = ["a", "b", "c"];
    let subject = number % SUBJECTS;
    let (device, relay) = (format!("m{}", subject / 3), relays[(subject % 3) as usize]);
    let at = begin + SignedDuration::from_millis(i64::from(number) * EVERY);
    let (old, new) = [("NC", "NO"), ("NO", "NC")][(number / SUBJECTS % 2) as usize];
    let json = format!(
        r#"{{"id":"{id}","at":"{at:.3}","device":"{device}","slot":"io3","relay":"{relay}","old":"{old}","new":"{new}","cause":"clock-not-sync","provenance":"derived","driven_by":"clk1"}}"#
    );
    Record {
        id,
        destination: Destination::Changes(DeviceId::new(device).unwrap(), SlotId::new("io3")),
        payload: Bytes::from(json),
        correlation: None,
    }
}

/// Resident memory in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn options() -> Options {
    Options::new(DeviceId::new("test").unwrap())
}

#[tokio::test]
async fn a_month_of_a_relay_is_found_in_a_full_history() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), options()).unwrap();
    let begin = Timestamp::now() - SignedDuration::from_hours(89 * 24 + 3);
    store.begin_history_at(begin).await.unwrap();
    let started = Instant::now();
    for part in 0..ENTRIES / 500 {
        let records = (part * 500..(part + 1) * 500).map(|number| change(number, begin));
        store.append(records.collect()).await;
        let sent = store.outbox(0, usize::MAX, usize::MAX).await.unwrap();
        store.sent(sent.iter().map(|(number, _)| *number).collect()).await;
    }
    let (written, file) = (started.elapsed(), directory.path().join(FILE_NAME));
    drop(store);
    let bytes = std::fs::metadata(&file).unwrap().len();
    println!(
        "{ENTRIES} entries in {written:?}; {bytes} bytes, {} each",
        bytes / u64::from(ENTRIES)
    );
    let started = Instant::now();
    let store = Store::open(directory.path(), options()).unwrap();
    println!("opened in {:?}; {} MiB resident", started.elapsed(), resident());
    let query = HistoryQuery {
        of: HistoryFilter {
            device: DeviceId::new("m7"),
            slot: Some("io3".to_owned()),
            relay: Some("b".to_owned()),
            ..HistoryFilter::default()
        },
        from: Some(Timestamp::now() - MONTH),
        to: None,
        before: None,
        limit: 10_000,
    };
    let all = HistoryQuery {
        of: HistoryFilter::default(),
        limit: 1000,
        ..query.clone()
    };
    for (what, query) in [("a relay's month", query), ("the newest thousand", all)] {
        for _ in 0..3 {
            let started = Instant::now();
            let page = store.history(query.clone()).await.unwrap();
            let (found, took) = (page.entries.len(), started.elapsed());
            println!("{what}: {found} entries in {took:?}; {} MiB resident", resident());
            assert!(found > (ENTRIES / SUBJECTS / 4) as usize, "{found}");
        }
    }
    let started = Instant::now();
    let from = Timestamp::now() - MONTH;
    let history = store
        .device_history(DeviceId::new("m7").unwrap(), from)
        .await
        .unwrap();
    let entries: usize = history.subjects.iter().map(|(_, entries)| entries.len()).sum();
    println!("a device's month: {entries} entries in {:?}", started.elapsed());
    let started = Instant::now();
    let devices = store.devices_with_history().await.unwrap();
    let (to, count) = (Timestamp::now(), devices.len());
    let look = move |device: &DeviceId, history: DeviceHistory| {
        let known = Known {
            history: &history.subjects,
            kept_since: history.kept_since,
            view: None,
        };
        let window = Window { from, to };
        faults(device, &Timeline::of(known, window), window).len()
    };
    let found = store.look_at_relays(devices, from, look).await.unwrap();
    let (found, took) = (found.iter().sum::<usize>(), started.elapsed());
    println!(
        "a month's faults of {count} devices: {found} in {took:?}; {} MiB resident",
        resident()
    );
    assert!(found > (ENTRIES / 8) as usize, "{found}");
    drop(store);
    let few = Options {
        history: lantime2mqtt::records::store::options::History {
            max_entries: 1000,
            ..options().history
        },
        ..options()
    };
    let started = Instant::now();
    let store = Store::open(directory.path(), few).unwrap();
    while store.status().borrow().history > 1000 {
        let asked = Instant::now();
        store.append(vec![change(ENTRIES, begin)]).await;
        assert!(asked.elapsed().as_secs() < 30, "the store hangs");
    }
    println!(
        "all but a thousand removed in {:?}; {} MiB resident",
        started.elapsed(),
        resident()
    );
}
