//! The members and shards of a cluster as they stand in etcd: values, and the transactions that change them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::devices_digest::DevicesDigest;
use super::election::{Claimed, Input, MemberWritten};
use super::entries::{
    BridgeId, Change, Details, Intent, LeaseId, Member, MemberState, Owner, Revision, ShardId, Snapshot,
    Token,
};
use super::etcd::{self, Answer, Client, Compare, Entry, Error, Keys, Operation, Watch};
use super::keys::ClusterKeys;
use crate::boot_time::BootTime;

/// Of the keys of a cluster, and of the values below. A bridge that writes another one does not take part.
const FORMAT: u32 = 1;

/// Where one bridge finds its cluster, and writes what concerns itself.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    client: Client,
    me: BridgeId,
    keys: ClusterKeys,
}

/// What all bridges of a cluster must agree on. The first one writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) format: u32,
    pub(super) shards: u16,
}

/// The value of a member's key.
#[derive(Debug, Serialize, Deserialize)]
struct MemberValue {
    #[serde(default)]
    version: String,
    broker: bool,
    #[serde(with = "IntentName")]
    intent: Intent,
    #[serde(default)]
    devices: DevicesDigest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Intent", rename_all = "kebab-case")]
enum IntentName {
    Stay,
    Drain,
    Leave,
}

/// The value of a shard's key.
#[derive(Debug, Serialize, Deserialize)]
struct ShardValue {
    bridge: String,
}

impl Meta {
    pub(super) fn new(shards: u16) -> Meta {
        Meta {
            format: FORMAT,
            shards,
        }
    }
}

impl Registry {
    pub(super) fn new(client: Client, cluster: &str, me: BridgeId) -> Registry {
        Registry {
            client,
            me,
            keys: ClusterKeys::new(cluster),
        }
    }

    /// What the bridges of this cluster have agreed on: `own`, where there is nothing yet.
    pub(super) async fn meta(&self, own: Meta) -> Result<Meta, Error> {
        let key = self.keys.meta();
        let read = [Operation::Range(Keys::one(key.clone()))];
        let write = [put(key.clone(), &own, None)];
        let done = self
            .client
            .transact(&[Compare::Absent(key)], &write, &read)
            .await?;
        Ok(done.answers.last().and_then(meta).unwrap_or(own))
    }

    /// A lease for so long.
    pub(super) async fn grant(&self, ttl: Duration) -> Result<Input, Error> {
        let sent = BootTime::now();
        let etcd::Lease { id: lease, ttl } = self.client.grant(ttl).await?;
        Ok(Input::Granted { lease, ttl, sent })
    }

    /// Renews a lease, within `timeout`.
    pub(super) async fn renew(&self, lease: LeaseId, timeout: Duration) -> Result<Input, Error> {
        let sent = BootTime::now();
        let client = self.client.within(timeout);
        let ttl = client.keep_alive(lease).await?;
        Ok(match ttl {
            Some(ttl) => Input::Renewed { lease, ttl, sent },
            None => Input::LeaseLost(lease),
        })
    }

    /// Ends a lease, and with it all that was written under it.
    pub(super) async fn revoke(&self, lease: LeaseId, timeout: Duration) -> Result<(), Error> {
        self.client.within(timeout).revoke(lease).await
    }

    /// Shows this bridge to the others, unless another process has its id.
    pub(super) async fn write_member(
        &self,
        lease: LeaseId,
        state: MemberState,
        details: Details,
    ) -> Result<Input, Error> {
        let value = MemberValue {
            version: details.version,
            broker: state.reaches_broker,
            intent: state.intent,
            devices: details.devices,
            url: details.url,
        };
        let key = self.keys.member(&self.me);
        let write = [put(key.clone(), &value, Some(lease))];
        for compare in [Compare::Lease(key.clone(), lease), Compare::Absent(key)] {
            if self.client.transact(&[compare], &write, &[]).await?.succeeded {
                return Ok(Input::MemberWritten(MemberWritten::Written));
            }
        }
        Ok(Input::MemberWritten(MemberWritten::Refused))
    }

    /// Claims a shard.
    pub(super) async fn claim(&self, shard: ShardId, lease: LeaseId) -> Result<Input, Error> {
        let key = self.keys.shard(shard);
        let value = ShardValue {
            bridge: self.me.to_string(),
        };
        let compares = [
            Compare::Absent(key.clone()),
            Compare::Lease(self.keys.member(&self.me), lease),
        ];
        let write = [put(key.clone(), &value, Some(lease))];
        let read = [Operation::Range(Keys::one(key))];
        let done = self.client.transact(&compares, &write, &read).await?;
        let revision = Revision(done.revision);
        let claimed = match done.succeeded {
            true => Claimed::Won(Token(revision)),
            false => Claimed::Lost {
                revision,
                owner: done.answers.iter().flat_map(entries).next().and_then(owner),
            },
        };
        Ok(Input::Claimed(shard, claimed))
    }

