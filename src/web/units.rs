//! The unit of the bridge and, in a cluster, those of the shards that it owns, shown as one. Without a cluster there is only
//! the first, and it is shown as it is.

use std::collections::BTreeMap;

use super::{Shown, Unit};
use crate::command::Counts;
use crate::model::ShardId;
use crate::mqtt::commands::CommandsStatus;
use crate::mqtt::publisher::BrokerStatus;
use crate::mqtt::{EdgeNodeStatus, LinkStatus};
use crate::records::store::StoreStatus;

/// The units of the shards that this bridge owns.
#[derive(Debug, Clone, Default)]
pub struct Units {
    running: BTreeMap<ShardId, Unit>,
    ended: Ended,
}

/// What units have counted that no longer run: their numbers are counters, which never fall.
#[derive(Debug, Clone, Default)]
struct Ended {
    commands: Counts,
    restored: u64,
}

impl Units {
    /// The unit of that shard runs.
    pub fn begin(&mut self, shard: ShardId, unit: Unit) {
        self.running.insert(shard, unit);
    }

    /// It no longer does.
    pub fn end(&mut self, shard: ShardId) {
        if let Some(unit) = self.running.remove(&shard) {
            add(&mut self.ended.commands, &unit.command_counts.borrow());
            self.ended.restored += unit.broker.borrow().restored;
        }
    }

    /// That of a shard, if it runs here.
    pub(super) fn get(&self, shard: ShardId) -> Option<&Unit> {
        self.running.get(&shard)
    }
}

impl Shown {
    /// The connections that publish. What is shown of one connection is that of the worst.
    pub(super) fn broker(&self) -> BrokerStatus {
        let mut sum = self.unit.broker.borrow().clone();
        for other in self.of_shards(|unit| unit.broker.borrow().clone()) {
            sum.link = worst(sum.link, other.link);
            sum.topics += other.topics;
            sum.pending += other.pending;
            sum.records += other.records;
            sum.restored += other.restored;
        }
        sum.restored += self.ended().restored;
        sum
    }

    /// The connections that take commands.
    pub(super) fn commands(&self) -> CommandsStatus {
        let mut sum = self.unit.commands.borrow().clone();
        for other in self.of_shards(|unit| unit.commands.borrow().clone()) {
            sum.link = worst(sum.link, other.link);
            sum.subscribed &= other.subscribed;
            sum.sessions_lost += other.sessions_lost;
            sum.refused.extend(other.refused);
            sum.waiting += other.waiting;
            sum.failing = sum.failing.or(other.failing);
        }
        sum
    }

    /// The edge nodes, where there is one.
    pub(super) fn sparkplug(&self) -> Option<EdgeNodeStatus> {
        let status = |unit: &Unit| Some(unit.sparkplug.as_ref()?.borrow().clone());
        let shards = self.of_shards(status).into_iter();
        let all = status(&self.unit).into_iter().chain(shards.flatten());
        all.reduce(|sum, other| EdgeNodeStatus {
            link: worst(sum.link, other.link),
            born: sum.born && other.born,
            old_hosts: sum.old_hosts.max(other.old_hosts),
        })
    }

    /// How commands ended.
    pub(super) fn command_counts(&self) -> Counts {
        let mut sum = self.unit.command_counts.borrow().clone();
        for other in self.of_shards(|unit| unit.command_counts.borrow().clone()) {
            add(&mut sum, &other);
        }
        add(&mut sum, &self.ended().commands);
        sum
    }

    /// What is kept: on disk, and in etcd for the shards.
    pub(super) fn kept(&self) -> StoreStatus {
        let mut sum = self.store.status().borrow().clone();
        let status = |unit: &Unit| Some(unit.kept.as_ref()?.borrow().clone());
        for other in self.of_shards(status).into_iter().flatten() {
            sum.records += other.records;
            sum.record_bytes += other.record_bytes;
            sum.commands += other.commands;
        }
        sum
    }

    /// All connections to the broker, by the names that the metrics have for them.
    pub(super) fn links(&self) -> Vec<(String, LinkStatus)> {
        let own = ["state", "commands", "sparkplug"].map(str::to_owned);
        let mut links = links_of(&self.unit, own);
        if let Some(cluster) = &self.cluster {
            for (shard, unit) in &cluster.units.borrow().running {
                let names = ["", "-commands", "-sparkplug"].map(|end| format!("shard-{shard}{end}"));
                links.extend(links_of(unit, names));
            }
        }
        links
    }

    fn of_shards<T>(&self, status: impl Fn(&Unit) -> T) -> Vec<T> {
        let Some(cluster) = &self.cluster else {
            return Vec::new();
        };
        cluster.units.borrow().running.values().map(status).collect()
    }

    fn ended(&self) -> Ended {
        let cluster = self.cluster.as_ref();
        cluster.map_or_else(Ended::default, |cluster| cluster.units.borrow().ended.clone())
    }
}

fn links_of(unit: &Unit, [state, commands, sparkplug]: [String; 3]) -> Vec<(String, LinkStatus)> {
    let mut links = vec![
        (state, unit.broker.borrow().link.clone()),
        (commands, unit.commands.borrow().link.clone()),
    ];
    let edge_node = unit.sparkplug.iter();
    links.extend(edge_node.map(|status| (sparkplug.clone(), status.borrow().link.clone())));
    links
}

/// Of two connections the one that is not there; their connections together.
fn worst(one: LinkStatus, other: LinkStatus) -> LinkStatus {
    let connections = one.connections + other.connections;
    let worst = if one.connected && !other.connected {
        other
    } else {
        one
    };
    LinkStatus { connections, ..worst }
}

fn add(sum: &mut Counts, other: &Counts) {
    sum.carried_out += other.carried_out;
    for (kind, count) in &other.refused {
        *sum.refused.entry(*kind).or_default() += count;
    }
}
