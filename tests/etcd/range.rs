//! Reads: all keys of a prefix as of one revision, however many there are.

use lantime2mqtt::cluster::etcd::{Client, Keys, Operation};

use super::support::etcd::Etcd;
use super::{client, put, write};

/// Writes so many keys below `many/`, as many at once as etcd takes.
async fn fill(client: &Client, keys: usize) {
    let puts: Vec<Operation> = (0..keys)
        .map(|key| put(&format!("many/{key:05}"), "x", None))
        .collect();
    for puts in puts.chunks(128) {
        client.transact(&[], puts, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn thousands_of_keys_are_read_in_order_as_of_one_revision() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    fill(&client, 2500).await;
    let last = write(&client, "man", "before").await.unwrap().revision;
    write(&client, "many0", "behind").await.unwrap();
    let range = client.range(&Keys::prefix("many/"), None).await.unwrap();
    assert_eq!((range.entries.len(), range.more), (2500, false));
    assert!(range.entries.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(range.revision, last + 1);
}

#[tokio::test]
async fn no_more_is_read_than_was_asked_for() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    fill(&client, 300).await;
    for (most, more) in [(1, true), (128, true), (200, true), (300, false), (400, false)] {
        let range = client.range(&Keys::prefix("many/"), Some(most)).await.unwrap();
        assert_eq!((range.entries.len(), range.more), (most.min(300), more), "{most}");
    }
}

#[tokio::test]
async fn an_entry_says_when_it_was_created_and_written() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let created = write(&client, "a", "1").await.unwrap().revision;
    let written = write(&client, "a", "2").await.unwrap().revision;
    let range = client.range(&Keys::one("a"), None).await.unwrap();
    let entry = &range.entries[0];
    assert_eq!((entry.create_revision, entry.mod_revision), (created, written));
    assert_eq!((&entry.value[..], entry.lease), (&b"2"[..], None));
    let nothing = client.range(&Keys::one("b"), None).await.unwrap();
    assert_eq!((nothing.entries.len(), nothing.revision), (0, written));
}

#[tokio::test]
async fn an_empty_prefix_is_everything() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    for key in ["\0", "a", "\u{10ffff}"] {
        write(&client, key, "x").await.unwrap();
    }
    let all = client.range(&Keys::prefix(""), None).await.unwrap();
    assert_eq!(all.entries.len(), 3);
}
