//! The file, or its directory, is deleted or replaced while the store is open.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{PATIENCE, command, dead_letters, options, outbox, payloads, record, until};
use crate::records::store::{End, FILE_NAME, Options, Store, StoreError};

/// It looks for its file as often as a test wants it.
fn watchful() -> Options {
    let mut options = options();
    options.limits.check_every = Duration::from_millis(5);
    options
}

fn open(directory: &Path) -> Store {
    Store::open(directory, options()).unwrap()
}

async fn commands(store: &Store) -> Vec<String> {
    let waiting = store.inbox().await.unwrap();
    let texts = waiting
        .iter()
        .map(|waiting| String::from_utf8(waiting.command.payload.to_vec()).unwrap());
    texts.collect()
}

async fn until_it_works(store: &Store) {
    until(store, "it works again", |status| status.failing.is_none()).await;
}

#[tokio::test]
async fn no_command_is_taken_into_a_file_that_was_deleted_and_nothing_of_it_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(vec![record("a")]).await;
    store.receive(vec![command("first")]).await.unwrap();
    fs::remove_file(directory.path().join(FILE_NAME)).unwrap();

    let refused = store.receive(vec![command("second")]).await;
    assert!(matches!(&refused, Err(StoreError::Io(_))), "{refused:?}");
    store.append(vec![record("b")]).await;
    until_it_works(&store).await;
    store.receive(vec![command("third")]).await.unwrap();
    drop(store);

    let store = open(directory.path());
    assert_eq!(commands(&store).await, ["first", "third"]);
    let left = outbox(&store).await;
    let reported = dead_letters(&left);
    assert_eq!(payloads(&left)[0], "a");
    assert!(payloads(&left).contains(&"b"), "{left:?}");
    assert_eq!(
        reported.len(),
        2,
        "that it fails and that it works: {reported:#?}"
    );
    let message = reported[0]["error"]["message"].as_str().unwrap();
    assert!(
        message.contains(FILE_NAME) && message.contains("was removed"),
        "{message}"
    );
}

#[tokio::test]
async fn while_the_directory_is_missing_records_wait_in_memory() {
    for is_new in [false, true] {
        let parent = tempfile::tempdir().unwrap();
        let (directory, moved) = (parent.path().join("state"), parent.path().join("moved"));
        let store = open(&directory);
        store.append(vec![record("a")]).await;
        fs::rename(&directory, &moved).unwrap();

        assert!(store.receive(vec![command("first")]).await.is_err());
        store.append(vec![record("b")]).await;
        assert!(store.receive(vec![command("second")]).await.is_err());
        let failing = store.status().borrow().failing.clone();
        assert!(failing.is_some());
        assert!(!directory.exists(), "it may be a disk that is not mounted now");

        // Either it comes back as it was, or somebody makes an empty one.
        match is_new {
            false => fs::rename(&moved, &directory).unwrap(),
            true => fs::create_dir(&directory).unwrap(),
        }
        until_it_works(&store).await;
        store.receive(vec![command("third")]).await.unwrap();
        drop(store);
        let store = open(&directory);
        assert_eq!(commands(&store).await, ["third"], "{is_new}");
        let left = outbox(&store).await;
        let left = payloads(&left);
        assert!(left[0] == "a" && left.contains(&"b"), "{is_new}: {left:?}");
    }
}

/// The one file in `directory` that is set aside so.
fn set_aside(directory: &Path, what: &str) -> PathBuf {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().path());
    let aside: Vec<_> = names
        .filter(|path| path.to_str().unwrap().contains(&format!("{FILE_NAME}.{what}-")))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    aside[0].clone()
}

