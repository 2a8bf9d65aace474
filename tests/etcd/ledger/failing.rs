//! What is written when etcd, the way to it, or the lease fails: what was promised, once, and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use lantime2mqtt::cluster::etcd::{Keys, Operation};
use lantime2mqtt::cluster::ledger::Ledger;
use lantime2mqtt::records::store::{AnswerKey, Begun, End, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{Owner, ROOT, SHARD, commands, kept, local, reply};
use crate::client;
use crate::support::etcd::Etcd;
use crate::support::proxy::Proxy;
use crate::support::{PATIENCE, wait};

fn address(etcd: &Etcd) -> SocketAddr {
    etcd.endpoint(0)["http://".len()..].parse().unwrap()
}

#[tokio::test]
async fn an_owner_of_before_writes_nothing() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let before = Owner::next(&client).await;
    let numbers = before.receive(commands(&["1", "2"])).await.unwrap();
    before.ledger.finish(numbers[1], reply("2")).await;
    let next = Owner::next(&client).await;
    let there = kept(&client, "").await;

    let refused = Err(StoreError::NotOwner(SHARD));
    assert_eq!(before.receive(commands(&["3"])).await, refused);
    assert_eq!(
        before.ledger.begin(numbers[0], None).await,
        Err(StoreError::NotOwner(SHARD))
    );
    let (local, answered) = local();
    let end = End {
        local: Some(local),
        ..reply("1")
    };
    before.ledger.finish(numbers[0], end).await;
    before.ledger.sent(vec![1]).await;
    assert!(answered.await.is_err());
    // Now all of that was taken, too.
    before.ledger.inbox().await.unwrap();
    assert_eq!(before.replies(), [] as [&str; 0]);
    assert_eq!(kept(&client, "").await, there);
    assert_eq!(next.inbox().await, [("1".to_owned(), 0)]);
    assert_eq!(next.replies(), ["2"]);
    next.receive(commands(&["3"])).await.unwrap();
}

#[tokio::test]
async fn a_later_ledger_with_the_same_token_ends_an_earlier_one() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let later = Ledger::open(&client, "test", SHARD, owner.gate.fence())
        .await
        .unwrap();
    assert_eq!(
        owner.receive(commands(&["1"])).await,
        Err(StoreError::NotOwner(SHARD))
    );
    let failing = owner.ledger.status().borrow().failing.clone();
    assert!(failing.is_some_and(|failing| failing.contains("does not own shard 00")));
    assert_eq!(later.inbox().await, Ok(Vec::new()));
}

#[tokio::test]
async fn without_a_permit_nothing_is_written_until_there_is_one_again() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1", "2"])).await.unwrap();
    let there = kept(&client, "").await;
    owner.gate.set(None);
    assert_eq!(
        owner.receive(commands(&["3"])).await,
        Err(StoreError::NoLease(SHARD))
    );
    assert_eq!(
        owner.ledger.begin(numbers[1], None).await,
        Err(StoreError::NoLease(SHARD))
    );
    owner.ledger.finish(numbers[0], reply("1")).await;
    assert_eq!(owner.replies(), [] as [&str; 0]);
    assert_eq!(kept(&client, "").await, there);

    let mut newest = owner.ledger.newest_record();
    owner.gate.set(Some(owner.permit));
    let written = timeout(PATIENCE, newest.wait_for(|newest| *newest == 1)).await;
    written.unwrap().unwrap();
    assert_eq!(owner.replies(), ["1"]);
    assert_eq!(kept(&client, "replies/00/").await.len(), 1);
    assert_eq!(owner.ledger.begin(numbers[1], None).await, Ok(Begun::Attempt(1)));
}

#[tokio::test]
async fn a_command_that_was_refused_is_there_once_when_it_is_sent_again() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    owner.receive(commands(&["0"])).await.unwrap();
    etcd.freeze(0).await;
    let error = owner.receive(commands(&["1", "2"])).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot keep the commands of shard 00: etcd http"),
        "{text}"
    );
    assert!(owner.ledger.status().borrow().failing.is_some());
    etcd.thaw(0);
    let again = async || owner.receive(commands(&["1", "2"])).await.map(drop);
    wait::for_value("a command that is taken", again).await;
    let next = Owner::next(&client).await;
    assert_eq!(
        next.inbox().await,
        ["0", "1", "2"].map(|payload| (payload.to_owned(), 0))
    );
}

