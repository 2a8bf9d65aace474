//! What etcd has of a cluster, typed: leases, members, and who owns which shard.

use std::collections::BTreeMap;

pub use super::etcd::LeaseId;
use crate::model::DeviceId;
pub use crate::model::ShardId;

/// The id of a bridge, as in `[bridge] id`.
pub type BridgeId = DeviceId;

/// A revision of the whole store; each transaction that writes makes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub i64);

impl Revision {
    /// That of the next transaction that writes.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

/// The fencing token: the `create_revision` of a shard's key. Each owner has a higher one than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub Revision);

/// What a bridge wants of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// To own shards.
    Stay,
    /// To own none while others can: an operator drains it.
    Drain,
    /// To own none: it is stopping.
    Leave,
}

/// What the entry of a member shows, as far as it decides who owns a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberState {
    /// Whether it reaches its broker. A short outage counts as reached.
    pub reaches_broker: bool,
    /// What it wants.
    pub intent: Intent,
}

/// The entry of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    /// The lease under which it was written.
    pub lease: LeaseId,
    /// What it shows.
    pub state: MemberState,
}

/// The key of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Its value.
    pub bridge: BridgeId,
    /// The lease under which it was written.
    pub lease: LeaseId,
    /// Its `create_revision`.
    pub token: Token,
}

/// All that etcd had of the cluster at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision that was read.
    pub revision: Revision,
    /// The members.
    pub members: BTreeMap<BridgeId, Member>,
    /// The shards that have an owner.
    pub owners: BTreeMap<ShardId, Owner>,
}

/// What a watch reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry of a member was written, or removed.
    Member(BridgeId, Option<Member>),
    /// A shard has an owner, or none any longer.
    Shard(ShardId, Option<Owner>),
}
