//! What a coordinator is given, and what it gives to those that run units and show the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::cluster::election::{Input, Run, StopReason};
use crate::cluster::entries::{BridgeId, ShardId};
use crate::cluster::etcd::{Client, Error};
use crate::cluster::fence::Fence;
use crate::cluster::registry::Meta;

/// What a coordinator is made of.
#[derive(Debug)]
pub struct Setup {
    /// This bridge.
    pub me: BridgeId,
    /// The name of the cluster.
    pub cluster: String,
    /// How many shards it has.
    pub shards: u16,
    /// How long its lease lives after each renewal; in whole seconds.
    pub ttl: Duration,
    /// Where etcd is.
    pub client: Client,
}

/// The handles of a coordinator.
#[derive(Debug)]
pub struct Handles {
    /// What is to become of units.
    pub orders: watch::Receiver<Orders>,
    /// Takes what becomes of them.
    pub reports: mpsc::Sender<Report>,
    /// What is known of the cluster.
    pub status: watch::Receiver<Status>,
}

/// The last order for each shard; none for one that never had a unit here.
pub type Orders = BTreeMap<ShardId, Order>;

/// What is to become of a shard's unit. It stands until the next run: none begins before this one is reported as stopped.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which start of the unit this is about. Once this run has ended, it is not started again.
    pub run: Run,
    /// What the unit asks before each write.
    pub fence: Fence,
    /// Why the unit is to stop, if it is. Then [`Report::Stopped`] is to follow, also of a run that never began.
    /// [`StopReason::Lost`] may replace [`StopReason::HandOver`].
    pub stop: Option<StopReason>,
}

/// What becomes of units, and what an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// [`Input::UnitStopped`].
    Stopped(ShardId, Run),
    /// [`Input::Disconnected`].
    Disconnected(ShardId, Run),
    /// [`Input::Broker`].
    Broker(bool),
    /// [`Input::Drain`].
    Drain(bool),
}

impl From<Report> for Input {
    fn from(report: Report) -> Input {
        match report {
            Report::Stopped(shard, run) => Input::UnitStopped(shard, run),
            Report::Disconnected(shard, run) => Input::Disconnected(shard, run),
            Report::Broker(is_reached) => Input::Broker(is_reached),
            Report::Drain(is_drained) => Input::Drain(is_drained),
        }
    }
}

/// What is known of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What fails at etcd, and why the last time; without what has succeeded since then.
    pub errors: BTreeMap<Activity, Error>,
    /// The members.
    pub members: Vec<BridgeId>,
    /// The shards that have an owner.
    pub owners: BTreeMap<ShardId, BridgeId>,
}

/// What a bridge does at etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Activity {
    /// Its lease: granted and renewed.
    Lease,
    /// What the cluster has agreed on, all entries, and their changes: read.
    Watch,
    /// Its entry as a member: written.
    Member,
    /// Keys of shards: claimed and released.
    Shards,
}

impl Activity {
    /// That with which this input comes.
    pub(super) fn of(input: &Input) -> Option<Activity> {
        match input {
            Input::Granted { .. } | Input::GrantFailed => Some(Activity::Lease),
            Input::Renewed { .. } | Input::RenewalFailed | Input::LeaseLost(_) => Some(Activity::Lease),
            Input::Snapshot(_) | Input::WatchEnded => Some(Activity::Watch),
            Input::MemberWritten(_) => Some(Activity::Member),
            Input::Claimed(..) | Input::Released(..) => Some(Activity::Shards),
            _ => None,
        }
    }
}

/// Why a bridge takes no part in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The number of shards was settled by the first bridge.
    #[error(
        "this cluster has {theirs} shards, and cluster.shards is {ours}: set it to {theirs}, or choose another cluster.name for \
         a new cluster"
    )]
    Shards {
        /// What is configured.
        ours: u16,
        /// What the cluster has.
        theirs: u16,
    },
    /// A newer version has written what is there.
    #[error(
        "etcd has entries of this cluster that this version cannot read: install the version of the other bridges"
    )]
    Format,
}

impl Disagreement {
    /// What this bridge wants, and what the cluster has.
    pub(super) fn check(ours: Meta, theirs: Meta) -> Result<(), Disagreement> {
        match theirs {
            _ if theirs == ours => Ok(()),
            Meta { format, shards } if format == ours.format => Err(Disagreement::Shards {
                ours: ours.shards,
                theirs: shards,
            }),
            _ => Err(Disagreement::Format),
        }
    }
}
