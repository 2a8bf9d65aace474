//! What etcd has of a cluster, typed: leases, members, and who owns which shard.

use std::collections::BTreeMap;

use super::devices_digest::DevicesDigest;
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

impl Token {
    /// What the mark of a write with that token has as its value.
    pub(super) fn as_mark(self) -> Vec<u8> {
        self.0.0.to_string().into_bytes()
    }
}

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

/// What else the entry of a member shows. It decides nothing about shards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Details {
    /// Version of the program; empty if it is not known.
    pub version: String,
    /// Digest of the devices that are configured.
    pub devices: DevicesDigest,
    /// URL of the member's page, if it has given one: `http` or `https`.
    pub url: Option<String>,
}

impl Details {
    /// Of a member. A URL that is not one of a page is left out: whoever can write to etcd must not be able to make a link of
    /// anything else.
    pub fn new(version: String, devices: DevicesDigest, url: Option<String>) -> Details {
        let is_page = |url: &String| {
            ["http://", "https://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        };
        Details {
            version,
            devices,
            url: url.filter(is_page),
        }
    }
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
    /// What else they show.
    pub details: BTreeMap<BridgeId, Details>,
    /// The shards that have an owner.
    pub owners: BTreeMap<ShardId, Owner>,
}

/// What a watch reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry of a member was written, or removed.
    Member(BridgeId, Option<Member>),
    /// What else the entry of a member shows, beside [`Change::Member`].
    Details(BridgeId, Details),
    /// A shard has an owner, or none any longer.
    Shard(ShardId, Option<Owner>),
}
