//! The client of etcd against real nodes: Debian's etcd. One file per promise.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod coordinator;
mod edge_node_sessions;
mod guarded_device;
mod lease;
mod ledger;
mod login;
mod nodes;
mod range;
mod replies;
mod space;
mod tls;
mod transaction;
mod watch;
mod write_guard;

use std::time::Duration;

use lantime2mqtt::cluster::etcd::{Client, Error, Keys, LeaseId, Operation, Settings, Transacted};
use lantime2mqtt::tls::ClientTls;

/// Settings for these endpoints, without login.
fn settings(endpoints: Vec<String>) -> Settings {
    Settings {
        endpoints,
        tls: ClientTls::default(),
        login: None,
        timeout: Duration::from_secs(5),
        watch_idle: Duration::from_millis(500),
    }
}

/// A client of these endpoints, without login.
fn client(endpoints: Vec<String>) -> Client {
    Client::new(&settings(endpoints)).unwrap()
}

fn put(key: &str, value: &str, lease: Option<LeaseId>) -> Operation {
    Operation::Put {
        key: key.into(),
        value: value.into(),
        lease,
    }
}

/// Writes a key, whatever is there.
async fn write(client: &Client, key: &str, value: &str) -> Result<Transacted, Error> {
    client.transact(&[], &[put(key, value, None)], &[]).await
}

/// The value of a key; none where there is no such key.
async fn value(client: &Client, key: &str) -> Option<String> {
    let range = client.range(&Keys::one(key), None).await.unwrap();
    let entry = range.entries.into_iter().next()?;
    Some(String::from_utf8(entry.value).unwrap())
}
