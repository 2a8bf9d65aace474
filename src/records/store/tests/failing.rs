//! The disk fails: nothing that was reported as kept is lost, and the failure is reported.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use serde_json::Value;

use super::disk::{Disk, Fault};
use super::{command, dead_letter, dead_letters, on, on_with, options, outbox, payloads, record, until};
use crate::records::Record;
use crate::records::store::{AnswerKey, End, Limit, Store, StoreError};

/// Until the disk has been tried again, and works.
async fn until_it_works(store: &Store) {
    until(store, "it works again", |status| status.failing.is_none()).await;
}

fn without_dead_letters(records: &[(u64, Record)]) -> Vec<(u64, Record)> {
    let is_dead_letter = |record: &(u64, Record)| !dead_letters(std::slice::from_ref(record)).is_empty();
    records
        .iter()
        .filter(|record| !is_dead_letter(record))
        .cloned()
        .collect()
}

#[tokio::test]
async fn records_wait_in_memory_in_order_and_beginning_and_end_are_reported() {
    for fault in [Fault::Dead, Fault::NoSync, Fault::Panic] {
        let disk = Disk::default();
        let store = on(&disk);
        store.append(vec![record("a")]).await;
        disk.set(fault);
        store.append(vec![record("b")]).await;
        store.append(vec![record("c"), dead_letter("d")]).await;
        let failing = store.status().borrow().failing.clone();
        assert!(failing.is_some(), "{fault:?}");
        // What the disk holds must not be overtaken; here it was taken before.
        let all = store.outbox(0, 100, usize::MAX).await;
        assert!(all.is_err() || payloads(&all.unwrap())[0] == "a", "{fault:?}");
        let in_memory = store.outbox(1, 100, usize::MAX).await.unwrap();
        assert_eq!(
            payloads(&without_dead_letters(&in_memory))[..2],
            ["b", "c"],
            "{fault:?}"
        );
        let reported = dead_letters(&in_memory);
        assert_eq!(reported.len(), 1, "{fault:?}");
        assert_eq!(reported[0]["error"]["kind"], "storage");
        let remedy = reported[0]["error"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("state.directory"), "{remedy}");
        assert_eq!(reported[0].get("recovered"), None);
        assert_eq!(
            store
                .dead_letters(10)
                .await
                .map_or(2, |dead_letters| dead_letters.len()),
            2,
            "{fault:?}"
        );

        disk.set(Fault::None);
        until_it_works(&store).await;
        store.append(vec![record("e")]).await;
        let all = outbox(&store).await;
        assert!(all.is_sorted_by_key(|(number, _)| *number));
        let plain = without_dead_letters(&all);
        assert_eq!(payloads(&plain)[..3], ["a", "b", "c"], "{fault:?}");
        assert_eq!(*payloads(&plain).last().unwrap(), "e");
        let reported: Vec<_> = dead_letters(&all);
        assert_eq!(reported.len(), 2, "{fault:?}");
        assert_eq!(
            (&reported[1]["recovered"], &reported[1]["first_at"]),
            (&Value::Bool(true), &reported[0]["first_at"])
        );
        assert!(reported[1]["repeats"].as_u64().unwrap() >= 1);

        let store = on(&disk.after_crash());
        assert_eq!(outbox(&store).await, all, "{fault:?}");
        assert_eq!(store.dead_letters(10).await.unwrap().len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_sent_from_memory_does_not_come_again() {
    for fault in [Fault::Dead, Fault::NoSync] {
        let disk = Disk::default();
        let store = on(&disk);
        disk.set(fault);
        store.append(vec![record("a"), record("b")]).await;
        let waiting = outbox(&store).await;
        store
            .sent(waiting[..1].iter().map(|(number, _)| *number).collect())
            .await;
        assert_eq!(outbox(&store).await, waiting[1..], "{fault:?}");
        disk.set(Fault::None);
        until_it_works(&store).await;
        assert_eq!(
            payloads(&without_dead_letters(&outbox(&store).await)),
            ["b"],
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn commands_are_not_taken_and_nothing_of_them_stays() {
    for fault in [Fault::Dead, Fault::NoSync, Fault::Panic] {
        let disk = Disk::default();
        let store = on(&disk);
        let before = store.receive(vec![command("a")]).await.unwrap();
        disk.set(fault);
        let refused = store.receive(vec![command("b")]).await;
        assert!(
            matches!(refused, Err(StoreError::Io(_))),
            "{fault:?}: {refused:?}"
        );
        assert!(store.begin(before[0], None).await.is_err(), "{fault:?}");
        disk.set(Fault::None);
        until_it_works(&store).await;
        assert_eq!(store.inbox().await.unwrap().len(), 1, "{fault:?}");
        let after = store.receive(vec![command("c")]).await.unwrap();
        assert!(after > before, "{fault:?}");
        let waiting = on(&disk.after_crash()).inbox().await.unwrap();
        let waiting: Vec<_> = waiting
            .iter()
            .map(|waiting| waiting.command.payload.clone())
            .collect();
        assert_eq!(waiting, ["a", "c"], "{fault:?}");
    }
}

#[tokio::test]
async fn an_end_is_kept_until_the_disk_works() {
    let disk = Disk::default();
    let store = on(&disk);
    let number = store.receive(vec![command("a")]).await.unwrap()[0];
    let key = AnswerKey::new("t", "1", b"a");
    disk.set(Fault::Dead);
    let end = End {
        replayed: None,
        records: vec![record("reply")],
        answer: Some((key, Bytes::from_static(b"reply"))),
        local: None,
    };
    store.finish(number, end).await;
    assert_eq!(
        store.answer(key).await.unwrap().unwrap(),
        "reply",
        "known at once"
    );
    assert_eq!(store.status().borrow().commands, 0);
    let before = on(&disk.after_crash());
    assert_eq!(before.inbox().await.unwrap().len(), 1, "it would run again");
    disk.set(Fault::None);
    until_it_works(&store).await;
    let after = on(&disk.after_crash());
    assert_eq!(after.inbox().await.unwrap(), []);
    assert_eq!(payloads(&without_dead_letters(&outbox(&after).await)), ["reply"]);
    assert_eq!(after.answer(key).await.unwrap().unwrap(), "reply");
}

#[tokio::test]
async fn a_disk_that_works_at_the_end_gets_all_of_it() {
    let disk = Disk::default();
    let mut patient = options();
    patient.limits.retry = super::PATIENCE * 10;
    let store = on_with(&disk, patient);
    disk.set(Fault::Dead);
    store.append(vec![record("a")]).await;
    disk.set(Fault::None);
    drop(store);
    let left = outbox(&on(&disk)).await;
    assert_eq!(payloads(&without_dead_letters(&left)), ["a"]);
    assert_eq!(dead_letters(&left).len(), 2, "that it failed, and that it works");
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_dropped_is_reported() {
    let disk = Disk::default();
    let mut small = options();
    small.limits.memory = Limit::of(20, 1 << 20);
    let store = on_with(&disk, small);
    disk.set(Fault::Dead);
    for n in 0..100 {
        store.append(vec![record(&n.to_string())]).await;
    }
    let kept = outbox(&store).await;
    assert!((15..=20).contains(&kept.len()), "{}", kept.len());
    assert_eq!(*payloads(&kept).last().unwrap(), "99");
    let dropped = store.status().borrow().dropped;
    assert!(dropped >= 80, "{dropped}");
    disk.set(Fault::None);
    until_it_works(&store).await;
    let all = outbox(&store).await;
    let reported = dead_letters(&all);
    let over = reported
        .iter()
        .find(|dead_letter| dead_letter["repeats"] == dropped);
    assert_eq!(over.unwrap()["recovered"], true, "{reported:#?}");
}

#[tokio::test]
async fn a_full_disk_still_gives_what_it_holds() {
    let disk = Disk::default();
    let store = on(&disk);
    let long = "x".repeat(100_000);
    store.append((0..20).map(|_| record(&long)).collect()).await;
    disk.set(Fault::Full);
    let mut count = 20;
    while store.status().borrow().failing.is_none() {
        store.append(vec![record(&long)]).await;
        count += 1;
        assert!(count < 1000, "never full");
    }
    let all = outbox(&store).await;
    assert_eq!(without_dead_letters(&all).len(), count);
    // As it empties, its own pages take what is new.
    let numbers: Vec<_> = all.iter().map(|(number, _)| *number).collect();
    store.sent(numbers[..numbers.len() - 2].to_vec()).await;
    until_it_works(&store).await;
    let left = outbox(&on(&disk.after_crash())).await;
    assert_eq!(left[..2], all[all.len() - 2..]);
}

/// Set for the process that may not write a large file.
const LIMITED: &str = "LANTIME2MQTT_TEST_LIMITED_DIRECTORY";

/// A real file system that takes no more: this test runs itself in a process whose files may not grow.
#[tokio::test]
async fn a_file_that_cannot_grow_degrades_to_memory() {
    if let Some(directory) = std::env::var_os(LIMITED) {
        return fill(Path::new(&directory)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = "records::store::tests::failing::a_file_that_cannot_grow_degrades_to_memory";
    // 4 MiB in blocks of 512 bytes; the signal that comes with the limit must be ignored to see the error.
    let limited = format!("trap '' XFSZ; ulimit -f 8192; exec \"$0\" --exact {name}");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .env(LIMITED, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");

    let store = Store::open(directory.path(), options()).unwrap();
    let left = payloads(&without_dead_letters(&outbox(&store).await)).len();
    assert!(left > 10, "what was on disk is there: {left}");
}

async fn fill(directory: &Path) {
    let mut patient = options();
    patient.limits.retry = super::PATIENCE * 10;
    let store = Store::open(directory, patient).unwrap();
    let mut sent = Vec::new();
    while store.status().borrow().failing.is_none() {
        let next = record(&format!("{:060000}", sent.len()));
        sent.push(next.clone());
        store.append(vec![next]).await;
        assert!(sent.len() < 1000, "the limit does not hold");
    }
    let all = outbox(&store).await;
    let kept: Vec<_> = without_dead_letters(&all)
        .into_iter()
        .map(|(_, record)| record)
        .collect();
    assert_eq!(kept, sent);
    assert_eq!(dead_letters(&all).len(), 1);
}
