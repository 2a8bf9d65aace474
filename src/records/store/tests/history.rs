//! The history: an entry for each record of a change, in order of arrival, bounded, and there again after a crash.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::timeout;
use uuid::Uuid;

use super::disk::{Disk, Fault};
use super::{PATIENCE, on, on_with, options, outbox, until};
use crate::contract::topics::Destination;
use crate::history::{Entry, Value};
use crate::model::{DeviceId, SlotId};
use crate::records::Record;
use crate::records::store::{
    Found, HistoryFilter, HistoryPage, HistoryQuery, Options, Store, options::History,
};

/// Of a relay of that device, at that second; it has fallen at odd ones.
fn change(device: &str, relay: &str, second: i64) -> Record {
    let id = Uuid::now_v7();
    let (at, device) = (at(second), DeviceId::new(device).unwrap());
    let (old, new) = if second % 2 == 0 {
        ("NC", "NO")
    } else {
        ("NO", "NC")
    };
    let json = format!(
        r#"{{"id":"{id}","at":"{at}","device":"{device}","slot":"io3","relay":"{relay}","old":"{old}","new":"{new}","provenance":"derived"}}"#
    );
    Record {
        id,
        destination: Destination::Changes(device, SlotId::new("io3")),
        payload: Bytes::from(json),
        correlation: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(now() + second).unwrap()
}

/// An hour ago: a time that does not move in a test.
fn now() -> i64 {
    static NOW: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *NOW.get_or_init(|| Timestamp::now().as_second() - 3600)
}

fn all() -> HistoryQuery {
    HistoryQuery {
        of: HistoryFilter::default(),
        from: None,
        to: None,
        before: None,
        limit: 1000,
    }
}

fn of(device: &str, relay: &str) -> HistoryQuery {
    HistoryQuery {
        of: HistoryFilter {
            device: DeviceId::new(device),
            slot: Some("io3".to_owned()),
            relay: Some(relay.to_owned()),
            ..HistoryFilter::default()
        },
        ..all()
    }
}

/// The seconds of the entries, and until when each lasted.
fn seconds(page: &HistoryPage) -> Vec<(i64, Option<i64>)> {
    let second = |at: Timestamp| at.as_second() - now();
    let entries = page.entries.iter();
    entries
        .map(|Found { entry, until, .. }| (second(entry.at), until.map(second)))
        .collect()
}

async fn found(store: &Store, query: HistoryQuery) -> Vec<(i64, Option<i64>)> {
    seconds(&store.history(query).await.unwrap())
}

async fn append(store: &Store, device: &str, relay: &str, seconds: impl IntoIterator<Item = i64>) {
    let records = seconds.into_iter().map(|second| change(device, relay, second));
    store.append(records.collect()).await;
}

/// Who watches the status is not woken for each entry.
async fn until_there_are(store: &Store, count: usize) {
    let come = async {
        while store.status().borrow().history != count {
            store.recorded().await.unwrap();
        }
    };
    assert!(
        timeout(PATIENCE, come).await.is_ok(),
        "{:?}",
        store.status().borrow()
    );
}

fn keeping(history: History) -> Options {
    Options { history, ..options() }
}

#[tokio::test]
async fn each_record_of_a_change_is_an_entry_and_stays_when_it_is_sent() {
    let disk = Disk::default();
    let store = on(&disk);
    let record = change("m1", "a", 1);
    store
        .append(vec![
            record.clone(),
            super::record("{}"),
            super::dead_letter("late"),
        ])
        .await;
    let numbers = outbox(&store).await.iter().map(|(number, _)| *number).collect();
    store.sent(numbers).await;
    let page = store.history(all()).await.unwrap();
    assert_eq!(seconds(&page), [(1, None)]);
    assert_eq!(
        page.entries[0].entry,
        Entry::read(&record.destination, &record.payload).unwrap()
    );
    let after = on(&disk.after_crash());
    assert_eq!(
        found(&after, all()).await,
        [(1, None)],
        "what was appended is on disk"
    );
    assert_eq!(after.status().borrow().history, 1);
}

#[tokio::test]
async fn a_history_is_found_by_subject_time_and_cursor() {
    let store = on(&Disk::default());
    for second in 0..10 {
        append(&store, "m1", "a", [second]).await;
        append(&store, "m1", "b", [second]).await;
        append(&store, "m1-2", "a", [second]).await;
    }
    let of_a = found(&store, of("m1", "a")).await;
    let expected = |newest: i64, oldest: i64| {
        let seconds = (oldest..=newest).rev();
        seconds
            .map(|second| (second, (second < 9).then_some(second + 1)))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_a, expected(9, 0));
    let window = HistoryQuery {
        from: Some(at(3)),
        to: Some(at(6)),
        ..of("m1", "a")
    };
    assert_eq!(found(&store, window).await, expected(5, 3));
    // All three, in order of arrival, by pages.
    for of in [
        HistoryFilter::default(),
        HistoryFilter {
            device: DeviceId::new("m1"),
            ..HistoryFilter::default()
        },
    ] {
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let query = HistoryQuery {
                of: of.clone(),
                before,
                limit: 7,
                ..all()
            };
            let page = store.history(query).await.unwrap();
            before = page.entries.last().map(|found| found.number);
            pages.extend(seconds(&page));
            if !page.has_more {
                break;
            }
        }
        let each = if of.device.is_some() { 2 } else { 3 };
        let expected: Vec<_> = expected(9, 0)
            .into_iter()
            .flat_map(|entry| vec![entry; each])
            .collect();
        assert_eq!(pages, expected);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_and_forth_changes_no_order() {
    let store = on(&Disk::default());
    let seconds = [1, 2, 1003, 4, 5, -996, 7, 8];
    append(&store, "m1", "a", seconds).await;
    let arrived = |page: &[(i64, Option<i64>)]| page.iter().map(|(second, _)| *second).collect::<Vec<_>>();
    for query in [all(), of("m1", "a")] {
        let page = found(&store, query.clone()).await;
        assert_eq!(arrived(&page), [8, 7, -996, 5, 4, 1003, 2, 1]);
        let late = HistoryQuery {
            from: Some(at(1000)),
            ..query.clone()
        };
        assert_eq!(found(&store, late).await, [(1003, Some(4))]);
        let early = HistoryQuery {
            to: Some(at(0)),
            ..query
        };
        assert_eq!(found(&store, early).await, [(-996, Some(7))]);
    }
}

#[tokio::test]
async fn a_window_is_found_without_what_came_before_it() {
    let store = on(&Disk::default());
    append(&store, "m1", "a", 0..100).await;
    let history = store
        .device_history(DeviceId::new("m1").unwrap(), at(90))
        .await
        .unwrap();
    let [(subject, entries)] = &history.subjects[..] else {
        panic!("{history:?}");
    };
    assert_eq!(subject.to_string(), "m1/io3/a");
    let seconds: Vec<_> = entries.iter().map(|entry| entry.at).collect();
    assert_eq!(seconds, (89..100).map(at).collect::<Vec<_>>());
    assert!(history.is_all);
}

#[tokio::test]
async fn the_oldest_go_in_pieces_and_it_is_known_since_when_there_are_any() {
    let disk = Disk::default();
    let store = on(&disk);
    append(&store, "m1", "a", 0..3499).await;
    let before = disk.syncs();
    append(&store, "m1", "a", [3499]).await;
    let of_one = disk.syncs() - before;
    drop(store);
    let before = disk.syncs();
    let store = on(&disk);
    store.recorded().await.unwrap();
    let of_opening = disk.syncs() - before;
    drop(store);
    let before = disk.syncs();
    let few = History {
        max_entries: 100,
        ..History::default()
    };
    let store = on_with(&disk, keeping(few));
    until_there_are(&store, 100).await;
    let more = (disk.syncs() - before).saturating_sub(of_opening);
    assert!(
        more >= 3 * of_one,
        "a thousand in a transaction: {more}, {of_one}"
    );
    let page = store.history(all()).await.unwrap();
    assert_eq!(seconds(&page).last(), Some(&(3400, Some(3401))));
    // Entries of the future count as of now.
    assert!(page.kept_since.is_some_and(|since| since >= at(3399)));
    append(&store, "m1", "a", [3500]).await;
    until_there_are(&store, 100).await;
    assert_eq!(found(&store, all()).await.last(), Some(&(3401, Some(3402))));
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_goes_but_not_what_a_wrong_clock_says_is_of_the_future() {
    let disk = Disk::default();
    let store = on(&disk);
    append(&store, "m1", "a", [36_000, 1, 2]).await;
    append(&store, "m1", "b", [3000]).await;
    drop(store);
    let half_an_hour = History {
        keep: Duration::from_secs(1800),
        ..History::default()
    };
    let store = on_with(&disk, keeping(half_an_hour));
    until_there_are(&store, 2).await;
    assert_eq!(found(&store, all()).await, [(3000, None), (36_000, None)]);
}

#[tokio::test]
async fn a_history_that_is_switched_off_goes_and_nothing_is_written() {
    let disk = Disk::default();
    let store = on(&disk);
    append(&store, "m1", "a", 0..5).await;
    drop(store);
    let off = History {
        keep: Duration::ZERO,
        ..History::default()
    };
    let store = on_with(&disk, keeping(off));
    until_there_are(&store, 0).await;
    append(&store, "m1", "a", [5]).await;
    let page = store.history(all()).await.unwrap();
    assert_eq!((page.entries.len(), page.kept_since), (0, None));
    assert_eq!(outbox(&store).await.len(), 6, "records are not concerned");
}

#[tokio::test]
async fn entries_wait_in_memory_while_the_disk_fails() {
    let disk = Disk::default();
    let mut few = options();
    few.limits.memory.entries = 3;
    let store = on_with(&disk, few);
    append(&store, "m1", "a", [1]).await;
    disk.set(Fault::Dead);
    append(&store, "m1", "a", 2..7).await;
    let failing = store.status().borrow().failing.is_some();
    assert!(failing);
    // The broker has them meanwhile.
    store.sent((1..10).collect()).await;
    let expected = [(6, None), (5, Some(6)), (4, Some(5)), (1, Some(4))];
    disk.set(Fault::None);
    until(&store, "it works again", |status| status.failing.is_none()).await;
    assert_eq!(found(&store, all()).await, expected);
    assert_eq!(store.status().borrow().history_dropped, 2);
    assert_eq!(found(&on(&disk.after_crash()), all()).await, expected);
}

fn by_id() -> History {
    History {
        by_id: true,
        ..History::default()
    }
}

fn entry(record: &Record) -> Entry {
    Entry::read(&record.destination, &record.payload).unwrap()
}

/// The entries that another bridge has recorded.
async fn add(store: &Store, records: &[Record]) {
    let entries = records.iter().map(entry).collect();
    store.add_history(entries).await.unwrap();
}

#[tokio::test]
async fn what_comes_late_of_another_bridge_is_where_it_was() {
    let disk = Disk::default();
    let store = on_with(&disk, keeping(by_id()));
    append(&store, "m1", "a", [3, 6]).await;
    add(&store, &[change("m1", "a", 5), change("m1", "b", 5)]).await;
    let expected = [(6, None), (5, Some(6)), (3, Some(5))];
    assert_eq!(found(&store, of("m1", "a")).await, expected);
    let device = DeviceId::new("m1").unwrap();
    let history = store.device_history(device, at(4)).await.unwrap();
    let (_, of_a) = &history.subjects[0];
    let seconds: Vec<_> = of_a.iter().map(|entry| entry.at.as_second() - now()).collect();
    assert_eq!(seconds, [3, 5, 6]);
    let store = on_with(&disk.after_crash(), keeping(by_id()));
    // Of one moment all are kept, in the order in which they came.
    append(&store, "m1", "c", [7, 7]).await;
    append(&store, "m2", "c", [7]).await;
    let of_c = HistoryQuery {
        from: Some(at(7)),
        ..all()
    };
    let subjects = |page: HistoryPage| {
        let entries = page.entries.into_iter();
        entries
            .map(|found| found.entry.subject.to_string())
            .collect::<Vec<_>>()
    };
    let found_at_7 = store.history(of_c).await.unwrap();
    assert_eq!(subjects(found_at_7), ["m2/io3/c", "m1/io3/c", "m1/io3/c"]);
    let times = |found: Vec<(i64, _)>| found.iter().map(|(second, _)| *second).collect::<Vec<_>>();
    assert_eq!(times(found(&store, all()).await), [7, 7, 7, 6, 5, 5, 3]);
    let from = HistoryQuery {
        from: Some(at(6)),
        ..all()
    };
    assert_eq!(times(found(&store, from).await), [7, 7, 7, 6]);
}

#[tokio::test]
async fn a_bridge_that_joins_a_cluster_keeps_its_history_and_goes_on_when_it_leaves() {
    let disk = Disk::default();
    let alone = on(&disk);
    let own = change("m1", "a", 4);
    append(&alone, "m1", "a", [3]).await;
    alone.append(vec![own.clone()]).await;
    drop(alone);
    let joined = on_with(&disk, keeping(by_id()));
    // Its own records that the broker did not have yet come back, and what another one had recorded is no news.
    add(&joined, &[own, change("m1", "a", 2), change("m1", "a", 5)]).await;
    let expected = [(5, None), (4, Some(5)), (3, Some(4))];
    assert_eq!(found(&joined, all()).await, expected);
    drop(joined);
    let left = on(&disk);
    append(&left, "m1", "a", [6]).await;
    assert_eq!(found(&left, all()).await[..2], [(6, None), (5, Some(6))]);
}

#[tokio::test]
async fn an_old_entry_of_another_bridge_goes_when_its_time_is_over() {
    let hour = History {
        keep: Duration::from_secs(3600),
        ..by_id()
    };
    let store = on_with(&Disk::default(), keeping(hour));
    append(&store, "m1", "a", [1800]).await;
    add(&store, &[change("m1", "a", -60)]).await;
    append(&store, "m1", "a", [1801]).await;
    until_there_are(&store, 2).await;
    assert_eq!(found(&store, all()).await, [(1801, None), (1800, Some(1801))]);
}

#[tokio::test]
async fn what_another_bridge_has_recorded_is_there_once() {
    let disk = Disk::default();
    let store = on_with(&disk, keeping(by_id()));
    let own = change("m1", "a", 1);
    store.append(vec![own.clone()]).await;
    let others = [own.clone(), change("m2", "a", 2), own];
    add(&store, &others).await;
    let store = on_with(&disk.after_crash(), keeping(by_id()));
    add(&store, &others).await;
    assert_eq!(found(&store, all()).await, [(2, None), (1, None)]);
    disk.set(Fault::None);
    let none = History {
        max_entries: 1,
        ..by_id()
    };
    let last = on_with(&disk.after_crash(), keeping(none));
    until_there_are(&last, 1).await;
    let page = last.history(all()).await.unwrap();
    assert_eq!(page.entries[0].entry.new, Value::No);
}

#[tokio::test]
async fn a_history_may_begin_before_the_store() {
    let disk = Disk::default();
    let store = on(&disk);
    let early = change("m1", "a", -500);
    let entry = Entry::read(&early.destination, &early.payload).unwrap();
    store.begin_history_at(entry.at).await.unwrap();
    store.begin_history_at(at(3599)).await.unwrap();
    store.add_history(vec![entry.clone()]).await.unwrap();
    drop(store);
    let page = on(&disk).history(all()).await.unwrap();
    assert_eq!(page.kept_since, Some(entry.at));
    assert_eq!(page.entries.len(), 1);
}