#[tokio::test]
async fn a_file_that_takes_its_place_is_set_aside_and_nothing_is_lost() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = open(other.path());
    theirs.append(vec![record("theirs"), record("theirs, too")]).await;
    theirs.receive(vec![command("theirs")]).await.unwrap();
    drop(theirs);
    let store = open(directory.path());
    store.append(vec![record("a"), record("b")]).await;
    let numbers = store
        .receive(vec![command("first"), command("second")])
        .await
        .unwrap();
    fs::rename(other.path().join(FILE_NAME), directory.path().join(FILE_NAME)).unwrap();

    assert!(store.receive(vec![command("third")]).await.is_err());
    until_it_works(&store).await;
    store.append(vec![record("c")]).await;
    // Numbers of our file, which are others' in the other one.
    store.sent(vec![1]).await;
    store.finish(numbers[0], End::default()).await;
    assert_eq!(commands(&store).await, ["second"]);
    let left = outbox(&store).await;
    let aside = set_aside(directory.path(), "foreign");
    let reported = dead_letters(&left);
    let remedies = reported
        .iter()
        .map(|dead_letter| dead_letter["error"]["remedy"].as_str().unwrap());
    let named = remedies.filter(|remedy| remedy.contains(aside.to_str().unwrap()));
    assert_eq!(named.count(), 1, "{reported:#?}");
    let left = payloads(&left);
    assert!(left[0] == "b" && left.contains(&"c"), "{left:?}");
    assert!(!left.contains(&"theirs"), "{left:?}");

    fs::rename(&aside, other.path().join(FILE_NAME)).unwrap();
    let theirs = open(other.path());
    assert_eq!(payloads(&outbox(&theirs).await), ["theirs", "theirs, too"]);
    assert_eq!(commands(&theirs).await, ["theirs"]);
}

#[tokio::test]
async fn a_process_that_dies_while_it_puts_its_file_back_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (
        directory.path().join(FILE_NAME),
        directory.path().join(format!("{FILE_NAME}.partial")),
    );
    let store = open(directory.path());
    store.append(vec![record("a")]).await;
    store.receive(vec![command("first")]).await.unwrap();
    drop(store);
    // The other file is set aside, and the copy has not taken its place.
    fs::rename(&path, &copy).unwrap();

    let store = open(directory.path());
    assert_eq!(payloads(&outbox(&store).await), ["a"]);
    assert_eq!(commands(&store).await, ["first"]);
    assert!(!copy.exists());
    drop(store);

    // A copy that was not finished is no store, and counts for nothing beside one.
    let whole = fs::read(&path).unwrap();
    fs::write(&copy, &whole[..whole.len() / 2]).unwrap();
    let store = open(directory.path());
    assert_eq!(commands(&store).await, ["first"]);
    drop(store);
    fs::remove_file(&path).unwrap();
    let store = open(directory.path());
    assert!(commands(&store).await.is_empty());
    set_aside(directory.path(), "damaged");
}

#[tokio::test]
async fn a_file_that_another_process_writes_is_left_to_it() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = open(other.path());
    theirs.append(vec![record("theirs")]).await;
    let store = open(directory.path());
    store.append(vec![record("a")]).await;
    fs::rename(other.path().join(FILE_NAME), directory.path().join(FILE_NAME)).unwrap();

    assert!(store.receive(vec![command("first")]).await.is_err());
    // Nobody is woken for another reason.
    let status = store.status();
    let is_named = || {
        let failing = status.borrow().failing.clone();
        failing.is_some_and(|failing| failing.contains("another lantime2mqtt"))
    };
    let named = async {
        while !is_named() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, named).await.expect("it is named");
    drop(theirs);
    until_it_works(&store).await;
    assert_eq!(payloads(&outbox(&store).await)[0], "a");
}

#[tokio::test]
async fn an_idle_store_notices_it_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    let store = Store::open(directory.path(), watchful()).unwrap();
    fs::remove_file(&path).unwrap();
    // That it fails, and that it works again.
    until_recorded(&store, 2).await;
    assert!(path.exists());

    // One of 0 bytes takes its place.
    let empty = directory.path().join("empty");
    fs::File::create(&empty).unwrap();
    fs::rename(&empty, &path).unwrap();
    until_recorded(&store, 4).await;
    let left = outbox(&store).await;
    let reported = dead_letters(&left);
    let displaced = reported.iter().filter(|dead_letter| {
        let remedy = dead_letter["error"]["remedy"].as_str();
        remedy.is_some_and(|remedy| remedy.contains(".foreign-"))
    });
    assert_eq!(displaced.count(), 1, "{reported:#?}");
    until_it_works(&store).await;
    store.receive(vec![command("first")]).await.unwrap();
}

/// Until so many records have come in all.
async fn until_recorded(store: &Store, number: u64) {
    let mut newest = store.newest_record();
    let came = timeout(PATIENCE, newest.wait_for(|newest| *newest >= number));
    came.await.expect("it is noticed").unwrap();
}
