//! What is asked right before a write to a device: the owner of its shard may write, and nobody else while it does.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::request::Parts;
use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::entries::{Revision, ShardId, Token};
use lantime2mqtt::cluster::etcd::{Client, Keys, LeaseId, Operation};
use lantime2mqtt::cluster::fence::{Gate, Permit};
use lantime2mqtt::cluster::write_guard::{WriteGuard, WriteMark};
use lantime2mqtt::model::{DeviceId, ErrorKind, ErrorReport};

use super::support::etcd::Etcd;
use super::support::web_server::{WebServer, answer};
use super::support::{PATIENCE, wait};
use super::{client, put, value};

/// Where the mark of `m1` is.
const MARK: &str = "/lantime2mqtt/test/writes/00/m1";
const OWNER: &str = "/lantime2mqtt/test/election/shards/00";
/// How long a write takes at most: a mark that is left does not live long.
const SHORT: Duration = Duration::from_secs(1);

/// One that owns the shard, or did.
pub(super) struct Owner {
    pub(super) gate: Gate,
    pub(super) guard: WriteGuard,
    pub(super) token: Token,
}

impl Owner {
    /// From now on it owns the shard, and no longer who did before.
    pub(super) async fn new(client: &Client) -> Owner {
        let guard = |gate: &Gate| WriteGuard::new(client.clone(), "test", ShardId(0), gate.fence());
        let gate = Gate::closed();
        let owner = Owner {
            guard: guard(&gate),
            token: claim(client).await,
            gate,
        };
        owner.permit(owner.token);
        owner
    }

    /// It holds a permit with that token.
    pub(super) fn permit(&self, token: Token) {
        let until = BootTime::now() + Duration::from_secs(3600);
        self.gate.set(Some(Permit { token, until }));
    }

    async fn before_write(&self) -> Result<WriteMark, ErrorReport> {
        self.guard.before_write(&device(), self.token, SHORT).await
    }

    async fn check(&self) -> Result<Token, ErrorReport> {
        self.guard.check(&device()).await
    }
}

fn device() -> DeviceId {
    DeviceId::new("m1").unwrap()
}

/// Gives the shard to somebody, and takes it from who has it.
pub(super) async fn claim(client: &Client) -> Token {
    let delete = [Operation::Delete(Keys::one(OWNER))];
    client.transact(&[], &delete, &[]).await.unwrap();
    let write = [put(OWNER, r#"{"bridge":"x"}"#, None)];
    let done = client.transact(&[], &write, &[]).await.unwrap();
    Token(Revision(done.revision))
}

/// The lease of the mark.
async fn lease(client: &Client) -> LeaseId {
    let range = client.range(&Keys::one(MARK), None).await.unwrap();
    range.entries[0].lease.unwrap()
}

async fn no_mark(client: &Client) {
    wait::until("no mark", async || value(client, MARK).await.is_none()).await;
}

/// Refused, but not for ever.
fn is_refused<T: std::fmt::Debug>(asked: Result<T, ErrorReport>, why: &str) {
    let report = asked.unwrap_err();
    assert_eq!(report.kind, ErrorKind::Busy);
    assert!(report.message.contains(why), "{report:?}");
    assert!(!report.remedy.is_empty());
}

const NOT_OWNED: &str = "no longer belongs to this bridge";
const NOT_PERMITTED: &str = "does not own shard 00";
const MARKED: &str = "an earlier owner of shard 00 may still be writing";

#[tokio::test]
async fn while_the_owner_writes_its_mark_is_there() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    assert_eq!(owner.check().await, Ok(owner.token));
    assert_eq!(value(&client, MARK).await, None, "asking alone leaves no mark");
    let mark = owner.before_write().await.unwrap();
    let token = owner.token.0.0.to_string();
    assert_eq!(value(&client, MARK).await, Some(token));
    mark.remove();
    no_mark(&client).await;
}

#[tokio::test]
async fn a_mark_of_its_own_is_no_obstacle_and_removing_it_leaves_the_next_one() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    let first = owner.before_write().await.unwrap();
    let lease = lease(&client).await;
    owner.check().await.unwrap();
    let _second = owner.before_write().await.unwrap();
    first.remove();
    wait::until("the lease of the first has ended", async || {
        client.keep_alive(lease).await.unwrap().is_none()
    })
    .await;
    assert!(value(&client, MARK).await.is_some());
}

