//! What is known of a cluster, for those who show it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Activity, Disagreement};
use crate::cluster::devices_digest::DevicesDigest;
use crate::cluster::election::View;
use crate::cluster::entries::{BridgeId, Details, Intent, MemberState, Owner, ShardId, Token};
use crate::cluster::etcd::Error;

/// What is known of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// This bridge.
    pub me: BridgeId,
    /// The digest of its devices.
    pub devices: DevicesDigest,
    /// Whether members and owners are as etcd has them. Otherwise they may be old.
    pub is_current: bool,
    /// What fails at etcd, and why the last time; without what has succeeded since then.
    pub errors: BTreeMap<Activity, Error>,
    /// Why the commands of a shard that this bridge works for cannot be kept in etcd, where that is so.
    pub unkept: BTreeMap<ShardId, String>,
    /// Since when [`is_connected`](Status::is_connected) is what it is.
    pub since: Timestamp,
    /// Why this bridge no longer takes part, if so.
    pub disagreement: Option<Disagreement>,
    /// Whether the entry of this bridge is that of another process: of an earlier one whose lease still lives, or of one that
    /// has the same id.
    pub is_id_taken: bool,
    /// The members.
    pub members: BTreeMap<BridgeId, MemberStatus>,
    /// The shards that have an owner.
    pub owners: BTreeMap<ShardId, OwnerStatus>,
    /// How many times this bridge has become the owner of a shard.
    pub won: u64,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// What decides whether it owns shards.
    pub state: MemberState,
    /// What else it says of itself.
    pub details: Details,
}

/// The owner of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerStatus {
    /// Which bridge.
    pub bridge: BridgeId,
    /// Its token.
    pub token: Token,
    /// When this bridge has heard of it, by the wall clock.
    pub since: Timestamp,
}

impl Status {
    /// Of a bridge that has heard nothing yet.
    pub fn new(me: BridgeId, devices: DevicesDigest) -> Status {
        Status {
            me,
            devices,
            is_current: false,
            errors: BTreeMap::new(),
            unkept: BTreeMap::new(),
            since: Timestamp::now(),
            disagreement: None,
            is_id_taken: false,
            members: BTreeMap::new(),
            owners: BTreeMap::new(),
            won: 0,
        }
    }

    /// Whether etcd answers whatever this bridge asks, and has been read.
    pub fn is_connected(&self) -> bool {
        self.errors.is_empty() && self.has_been_read()
    }

    /// Whether etcd has been read in this run, however long ago.
    pub fn has_been_read(&self) -> bool {
        self.is_current || !self.members.is_empty()
    }

    /// What this bridge wants, as its entry shows it; none while there is no entry.
    pub fn intent(&self) -> Option<Intent> {
        let own = self.members.get(&self.me)?;
        Some(own.state.intent)
    }

    /// The members that have other devices than this bridge, or publish them in another form.
    pub fn with_other_devices(&self) -> impl Iterator<Item = &BridgeId> {
        let others = self.members.iter().filter(|(bridge, _)| **bridge != self.me);
        let differing = others.filter(|(_, member)| member.details.devices.differs(&self.devices));
        differing.map(|(bridge, _)| bridge)
    }

    /// Makes a change, and notes when it is one of the connection; gives what the change gives.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Status) -> bool) -> bool {
        let was_connected = self.is_connected();
        let is_news = change(self);
        if self.is_connected() != was_connected {
            self.since = Timestamp::now();
        }
        is_news
    }

    /// What has changed of members and owners; gives whether anything has.
    pub(super) fn update(
        &mut self,
        view: &View,
        details: &BTreeMap<BridgeId, Details>,
        shards: u16,
        at: Timestamp,
    ) -> bool {
        let members = view.members().map(|(bridge, member)| {
            let details = details.get(bridge).cloned().unwrap_or_default();
            let state = member.state;
            (bridge.clone(), MemberStatus { state, details })
        });
        let members: BTreeMap<_, _> = members.collect();
        let owners = ShardId::all(shards).filter_map(|shard| {
            let owner = view.owner(shard)?;
            Some((shard, self.owner(shard, owner, at)))
        });
        let owners: BTreeMap<_, _> = owners.collect();
        let is_won = |(shard, owner): &(&ShardId, &OwnerStatus)| {
            owner.bridge == self.me && self.owners.get(shard) != Some(owner)
        };
        self.won += owners.iter().filter(is_won).map(|_| 1).sum::<u64>();
        let is_news = self.members != members || self.owners != owners;
        (self.members, self.owners) = (members, owners);
        is_news
    }

    fn owner(&self, shard: ShardId, owner: &Owner, at: Timestamp) -> OwnerStatus {
        let known = self.owners.get(&shard).filter(|known| known.token == owner.token);
        known.cloned().unwrap_or_else(|| OwnerStatus {
            bridge: owner.bridge.clone(),
            token: owner.token,
            since: at,
        })
    }
}