#[tokio::test]
async fn a_command_that_was_kept_though_nobody_heard_so_is_there_once() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(address(&etcd)).await;
    let through = client(vec![format!("http://{}", proxy.address())]);
    let owner = Owner::next(&through).await;
    let client = client(etcd.endpoints());
    // Requests arrive in time, answers do not.
    proxy.delay(Duration::from_millis(1500));
    owner.receive(commands(&["1"])).await.unwrap_err();
    assert_eq!(kept(&client, "inbox/").await.len(), 1);
    proxy.delay(Duration::ZERO);
    owner.receive(commands(&["1"])).await.unwrap();
    let next = Owner::next(&client).await;
    assert_eq!(next.inbox().await, [("1".to_owned(), 0)]);
}

#[tokio::test]
async fn without_the_key_of_the_shard_nothing_is_written() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let release = [Operation::Delete(Keys::prefix(format!("{ROOT}election/")))];
    client.transact(&[], &release, &[]).await.unwrap();
    assert_eq!(
        owner.receive(commands(&["1"])).await,
        Err(StoreError::NotOwner(SHARD))
    );
    assert_eq!(kept(&client, "inbox/").await, []);
}

#[tokio::test]
async fn a_reply_waits_for_etcd_and_is_published_no_sooner() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1"])).await.unwrap();
    etcd.freeze(0).await;
    let (local, mut answered) = local();
    let end = End {
        local: Some(local),
        ..reply("1")
    };
    owner.ledger.finish(numbers[0], end).await;
    assert_eq!(owner.replies(), [] as [&str; 0]);
    assert!(answered.try_recv().is_err());
    let mut newest = owner.ledger.newest_record();
    etcd.thaw(0);
    let written = timeout(PATIENCE, newest.wait_for(|newest| *newest == 1)).await;
    written.unwrap().unwrap();
    assert_eq!(owner.replies(), ["1"]);
    assert!(answered.await.is_ok());
    let next = Owner::next(&client).await;
    assert_eq!(
        (next.inbox().await, next.replies()),
        (Vec::new(), vec!["1".to_owned()])
    );
}

#[tokio::test]
async fn an_answer_that_is_not_written_yet_counts() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::next(&client).await;
    let numbers = owner.receive(commands(&["1", "1"])).await.unwrap();
    owner.gate.set(None);
    let key = AnswerKey::new("t", "a", b"");
    let end = End {
        answer: Some((key, Bytes::from_static(b"done"))),
        ..End::default()
    };
    owner.ledger.finish(numbers[0], end).await;
    assert_eq!(kept(&client, "answers/").await, []);
    owner.gate.set(Some(owner.permit));
    let begun = owner.ledger.begin(numbers[1], Some(key)).await;
    assert_eq!(begun, Ok(Begun::Answered(Bytes::from_static(b"done"))));
}

/// Forwards requests to etcd, or keeps them back.
struct Holder {
    endpoint: String,
    holding: watch::Sender<bool>,
    held: mpsc::Receiver<Vec<u8>>,
}

impl Holder {
    async fn start(etcd: SocketAddr) -> Holder {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (holding, is_holding) = watch::channel(false);
        let (sender, held) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, etcd, is_holding.clone(), sender.clone()));
            }
        });
        Holder {
            endpoint,
            holding,
            held,
        }
    }
}

/// What was held is given once its sender has closed the connection.
async fn forward(
    client: TcpStream,
    etcd: SocketAddr,
    is_holding: watch::Receiver<bool>,
    sender: mpsc::Sender<Vec<u8>>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_etcd, mut to_etcd) = TcpStream::connect(etcd).await.unwrap().into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_etcd, &mut to_client).await });
    let (mut held, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let is_held = *is_holding.borrow();
        match is_held {
            true => held.extend(&buffer[..count]),
            false => to_etcd.write_all(&buffer[..count]).await.unwrap(),
        }
    }
    if !held.is_empty() {
        sender.send(held).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_arrives_late_changes_nothing() {
    let etcd = Etcd::start();
    let mut holder = Holder::start(address(&etcd)).await;
    let through = client(vec![holder.endpoint.clone(), etcd.endpoint(0)]);
    let owner = Owner::next(&through).await;
    holder.holding.send_replace(true);
    // It goes to the other endpoint, as no answer comes.
    let numbers = owner.receive(commands(&["1"])).await.unwrap();
    owner.ledger.finish(numbers[0], reply("1")).await;
    let client = client(etcd.endpoints());
    let there = kept(&client, "").await;
    let late = timeout(PATIENCE, holder.held.recv()).await.unwrap().unwrap();
    assert!(late.starts_with(b"POST /v3/kv/txn"));
    let mut connection = TcpStream::connect(address(&etcd)).await.unwrap();
    connection.write_all(&late).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = connection.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    assert_eq!(kept(&client, "").await, there);
}
