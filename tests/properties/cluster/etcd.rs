//! What etcd does, as far as a cluster uses it: leases, transactions, revisions, and what a watch would report.

use std::collections::BTreeMap;

use lantime2mqtt::cluster::election::{Claimed, MemberWritten};
use lantime2mqtt::cluster::entries::{
    BridgeId, Change, LeaseId, Member, MemberState, Owner, Revision, ShardId, Snapshot, Token,
};

/// The store; times are in milliseconds of the simulation.
#[derive(Clone)]
pub(super) struct Etcd {
    ttl: u64,
    revision: i64,
    last_lease: i64,
    /// When each lease ends.
    leases: BTreeMap<LeaseId, u64>,
    members: BTreeMap<BridgeId, Member>,
    pub(super) owners: BTreeMap<ShardId, Owner>,
    /// What has changed at each revision.
    pub(super) history: Vec<(Revision, Vec<Change>)>,
    /// The highest token with which something was written.
    written: BTreeMap<ShardId, Token>,
}

impl Etcd {
    pub(super) fn new(ttl: u64) -> Etcd {
        Etcd {
            ttl,
            revision: 1,
            last_lease: 0,
            leases: BTreeMap::new(),
            members: BTreeMap::new(),
            owners: BTreeMap::new(),
            history: Vec::new(),
            written: BTreeMap::new(),
        }
    }

    pub(super) fn grant(&mut self, now: u64) -> LeaseId {
        self.last_lease += 1;
        let lease = LeaseId(self.last_lease);
        self.leases.insert(lease, now + self.ttl);
        lease
    }

    /// Whether there was such a lease.
    pub(super) fn renew(&mut self, lease: LeaseId, now: u64) -> bool {
        let ends = self.leases.get_mut(&lease);
        ends.map(|ends| *ends = now + self.ttl).is_some()
    }

    /// A new leader gives each lease its full time again.
    pub(super) fn renew_all(&mut self, now: u64) {
        self.leases.values_mut().for_each(|ends| *ends = now + self.ttl);
    }

    /// It starts again with what it had then: each lease has its full time, and revisions are given again.
    pub(super) fn restore(&mut self, backup: Etcd, now: u64) {
        let last_lease = self.last_lease;
        let written = BTreeMap::new();
        *self = Etcd {
            last_lease,
            written,
            ..backup
        };
        self.renew_all(now);
    }

    /// Ends all leases whose time has come.
    pub(super) fn expire(&mut self, now: u64) {
        let ended = self.leases.iter().filter(|(_, ends)| **ends <= now);
        let ended: Vec<_> = ended.map(|(lease, _)| *lease).collect();
        ended.into_iter().for_each(|lease| self.revoke(lease));
    }

    pub(super) fn revoke(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
        let of_lease = |member: &Member| member.lease == lease;
        let members = self.members.iter().filter(|(_, member)| of_lease(member));
        let mut changes: Vec<_> = members
            .map(|(bridge, _)| Change::Member(bridge.clone(), None))
            .collect();
        let shards = self.owners.iter().filter(|(_, owner)| owner.lease == lease);
        changes.extend(shards.map(|(shard, _)| Change::Shard(*shard, None)));
        self.members.retain(|_, member| !of_lease(member));
        self.owners.retain(|_, owner| owner.lease != lease);
        if !changes.is_empty() {
            self.commit(changes);
        }
    }

    pub(super) fn write_member(
        &mut self,
        bridge: &BridgeId,
        lease: LeaseId,
        state: MemberState,
    ) -> MemberWritten {
        let is_foreign = self
            .members
            .get(bridge)
            .is_some_and(|member| member.lease != lease);
        if is_foreign || !self.leases.contains_key(&lease) {
            return MemberWritten::Refused;
        }
        let member = Member { lease, state };
        self.members.insert(bridge.clone(), member);
        self.commit(vec![Change::Member(bridge.clone(), Some(member))]);
        MemberWritten::Written
    }

    pub(super) fn claim(&mut self, bridge: &BridgeId, lease: LeaseId, shard: ShardId) -> Claimed {
        let is_member = self
            .members
            .get(bridge)
            .is_some_and(|member| member.lease == lease);
        let owner = self.owners.get(&shard).cloned();
        if owner.is_some() || !is_member || !self.leases.contains_key(&lease) {
            let revision = Revision(self.revision);
            return Claimed::Lost { revision, owner };
        }
        let token = Token(Revision(self.revision + 1));
        let bridge = bridge.clone();
        let owner = Owner { bridge, lease, token };
        self.owners.insert(shard, owner.clone());
        self.commit(vec![Change::Shard(shard, Some(owner))]);
        Claimed::Won(token)
    }

    pub(super) fn release(&mut self, shard: ShardId, token: Token) -> Revision {
        if self.owners.get(&shard).is_some_and(|owner| owner.token == token) {
            self.owners.remove(&shard);
            self.commit(vec![Change::Shard(shard, None)]);
        }
        Revision(self.revision)
    }

    /// A transaction that compares the token. Gives whose writing was accepted.
    pub(super) fn write_fenced(&mut self, shard: ShardId, token: Token) -> Option<&BridgeId> {
        let owner = self.owners.get(&shard).filter(|owner| owner.token == token)?;
        let last = self.written.insert(shard, token);
        assert!(last <= Some(token), "a token that was replaced has written");
        Some(&owner.bridge)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: Revision(self.revision),
            members: self.members.clone(),
            details: BTreeMap::new(),
            owners: self.owners.clone(),
        }
    }

    /// How often a shard has found an owner.
    pub(super) fn moves(&self) -> usize {
        let moved = |change: &Change| matches!(change, Change::Shard(_, Some(_)));
        let changes = self.history.iter().flat_map(|(_, changes)| changes);
        changes.filter(|change| moved(change)).count()
    }

    fn commit(&mut self, changes: Vec<Change>) {
        self.revision += 1;
        self.history.push((Revision(self.revision), changes));
    }
}
