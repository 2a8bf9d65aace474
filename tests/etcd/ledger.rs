//! The commands of a shard, kept in a real etcd: what its owners find there.

mod failing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::dead_letters::DeadLetters;
use lantime2mqtt::cluster::entries::{Revision, ShardId, Token};
use lantime2mqtt::cluster::etcd::{Client, Entry, Keys, Operation};
use lantime2mqtt::cluster::fence::{Gate, Permit};
use lantime2mqtt::cluster::ledger::Ledger;
use lantime2mqtt::command::{CommandStore, Dispatcher, Incoming};
use lantime2mqtt::contract::reply::CommandReply;
use lantime2mqtt::contract::topics::{Destination, Topics};
use lantime2mqtt::model::{CommandTopic, DeviceId, Operation as About};
use lantime2mqtt::records::store::{AnswerKey, Begun, End, Options, Store, StoreError, options};
use lantime2mqtt::records::{Received, Record};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::support::etcd::Etcd;
use super::support::{PATIENCE, wait};
use super::{client, put};

const ROOT: &str = "/lantime2mqtt/test/";
const SHARD: ShardId = ShardId(0);

/// A bridge that owns the shard, as it believes.
pub(super) struct Owner {
    pub(super) gate: Gate,
    permit: Permit,
    pub(super) ledger: Ledger,
}

impl Owner {
    /// The next owner, who claims the shard from whoever has it.
    pub(super) async fn next(client: &Client) -> Owner {
        Owner::of(client, SHARD).await
    }

    async fn of(client: &Client, shard: ShardId) -> Owner {
        let key = format!("{ROOT}election/shards/{shard}");
        let release = [Operation::Delete(Keys::one(key.as_str()))];
        client.transact(&[], &release, &[]).await.unwrap();
        let claimed = client.transact(&[], &[put(&key, "b", None)], &[]).await;
        let permit = Permit {
            token: Token(Revision(claimed.unwrap().revision)),
            until: BootTime::now() + Duration::from_secs(3600),
        };
        let gate = Gate::closed();
        gate.set(Some(permit));
        let ledger = Ledger::open(client, "test", shard, gate.fence()).await.unwrap();
        Owner { gate, permit, ledger }
    }

    pub(super) async fn receive(&self, commands: Vec<Received>) -> Result<Vec<u64>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let done = move |numbers| drop(answer.send(numbers));
        self.ledger.receive_then(commands, done).await;
        answered.await.unwrap()
    }

    /// Payloads and attempts of what waits.
    async fn inbox(&self) -> Vec<(String, u32)> {
        let waiting = self.ledger.inbox().await.unwrap().into_iter();
        let text = |payload: Bytes| String::from_utf8_lossy(&payload).into_owned();
        waiting
            .map(|waiting| (text(waiting.command.payload), waiting.attempts))
            .collect()
    }

    fn outbox(&self) -> Vec<(u64, Record)> {
        self.ledger.outbox(0, usize::MAX, usize::MAX)
    }

    fn replies(&self) -> Vec<String> {
        let records = self.outbox().into_iter();
        records
            .map(|(_, record)| String::from_utf8_lossy(&record.payload).into_owned())
            .collect()
    }
}

pub(super) fn command(payload: impl Into<Bytes>) -> Received {
    Received {
        local: false,
        ..Received::local("lantime/m1/refresh".to_owned(), payload)
    }
}

fn commands(payloads: &[&'static str]) -> Vec<Received> {
    payloads.iter().map(|payload| command(*payload)).collect()
}

pub(super) fn record(destination: Destination, payload: &'static str) -> Record {
    Record {
        id: Uuid::now_v7(),
        destination,
        payload: Bytes::from_static(payload.as_bytes()),
        correlation: None,
    }
}

pub(super) fn reply(payload: &'static str) -> End {
    End {
        records: vec![record(Destination::Reply("back".to_owned()), payload)],
        ..End::default()
    }
}

/// Who waits for a reply in this process.
fn local() -> (
    (oneshot::Sender<CommandReply>, CommandReply),
    oneshot::Receiver<CommandReply>,
) {
    let (asker, answered) = oneshot::channel();
    let error = lantime2mqtt::model::ErrorReport::new(lantime2mqtt::model::ErrorKind::Busy, "", "");
    let reply = CommandReply::failure("id".to_owned(), About::Refresh, error, None);
    ((asker, reply), answered)
}

/// What there is, but for the mark of the last transaction.
pub(super) async fn kept(client: &Client, below: &str) -> Vec<Entry> {
    let prefix = Keys::prefix(format!("{ROOT}{below}"));
    client.range(&prefix, None).await.unwrap().entries
}

#[tokio::test]
async fn the_next_owner_finds_all_commands_in_order_and_counts_on() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    // More than one transaction takes, by number and by size.
    let many: Vec<_> = (0..250).map(|number| command(format!("{number}"))).collect();
    let numbers = owner.receive(many).await.unwrap();
    assert!(numbers.is_sorted() && numbers.len() == 250);
    let large: Vec<_> = (0..40).map(|_| command(vec![b'x'; 64 * 1024])).collect();
    owner.receive(large).await.unwrap();
    for expected in [1, 2] {
        let begun = owner.ledger.begin(numbers[7], None).await;
        assert_eq!(begun, Ok(Begun::Attempt(expected)));
    }
    owner.ledger.finish(numbers[3], End::default()).await;
    assert_eq!(
        owner.ledger.begin(numbers[3], None).await,
        Err(StoreError::Finished(numbers[3]))
    );

    let next = Owner::next(&client).await;
    let waiting = next.inbox().await;
    assert_eq!(waiting.len(), 289);
    let expected = (0..250).filter(|number| *number != 3);
    for ((payload, attempts), number) in waiting.iter().zip(expected) {
        assert_eq!(
            (payload, *attempts),
            (&number.to_string(), if number == 7 { 2 } else { 0 })
        );
    }
    // The seventh of those that are left.
    let begun = next.ledger.begin(7, None).await;
    assert_eq!(begun, Ok(Begun::Attempt(3)));
}

