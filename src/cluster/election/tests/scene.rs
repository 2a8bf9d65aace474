//! One election, and what etcd answers to it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Effect, Election, Input, MemberWritten, StopReason};
use crate::boot_time::BootTime;
use crate::cluster::entries::{
    BridgeId, Change, Intent, LeaseId, Member, MemberState, Owner, Revision, ShardId, Snapshot, Token,
};
use crate::cluster::fence::Permit;

/// The leases of the bridges `a` and `b`.
pub(super) const A: LeaseId = LeaseId(1);
pub(super) const B: LeaseId = LeaseId(2);
/// The only shard, if there is only one.
pub(super) const SHARD: ShardId = ShardId(0);
pub(super) const WORKING: MemberState = MemberState {
    reaches_broker: true,
    intent: Intent::Stay,
};
const TTL: Duration = Duration::from_secs(5);

pub(super) fn id(name: &str) -> BridgeId {
    BridgeId::new(name).unwrap()
}

/// So many seconds after the start of a scene.
pub(super) fn at(seconds: f64) -> BootTime {
    BootTime::after_boot(Duration::from_secs(1_000))
        + Duration::from_millis((seconds * 1_000.0).round() as u64)
}

pub(super) fn token(revision: i64) -> Token {
    Token(Revision(revision))
}

pub(super) fn owner(name: &str, lease: LeaseId, revision: i64) -> Owner {
    Owner {
        bridge: id(name),
        lease,
        token: token(revision),
    }
}

pub(super) fn permit(revision: i64, until: f64) -> Effect {
    let permit = Permit {
        token: token(revision),
        until: at(until),
    };
    Effect::Permit(SHARD, Some(permit))
}

pub(super) struct Scene {
    pub(super) election: Election,
    me: BridgeId,
    now: f64,
    revision: i64,
    /// The last reason for which the first shard's unit was stopped.
    stopped: Option<StopReason>,
    /// The shards that are handed over, in that order.
    stops: Vec<ShardId>,
}

impl Scene {
    /// The bridge `a`, which has just started.
    pub(super) fn new(shards: u16) -> Scene {
        Scene::of("a", shards)
    }

    pub(super) fn of(me: &str, shards: u16) -> Scene {
        let me = id(me);
        Scene {
            election: Election::new(me.clone(), shards, at(0.0)),
            me,
            now: 0.0,
            revision: 5,
            stopped: None,
            stops: Vec::new(),
        }
    }

    /// It is a member, and nobody owns anything.
    pub(super) fn joined(shards: u16) -> Scene {
        let mut scene = Scene::new(shards);
        scene.join(&[("a", A)], &[]);
        scene
    }

    /// It owns the only shard.
    pub(super) fn owning() -> Scene {
        let mut scene = Scene::new(1);
        scene.join(&[("a", A)], &[(SHARD, owner("a", A, 10))]);
        scene
    }

    /// It becomes one of these members; `shards` have these owners.
    pub(super) fn join(&mut self, members: &[(&str, LeaseId)], shards: &[(ShardId, Owner)]) {
        self.give(Input::Timer);
        self.give(Input::Broker(true));
        let lease = if self.me.as_str() == "a" { A } else { B };
        let (sent, ttl) = (at(self.now), TTL);
        self.give(Input::Granted { lease, ttl, sent });
        self.give(Input::MemberWritten(MemberWritten::Written));
        let members: Vec<_> = members
            .iter()
            .map(|(name, lease)| (*name, *lease, WORKING))
            .collect();
        self.give(Input::Snapshot(self.snapshot(10, &members, shards)));
        self.revision = 10;
    }

    /// Another bridge `b` is a member.
    pub(super) fn share_with(&mut self, state: MemberState) {
        self.show("b", B, state);
    }

    /// What is done, but for timers.
    pub(super) fn give(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = self.election.on(input, at(self.now));
        effects.retain(|effect| !matches!(effect, Effect::WakeAt(_)));
        for effect in &effects {
            if let Effect::StopUnit(shard, reason) = effect {
                self.stopped = Some(*reason);
                self.stops.push(*shard);
            }
        }
        effects
    }

    pub(super) fn later(&mut self, seconds: f64) {
        self.now += seconds;
    }

    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    pub(super) fn stops(&self) -> &[ShardId] {
        &self.stops
    }

    pub(super) fn grant(&mut self) -> Vec<Effect> {
        let (sent, ttl) = (at(self.now), TTL);
        self.give(Input::Granted { lease: A, ttl, sent })
    }

    /// The lease was renewed by a request that was sent then.
    pub(super) fn renew(&mut self, sent: f64) -> Vec<Effect> {
        let lease = if self.me.as_str() == "a" { A } else { B };
        let (sent, ttl) = (at(sent), TTL);
        self.give(Input::Renewed { lease, ttl, sent })
    }

    pub(super) fn member(&self, name: &str, lease: LeaseId, state: MemberState) -> Change {
        Change::Member(id(name), Some(Member { lease, state }))
    }

    /// The watch shows this entry.
    pub(super) fn show(&mut self, name: &str, lease: LeaseId, state: MemberState) -> Vec<Effect> {
        self.revision += 1;
        let change = self.member(name, lease, state);
        self.give(Input::Changed(Revision(self.revision), vec![change]))
    }

    /// An operator drains it; gives what follows once all know.
    pub(super) fn drain(&mut self) -> Vec<Effect> {
        let state = MemberState {
            intent: Intent::Drain,
            ..WORKING
        };
        let write = Effect::WriteMember { lease: A, state };
        assert_eq!(self.give(Input::Drain(true)), [write]);
        assert_eq!(self.give(Input::MemberWritten(MemberWritten::Written)), []);
        self.show("a", A, state)
    }

    /// The lease was lost in an outage of etcd; there is a new one, and then these owners are read.
    pub(super) fn lose_lease(&mut self, owners: &[(ShardId, Owner)]) {
        self.give(Input::WatchEnded);
        self.give(Input::LeaseLost(A));
        let (lease, ttl, sent) = (LeaseId(3), TTL, at(self.now));
        self.give(Input::Granted { lease, ttl, sent });
        self.give(Input::MemberWritten(MemberWritten::Written));
        let snapshot = self.snapshot(30, &[("a", lease, WORKING)], owners);
        self.give(Input::Snapshot(snapshot));
    }

    pub(super) fn claim(&self) -> Effect {
        Effect::Claim {
            shard: SHARD,
            lease: A,
        }
    }

    pub(super) fn snapshot(
        &self,
        revision: i64,
        members: &[(&str, LeaseId, MemberState)],
        owners: &[(ShardId, Owner)],
    ) -> Snapshot {
        let member = |(name, lease, state): &(&str, LeaseId, MemberState)| {
            let (lease, state) = (*lease, *state);
            (id(name), Member { lease, state })
        };
        Snapshot {
            revision: Revision(revision),
            members: members.iter().map(member).collect(),
            details: BTreeMap::new(),
            owners: owners.iter().cloned().collect(),
        }
    }
}
