//! The number of an edge node's last session: the next owner of its shard goes on after it, whatever the one before still writes.

use lantime2mqtt::cluster::edge_node_sessions::EdgeNodeSessions;
use lantime2mqtt::cluster::entries::ShardId;
use lantime2mqtt::cluster::etcd::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::support::etcd::Etcd;
use super::support::{PATIENCE, wait};
use super::write_guard::claim;
use super::{client, value, write};

const KEY: &str = "/lantime2mqtt/test/bdseq/00";

/// One that owns the shard, or did.
struct Owner {
    last: watch::Sender<Option<u8>>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Owner {
    /// From now on it owns the shard, and no longer who did before.
    async fn new(client: &Client) -> Owner {
        let token = claim(client).await;
        let sessions = EdgeNodeSessions::open(client, "test", ShardId(0), token).await;
        let (sessions, stop) = (sessions.unwrap(), CancellationToken::new());
        Owner {
            last: sessions.last(),
            task: tokio::spawn(sessions.run(stop.clone())),
            stop,
        }
    }

    fn begin(&self, number: u8) {
        self.last.send_replace(Some(number));
    }

    /// Its edge node ends, and then it.
    async fn stop(self) {
        drop(self.last);
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

async fn until_kept(client: &Client, number: &str) {
    wait::until("the number is kept", async || {
        value(client, KEY).await.as_deref() == Some(number)
    })
    .await;
}

#[tokio::test]
async fn the_next_owner_goes_on_after_the_last_session() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let first = Owner::new(&client).await;
    assert_eq!(*first.last.borrow(), None);
    first.begin(0);
    until_kept(&client, "0").await;
    first.begin(1);
    // What was begun just before is written all the same.
    first.stop().await;
    let second = Owner::new(&client).await;
    assert_eq!(*second.last.borrow(), Some(1));
    second.begin(2);
    second.stop().await;
    assert_eq!(value(&client, KEY).await.as_deref(), Some("2"));
}

#[tokio::test]
async fn an_owner_before_writes_nothing_over_it() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let old = Owner::new(&client).await;
    old.begin(7);
    until_kept(&client, "7").await;
    let owner = Owner::new(&client).await;
    old.begin(8);
    assert!(
        !old.task.is_finished(),
        "a task that ends is a failure of the unit"
    );
    old.stop().await;
    assert_eq!(value(&client, KEY).await.as_deref(), Some("7"));
    owner.begin(9);
    owner.stop().await;
    assert_eq!(value(&client, KEY).await.as_deref(), Some("9"));
}

#[tokio::test]
async fn while_etcd_is_frozen_the_last_number_waits() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    etcd.freeze(0).await;
    owner.begin(3);
    tokio::task::yield_now().await;
    owner.begin(4);
    etcd.thaw(0);
    until_kept(&client, "4").await;
    owner.stop().await;
    assert_eq!(value(&client, KEY).await.as_deref(), Some("4"));
}

/// As a request of its own leaves it that etcd carries out late.
#[tokio::test]
async fn another_number_that_was_written_meanwhile_is_replaced() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    write(&client, KEY, "no number").await.unwrap();
    let owner = Owner::new(&client).await;
    assert_eq!(*owner.last.borrow(), None);
    write(&client, KEY, "5").await.unwrap();
    owner.begin(6);
    until_kept(&client, "6").await;
    owner.stop().await;
}

#[tokio::test]
async fn without_etcd_a_stop_does_not_wait_for_it() {
    let mut etcd = Etcd::start();
    let owner = Owner::new(&client(etcd.endpoints())).await;
    etcd.kill(0);
    owner.begin(1);
    owner.stop().await;
}
