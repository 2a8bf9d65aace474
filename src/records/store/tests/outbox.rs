//! Records: order, numbers, bounds, and the archive of dead letters.

use redb::{Database, TableDefinition};
use uuid::Uuid;

use super::disk::Disk;
use super::{dead_letter, dead_letters, on, on_with, options, outbox, payloads, record, until};
use crate::records::store::{DeadLetterSet, Limit, Options, Store};

#[tokio::test]
async fn records_come_out_in_order_as_far_as_there_is_room() {
    let store = Store::in_memory(options());
    store.append(vec![record("aa"), record("bb")]).await;
    store.append(vec![record("cc")]).await;
    let all = outbox(&store).await;
    assert_eq!(payloads(&all), ["aa", "bb", "cc"]);
    for (after, entries, bytes, expected) in [
        (0, 2, 100, &["aa", "bb"][..]),
        (0, 10, 4, &["aa", "bb"]),
        (0, 10, 5, &["aa", "bb"]),
        (0, 0, 0, &["aa"]),
        (all[0].0, 10, 1, &["bb"]),
        (all[1].0, 10, 100, &["cc"]),
        (all[2].0, 10, 100, &[]),
        (u64::MAX, 10, 100, &[]),
    ] {
        let part = store.outbox(after, entries, bytes).await.unwrap();
        assert_eq!(
            payloads(&part),
            expected,
            "after {after}, {entries} entries, {bytes} bytes"
        );
    }
}

#[tokio::test]
async fn whoever_waits_for_records_is_woken_by_the_newest_number() {
    let store = Store::in_memory(options());
    let mut newest = store.newest_record();
    assert_eq!(*newest.borrow_and_update(), 0);
    store.append(vec![record("a"), record("b")]).await;
    assert!(newest.has_changed().unwrap());
    let last = outbox(&store).await[1].0;
    assert_eq!(*newest.borrow_and_update(), last);
    store.sent(vec![1]).await;
    assert_eq!(outbox(&store).await.len(), 1);
    assert!(!newest.has_changed().unwrap());
}

#[tokio::test]
async fn numbers_are_never_used_again() {
    let disk = Disk::default();
    let store = on(&disk);
    store.append(vec![record("a"), record("b")]).await;
    let last = outbox(&store).await[1].0;
    store.sent(vec![1, 2]).await;
    drop(store);
    let store = on(&disk);
    assert_eq!(
        (outbox(&store).await, *store.newest_record().borrow()),
        (vec![], last)
    );
    store.append(vec![record("c")]).await;
    assert_eq!(outbox(&store).await[0].0, last + 1);
}

#[tokio::test]
async fn what_was_sent_costs_no_transaction_of_its_own() {
    let disk = Disk::default();
    let store = on(&disk);
    let before = disk.syncs();
    for n in 0..10 {
        store.append(vec![record("a")]).await;
        let sent = outbox(&store).await;
        assert_eq!(sent.len(), 1, "round {n}");
        store.sent(vec![sent[0].0]).await;
        assert_eq!(outbox(&store).await, []);
    }
    assert_eq!(disk.syncs() - before, 10);
    // The last one leaves the disk by itself.
    until(&store, "nothing on disk", |status| status.records == 0).await;
    let crashed = disk.after_crash();
    assert!(
        outbox(&on(&crashed)).await.len() <= 1,
        "sent again after a crash: the last one at most"
    );
}

#[tokio::test]
async fn what_was_sent_leaves_the_disk_within_moments() {
    let disk = Disk::default();
    let store = on(&disk);
    store.append(vec![record("a")]).await;
    let before = disk.syncs();
    store.sent(vec![1]).await;
    disk.until_synced(before + 1);
    assert_eq!(outbox(&on(&disk.after_crash())).await, []);
    drop(store);
}

#[tokio::test]
async fn what_was_not_sent_outlives_a_crash() {
    let disk = Disk::default();
    let store = on(&disk);
    store
        .append((0..50).map(|n| record(&n.to_string())).collect())
        .await;
    store.sent((1..=10).collect()).await;
    let expected = outbox(&store).await;
    let crashed = on(&disk.after_crash());
    let left = outbox(&crashed).await;
    assert_eq!(&left[left.len() - 40..], &expected[..]);
}

fn small(entries: usize, bytes: usize) -> Options {
    let mut options = options();
    options.limits.outbox = Limit::of(entries, bytes);
    options
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_go_and_two_dead_letters_report_it() {
    let disk = Disk::default();
    let store = on_with(&disk, small(20, 1 << 20));
    for n in 0..100 {
        store.append(vec![record(&n.to_string())]).await;
    }
    let full = outbox(&store).await;
    assert_eq!(full.len(), 20);
    assert_eq!(*payloads(&full).last().unwrap(), "99");
    let dropped = 100 - full.iter().filter(|(_, record)| record.payload.len() < 3).count() as u64;
    // The dead letter about its begin has been pushed out of the outbox itself, but not of the archive.
    assert_eq!(dead_letters(&full).len(), 0);
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
    assert_eq!(store.status().borrow().dropped, dropped + 1);

    // Over a restart.
    drop(store);
    let store = on_with(&disk, small(20, 1 << 20));
    store
        .sent(full[..10].iter().map(|(number, _)| *number).collect())
        .await;
    store.append(vec![record("after")]).await;
    let after = outbox(&store).await;
    let reported = dead_letters(&after);
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0]["recovered"], true);
    assert_eq!(reported[0]["repeats"], dropped + 1);
    assert_eq!(reported[0]["error"]["kind"], "storage");
    assert_eq!(
        payloads(&after)[..11],
        [&payloads(&full)[10..], &["after"]].concat()
    );
    store.append(vec![record("later")]).await;
    assert_eq!(
        dead_letters(&outbox(&store).await).len(),
        1,
        "its end is reported once"
    );
}