/// An etcd that finds a mark of the token 7 first, none the next time, and then nothing in the way; the shard is of that token.
fn finds_its_own_mark_that_goes() -> impl Fn(&Parts) -> Response<Body> + Send + Sync + 'static {
    const HEADER: &str = r#""header":{"revision":"9"}"#;
    let asked = AtomicUsize::new(0);
    let entry = |value: &str| {
        format!(r#"{{"key":"eA==","value":"{value}","create_revision":"7","mod_revision":"7"}}"#)
    };
    let found = move |marks: &str| {
        let owner = entry("e30=");
        let ranges = [&owner, marks].map(|kvs| format!(r#"{{"response_range":{{{HEADER},"kvs":[{kvs}]}}}}"#));
        format!(r#"{{{HEADER},"responses":[{}]}}"#, ranges.join(","))
    };
    move |_| {
        let body = match asked.fetch_add(1, Ordering::Relaxed) {
            0 => found(&entry("Nw==")),
            1 => found(""),
            _ => format!(r#"{{{HEADER},"succeeded":true}}"#),
        };
        answer(200, body)
    }
}

#[tokio::test]
async fn a_mark_of_its_own_that_goes_while_etcd_is_asked_is_no_obstacle() {
    let etcd = WebServer::start(finds_its_own_mark_that_goes()).await;
    let (gate, token) = (Gate::closed(), Token(Revision(7)));
    let owner = Owner {
        guard: WriteGuard::new(client(vec![etcd.url()]), "test", ShardId(0), gate.fence()),
        token,
        gate,
    };
    owner.permit(token);
    assert_eq!(owner.check().await, Ok(token));
    assert_eq!(etcd.requests().len(), 3);
}

#[tokio::test]
async fn one_with_an_older_token_is_refused_and_leaves_no_mark() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let old = Owner::new(&client).await;
    let owner = Owner::new(&client).await;
    is_refused(old.check().await, NOT_OWNED);
    is_refused(old.before_write().await, NOT_OWNED);
    assert_eq!(value(&client, MARK).await, None);
    owner.before_write().await.unwrap().remove();
}

#[tokio::test]
async fn where_nobody_owns_the_shard_nobody_writes() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let old = Owner::new(&client).await;
    let delete = [Operation::Delete(Keys::one(OWNER))];
    client.transact(&[], &delete, &[]).await.unwrap();
    is_refused(old.check().await, NOT_OWNED);
    is_refused(old.before_write().await, NOT_OWNED);
}

#[tokio::test]
async fn an_earlier_owner_that_was_killed_holds_its_successor_up_until_its_mark_has_ended() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let old = Owner::new(&client).await;
    drop(old.before_write().await.unwrap());
    let owner = Owner::new(&client).await;
    is_refused(owner.check().await, MARKED);
    is_refused(owner.before_write().await, MARKED);
    let theirs = Some(old.token.0.0.to_string());
    assert_eq!(value(&client, MARK).await, theirs, "it is as it was");
    wait::until("the mark has ended", async || owner.check().await.is_ok()).await;
    assert_eq!(value(&client, MARK).await, None);
    owner.before_write().await.unwrap().remove();
}

#[tokio::test]
async fn an_earlier_owner_whose_write_was_answered_holds_nobody_up() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let old = Owner::new(&client).await;
    let long = Duration::from_secs(3600);
    let mark = old.guard.before_write(&device(), old.token, long).await.unwrap();
    let owner = Owner::new(&client).await;
    is_refused(owner.before_write().await, MARKED);
    mark.remove();
    wait::until("it may write", async || owner.before_write().await.is_ok()).await;
}

#[tokio::test]
async fn a_mark_is_of_one_device() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let old = Owner::new(&client).await;
    let _mark = old.before_write().await.unwrap();
    let owner = Owner::new(&client).await;
    let other = DeviceId::new("m2").unwrap();
    owner.guard.check(&other).await.unwrap();
    owner
        .guard
        .before_write(&other, owner.token, SHORT)
        .await
        .unwrap()
        .remove();
}

#[tokio::test]
async fn without_a_permit_etcd_is_not_even_asked() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    etcd.freeze(0).await;
    owner.gate.set(None);
    is_refused(owner.check().await, NOT_PERMITTED);
    is_refused(owner.before_write().await, NOT_PERMITTED);
}

#[tokio::test]
async fn what_was_read_before_the_shard_was_lost_is_not_written_when_it_is_owned_again() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    let read_with = owner.check().await.unwrap();
    owner.permit(claim(&client).await);
    let asked = owner.guard.before_write(&device(), read_with, SHORT).await;
    is_refused(asked, NOT_PERMITTED);
    assert_ne!(owner.check().await.unwrap(), read_with);
}

#[tokio::test]
async fn while_etcd_is_frozen_nobody_writes() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client.within(Duration::from_millis(500))).await;
    etcd.freeze(0).await;
    let asked = async {
        is_refused(owner.check().await, "no answer within 0.5 s");
        is_refused(owner.before_write().await, "no answer within 0.5 s");
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    etcd.thaw(0);
    no_mark(&client).await;
}

/// Asks before a write while etcd is frozen, lets it go on after `meanwhile`, and gives what comes of it.
async fn asked_meanwhile(
    etcd: &Etcd,
    owner: &Owner,
    meanwhile: impl AsyncFnOnce(),
) -> Result<WriteMark, ErrorReport> {
    etcd.freeze(0).await;
    let mut asked = pin!(owner.before_write());
    tokio::select! {
        biased;
        _ = &mut asked => panic!("etcd is frozen"),
        () = meanwhile() => etcd.thaw(0),
    }
    asked.await
}

#[tokio::test]
async fn a_permit_that_ends_while_etcd_is_asked_is_over() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    let asked = asked_meanwhile(&etcd, &owner, async || owner.gate.set(None)).await;
    is_refused(asked, NOT_PERMITTED);
    no_mark(&client).await;
    let other = Token(owner.token.0.next());
    owner.permit(owner.token);
    let asked = asked_meanwhile(&etcd, &owner, async || owner.permit(other)).await;
    is_refused(asked, NOT_PERMITTED);
    no_mark(&client).await;
}

#[tokio::test]
async fn what_etcd_confirms_too_late_for_the_mark_to_outlive_the_write_is_not_written() {
    let etcd = Etcd::start();
    let client = client(etcd.endpoints());
    let owner = Owner::new(&client).await;
    let began = BootTime::now();
    let late = async || {
        let waited = || BootTime::now().saturating_duration_since(began);
        wait::until("it is late", async || waited() > Duration::from_secs(3)).await;
    };
    is_refused(asked_meanwhile(&etcd, &owner, late).await, "took too long");
    no_mark(&client).await;
}
