//! Nodes that fail: the next one is asked, and a write is not repeated where it may have been carried out.

use std::time::Duration;

use lantime2mqtt::cluster::etcd::{Client, Error, Keys, Operation};

use super::support::etcd::Etcd;
use super::support::wait;
use super::{client, value, write};

/// What has become of writes, by their keys.
#[derive(Default)]
struct Writes {
    done: Vec<String>,
    failed: Vec<(String, Error)>,
}

impl Writes {
    /// Writes the next key.
    async fn one(&mut self, client: &Client) -> bool {
        let key = format!("key/{}", self.done.len() + self.failed.len());
        match write(client, &key, "x").await {
            Ok(_) => self.done.push(key),
            Err(error) => self.failed.push((key, error)),
        }
        self.failed.is_empty()
    }

    async fn many(&mut self, client: &Client) {
        for _ in 0..20 {
            self.one(client).await;
        }
    }

    /// Writes until another leader has been elected, then without a failure.
    async fn after_an_election(&mut self, client: &Client) {
        wait::until("a write after the election", async || {
            self.one(client).await;
            !self.done.is_empty()
        })
        .await;
        let failed = self.failed.len();
        self.many(client).await;
        assert_eq!(self.failed.len(), failed, "{:?}", self.failed);
    }

    /// What was done is there. What has failed is not, unless its error leaves that open.
    async fn check(&self, client: &Client) {
        let range = wait::for_value("a read", async || client.range(&Keys::prefix("key/"), None).await).await;
        let is_there = |key: &str| range.entries.iter().any(|entry| entry.key == key.as_bytes());
        assert!(self.done.iter().all(|key| is_there(key)), "{:?}", self.done);
        for (key, error) in &self.failed {
            assert!(error.is_outcome_unknown() || !is_there(key), "{key}: {error}");
        }
    }
}

/// A node that is the leader, or none.
async fn node(etcd: &Etcd, is_leader: bool) -> usize {
    wait::for_value("a leader", async || {
        for (node, endpoint) in etcd.endpoints().into_iter().enumerate() {
            let status = client(vec![endpoint])
                .status()
                .await
                .map_err(|error| error.to_string())?;
            if status.leader.is_some() && (status.leader == Some(status.member)) == is_leader {
                return Ok(node);
            }
        }
        Err("no such node".to_owned())
    })
    .await
}

/// A client that asks this node first, and has written there.
async fn client_of(etcd: &Etcd, node: usize) -> Client {
    let mut endpoints = etcd.endpoints();
    endpoints.rotate_left(node);
    let client = client(endpoints).within(Duration::from_secs(2));
    write(&client, "before", "x").await.unwrap();
    client
}

#[tokio::test]
async fn a_killed_follower_costs_one_write_at_most() {
    let mut etcd = Etcd::cluster();
    let follower = node(&etcd, false).await;
    let client = client_of(&etcd, follower).await;
    etcd.kill(follower);
    let mut writes = Writes::default();
    writes.many(&client).await;
    assert!(writes.failed.len() <= 1, "{:?}", writes.failed);
    writes.check(&client).await;
}

#[tokio::test]
async fn a_frozen_follower_costs_one_write() {
    let etcd = Etcd::cluster();
    let follower = node(&etcd, false).await;
    let client = client_of(&etcd, follower).await;
    etcd.freeze(follower).await;
    let mut writes = Writes::default();
    writes.many(&client).await;
    let [(_, error)] = &writes.failed[..] else {
        panic!("{:?}", writes.failed);
    };
    assert_eq!(
        (error.kind(), error.endpoint()),
        ("timeout", &*etcd.endpoint(follower))
    );
    assert!(error.is_outcome_unknown());
    writes.check(&client).await;
}

#[tokio::test]
async fn a_frozen_follower_costs_no_read_and_no_renewal() {
    let etcd = Etcd::cluster();
    let follower = node(&etcd, false).await;
    let client = client_of(&etcd, follower).await.within(Duration::from_secs(6));
    let lease = client.grant(Duration::from_secs(60)).await.unwrap();
    etcd.freeze(follower).await;
    let read = [Operation::Range(Keys::one("before"))];
    assert_eq!(client.transact(&[], &read, &[]).await.unwrap().answers.len(), 1);
    assert_eq!(value(&client, "before").await.as_deref(), Some("x"));
    assert_eq!(client.keep_alive(lease.id).await.unwrap(), Some(lease.ttl));
}

#[tokio::test]
async fn writes_go_on_after_the_leader_was_killed() {
    let mut etcd = Etcd::cluster();
    let leader = node(&etcd, true).await;
    let client = client_of(&etcd, leader).await;
    etcd.kill(leader);
    let mut writes = Writes::default();
    writes.after_an_election(&client).await;
    writes.check(&client).await;
    // It comes back, and nothing is lost.
    etcd.restart(leader);
    writes.many(&client).await;
    writes.check(&client).await;
}

#[tokio::test]
async fn writes_go_on_after_the_leader_was_frozen() {
    let etcd = Etcd::cluster();
    let leader = node(&etcd, true).await;
    let client = client_of(&etcd, leader).await;
    etcd.freeze(leader).await;
    let mut writes = Writes::default();
    writes.after_an_election(&client).await;
    etcd.thaw(leader);
    writes.check(&client).await;
}

#[tokio::test]
async fn without_a_majority_nothing_is_written() {
    let mut etcd = Etcd::cluster();
    let client = client_of(&etcd, 0).await;
    etcd.kill(1);
    etcd.kill(2);
    let error = write(&client, "a", "1").await.unwrap_err();
    assert!(matches!(error.kind(), "timeout" | "unavailable"), "{error}");
    let read = client.range(&Keys::one("a"), None).await.unwrap_err();
    assert!(!read.is_outcome_unknown(), "{read}");
}

#[tokio::test]
async fn a_frozen_node_alone_is_a_timeout() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints()).within(Duration::from_secs(1));
    write(&client, "a", "1").await.unwrap();
    etcd.freeze(0).await;
    let error = write(&client, "a", "2").await.unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), ("timeout", true));
    let error = client.range(&Keys::one("a"), None).await.unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), ("timeout", false));
    etcd.thaw(0);
    wait::for_value("a write", async || write(&client, "a", "3").await).await;
}

#[tokio::test]
async fn a_node_that_is_not_there_costs_no_write() {
    let mut etcd = Etcd::cluster();
    let client = client_of(&etcd, 0).await;
    etcd.kill(0);
    let fresh = super::client(etcd.endpoints());
    wait::for_value("a leader", async || write(&client, "a", "1").await).await;
    write(&fresh, "a", "2").await.unwrap();

    let alone = super::client(etcd.endpoints()[..1].to_vec());
    let error = write(&alone, "a", "3").await.unwrap_err();
    assert_eq!((error.kind(), error.is_outcome_unknown()), ("unreachable", false));
    assert!(error.to_string().contains("connection refused"), "{error}");
}
