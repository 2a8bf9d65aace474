//! What a bridge knows of the cluster, and since when.

use std::collections::{BTreeMap, BTreeSet};

use super::timing::GATHER;
use crate::boot_time::BootTime;
use crate::cluster::assignment::{Owners, eligible};
use crate::cluster::entries::{BridgeId, Change, Member, Owner, Revision, ShardId, Snapshot};

/// Members and shards, as far as this bridge has heard.
#[derive(Debug)]
pub struct View {
    members: BTreeMap<BridgeId, KnownMember>,
    shards: BTreeMap<ShardId, KnownShard>,
    /// When a shard last had another owner, or none.
    moved_at: BootTime,
    /// Until then a shard without an owner is left to those that run it, or are starting as well.
    gathers_until: BootTime,
    /// The highest revision that was known when the last snapshot was requested.
    requested_at: Revision,
}

#[derive(Debug)]
struct KnownMember {
    member: Member,
    /// Since when it has been as it is.
    since: BootTime,
}

/// Answers to one's own transactions overtake the watch. So each shard has the revision up to which it is known, and what is
/// older does not count.
#[derive(Debug, Default)]
struct KnownShard {
    revision: Revision,
    owner: Option<Owner>,
    /// If it has no owner: from when on the first in the order of the plan may claim it.
    claims_from: Option<BootTime>,
}

impl View {
    pub(super) fn new(shards: u16, now: BootTime) -> View {
        View {
            members: BTreeMap::new(),
            shards: ShardId::all(shards)
                .map(|shard| (shard, KnownShard::default()))
                .collect(),
            moved_at: now,
            gathers_until: now,
            requested_at: Revision::default(),
        }
    }

    /// The members and what they show.
    pub fn members(&self) -> impl Iterator<Item = (&BridgeId, Member)> {
        self.members.iter().map(|(bridge, known)| (bridge, known.member))
    }

    /// Who owns a shard.
    pub fn owner(&self, shard: ShardId) -> Option<&Owner> {
        self.shards.get(&shard)?.owner.as_ref()
    }

    pub(super) fn member(&self, bridge: &BridgeId) -> Option<Member> {
        self.members.get(bridge).map(|known| known.member)
    }

    pub(super) fn owners(&self) -> Owners<'_> {
        let shards = self.shards.keys();
        shards
            .map(|shard| (*shard, self.owner(*shard).map(|owner| &owner.bridge)))
            .collect()
    }

    pub(super) fn eligible(&self) -> BTreeSet<&BridgeId> {
        eligible(self.members().map(|(bridge, member)| (bridge, member.state)))
    }

    /// Since when each member has been as it is.
    pub(super) fn members_since(&self) -> impl Iterator<Item = (&BridgeId, BootTime)> {
        self.members.iter().map(|(bridge, known)| (bridge, known.since))
    }

    pub(super) fn moved_at(&self) -> BootTime {
        self.moved_at
    }

    pub(super) fn claims_from(&self, shard: ShardId) -> Option<BootTime> {
        let from = self.shards.get(&shard)?.claims_from?;
        Some(from.max(self.gathers_until))
    }

    /// A snapshot is requested. It is not older than what is known now, unless etcd has lost its history.
    pub(super) fn requested(&mut self) {
        let revisions = self.shards.values().map(|known| known.revision);
        self.requested_at = revisions.max().unwrap_or_default();
    }

    /// All was read. If this bridge was cut off, others may have been as well: they get time to show themselves, and to
    /// claim again what they run. Gives whether etcd has lost its history: then what was known before does not count.
    pub(super) fn read(&mut self, mut snapshot: Snapshot, now: BootTime) -> bool {
        let is_history_lost = snapshot.revision < self.requested_at;
        // Only an answer that came later may be newer.
        let known = self.shards.values_mut();
        known
            .filter(|known| is_history_lost || known.revision <= self.requested_at)
            .for_each(|known| known.revision = Revision::default());
        self.gathers_until = now + GATHER;
        self.members
            .retain(|bridge, _| snapshot.members.contains_key(bridge));
        for (bridge, member) in snapshot.members {
            self.set_member(bridge, Some(member), now);
        }
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            let owner = snapshot.owners.remove(&shard);
            self.set_owner(shard, snapshot.revision, owner, now);
        }
        is_history_lost
    }

    /// The watch reports a change.
    pub(super) fn change(&mut self, revision: Revision, change: Change, now: BootTime) {
        match change {
            Change::Member(bridge, member) => self.set_member(bridge, member, now),
            Change::Details(..) => {}
            Change::Shard(shard, owner) => self.set_owner(shard, revision, owner, now),
        }
    }

    fn set_member(&mut self, bridge: BridgeId, member: Option<Member>, now: BootTime) {
        let known = self.members.get(&bridge).map(|known| known.member);
        match member {
            Some(member) if known != Some(member) => {
                self.members.insert(bridge, KnownMember { member, since: now });
            }
            Some(_) => {}
            None => drop(self.members.remove(&bridge)),
        }
    }

    /// That is the owner of a shard at a revision, as a snapshot, the watch or a transaction has shown.
    pub(super) fn set_owner(
        &mut self,
        shard: ShardId,
        revision: Revision,
        owner: Option<Owner>,
        now: BootTime,
    ) {
        let Some(known) = self
            .shards
            .get_mut(&shard)
            .filter(|known| known.revision < revision)
        else {
            return;
        };
        known.revision = revision;
        if known.owner != owner {
            known.owner = owner;
            known.claims_from = None;
            self.moved_at = now;
        }
        if known.owner.is_none() {
            known.claims_from.get_or_insert(now);
        }
    }
}
