//! A store of an earlier version is opened with all that is in it: records reach the broker in order, the command that
//! waits is carried out, the answered one is answered alike, and dead letters and published topics are known.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use lantime2mqtt::simulator::Relay;
use redb::{Database, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::capture::records;
use crate::expected::{Found, Golden};
use crate::normalise;
use crate::store_made::{ANSWERED, FILE, REPLIES, WAITING, kept, make, stage};
use crate::support::clients::{Clients, Message, Subscriber};
use crate::support::program::run;
use crate::support::site::Site;

/// Topics in the store's list that have nothing to stand for any more.
const OLD: [&str; 3] = [
    "lantime/gone/state",
    "lantime/gone/io1/relay/a",
    "lantime/gone/event/ntp-not-sync",
];

#[tokio::test]
async fn a_store_of_before_is_opened_with_all_that_is_in_it() {
    if std::env::var_os("UPDATE_STORE").is_some() {
        return make().await;
    }
    let mut golden = Golden::of(&["store"]);
    let stage = stage().await;
    let clients = Clients::of(stage.broker.address());
    for topic in OLD {
        clients.publish(topic, "of before", &["-r"]).await;
    }
    let mut subscriber = clients.subscribe(&["lantime/#", "my/#"]).await;
    copy(&stage.site);
    let start = Timestamp::now();
    let _bridge = stage.site.start();

    subscriber
        .until("the reply to the command that waited", |seen| {
            has(seen, REPLIES.0, 1)
        })
        .await;
    let device = &stage.fleet.devices()[0];
    let follows = |relay| Vec::from_iter(device.world().relay_events("io4", relay));
    assert_eq!(follows(Relay::C), ["network-link-down"], "{WAITING:?}");

    let before = (device.counters().configuration_writes, follows(Relay::A));
    clients.publish(ANSWERED.0, ANSWERED.1, &[]).await;
    let reply = format!("{}/reply", ANSWERED.0);
    subscriber
        .until("the first answer", |seen| has(seen, &reply, 1))
        .await;
    let after = (device.counters().configuration_writes, follows(Relay::A));
    assert_eq!(before, after, "it was carried out again");

    for topic in OLD {
        let is_cleared = |message: &Message| message.topic == topic && message.payload.is_empty();
        subscriber.until(topic, |seen| seen.iter().any(is_cleared)).await;
    }
    assert!(
        first_failure(&mut subscriber).await < start,
        "it is reported as a new one"
    );
    let (old, new) = by_age(subscriber.now(), start);
    golden.compare("store/outbox", &old);
    golden.compare("store/new-records", &new_records(new));
    golden.compare("store/dead-letters", &dead_letters(&stage.site, start).await);
    golden.finish();
}

/// Puts the store where the bridge looks for it, its answers being of now: else they would be too old.
fn copy(site: &Site) {
    fs::create_dir_all(site.state()).unwrap();
    let file = site.state().join(FILE);
    fs::copy(kept().join(FILE), &file).unwrap();
    refresh_answers(&file);
}

/// Format 1, as the store was written.
fn refresh_answers(file: &Path) {
    const ANSWERS: TableDefinition<'_, &[u8; 32], (i64, &[u8])> = TableDefinition::new("answers");
    const TIMES: TableDefinition<'_, (i64, &[u8; 32]), ()> = TableDefinition::new("answer-times");
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut answers = transaction.open_table(ANSWERS).unwrap();
        let mut times = transaction.open_table(TIMES).unwrap();
        times.retain(|_, ()| false).unwrap();
        let known = answers.iter().unwrap().map(Result::unwrap);
        let known: Vec<_> = known
            .map(|(key, value)| (*key.value(), value.value().1.to_vec()))
            .collect();
        let now = Timestamp::now().as_millisecond();
        assert!(!known.is_empty());
        for (key, answer) in known {
            answers.insert(&key, (now, answer.as_slice())).unwrap();
            times.insert((now, &key), ()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn has(seen: &[Message], topic: &str, count: usize) -> bool {
    seen.iter().filter(|message| message.topic == topic).count() >= count
}

/// When the failure began that stands at the device that does not let us in: a repeated dead letter says so, since the one
/// in the archive is older than `dead_letter.repeat`.
async fn first_failure(subscriber: &mut Subscriber) -> Timestamp {
    let is_dead_letter = |message: &&Message| message.topic == "lantime/dead-letter/sim-3";
    let seen = subscriber
        .until("the failure is repeated", |seen| {
            seen.iter().any(|message| is_dead_letter(&message))
        })
        .await;
    let dead_letter = seen.iter().find(is_dead_letter).unwrap().json();
    dead_letter["first_at"].as_str().unwrap().parse().unwrap()
}

/// The records that are older than the run, as they are and in the order in which they came; and the other messages.
fn by_age(messages: Vec<Message>, start: Timestamp) -> (Found, Vec<Message>) {
    let is_old = |message: &Message| {
        let at = message.json()["at"]
            .as_str()
            .and_then(|at| at.parse::<Timestamp>().ok());
        !message.retained && at.is_some_and(|at| at < start)
    };
    let (old, new): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_old);
    let old = old.into_iter().enumerate();
    let old = old.map(|(number, message)| (format!("{:02} {}", number + 1, message.topic), message.payload));
    (old.collect(), new)
}

fn is_older(record: &str, start: Timestamp) -> bool {
    let record: Value = serde_json::from_str(record).unwrap_or_default();
    let at = record["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    at.is_some_and(|at| at < start)
}

/// What this run has made: replies and dead letters.
fn new_records(mut messages: Vec<Message>) -> Found {
    let of_polls = ["/events", "/changes"];
    messages.retain(|message| !of_polls.iter().any(|end| message.topic.ends_with(end)));
    records(&messages)
}

/// What `dead-letters list` prints; those of before as they are.
async fn dead_letters(site: &Site, start: Timestamp) -> Found {
    let config = site.config().display().to_string();
    let end = run(&["dead-letters", "list", "--json", "--config", &config]).await;
    assert_eq!(end.code, Some(0), "{end:?}");
    let dead_letter = |line: &str| match is_older(line, start) {
        true => line.to_owned(),
        false => normalise::payload(line),
    };
    let lines = end.output.stdout.lines().enumerate();
    lines
        .map(|(number, line)| (format!("{:02}", number + 1), dead_letter(line)))
        .collect()
}
