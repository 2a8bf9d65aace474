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

/// How the names end that the metrics have for the connections of a shard: that which publishes, that which takes commands, and
/// that of the edge node.
const STATE: &str = "";
const COMMANDS: &str = "-commands";
const SPARKPLUG: &str = "-sparkplug";

/// The name that the metrics have for the connection by which records of all bridges come in.
const HISTORY: &str = "history";

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
    /// Connections that came about, by the end of their names.
    connections: BTreeMap<(ShardId, &'static str), u64>,
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
            for (end, link) in links_of(&unit, [STATE, COMMANDS, SPARKPLUG]) {
                *self.ended.connections.entry((shard, end)).or_default() += link.connections;
            }
        }
    }

    /// That of a shard, if it runs here.
    pub(super) fn get(&self, shard: ShardId) -> Option<&Unit> {
        self.running.get(&shard)
    }

    /// What they show of themselves.
    fn all<T>(&self, status: impl Fn(&Unit) -> T) -> impl Iterator<Item = T> {
        self.running.values().map(status)
    }
}

impl Ended {
    /// The connections of all shards whose names end like that.
    fn connections(&self, end: &str) -> u64 {
        let such = self.connections.iter().filter(|((_, other), _)| *other == end);
        such.map(|(_, connections)| connections).sum()
    }
}

impl Shown {
    /// The connections that publish. What is shown of one connection is that of the worst.
    pub(super) fn broker(&self) -> BrokerStatus {
        let mut sum = self.unit.broker.borrow().clone();
        self.of_shards(|units| {
            for other in units.all(|unit| unit.broker.borrow().clone()) {
                sum.link = worst(sum.link.clone(), other.link);
                sum.topics += other.topics;
                sum.pending += other.pending;
                sum.records += other.records;
                sum.restored += other.restored;
            }
            sum.link.connections += units.ended.connections(STATE);
            sum.restored += units.ended.restored;
        });
        sum
    }

    /// The connections that take commands.
    pub(super) fn commands(&self) -> CommandsStatus {
        let mut sum = self.unit.commands.borrow().clone();
        self.of_shards(|units| {
            for other in units.all(|unit| unit.commands.borrow().clone()) {
                sum.link = worst(sum.link.clone(), other.link);
                sum.subscribed &= other.subscribed;
                sum.sessions_lost += other.sessions_lost;
                sum.refused.extend(other.refused);
                sum.waiting += other.waiting;
                sum.failing = sum.failing.take().or(other.failing);
            }
            sum.link.connections += units.ended.connections(COMMANDS);
        });
        sum
    }

    /// The edge nodes, where there is one.
    pub(super) fn sparkplug(&self) -> Option<EdgeNodeStatus> {
        let status = |unit: &Unit| Some(unit.sparkplug.as_ref()?.borrow().clone());
        let mut all: Vec<_> = status(&self.unit).into_iter().collect();
        let mut ended = 0;
        self.of_shards(|units| {
            all.extend(units.all(status).flatten());
            ended = units.ended.connections(SPARKPLUG);
        });
        let mut sum = all.into_iter().reduce(|sum, other| EdgeNodeStatus {
            link: worst(sum.link, other.link),
            born: sum.born && other.born,
            old_hosts: sum.old_hosts.max(other.old_hosts),
        })?;
        sum.link.connections += ended;
        Some(sum)
    }

    /// How commands ended.
    pub(super) fn command_counts(&self) -> Counts {
        let mut sum = self.unit.command_counts.borrow().clone();
        self.of_shards(|units| {
            for other in units.all(|unit| unit.command_counts.borrow().clone()) {
                add(&mut sum, &other);
            }
            add(&mut sum, &units.ended.commands);
        });
        sum
    }

    /// What is kept: on disk, and in etcd for the shards.
    pub(super) fn kept(&self) -> StoreStatus {
        let mut sum = self.store.status().borrow().clone();
        self.of_shards(|units| {
            let status = |unit: &Unit| Some(unit.kept.as_ref()?.borrow().clone());
            for other in units.all(status).flatten() {
                sum.records += other.records;
                sum.record_bytes += other.record_bytes;
                sum.commands += other.commands;
            }
        });
        sum
    }

    /// All connections to the broker, by the names that the metrics have for them.
    pub(super) fn links(&self) -> Vec<(String, LinkStatus)> {
        let own = ["state", "commands", "sparkplug"].map(str::to_owned);
        let mut links = links_of(&self.unit, own);
        links.extend(self.history_link().map(|link| (HISTORY.to_owned(), link)));
        self.of_shards(|units| {
            for (shard, unit) in &units.running {
                let names = [STATE, COMMANDS, SPARKPLUG].map(|end| name(*shard, end));
                links.extend(links_of(unit, names));
            }
        });
        links
    }

    /// How many connections came about, by the same names: also of shards that this bridge no longer owns.
    pub(super) fn connections(&self) -> Vec<(String, u64)> {
        let links = links_of(&self.unit, ["state", "commands", "sparkplug"].map(str::to_owned));
        let mut all: Vec<_> = links
            .into_iter()
            .chain(self.history_link().map(|link| (HISTORY.to_owned(), link)))
            .map(|(name, link)| (name, link.connections))
            .collect();
        self.of_shards(|units| {
            let mut of_shards = units.ended.connections.clone();
            for (shard, unit) in &units.running {
                for (end, link) in links_of(unit, [STATE, COMMANDS, SPARKPLUG]) {
                    *of_shards.entry((*shard, end)).or_default() += link.connections;
                }
            }
            let of_shards = of_shards.into_iter();
            all.extend(of_shards.map(|((shard, end), connections)| (name(shard, end), connections)));
        });
        all
    }

    /// The connection by which records of all bridges come in, where there is one.
    fn history_link(&self) -> Option<LinkStatus> {
        let status = self.cluster.as_ref()?.history.as_ref()?;
        Some(status.borrow().link.clone())
    }

    /// Looks at all units of shards, those that have ended included, at one moment: none is counted twice that ends meanwhile.
    fn of_shards(&self, look: impl FnOnce(&Units)) {
        if let Some(cluster) = &self.cluster {
            look(&cluster.units.borrow());
        }
    }
}

fn name(shard: ShardId, end: &str) -> String {
    format!("shard-{shard}{end}")
}

fn links_of<N>(unit: &Unit, [state, commands, sparkplug]: [N; 3]) -> Vec<(N, LinkStatus)> {
    let mut links = vec![
        (state, unit.broker.borrow().link.clone()),
        (commands, unit.commands.borrow().link.clone()),
    ];
    if let Some(status) = &unit.sparkplug {
        links.push((sparkplug, status.borrow().link.clone()));
    }
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

#[cfg(test)]
mod tests;
