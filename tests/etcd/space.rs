//! A database that is full: nothing is written, the error says why, and all is well again once it was made smaller.

use lantime2mqtt::cluster::etcd::{Client, Error, Keys};

use super::support::etcd::{Etcd, Options};
use super::{client, value, write};

/// Writes the same key until that fails, and gives the error. Each value stays in the history.
async fn fill(client: &Client) -> Error {
    for _ in 0..100 {
        if let Err(error) = write(client, "large", &"x".repeat(500_000)).await {
            return error;
        }
    }
    panic!("50 MB fit into it");
}

#[tokio::test]
async fn a_full_database_is_named_and_works_again_when_it_was_made_smaller() {
    let options = Options {
        arguments: vec!["--quota-backend-bytes", "4194304"],
        ..Options::default()
    };
    let etcd = Etcd::start_with(1, options);
    let client = client(etcd.endpoints());
    write(&client, "a", "1").await.unwrap();
    let error = fill(&client).await;
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        ("no-space", false),
        "{error}"
    );
    assert!(error.to_string().contains("etcdctl alarm disarm"), "{error}");
    let status = client.status().await.unwrap();
    assert!(
        status.errors.iter().any(|alarm| alarm.contains("NOSPACE")),
        "{status:?}"
    );
    // What is there can be read all the same.
    assert_eq!(value(&client, "a").await.as_deref(), Some("1"));
    assert_eq!(write(&client, "a", "2").await.unwrap_err().kind(), "no-space");

    let revision = client.range(&Keys::one("a"), None).await.unwrap().revision;
    etcd.control(&["compact", &revision.to_string()]);
    etcd.control(&["defrag"]);
    etcd.control(&["alarm", "disarm"]);
    write(&client, "a", "2").await.unwrap();
    assert!(client.status().await.unwrap().errors.is_empty());
}
