//! Transactions: what a write rests on is compared in the same moment.

use std::time::{Duration, Instant};

use lantime2mqtt::cluster::etcd::{Answer, Compare, Keys, Operation};

use super::support::etcd::Etcd;
use super::{client, put, value, write};

#[tokio::test]
async fn a_fenced_write_is_refused_once_the_owner_has_changed() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let (absent, claim) = ([Compare::Absent("shard".into())], [put("shard", "b1", None)]);
    let won = client.transact(&absent, &claim, &[]).await.unwrap();
    assert!(won.succeeded);
    let mine = [Compare::CreatedAt("shard".into(), won.revision)];
    let write_attempt = [put("attempt", "1", None)];
    assert!(
        client
            .transact(&mine, &write_attempt, &[])
            .await
            .unwrap()
            .succeeded
    );

    let taken_over = [Operation::Delete(Keys::one("shard")), put("shard", "b2", None)];
    client.transact(&[], &taken_over[..1], &[]).await.unwrap();
    client.transact(&[], &taken_over[1..], &[]).await.unwrap();
    let write_attempt = [put("attempt", "2", None)];
    let who_else = [Operation::Range(Keys::one("shard"))];
    let refused = client.transact(&mine, &write_attempt, &who_else).await.unwrap();
    assert!(!refused.succeeded);
    let [Answer::Range(owner)] = &refused.answers[..] else {
        panic!("{refused:?}");
    };
    assert_eq!(owner[0].value, b"b2");
    assert_eq!(value(&client, "attempt").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn each_comparison_decides() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let lease = client.grant(Duration::from_secs(60)).await.unwrap().id;
    let key = || b"a".to_vec();
    let created = client
        .transact(&[], &[put("a", "1", None)], &[])
        .await
        .unwrap()
        .revision;
    let modified = client
        .transact(&[], &[put("a", "2", Some(lease))], &[])
        .await
        .unwrap()
        .revision;
    for (compare, holds) in [
        (Compare::Absent(key()), false),
        (Compare::Absent(b"b".to_vec()), true),
        (Compare::Present(key()), true),
        (Compare::Present(b"b".to_vec()), false),
        (Compare::CreatedAt(key(), created), true),
        (Compare::CreatedAt(key(), modified), false),
        (Compare::ModifiedAt(key(), modified), true),
        (Compare::ModifiedAt(key(), created), false),
        (Compare::Value(key(), b"2".to_vec()), true),
        (Compare::Value(key(), b"1".to_vec()), false),
        (Compare::Lease(key(), lease), true),
        (Compare::Lease(b"b".to_vec(), lease), false),
    ] {
        let compared = client
            .transact(std::slice::from_ref(&compare), &[], &[])
            .await
            .unwrap();
        assert_eq!(compared.succeeded, holds, "{compare:?}");
    }
}

#[tokio::test]
async fn operations_are_answered_in_their_order() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    for key in ["p/1", "p/2", "q"] {
        write(&client, key, "x").await.unwrap();
    }
    let operations = [
        Operation::Range(Keys::prefix("p/")),
        Operation::Delete(Keys::prefix("p/")),
        put("r", "\0\u{ff}", None),
    ];
    let done = client.transact(&[], &operations, &[]).await.unwrap();
    let [Answer::Range(found), Answer::Deleted(2), Answer::Put] = &done.answers[..] else {
        panic!("{done:?}");
    };
    assert_eq!(
        found.iter().map(|entry| &entry.key[..]).collect::<Vec<_>>(),
        [b"p/1", b"p/2"]
    );
    assert_eq!(value(&client, "r").await.as_deref(), Some("\0\u{ff}"));
}

#[tokio::test]
async fn what_etcd_refuses_is_in_its_own_words() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let twice = client
        .transact(&[], &[put("a", "1", None), put("a", "2", None)], &[])
        .await;
    let error = twice.unwrap_err();
    assert_eq!(error.kind(), "rejected");
    assert!(error.to_string().contains("duplicate key"), "{error}");
    assert!(!error.is_outcome_unknown());
}

/// Prints how long a fenced transaction of 500 bytes takes; asserts nothing of it.
#[tokio::test]
async fn a_thousand_fenced_transactions_are_carried_out() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let created = write(&client, "shard", "b1").await.unwrap().revision;
    let mine = [Compare::CreatedAt("shard".into(), created)];
    let mut times = Vec::new();
    for number in 0..1000 {
        let begin = Instant::now();
        let entry = [put(&format!("inbox/{number:04}"), &"x".repeat(500), None)];
        assert!(client.transact(&mine, &entry, &[]).await.unwrap().succeeded);
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    println!("a fenced transaction: p50 {:?}, p99 {:?}", times[500], times[990]);
}
