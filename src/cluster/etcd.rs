//! A client of etcd, version 3.4 or newer, by its own JSON gateway over HTTP. It knows nothing of what the keys mean.
//!
//! - [`Client`]: leases, reads, transactions, watches. One node is asked at a time; a request that fails by the node moves to
//!   the next one. Reads are tried there within the time that is left. A write is sent once: where nobody knows whether etcd has
//!   carried it out, [`Error::is_outcome_unknown`] says so.
//! - [`Watch`]: changes as they happen.
//! - `gateway`: requests, tries, tokens. `wire`: the form of requests and answers. `error`: what failed, and the remedy.

mod error;
mod gateway;
mod keys;
mod settings;
mod transaction;
mod watch;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use self::gateway::{Call, Gateway};
use self::wire::{GrantRequest, LeaseAnswer, LeaseRequest, Nothing, RangeAnswer, RangeRequest, StatusAnswer};

pub use self::error::{Cause, Error};
pub use self::keys::{Entry, Keys, LeaseId};
pub use self::settings::{Login, Settings, SettingsError};
pub use self::transaction::{Answer, Compare, Operation, Transacted};
pub use self::watch::{Change, Watch};

/// Keys in one answer. With values of 64 KiB each that is 11 MiB of base64, which is below the limit of an answer.
const PAGE: usize = 128;

const GRANT: Call = Call {
    path: "/v3/lease/grant",
    name: "lease grant",
    is_write: true,
    is_secret: false,
    is_stream: false,
};
const KEEP_ALIVE: Call = Call {
    path: "/v3/lease/keepalive",
    name: "lease keep-alive",
    is_write: false,
    is_secret: false,
    is_stream: true,
};
const REVOKE: Call = Call {
    path: "/v3/lease/revoke",
    name: "lease revocation",
    is_write: false,
    is_secret: false,
    is_stream: false,
};
const RANGE: Call = Call {
    path: "/v3/kv/range",
    name: "read",
    is_write: false,
    is_secret: false,
    is_stream: false,
};
const TRANSACTION: Call = Call {
    path: "/v3/kv/txn",
    name: "transaction",
    is_write: true,
    is_secret: false,
    is_stream: false,
};
const STATUS: Call = Call {
    path: "/v3/maintenance/status",
    name: "status",
    is_write: false,
    is_secret: false,
    is_stream: false,
};

/// A client of one etcd cluster. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    /// Reads and transactions.
    data: Arc<Gateway>,
    /// Leases and watches: load on the others must not keep a lease from being renewed.
    session: Arc<Gateway>,
    timeout: Duration,
    watch_idle: Duration,
}

/// A lease as it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// How long it lives after each renewal: etcd may give more than was asked for. Whole seconds.
    pub ttl: Duration,
}

/// What a read gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The revision of etcd that all entries are of.
    pub revision: i64,
    /// What is there, in order of the keys.
    pub entries: Vec<Entry>,
    /// Whether there is more than was asked for.
    pub more: bool,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Version of etcd.
    pub version: String,
    /// The node's own number.
    pub member: u64,
    /// That of the leader, if the node knows one.
    pub leader: Option<u64>,
    /// Size of the database's file, in bytes, which the quota is about.
    pub db_size: u64,
    /// What of it is in use: the rest comes back by defragmentation.
    pub db_size_in_use: u64,
    /// What is wrong with it, in etcd's words: an alarm such as NOSPACE, or that there is no leader.
    pub errors: Vec<String>,
}

impl Client {
    /// Reads the files of `settings.tls`, and connects to nothing yet. A renewed certificate takes a new client.
    ///
    /// # Errors
    /// When there is no endpoint, or one of them, a certificate or a key cannot be used.
    pub fn new(settings: &Settings) -> Result<Client, SettingsError> {
        Ok(Client {
            data: Arc::new(Gateway::new(settings)?),
            session: Arc::new(Gateway::new(settings)?),
            timeout: settings.timeout,
            watch_idle: settings.watch_idle,
        })
    }

