//! Watches: every change in order, and an error once they end.

use std::time::Duration;

use lantime2mqtt::cluster::etcd::{Cause, Change, Client, Compare, Keys, Operation, Watch};
use tokio::time::timeout;

use super::support::PATIENCE;
use super::support::etcd::Etcd;
use super::support::wait;
use super::{client, put, settings, value, write};

/// So many changes more.
async fn changes(watch: &mut Watch, most: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    while changes.len() < most {
        let next = timeout(PATIENCE, watch.next()).await;
        changes.extend(next.expect("a change comes").unwrap());
    }
    changes
}

#[tokio::test]
async fn changes_come_in_order_with_their_revisions() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let first = write(&client, "w/a", "1").await.unwrap().revision;
    let mut watch = client.watch(&Keys::prefix("w/"), first).await.unwrap();
    let second = write(&client, "w/b", "2").await.unwrap().revision;
    write(&client, "elsewhere", "3").await.unwrap();
    let delete = [Operation::Delete(Keys::one("w/a"))];
    let third = client.transact(&[], &delete, &[]).await.unwrap().revision;
    let seen = changes(&mut watch, 3).await;
    let seen: Vec<_> = seen
        .iter()
        .map(|change| (change.key(), change.revision()))
        .collect();
    assert_eq!(seen, [(&b"w/a"[..], first), (b"w/b", second), (b"w/a", third)]);
}

#[tokio::test]
async fn an_expired_lease_is_seen_as_a_deletion() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let mut watch = client.watch(&Keys::one("a"), 0).await.unwrap();
    let lease = client.grant(Duration::from_secs(1)).await.unwrap().id;
    let leased = [put("a", "1", Some(lease))];
    client
        .transact(&[Compare::Absent("a".into())], &leased, &[])
        .await
        .unwrap();
    let seen = changes(&mut watch, 2).await;
    assert!(
        matches!(&seen[0], Change::Put(entry) if entry.lease == Some(lease)),
        "{seen:?}"
    );
    assert!(matches!(&seen[1], Change::Delete { .. }), "{seen:?}");
}

#[tokio::test]
async fn much_at_once_comes_in_parts() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let value = "x".repeat(500_000);
    let first = write(&client, "w/0", &value).await.unwrap().revision;
    for number in 1..20 {
        write(&client, &format!("w/{number}"), &value).await.unwrap();
    }
    let mut watch = client.watch(&Keys::prefix("w/"), first).await.unwrap();
    let seen = changes(&mut watch, 20).await;
    let revisions = seen.iter().map(Change::revision);
    assert!(revisions.eq(first..first + 20));
}

#[tokio::test]
async fn a_compacted_revision_is_an_error_of_its_own() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let first = write(&client, "a", "1").await.unwrap().revision;
    let second = write(&client, "a", "2").await.unwrap().revision;
    etcd.control(&["compact", &second.to_string()]);
    let error = match client.watch(&Keys::one("a"), first).await {
        Ok(mut watch) => watch.next().await.unwrap_err(),
        Err(error) => error,
    };
    let oldest = Some(second);
    assert_eq!(error.cause(), &Cause::Compacted { oldest });
    assert_eq!(error.kind(), "compacted");
    let mut watch = client.watch(&Keys::one("a"), second).await.unwrap();
    assert_eq!(changes(&mut watch, 1).await[0].revision(), second);
}

#[tokio::test]
async fn a_watch_that_is_silent_for_long_goes_on() {
    let etcd = Etcd::start();
    let mut settings = settings(etcd.endpoints());
    settings.watch_idle = Duration::from_millis(10);
    let client = Client::new(&settings).unwrap();
    let mut watch = client.watch(&Keys::one("a"), 0).await.unwrap();
    let lease = client.grant(Duration::from_secs(1)).await.unwrap().id;
    client
        .transact(&[], &[put("elsewhere", "x", Some(lease))], &[])
        .await
        .unwrap();
    tokio::select! {
        seen = watch.next() => panic!("nothing has changed: {seen:?}"),
        () = wait::until("a lease has expired", async || value(&client, "elsewhere").await.is_none()) => {}
    }
    write(&client, "a", "1").await.unwrap();
    assert_eq!(changes(&mut watch, 1).await.len(), 1);
}

#[tokio::test]
async fn a_frozen_node_ends_the_watch_and_the_next_node_goes_on() {
    let etcd = Etcd::cluster();
    let client = client(etcd.endpoints()).within(Duration::from_secs(2));
    let mut watch = client.watch(&Keys::one("a"), 0).await.unwrap();
    etcd.freeze(0).await;
    let error = timeout(PATIENCE, watch.next())
        .await
        .expect("it is noticed")
        .unwrap_err();
    assert_eq!((error.kind(), error.endpoint()), ("timeout", &*etcd.endpoint(0)));
    let mut watch = client.watch(&Keys::one("a"), 1).await.unwrap();
    let others = super::client(etcd.endpoints()[1..].to_vec());
    wait::for_value("a write", async || write(&others, "a", "1").await).await;
    assert!(!changes(&mut watch, 1).await.is_empty());
}

#[tokio::test]
async fn a_node_without_a_majority_ends_the_watch() {
    let mut etcd = Etcd::cluster();
    let client = client(etcd.endpoints()[..1].to_vec()).within(Duration::from_secs(2));
    let mut watch = client.watch(&Keys::one("a"), 0).await.unwrap();
    etcd.kill(1);
    etcd.kill(2);
    let error = timeout(PATIENCE, watch.next())
        .await
        .expect("it is noticed")
        .unwrap_err();
    assert!(matches!(error.kind(), "timeout" | "unavailable"), "{error}");
}

#[tokio::test]
async fn a_killed_node_ends_the_watch() {
    let mut etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let mut watch = client.watch(&Keys::one("a"), 0).await.unwrap();
    etcd.kill(0);
    let error = timeout(PATIENCE, watch.next())
        .await
        .expect("it is noticed")
        .unwrap_err();
    assert_eq!(error.kind(), "unreachable", "{error}");
}
