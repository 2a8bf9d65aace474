//! The transactions of a ledger, one after the other: each is carried out once, or never.
//!
//! A request whose answer is lost may have been carried out, and a node that hung may carry it out much later: a command that was
//! answered long ago would be in the inbox again. So each transaction compares the mark that the one before it has left, and
//! leaves another one. Of those that compare the same mark one is carried out at most; who reads the mark knows which.

use uuid::Uuid;

use super::failure::Failure;
use crate::boot_time::BootTime;
use crate::cluster::entries::{ShardId, Token};
use crate::cluster::etcd::{Answer, Client, Compare, Entry, Keys, Operation, Transacted};
use crate::cluster::fence::Fence;
use crate::cluster::keys::ClusterKeys;
use crate::fault_point;

/// What a transaction leaves: another value each time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark(Vec<u8>);

/// What has become of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It was carried out.
    Written,
    /// It was not: the key that was not to be there has this value.
    Prevented(Vec<u8>),
}

/// What etcd has answered.
enum Tried {
    Left,
    Prevented(Vec<u8>),
    /// An earlier transaction was carried out, whose mark this is.
    Found(Mark),
}

/// A transaction that may have been carried out, or may still be.
#[derive(Debug, Clone)]
struct Unresolved {
    /// The mark that it leaves.
    mark: Mark,
    /// That of the one which is carried out in its place, if it is not.
    instead: Mark,
}

/// The writer of one shard, for as long as it owns that with the same token.
#[derive(Debug)]
pub(super) struct Sequence {
    client: Client,
    fence: Fence,
    token: Token,
    /// The key of the shard's owner.
    owner: Vec<u8>,
    key: Vec<u8>,
    last: Mark,
    unresolved: Option<Unresolved>,
}

impl Mark {
    fn new() -> Mark {
        Mark(Uuid::now_v7().simple().to_string().into_bytes())
    }
}

impl Sequence {
    /// Begins to write with the token that the fence has now. Whoever has begun earlier writes no more.
    pub(super) async fn begin(
        client: Client,
        keys: &ClusterKeys,
        shard: ShardId,
        fence: Fence,
    ) -> Result<Sequence, Failure> {
        let token = fence.may_write(BootTime::now()).ok_or(Failure::NoLease)?;
        let mut sequence = Sequence {
            owner: keys.shard(shard),
            key: keys.mark(shard),
            last: Mark::new(),
            unresolved: None,
            client,
            fence,
            token,
        };
        while !sequence.enter().await? {}
        Ok(sequence)
    }

    /// Leaves the first mark; `false` if another one has come in between.
    async fn enter(&mut self) -> Result<bool, Failure> {
        let found = self.client.range(&Keys::one(self.key.clone()), None).await?;
        let is_unchanged = match found.entries.into_iter().next() {
            Some(entry) => Compare::Value(self.key.clone(), entry.value),
            None => Compare::Absent(self.key.clone()),
        };
        let compares = [self.is_owner(), is_unchanged];
        let read = [Operation::Range(Keys::one(self.owner.clone()))];
        let write = [put(&self.key, &self.last)];
        let done = self.client.transact(&compares, &write, &read).await?;
        match entry(&done, 0) {
            Some(owner) if owner.create_revision == self.token.0.0 => Ok(false),
            _ if done.succeeded => Ok(true),
            _ => Err(Failure::NotOwner),
        }
    }

    fn is_owner(&self) -> Compare {
        Compare::CreatedAt(self.owner.clone(), self.token.0.0)
    }

    /// The token with which it writes.
    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Whether it is not known what has become of the last transaction.
    pub(super) fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }

    /// Carries that out, unless there is a key `unless`. The one before is to be resolved: then its mark is known.
    pub(super) async fn transact(
        &mut self,
        unless: Option<&[u8]>,
        operations: &[Operation],
    ) -> Result<Done, Failure> {
        let mark = Mark::new();
        match self.leave(&mark, unless, operations).await {
            Ok(Tried::Left) => {
                self.last = mark;
                Ok(Done::Written)
            }
            Ok(Tried::Prevented(value)) => Ok(Done::Prevented(value)),
            Ok(Tried::Found(_)) => Err(Failure::NotOwner),
            Err(failure) => {
                let instead = Mark::new();
                let is_unknown = failure.is_outcome_unknown();
                self.unresolved = is_unknown.then_some(Unresolved { mark, instead });
                Err(failure)
            }
        }
    }

    /// Finds out whether the unresolved transaction was carried out, and sees to it that it never will be if it was not. `None`
    /// where all are resolved.
    pub(super) async fn resolve(&mut self) -> Result<Option<bool>, Failure> {
        let Some(Unresolved { mark, instead }) = self.unresolved.clone() else {
            return Ok(None);
        };
        let (last, was_carried_out) = match self.leave(&instead, None, &[]).await? {
            Tried::Left => (instead, false),
            // By an earlier try.
            Tried::Found(found) if found == instead => (instead, false),
            Tried::Found(found) if found == mark => (mark, true),
            Tried::Found(_) | Tried::Prevented(_) => return Err(Failure::NotOwner),
        };
        (self.last, self.unresolved) = (last, None);
        Ok(Some(was_carried_out))
    }

    async fn leave(
        &self,
        mark: &Mark,
        unless: Option<&[u8]>,
        operations: &[Operation],
    ) -> Result<Tried, Failure> {
        match self.fence.may_write(BootTime::now()) {
            None => return Err(Failure::NoLease),
            Some(token) if token != self.token => return Err(Failure::NotOwner),
            Some(_) => {}
        }
        let mut compares = vec![
            self.is_owner(),
            Compare::Value(self.key.clone(), self.last.0.clone()),
        ];
        compares.extend(unless.map(|key| Compare::Absent(key.to_vec())));
        let write = [operations, &[put(&self.key, mark)]].concat();
        let watched = [Some(&self.owner[..]), Some(&self.key), unless];
        let read = watched.into_iter().flatten();
        let read: Vec<_> = read.map(|key| Operation::Range(Keys::one(key))).collect();
        fault_point::reached("keeping");
        let done = self.client.transact(&compares, &write, &read).await?;
        if done.succeeded {
            return Ok(Tried::Left);
        }
        let found = |place: usize| entry(&done, place);
        let is_owner = found(0).is_some_and(|owner| owner.create_revision == self.token.0.0);
        match (found(1), found(2)) {
            (Some(found), _) if is_owner && found.value != self.last.0 => {
                Ok(Tried::Found(Mark(found.value.clone())))
            }
            (Some(_), Some(found)) if is_owner => Ok(Tried::Prevented(found.value.clone())),
            _ => Err(Failure::NotOwner),
        }
    }
}

fn put(key: &[u8], mark: &Mark) -> Operation {
    Operation::Put {
        key: key.to_vec(),
        value: mark.0.clone(),
        lease: None,
    }
}

/// What was read at that place.
fn entry(done: &Transacted, place: usize) -> Option<&Entry> {
    match done.answers.get(place)? {
        Answer::Range(entries) => entries.first(),
        Answer::Put | Answer::Deleted(_) => None,
    }
}