    /// The same client, with another limit for each request in all.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Client {
        Client {
            timeout,
            ..self.clone()
        }
    }

    /// Takes a new lease. `ttl` counts in whole seconds, rounded up.
    ///
    /// # Errors
    /// When no node grants it. If the outcome is unknown, a lease that nobody knows may be left; it expires.
    pub async fn grant(&self, ttl: Duration) -> Result<Lease, Error> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let request = GrantRequest {
            ttl: i64::try_from(seconds).unwrap_or(i64::MAX),
        };
        let answer = self.session.call(&GRANT, &request, self.timeout);
        let (answer, subject): (LeaseAnswer, _) = answer.await?;
        let lease = LeaseId::of(answer.id).zip(time_to_live(&answer));
        let (id, ttl) = lease.ok_or_else(|| subject.bad_answer("the answer has no lease"))?;
        Ok(Lease { id, ttl })
    }

    /// Renews a lease. Gives how long it lives from now on; `None` when it has expired or was revoked.
    ///
    /// # Errors
    /// When no node renews it in time. It may have been renewed all the same.
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<Option<Duration>, Error> {
        let request = LeaseRequest { id: lease.0 };
        let (answer, _) = self.session.call(&KEEP_ALIVE, &request, self.timeout).await?;
        Ok(time_to_live(&answer))
    }

    /// Ends a lease, and deletes the keys that belong to it. One that has ended is no error.
    ///
    /// # Errors
    /// When no node ends it in time. It may have ended all the same.
    pub async fn revoke(&self, lease: LeaseId) -> Result<(), Error> {
        let request = LeaseRequest { id: lease.0 };
        match self.session.call(&REVOKE, &request, self.timeout).await {
            Ok((Nothing {}, _)) => Ok(()),
            Err(error) if *error.cause() == Cause::LeaseNotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads keys: all of them as of one revision, in as many requests as it takes; at most `most`, if that is given.
    ///
    /// # Errors
    /// When no node answers one of the requests in time, or the revision of the first was compacted meanwhile.
    pub async fn range(&self, keys: &Keys, most: Option<usize>) -> Result<Range, Error> {
        let mut request = RangeRequest {
            keys: keys.range(),
            limit: 0,
            revision: 0,
            count_only: false,
        };
        let mut entries = Vec::new();
        loop {
            let wanted = most.map_or(PAGE, |most| PAGE.min(most.saturating_sub(entries.len()).max(1)));
            request.limit = i64::try_from(wanted).unwrap_or(i64::MAX);
            let answer = self.data.call(&RANGE, &request, self.timeout);
            let (answer, _): (RangeAnswer, _) = answer.await?;
            if request.revision == 0 {
                request.revision = answer.header.revision;
            }
            entries.extend(answer.kvs.into_iter().map(Entry::from));
            let is_enough = most.is_some_and(|most| entries.len() >= most);
            let last = entries.last().filter(|_| answer.more && !is_enough);
            let Some(last) = last else {
                return Ok(Range {
                    revision: request.revision,
                    entries,
                    more: answer.more,
                });
            };
            request.keys.key = [&last.key, &[0][..]].concat();
        }
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// When no node answers in time.
    pub async fn count(&self, keys: &Keys) -> Result<u64, Error> {
        let request = RangeRequest {
            keys: keys.range(),
            limit: 0,
            revision: 0,
            count_only: true,
        };
        let answer = self.data.call(&RANGE, &request, self.timeout);
        let (answer, _): (RangeAnswer, _) = answer.await?;
        Ok(answer.count)
    }

    /// Carries out `on_success` if all of `compares` hold, and `on_failure` if not: all at once, at one revision.
    ///
    /// # Errors
    /// When it is refused or not answered in time. One that writes is sent once: [`Error::is_outcome_unknown`].
    pub async fn transact(
        &self,
        compares: &[Compare],
        on_success: &[Operation],
        on_failure: &[Operation],
    ) -> Result<Transacted, Error> {
        let request = transaction::request(compares, on_success, on_failure);
        let mut operations = on_success.iter().chain(on_failure);
        let call = Call {
            is_write: operations.any(Operation::is_write),
            ..TRANSACTION
        };
        let (answer, subject) = self.data.call(&call, &request, self.timeout).await?;
        Transacted::read(answer, &request).map_err(|what| subject.bad_answer(what))
    }

    /// Watches keys from that revision on; from now on for 0.
    ///
    /// # Errors
    /// When no node confirms it in time. That the revision was compacted is what the first [`Watch::next`] says.
    pub async fn watch(&self, keys: &Keys, from_revision: i64) -> Result<Watch, Error> {
        let gateway = Arc::clone(&self.session);
        Watch::start(gateway, keys, from_revision, self.timeout, self.watch_idle).await
    }

    /// How the node is that answers.
    ///
    /// # Errors
    /// When none answers in time.
    pub async fn status(&self) -> Result<Status, Error> {
        let answer = self.data.call(&STATUS, &Nothing {}, self.timeout);
        let (answer, _): (StatusAnswer, _) = answer.await?;
        Ok(Status {
            version: answer.version,
            member: answer.header.member_id,
            leader: (answer.leader != 0).then_some(answer.leader),
            db_size: answer.db_size,
            db_size_in_use: answer.db_size_in_use,
            errors: answer.errors,
        })
    }
}

/// `None` for a lease that is no more.
fn time_to_live(answer: &LeaseAnswer) -> Option<Duration> {
    let seconds = u64::try_from(answer.ttl).ok().filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs)
}
