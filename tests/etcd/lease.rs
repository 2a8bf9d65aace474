//! Leases: granted, renewed, revoked, and expired with their keys.

use std::time::Duration;

use lantime2mqtt::cluster::etcd::{Client, Lease, LeaseId};

use super::support::etcd::Etcd;
use super::support::wait;
use super::{client, put, value};

/// A lease with a key of its own.
async fn leased(client: &Client, key: &str, ttl: Duration) -> Lease {
    let lease = client.grant(ttl).await.unwrap();
    let written = client
        .transact(&[], &[put(key, "mine", Some(lease.id))], &[])
        .await;
    written.unwrap();
    lease
}

#[tokio::test]
async fn a_lease_that_is_renewed_outlives_one_that_is_not() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let ttl = Duration::from_secs(3);
    let renewed = leased(&client, "renewed", ttl).await;
    let left = leased(&client, "left", ttl).await;
    assert_eq!(renewed.ttl, ttl);
    wait::until("the other lease has expired", async || {
        assert_eq!(client.keep_alive(renewed.id).await.unwrap(), Some(ttl));
        value(&client, "left").await.is_none()
    })
    .await;
    assert_eq!(value(&client, "renewed").await.as_deref(), Some("mine"));
    assert_eq!(client.keep_alive(left.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_revoked_lease_takes_its_keys_with_it() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let lease = leased(&client, "a", Duration::from_secs(60)).await;
    client.revoke(lease.id).await.unwrap();
    assert_eq!(value(&client, "a").await, None);
    assert_eq!(client.keep_alive(lease.id).await.unwrap(), None);
    // It has ended already, which is all that was wanted.
    client.revoke(lease.id).await.unwrap();
}

#[tokio::test]
async fn a_key_needs_a_lease_that_lives() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let written = client
        .transact(&[], &[put("a", "mine", Some(LeaseId(77)))], &[])
        .await;
    let error = written.unwrap_err();
    assert_eq!(error.kind(), "lease-not-found");
    assert!(!error.is_outcome_unknown(), "{error}");
    assert_eq!(value(&client, "a").await, None);
}