#[tokio::test]
async fn a_command_is_kept_with_all_that_it_carries() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let full = Received {
        payload_length: Some(70_000),
        retained: true,
        response_topic: Some("back".to_owned()),
        correlation: Some(Bytes::from_static(b"\xfe")),
        expires_at: Some(Timestamp::MAX),
        ..command(&b"\xff\0{\"\n"[..])
    };
    let owner = Owner::next(&client).await;
    owner.receive(vec![full.clone()]).await.unwrap();
    let next = Owner::next(&client).await;
    assert_eq!(next.ledger.inbox().await.unwrap()[0].command, full);
}

#[tokio::test]
async fn the_order_is_that_of_arrival_whatever_the_clocks_of_the_hosts() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    owner.receive(commands(&["1"])).await.unwrap();
    // As a host writes it whose clock is slow.
    owner.receive(commands(&["2"])).await.unwrap();
    let [_, second] = &kept(&client, "inbox/00/").await[..] else {
        panic!("two commands");
    };
    let slow = Operation::Put {
        key: format!("{ROOT}inbox/00/{}", Uuid::nil()).into(),
        value: second.value.clone(),
        lease: None,
    };
    client.transact(&[], &[slow], &[]).await.unwrap();
    let next = Owner::next(&client).await;
    assert_eq!(
        next.inbox().await,
        ["1", "2", "2"].map(|payload| (payload.to_owned(), 0))
    );
}

#[tokio::test]
async fn the_same_command_gets_the_same_answer_within_the_hour() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1", "1", "2", "1"])).await.unwrap();
    let keys = ["a", "b"].map(|id| AnswerKey::new("t", id, b""));
    let answer = |key| End {
        answer: Some((key, Bytes::from_static(b"done"))),
        ..End::default()
    };
    assert_eq!(
        owner.ledger.begin(numbers[0], Some(keys[0])).await,
        Ok(Begun::Attempt(1))
    );
    assert_eq!(owner.ledger.answer(keys[0]).await, Ok(None));
    owner.ledger.finish(numbers[0], answer(keys[0])).await;
    owner.ledger.finish(numbers[2], answer(keys[1])).await;
    let answered = Ok(Begun::Answered(Bytes::from_static(b"done")));
    assert_eq!(owner.ledger.begin(numbers[1], Some(keys[0])).await, answered);
    assert_eq!(
        owner.ledger.answer(keys[0]).await,
        Ok(Some(Bytes::from_static(b"done")))
    );

    let next = Owner::next(&client).await;
    let waiting = next.ledger.inbox().await.unwrap();
    assert_eq!(
        next.ledger.begin(waiting[0].number, Some(keys[0])).await,
        answered
    );
    assert_eq!(next.inbox().await[0].1, 0);
    let answers = kept(&client, "answers/00/").await;
    let [first, second] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(first.lease, second.lease);
    let lives = client.keep_alive(first.lease.unwrap()).await.unwrap();
    assert_eq!(lives, Some(Duration::from_secs(70 * 60)));
}

#[tokio::test]
async fn replies_stay_until_the_broker_has_them() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1", "2", "3"])).await.unwrap();
    for (number, payload) in numbers.into_iter().zip(["1", "2", "3"]) {
        owner.ledger.finish(number, reply(payload)).await;
    }
    assert_eq!(*owner.ledger.newest_record().borrow(), 3);
    let next = Owner::next(&client).await;
    assert_eq!(next.outbox()[0], owner.outbox()[0]);
    assert_eq!(next.replies(), ["1", "2", "3"]);
    next.ledger.sent(vec![1, 2]).await;
    let is_one_left = async || kept(&client, "replies/00/").await.len() == 1;
    wait::until("replies that have left", is_one_left).await;
    assert_eq!(next.replies(), ["3"]);
    assert_eq!(Owner::next(&client).await.replies(), ["3"]);
}