    /// Gives a shard back that was claimed with that token.
    pub(super) async fn release(&self, shard: ShardId, token: Token) -> Result<Input, Error> {
        let key = self.keys.shard(shard);
        let compares = [Compare::CreatedAt(key.clone(), token.0.0)];
        let delete = [Operation::Delete(Keys::one(key))];
        let done = self.client.transact(&compares, &delete, &[]).await?;
        Ok(Input::Released(shard, Some(Revision(done.revision))))
    }

    /// All members and owners, at one revision, and what the bridges have agreed on.
    pub(super) async fn snapshot(&self) -> Result<(Snapshot, Option<Meta>), Error> {
        let (members, shards) = (
            Keys::prefix(self.keys.members()),
            Keys::prefix(self.keys.shards()),
        );
        let reads = [members, shards, Keys::one(self.keys.meta())].map(Operation::Range);
        let done = self.client.transact(&[], &reads, &[]).await?;
        let (mut members, mut details, mut owners) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let found = done.answers.iter().flat_map(entries);
        for change in found.flat_map(|entry| self.changes(&entry.key, Some(entry))) {
            match change {
                Change::Member(bridge, Some(member)) => drop(members.insert(bridge, member)),
                Change::Details(bridge, shown) => drop(details.insert(bridge, shown)),
                Change::Shard(shard, Some(owner)) => drop(owners.insert(shard, owner)),
                Change::Member(_, None) | Change::Shard(_, None) => {}
            }
        }
        let snapshot = Snapshot {
            revision: Revision(done.revision),
            members,
            details,
            owners,
        };
        Ok((snapshot, done.answers.last().and_then(meta)))
    }

    /// What changes from that revision on.
    pub(super) async fn watch(&self, from: Revision) -> Result<Watch, Error> {
        let keys = Keys::prefix(self.keys.election());
        self.client.watch(&keys, from.0).await
    }

    /// What such changes mean, revision by revision.
    pub(super) fn changed(&self, changes: Vec<etcd::Change>) -> Vec<Input> {
        let mut by_revision = BTreeMap::<Revision, Vec<Change>>::new();
        for change in changes {
            let entry = match &change {
                etcd::Change::Put(entry) => Some(entry),
                etcd::Change::Delete { .. } => None,
            };
            let known = self.changes(change.key(), entry);
            by_revision
                .entry(Revision(change.revision()))
                .or_default()
                .extend(known);
        }
        let inputs = by_revision.into_iter();
        inputs
            .map(|(revision, changes)| Input::Changed(revision, changes))
            .collect()
    }

    /// What stands at a key now. Keys and values that are not ours mean nothing.
    fn changes(&self, key: &[u8], entry: Option<&Entry>) -> Vec<Change> {
        let key = std::str::from_utf8(key).unwrap_or_default();
        if let Some(bridge) = key.strip_prefix(&self.keys.members()).and_then(BridgeId::new) {
            let (member, details) = entry.and_then(member).unzip();
            let details = details.map(|details| Change::Details(bridge.clone(), details));
            return [Change::Member(bridge, member)]
                .into_iter()
                .chain(details)
                .collect();
        }
        let shard = key
            .strip_prefix(&self.keys.shards())
            .and_then(|shard| shard.parse().ok());
        let change = shard.map(|shard| Change::Shard(ShardId(shard), entry.and_then(owner)));
        change.into_iter().collect()
    }
}

fn put(key: Vec<u8>, value: &impl Serialize, lease: Option<LeaseId>) -> Operation {
    // Numbers, texts and words: there is nothing that could fail.
    let value = serde_json::to_vec(value).unwrap_or_default();
    Operation::Put { key, value, lease }
}

fn json<T: for<'v> Deserialize<'v>>(entry: &Entry) -> Option<T> {
    serde_json::from_slice(&entry.value).ok()
}

/// What an operation has read.
fn entries(answer: &Answer) -> &[Entry] {
    match answer {
        Answer::Range(entries) => entries,
        Answer::Put | Answer::Deleted(_) => &[],
    }
}

/// What the bridges have agreed on, if that was read and is there.
fn meta(answer: &Answer) -> Option<Meta> {
    let found = entries(answer).first()?;
    // One that cannot be read is of no format of ours.
    Some(json(found).unwrap_or(Meta { format: 0, shards: 0 }))
}

/// A member, if it is one that lives by a lease.
fn member(entry: &Entry) -> Option<(Member, Details)> {
    let value: MemberValue = json(entry)?;
    let state = MemberState {
        reaches_broker: value.broker,
        intent: value.intent,
    };
    let lease = entry.lease?;
    let details = Details::new(value.version, value.devices, value.url);
    Some((Member { lease, state }, details))
}

fn owner(entry: &Entry) -> Option<Owner> {
    let value: ShardValue = json(entry)?;
    Some(Owner {
        bridge: BridgeId::new(value.bridge)?,
        lease: entry.lease?,
        token: Token(Revision(entry.create_revision)),
    })
}
