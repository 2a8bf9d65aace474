//! What a coordinator is given, and what it gives to those that run units and show the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::status::Status;
use crate::cluster::devices_digest::DevicesDigest;
use crate::cluster::election::{Input, Run, StopReason};
use crate::cluster::entries::{BridgeId, ShardId};
use crate::cluster::etcd::Client;
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
    /// The digest of its devices.
    pub devices: DevicesDigest,
    /// The URL of its page, as others are to show it.
    pub url: Option<String>,
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
    /// The devices of this bridge are others from now on.
    Devices(DevicesDigest),
    /// Why the commands of a shard cannot be kept; `None` once they can, or the unit has stopped.
    Commands(ShardId, Option<String>),
}

impl From<Report> for Input {
    fn from(report: Report) -> Input {
        match report {
            Report::Stopped(shard, run) => Input::UnitStopped(shard, run),
            Report::Disconnected(shard, run) => Input::Disconnected(shard, run),
            Report::Broker(is_reached) => Input::Broker(is_reached),
            Report::Drain(is_drained) => Input::Drain(is_drained),
            Report::Devices(_) => Input::Outdated,
            // It decides nothing.
            Report::Commands(..) => Input::Timer,
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// The number of shards was settled by the first bridge.
    Shards {
        /// What is configured.
        ours: u16,
        /// What the cluster has.
        theirs: u16,
    },
    /// A newer version has written what is there.
    Format,
}

impl Disagreement {
    /// What is wrong.
    pub fn message(&self) -> String {
        match self {
            Disagreement::Shards { ours, theirs } => {
                format!("this cluster has {theirs} shards, and cluster.shards is {ours}")
            }
            Disagreement::Format => {
                "etcd has entries of this cluster that this version cannot read".to_owned()
            }
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Disagreement::Shards { theirs, .. } => {
                format!("set it to {theirs}, or choose another cluster.name for a new cluster")
            }
            Disagreement::Format => "install the version of the other bridges".to_owned(),
        }
    }

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

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message(), self.remedy())
    }
}

impl std::error::Error for Disagreement {}
