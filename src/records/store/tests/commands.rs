//! Commands: taken to stay, answered once, and cheap together.

use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, TableDefinition};
use tokio::sync::oneshot;

use super::disk::{Disk, Fault};
use super::{command, dead_letter, dead_letters, on, on_with, options, outbox, payloads, record};
use crate::contract::reply::CommandReply;
use crate::model::Outcome;
use crate::records::store::{AnswerKey, Begun, End, FILE_NAME, Limit, Store, StoreError};

fn end(payload: &str) -> End {
    End {
        records: vec![record(payload)],
        ..End::default()
    }
}

fn answered(key: AnswerKey, answer: &str) -> End {
    End {
        answer: Some((key, Bytes::from(answer.to_owned()))),
        ..End::default()
    }
}

#[tokio::test]
async fn a_command_that_was_received_outlives_a_crash_until_it_has_ended() {
    let disk = Disk::default();
    let store = on(&disk);
    let numbers = store.receive(vec![command("a"), command("b")]).await.unwrap();
    assert_eq!(store.begin(numbers[0], None).await, Ok(Begun::Attempt(1)));
    assert_eq!(store.begin(numbers[0], None).await, Ok(Begun::Attempt(2)));

    let disk = disk.after_crash();
    let store = on(&disk);
    let waiting = store.inbox().await.unwrap();
    let found: Vec<_> = waiting
        .iter()
        .map(|waiting| (waiting.number, waiting.command.clone(), waiting.attempts))
        .collect();
    assert_eq!(
        found,
        [(numbers[0], command("a"), 2), (numbers[1], command("b"), 0)]
    );
    store.finish(numbers[0], end("reply")).await;

    let store = on(&disk.after_crash());
    assert_eq!(store.inbox().await.unwrap().len(), 1);
    assert_eq!(payloads(&outbox(&store).await), ["reply"]);
    assert_eq!(
        store.begin(numbers[0], None).await,
        Err(StoreError::Finished(numbers[0]))
    );
    let next = store.receive(vec![command("c")]).await.unwrap();
    assert!(next[0] > numbers[1], "numbers are never used again");
}

#[tokio::test]
async fn an_end_is_one_transaction() {
    let disk = Disk::default();
    let store = on(&disk);
    let numbers = store.receive(vec![command("a")]).await.unwrap();
    let key = AnswerKey::new("t", "1", b"a");
    let whole = End {
        replayed: None,
        records: vec![record("reply"), dead_letter("why")],
        answer: Some((key, Bytes::from_static(b"reply"))),
        local: None,
    };
    let before = disk.syncs();
    store.finish(numbers[0], whole).await;
    assert_eq!(disk.syncs() - before, 1);
    let store = on(&disk.after_crash());
    assert_eq!(store.inbox().await.unwrap(), []);
    assert_eq!(outbox(&store).await.len(), 2);
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
    assert_eq!(store.answer(key).await.unwrap().unwrap(), "reply");
}

#[tokio::test]
async fn a_full_inbox_takes_all_or_nothing() {
    let mut options = options();
    options.limits.inbox = Limit::of(3, 1 << 20);
    let store = Store::in_memory(options.clone());
    let numbers = store.receive(vec![command("a"), command("b")]).await.unwrap();
    let two = vec![command("c"), command("d")];
    assert_eq!(store.receive(two.clone()).await, Err(StoreError::InboxFull(2)));
    assert_eq!(store.inbox().await.unwrap().len(), 2);
    store.finish(numbers[0], End::default()).await;
    assert_eq!(store.receive(two).await.unwrap().len(), 2);

    options.limits.inbox = Limit::of(100, 1000);
    let store = Store::in_memory(options);
    let long = command(&"x".repeat(600));
    assert_eq!(store.receive(vec![long.clone()]).await.unwrap().len(), 1);
    assert_eq!(store.receive(vec![long]).await, Err(StoreError::InboxFull(1)));
}

#[tokio::test]
async fn the_first_answer_is_the_one_that_is_remembered() {
    let disk = Disk::default();
    let store = on(&disk);
    let numbers = store.receive(vec![command("a"), command("a")]).await.unwrap();
    let (key, other) = (AnswerKey::new("t", "1", b"a"), AnswerKey::new("t", "1", b"b"));
    assert_eq!(store.answer(key).await, Ok(None));
    store.finish(numbers[0], answered(key, "first")).await;
    store.finish(numbers[1], answered(key, "second")).await;
    drop(store);
    let store = on(&disk);
    assert_eq!(store.answer(key).await.unwrap().unwrap(), "first");
    assert_eq!(store.answer(other).await, Ok(None));
}

#[tokio::test]
async fn a_command_that_was_answered_does_not_begin() {
    let disk = Disk::default();
    let store = on(&disk);
    let numbers = store.receive(vec![command("a"), command("a")]).await.unwrap();
    let key = AnswerKey::new("t", "1", b"a");
    assert_eq!(store.begin(numbers[0], Some(key)).await, Ok(Begun::Attempt(1)));
    store.finish(numbers[0], answered(key, "first")).await;
    let answer = Begun::Answered(Bytes::from_static(b"first"));
    assert_eq!(store.begin(numbers[1], Some(key)).await, Ok(answer));
    assert_eq!(store.begin(numbers[1], None).await, Ok(Begun::Attempt(1)));
}

