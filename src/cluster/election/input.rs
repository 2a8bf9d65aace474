//! What an election is given, and what it wants to be done.

use std::time::Duration;

use crate::boot_time::BootTime;
use crate::cluster::entries::{Change, LeaseId, MemberState, Owner, Revision, ShardId, Snapshot, Token};
use crate::cluster::fence::Permit;

/// Which start of a shard's unit, counted by this process. So a report that comes late is not taken for one of a later start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Run(pub u64);

/// Something has happened.
///
/// Each request (an effect that says so) is answered by exactly one input, in any order. So a request that hangs is ended by
/// whoever makes it, a renewal within [`renewal_timeout`](super::renewal_timeout), and is answered as failed or unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// [`Effect::GrantLease`] was answered.
    Granted {
        /// The new lease.
        lease: LeaseId,
        /// As etcd has answered, which may be more than was requested.
        ttl: Duration,
        /// When the request was sent, at the latest. Not when the answer has come.
        sent: BootTime,
    },
    /// [`Effect::GrantLease`] has failed, or was not answered.
    GrantFailed,
    /// [`Effect::RenewLease`] was answered.
    Renewed {
        /// Which lease.
        lease: LeaseId,
        /// As etcd has answered.
        ttl: Duration,
        /// When the request was sent, at the latest.
        sent: BootTime,
    },
    /// [`Effect::RenewLease`] has failed, or was not answered: the lease may live, or not.
    RenewalFailed,
    /// [`Effect::RenewLease`] was answered: this lease no longer exists.
    LeaseLost(LeaseId),
    /// [`Effect::ReadSnapshot`] was answered. The changes of later revisions follow.
    Snapshot(Snapshot),
    /// All that changed at this revision, in the order of revisions.
    Changed(Revision, Vec<Change>),
    /// [`Effect::ReadSnapshot`] has failed, or the watch that followed it has ended, for whatever reason.
    WatchEnded,
    /// [`Effect::WriteMember`] has ended.
    MemberWritten(MemberWritten),
    /// What else the entry of this bridge shows is not what it is to show: it is to be written again. That decides nothing.
    Outdated,
    /// [`Effect::Claim`] has ended.
    Claimed(ShardId, Claimed),
    /// [`Effect::Release`] has ended. The revision of the answer: at that one the key is not this bridge's own, whether it was
    /// deleted now or before. `None` if there was no answer: the key may be there still.
    Released(ShardId, Option<Revision>),
    /// Whether this bridge now reaches its broker, by the connection that belongs to no shard. It counts as reached at first.
    Broker(bool),
    /// The broker has closed a connection of this unit since another client has its id (0x8E), or the connection was lost.
    Disconnected(ShardId, Run),
    /// The unit has stopped: it writes nothing from now on, and has no connection under the shard's ids. A unit that ends by
    /// itself is started again at once while the shard is owned; it is up to the caller to report that not too often. A report
    /// of an earlier run, or a repeated one, changes nothing.
    UnitStopped(ShardId, Run),
    /// An operator wants that this bridge owns nothing, or that it does again.
    Drain(bool),
    /// The process is to end.
    Stop,
    /// The same, and this bridge does not agree with its cluster: nothing may be written from now on.
    Expelled,
    /// The time of [`Effect::WakeAt`] has come. Also the first input of all.
    Timer,
}

/// How the transaction of [`Effect::WriteMember`] has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberWritten {
    /// It is written.
    Written,
    /// There is one with another lease: of this bridge before it was started again, until that lease ends; or of another
    /// process with the same id.
    Refused,
    /// It may be written or not.
    Unknown,
}

/// How the transaction of [`Effect::Claim`] has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The shard is this bridge's.
    Won(Token),
    /// Nothing was written.
    Lost {
        /// The revision of the answer.
        revision: Revision,
        /// Who owns the shard at that revision. `None`: the transaction was refused for another reason, as that the lease no
        /// longer exists.
        owner: Option<Owner>,
    },
    /// It may be won, or will be, or not.
    Unknown,
}

/// What is to be done. Effects are begun in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Request: a new lease, with the TTL of the configuration.
    GrantLease,
    /// Request: renew this lease.
    RenewLease(LeaseId),
    /// Request: read all (linearizable), then watch from the next revision on. A watch that is still open ends before, and
    /// none of its changes follow. A watch that shows no progress for some seconds is to be ended by the caller.
    ReadSnapshot,
    /// Request, a transaction: if there is no entry of this bridge, or one with this lease, write it.
    WriteMember {
        /// The lease to write it under.
        lease: LeaseId,
        /// What it shows.
        state: MemberState,
    },
    /// Request, a transaction: if the shard has no key, and the entry of this bridge has this lease, create the key.
    Claim {
        /// The shard.
        shard: ShardId,
        /// The lease to write it under.
        lease: LeaseId,
    },
    /// Request, a transaction: if the shard's key has this `create_revision`, delete it.
    Release {
        /// The shard.
        shard: ShardId,
        /// The key that is to be deleted.
        token: Token,
    },
    /// From now on the unit may write with that permit, or not at all: [`Gate::set`](crate::cluster::fence::Gate::set). To be
    /// done before anything that follows is begun.
    Permit(ShardId, Option<Permit>),
    /// Start the unit.
    StartUnit(ShardId, Run),
    /// Stop the unit. [`StopReason::Lost`] may follow [`StopReason::HandOver`].
    StopUnit(ShardId, StopReason),
    /// Nothing is left to be done but to revoke that lease, if there is one; nothing more follows.
    Leave(Option<LeaseId>),
    /// [`Input::Timer`] is due then. It is the last effect of an input. Each input voids the timer before it, so without this
    /// effect none is due.
    WakeAt(BootTime),
}

/// Why a unit stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The shard is handed over: a command in progress ends, then the broker's connections end without `offline`.
    HandOver,
    /// The shard is another bridge's, or may be: nothing is written or published from now on.
    Lost,
}
