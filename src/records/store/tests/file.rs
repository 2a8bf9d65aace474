//! The file: who may read it, who may open it, and what happens when it is damaged.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, TableDefinition};

use super::{dead_letters, options, outbox, record};
use crate::records::store::{FILE_NAME, Store, StoreError};

fn topics(texts: &[&str]) -> Vec<Arc<str>> {
    texts.iter().map(|text| Arc::from(*text)).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn open(directory: &Path) -> Store {
    Store::open(directory, options()).unwrap()
}

#[tokio::test]
async fn topics_outlive_the_process_and_only_the_owner_may_read_them() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deeper/state");
    let store = open(&directory);
    store
        .update_published_topics(topics(&["a", "b", "c"]), vec![])
        .await
        .unwrap();
    store
        .update_published_topics(topics(&["d"]), topics(&["b", "x"]))
        .await
        .unwrap();
    drop(store);
    assert_eq!(
        open(&directory).published_topics().await.unwrap(),
        ["a", "c", "d"]
    );
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(FILE_NAME)), 0o600);
}

#[tokio::test]
async fn what_is_removed_and_added_at_once_is_there() {
    let store = Store::in_memory(options());
    store
        .update_published_topics(topics(&["a"]), topics(&["a"]))
        .await
        .unwrap();
    assert_eq!(store.published_topics().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_second_process_learns_who_is_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let error = Store::open(directory.path(), options()).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(error.to_string().contains("another lantime2mqtt"), "{error}");
    first
        .update_published_topics(topics(&["a"]), vec![])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_reported() {
    for damage in [0, 64, 4096, 10_000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let store = open(directory.path());
        let published = (0..2_000).map(|n| format!("lantime/d{n}/state").into()).collect();
        store.update_published_topics(published, vec![]).await.unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        for byte in &mut bytes[damage..damage + 2_000] {
            *byte ^= 0x5a;
        }
        std::fs::write(&path, &bytes).unwrap();

        let store = open(directory.path());
        let left = store.published_topics().await.unwrap().len();
        let names = std::fs::read_dir(directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let aside: Vec<_> = names
            .filter(|name| name.starts_with(&format!("{FILE_NAME}.damaged-")))
            .collect();
        let reported = dead_letters(&outbox(&store).await);
        match &aside[..] {
            // Damage to what is not in use does not matter.
            [] => assert_eq!((left, reported.len()), (2_000, 0), "{damage}"),
            [aside] => {
                assert_eq!((left, reported.len()), (0, 1), "{damage}");
                let remedy = reported[0]["error"]["remedy"].as_str().unwrap();
                assert!(
                    remedy.contains("state.directory") && remedy.contains(aside),
                    "{remedy}"
                );
                assert_eq!(reported[0]["error"]["kind"], "storage");
            }
            more => panic!("{more:?}"),
        }
        store
            .update_published_topics(topics(&["a"]), vec![])
            .await
            .unwrap();
    }
}

#[test]
fn a_foreign_cut_or_empty_file_is_set_aside() {
    for contents in [&b"not a database"[..], &[0; 9000], &[]] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), contents).unwrap();
        let store = open(directory.path());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        drop(store);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state"), options())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("file/state") && error.contains("state.directory"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_of_the_first_release_keeps_its_topics() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = TableDefinition::<&str, ()>::new("published-topics");
    transaction.open_table(table).unwrap().insert("a", ()).unwrap();
    transaction.commit().unwrap();
    drop(database);

    let store = open(directory.path());
    assert_eq!(store.published_topics().await.unwrap(), ["a"]);
    store.append(vec![record("r")]).await;
    assert_eq!(outbox(&store).await.len(), 1);
}

#[test]
fn a_file_of_a_later_format_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let path = directory.path().join(FILE_NAME);
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = TableDefinition::<&str, u64>::new("meta");
    transaction
        .open_table(table)
        .unwrap()
        .insert("format", 2)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);

    let error = Store::open(directory.path(), options()).unwrap_err();
    assert_eq!(error, StoreError::Later { path, format: 2 });
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