#[tokio::test]
async fn what_has_left_is_deleted_at_the_end_at_the_latest() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1"])).await.unwrap();
    owner.ledger.finish(numbers[0], reply("1")).await;
    owner.ledger.sent(vec![1]).await;
    drop(owner);
    let is_empty = async || kept(&client, "replies/00/").await.is_empty();
    wait::until("an end", is_empty).await;
}

#[tokio::test]
async fn after_a_flush_the_next_owner_sends_nothing_again_that_the_broker_has() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1", "2"])).await.unwrap();
    for (number, payload) in numbers.into_iter().zip(["1", "2"]) {
        owner.ledger.finish(number, reply(payload)).await;
    }
    owner.ledger.sent(vec![1]).await;
    owner.ledger.flush().await;
    assert_eq!(Owner::next(&client).await.replies(), ["2"]);
}

#[tokio::test]
async fn dead_letters_of_all_shards_are_kept_up_to_a_thousand() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let ids: Vec<_> = (0..options::KEEP + 150).map(|_| Uuid::now_v7()).collect();
    for ids in ids.chunks(100) {
        let puts = ids
            .iter()
            .map(|id| put(&format!("{ROOT}dead-letters/{id}"), "old", None));
        client
            .transact(&[], &puts.collect::<Vec<_>>(), &[])
            .await
            .unwrap();
    }
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1"])).await.unwrap();
    let dead_letter = record(Destination::DeadLetter(None), "{}");
    let id = dead_letter.id;
    let end = End {
        records: vec![dead_letter],
        ..End::default()
    };
    owner.ledger.finish(numbers[0], end).await;
    let count = async || match kept(&client, "dead-letters/").await.len() {
        options::KEEP => Ok(()),
        count => Err(count.to_string()),
    };
    wait::for_value("a thousand", count).await;
    let dead_letters = DeadLetters::new(client.clone(), "test");
    assert_eq!(dead_letters.get(id).await, Ok(Some(Bytes::from_static(b"{}"))));
    assert_eq!(dead_letters.get(ids[150]).await, Ok(None));
    assert!(dead_letters.get(ids[151]).await.unwrap().is_some());
    assert_eq!(owner.replies(), ["{}"]);
}

#[tokio::test]
async fn a_full_inbox_takes_none() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let all = (0..options::INBOX.entries - 1).map(|_| command("x")).collect();
    let numbers = owner.receive(all).await.unwrap();
    let full = Err(StoreError::InboxFull(numbers.len()));
    assert_eq!(owner.receive(commands(&["1", "2"])).await, full);
    owner.ledger.finish(numbers[0], End::default()).await;
    owner.receive(commands(&["1", "2"])).await.unwrap();
    assert_eq!(kept(&client, "inbox/00/").await.len(), options::INBOX.entries);
}

#[tokio::test]
async fn a_command_of_a_shard_gets_its_reply_and_its_dead_letter() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let topics = Topics::new("lantime", DeviceId::new("b1").unwrap());
    let archive = Store::in_memory(Options::new(DeviceId::new("b1").unwrap()));
    let store = CommandStore::Shared(owner.ledger.clone(), archive.clone());
    let routes = watch::channel(Arc::new(HashMap::new())).1;
    let bridge = DeviceId::new("b1").unwrap();
    let made = Dispatcher::new(store, topics.clone(), bridge, routes, None).await;
    let (dispatcher, inbox) = made.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(dispatcher.run(stop.clone()));
    let refresh = CommandTopic::Refresh(DeviceId::new("m1").unwrap());
    let incoming = Incoming::read(command("now"), Some(refresh.clone()), Timestamp::now());
    inbox.submit(vec![incoming]).await.unwrap();
    let mut newest = owner.ledger.newest_record();
    let ended = timeout(PATIENCE, newest.wait_for(|newest| *newest == 2)).await;
    ended.unwrap().unwrap();
    let records = owner.outbox();
    let destinations: Vec<_> = records.iter().map(|(_, record)| &record.destination).collect();
    let reply = Destination::Reply("lantime/m1/refresh/reply".to_owned());
    let dead_letter = Destination::DeadLetter(DeviceId::new("m1"));
    assert_eq!(destinations, [&reply, &dead_letter]);
    assert!(owner.replies()[0].contains("this bridge has no device m1"));
    assert_eq!(owner.inbox().await, []);

    let archived = archive.dead_letter(records[1].1.id).await.unwrap();
    assert_eq!(archived, Some(records[1].1.payload.clone()));
    // Somebody else publishes it.
    assert_eq!(archive.outbox(0, 10, 10_000).await.unwrap(), []);

    // The same from this machine, and again by its dead letter.
    let local = inbox.ask(Incoming::local(&topics, refresh, Bytes::new())).await;
    let again = inbox.ask(Incoming::replay(&topics, records[1].1.id)).await;
    for reply in [local, again] {
        let text = String::from_utf8_lossy(&reply.to_json()).into_owned();
        assert!(text.contains("this bridge has no device m1"), "{text}");
    }
    stop.cancel();
    task.await.unwrap();
}