#[tokio::test]
async fn who_waits_for_commands_on_disk_is_notified_then() {
    let disk = Disk::default();
    let store = on(&disk);
    disk.hold();
    let (sender, mut received) = oneshot::channel();
    store
        .receive_then(vec![command("a")], |numbers| sender.send(numbers).unwrap())
        .await;
    assert!(received.try_recv().is_err());
    disk.release();
    let numbers = received.await.unwrap().unwrap();
    assert_eq!(store.begin(numbers[0], None).await, Ok(Begun::Attempt(1)));

    disk.set(Fault::Dead);
    let (sender, refused) = oneshot::channel();
    store
        .receive_then(vec![command("b")], |numbers| sender.send(numbers).unwrap())
        .await;
    assert!(refused.await.unwrap().is_err());
}

#[tokio::test]
async fn who_waits_for_the_reply_gets_it_when_it_is_on_disk() {
    let disk = Disk::default();
    let store = on(&disk);
    let numbers = store.receive(vec![command("a")]).await.unwrap();
    let outcome = Outcome::HttpSessions {
        enabled: true,
        max_count: 1,
    };
    let reply = CommandReply::carried_out("7".to_owned(), outcome);
    let (asker, mut answered) = oneshot::channel();
    let end = End {
        local: Some((asker, reply)),
        ..end("reply")
    };
    disk.hold();
    let mut finishing = Box::pin(store.finish(numbers[0], end));
    let mut context = Context::from_waker(Waker::noop());
    assert!(finishing.as_mut().poll(&mut context).is_pending());
    assert!(answered.try_recv().is_err());
    disk.release();
    assert_eq!(answered.await.unwrap().id, "7");
    assert_eq!(on(&disk.after_crash()).inbox().await.unwrap(), []);
}

#[tokio::test]
async fn an_old_answer_is_forgotten() {
    let disk = Disk::default();
    let key = AnswerKey::new("t", "1", b"a");
    on(&disk).finish(1, answered(key, "old")).await;
    let mut brief = options();
    brief.limits.answers_for = Duration::ZERO;
    let store = on_with(&disk, brief);
    assert_eq!(store.answer(key).await, Ok(None));
    store.finish(2, answered(key, "new")).await;
    drop(store);
    assert_eq!(
        on(&disk).answer(key).await.unwrap(),
        None,
        "too old from the beginning"
    );
}

#[tokio::test]
async fn of_too_many_answers_the_oldest_are_forgotten() {
    let mut options = options();
    options.limits.answers = Limit::of(10, 1 << 20);
    let store = Store::in_memory(options);
    let key = |n: u64| AnswerKey::new("t", &n.to_string(), b"");
    for n in 0..30 {
        store.finish(n, answered(key(n), "x")).await;
    }
    let mut known = 0;
    for n in 0..30 {
        known += usize::from(store.answer(key(n)).await.unwrap().is_some());
    }
    assert_eq!(known, 10);
    assert!(store.answer(key(29)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_comes_together_shares_a_transaction() {
    let disk = Disk::default();
    let store = on(&disk);
    let numbers = store
        .receive((0..100).map(|_| command("a")).collect())
        .await
        .unwrap();
    let before = disk.syncs();
    disk.hold();
    let ends = numbers
        .iter()
        .map(|number| Box::pin(store.finish(*number, end("reply"))));
    let mut ends: Vec<_> = ends.collect();
    // All of them are asked for before the first is done.
    for end in &mut ends {
        let mut context = Context::from_waker(Waker::noop());
        assert!(end.as_mut().poll(&mut context).is_pending());
    }
    disk.release();
    for end in ends {
        end.await;
    }
    let transactions = disk.syncs() - before;
    assert!(transactions <= 3, "{transactions} transactions for 100 ends");
    assert_eq!(store.inbox().await.unwrap(), []);
    assert_eq!(outbox(&store).await.len(), 100);
}

#[tokio::test]
async fn a_command_of_a_later_format_stays_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), options()).unwrap();
    store.receive(vec![command("a"), command("b")]).await.unwrap();
    drop(store);
    let database = Database::open(directory.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let commands = TableDefinition::<u64, (u32, &[u8], &[u8])>::new("inbox");
    let newer = (0, &br#"{"format":2}"#[..], &b"x"[..]);
    transaction
        .open_table(commands)
        .unwrap()
        .insert(1, newer)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);

    for run in 1..3 {
        let store = Store::open(directory.path(), options()).unwrap();
        for _ in 0..2 {
            let waiting = store.inbox().await.unwrap();
            assert_eq!((waiting.len(), &waiting[0].command), (1, &command("b")));
        }
        assert_eq!(dead_letters(&outbox(&store).await).len(), run, "once in each run");
        assert_eq!(store.status().borrow().commands, 2);
    }
}