#[tokio::test]
async fn the_dead_letter_pushes_out_no_more_than_it_says() {
    for options in [small(20, 1 << 20), small(1000, 30_000)] {
        let store = Store::in_memory(options);
        let mut sent = 0;
        while store.status().borrow().dropped == 0 {
            store.append(vec![record(&format!("{sent:0100}"))]).await;
            sent += 1;
        }
        let left = outbox(&store).await;
        let reported = dead_letters(&left);
        assert_eq!(reported.len(), 1);
        let dropped = reported[0]["repeats"].as_u64().unwrap();
        assert_eq!(left.len() as u64 - 1, sent - dropped);
        assert_eq!(store.status().borrow().dropped, dropped);
    }
}

#[tokio::test]
async fn dead_letters_stay_in_the_archive_the_newest_of_them() {
    let disk = Disk::default();
    let kept = Options { keep: 3, ..options() };
    let store = on_with(&disk, kept.clone());
    let records: Vec<_> = (0..5).map(|n| dead_letter(&format!("message {n}"))).collect();
    store.append(records.clone()).await;
    let numbers = outbox(&store).await.iter().map(|(number, _)| *number).collect();
    store.sent(numbers).await;
    drop(store);
    let store = on_with(&disk, kept);
    assert_eq!(outbox(&store).await, []);
    assert_eq!(
        store.status().borrow().last_dead_letter,
        5,
        "over a restart as well"
    );
    let messages = async |limit| {
        let dead_letters = store.dead_letters(limit).await.unwrap();
        dead_letters
            .into_iter()
            .map(|dead_letter| dead_letter.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(messages(10).await, ["message 4", "message 3", "message 2"]);
    assert_eq!(messages(1).await, ["message 4"]);
    assert_eq!(store.dead_letter(records[0].id).await.unwrap(), None);
    let found = store.dead_letter(records[3].id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&records[3].payload));

    let these = DeadLetterSet::These(vec![records[3].id, Uuid::nil()]);
    assert_eq!(store.drop_dead_letters(these).await, Ok(vec![records[3].id]));
    assert_eq!(messages(10).await, ["message 4", "message 2"]);
    assert_eq!(store.status().borrow().dead_letters, 2);
    let all_but = |ids| store.drop_dead_letters(DeadLetterSet::AllBut(ids));
    let but_one = vec![records[2].id, Uuid::nil()];
    assert_eq!(all_but(but_one).await, Ok(vec![records[4].id]));
    assert_eq!(messages(10).await, ["message 2"]);
    assert_eq!(store.status().borrow().dead_letters, 1);
    assert_eq!(store.dead_letter(records[4].id).await.unwrap(), None);
    assert_eq!(all_but(Vec::new()).await, Ok(vec![records[2].id]));
    assert_eq!(store.dead_letter(records[2].id).await.unwrap(), None);
    store.append(vec![records[4].clone(), records[4].clone()]).await;
    assert_eq!(messages(10).await, ["message 4"], "one dead letter is there once");
}

#[tokio::test]
async fn the_archive_is_bounded_in_bytes_too() {
    let mut options = options();
    options.limits.archive_bytes = 10_000;
    let store = Store::in_memory(options);
    store
        .append((0..40).map(|_| dead_letter(&"x".repeat(1000))).collect())
        .await;
    assert!((1..10).contains(&store.status().borrow().dead_letters));
}

#[tokio::test]
async fn the_status_counts_what_is_there_over_a_restart() {
    let disk = Disk::default();
    let store = on(&disk);
    store.append(vec![record("12345"), dead_letter("x")]).await;
    store.receive(vec![super::command("c")]).await.unwrap();
    let before = store.status().borrow().clone();
    assert_eq!((before.records, before.commands, before.dead_letters), (2, 1, 1));
    assert!(before.record_bytes > 5);
    drop(store);
    let store = on(&disk);
    assert_eq!(*store.status().borrow(), before);
    let mut status = store.status();
    status.mark_unchanged();
    store.append(vec![record("more")]).await;
    assert_eq!(status.borrow().records, 3);
    assert!(!status.has_changed().unwrap(), "nobody is woken for each record");
    store.sent(vec![1, 2, 3]).await;
    until(&store, "all is sent", |status| status.records == 0).await;
    assert!(status.has_changed().unwrap());
}

#[tokio::test]
async fn an_entry_that_nobody_understands_is_skipped_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), options()).unwrap();
    store.append(vec![record("a"), record("b"), record("c")]).await;
    store
        .receive(vec![super::command("a"), super::command("b")])
        .await
        .unwrap();
    drop(store);
    let database = Database::open(directory.path().join(super::super::FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let records = TableDefinition::<u64, (&[u8], &[u8])>::new("outbox");
    let commands = TableDefinition::<u64, (u32, &[u8], &[u8])>::new("inbox");
    transaction
        .open_table(records)
        .unwrap()
        .insert(2, (&b"?"[..], &b""[..]))
        .unwrap();
    transaction
        .open_table(commands)
        .unwrap()
        .insert(1, (0, &b"?"[..], &b""[..]))
        .unwrap();
    transaction.commit().unwrap();
    drop(database);

    for _ in 0..2 {
        let store = Store::open(directory.path(), options()).unwrap();
        assert_eq!(store.inbox().await.unwrap()[0].command, super::command("b"));
        outbox(&store).await;
        let left = outbox(&store).await;
        assert_eq!(payloads(&left)[..2], ["a", "c"]);
        assert_eq!((left.len(), dead_letters(&left).len()), (4, 2));
        assert_eq!(store.dead_letters(10).await.unwrap().len(), 2);
        assert_eq!(store.status().borrow().commands, 1);
    }
}
