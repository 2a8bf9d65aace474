//! The bridge as a member of a cluster: its coordinator, and a task for each shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::common::Common;
use super::devices::{self, TrapRoutes};
use super::shard::{Shard, Shared};
use super::task::{self, Task};
use crate::cluster::coordinator::{Coordinator, Handles, Report, Setup};
use crate::cluster::dead_letters::DeadLetters;
use crate::cluster::devices_digest::DevicesDigest;
use crate::cluster::etcd;
use crate::cluster::incidents::Reporter;
use crate::cluster::shard_of;
use crate::command::{Elsewhere, Routes};
use crate::config::{Cluster, Device};
use crate::hub;
use crate::model::ShardId;
use crate::mqtt::history::{HistoryReader, HistoryStatus};
use crate::mqtt::publisher::BrokerStatus;
use crate::web;

#[derive(Debug)]
pub(super) struct Member {
    common: Arc<Common>,
    coordinator: Task,
    /// One for each shard: they end after the coordinator, which has stopped their units. And what watches for all of them.
    shards: Vec<Task>,
    traps: Option<TrapRoutes>,
    /// How many devices each shard has.
    sizes: watch::Sender<BTreeMap<ShardId, usize>>,
    shown: web::Cluster,
    /// Why units have failed.
    failures: mpsc::Receiver<anyhow::Error>,
}

/// What all units of this process share.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) hub: hub::Joint,
    pub(super) routes: watch::Sender<Routes>,
    pub(super) traps: Option<TrapRoutes>,
    /// All configured devices.
    pub(super) configured: watch::Receiver<Vec<Arc<Device>>>,
    /// The connection that belongs to no shard.
    pub(super) broker: watch::Receiver<BrokerStatus>,
}

/// A member of which nothing runs yet.
#[derive(Debug)]
pub(super) struct Joining {
    cluster: Cluster,
    client: etcd::Client,
    coordinator: Coordinator,
    handles: Handles,
}

impl Joining {
    /// Makes what joins the cluster.
    ///
    /// # Errors
    /// When a certificate or key for etcd, or a device's TLS or profile files, cannot be used: not only once it works for the
    /// device.
    pub(super) fn new(common: &Common, cluster: &Cluster) -> anyhow::Result<Joining> {
        devices::check(&common.config.devices)?;
        let client = etcd::Client::new(&etcd::Settings::from(cluster))?;
        let setup = Setup {
            me: common.config.bridge.id.clone(),
            cluster: cluster.name.to_string(),
            shards: cluster.shards,
            ttl: cluster.ttl,
            devices: DevicesDigest::of(&common.config, &common.config.devices),
            url: cluster.url.clone(),
            client: client.clone(),
        };
        let (coordinator, handles) = Coordinator::new(setup);
        Ok(Joining {
            cluster: cluster.clone(),
            client,
            coordinator,
            handles,
        })
    }

    /// What the bridge knows of the rest of the cluster.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        let dead_letters = DeadLetters::new(self.client.clone(), self.cluster.name.as_str());
        Elsewhere::new(self.cluster.shards, self.handles.status.clone(), dead_letters)
    }

    /// Joins the cluster.
    pub(super) fn start(self, common: &Arc<Common>, joint: Joint) -> Member {
        let Joining {
            cluster,
            client,
            coordinator,
            handles,
        } = self;
        let Handles {
            orders,
            reports,
            status,
        } = handles;
        let (history, history_status) = history(common, joint.configured.clone()).unzip();
        let units = watch::Sender::default();
        let sizes = watch::Sender::default();
        let shown = web::Cluster {
            name: cluster.name.to_string(),
            shards: cluster.shards,
            status: status.clone(),
            reports: reports.clone(),
            configured: joint.configured.clone(),
            devices: sizes.subscribe(),
            units: units.subscribe(),
            history: history_status,
        };
        let traps = joint.traps.clone();
        let (failed, failures) = mpsc::channel(1);
        let shared = Shared {
            common: Arc::clone(common),
            cluster: cluster.clone(),
            etcd: client,
            configured: joint.configured,
            joint: joint.hub,
            routes: joint.routes,
            traps: joint.traps,
            units,
            orders,
            reports: reports.clone(),
            status,
            failures: failed,
        };
        let shard = |id| {
            let shard = Shard::new(id, shared.clone());
            Task::spawn("shard", |_| shard.run())
        };
        let mut shards: Vec<_> = ShardId::all(cluster.shards).map(shard).collect();
        shards.push(Task::spawn("broker for the cluster", |stop| async move {
            stop.run_until_cancelled(report_broker(joint.broker, reports))
                .await;
        }));
        let (ttl, repeat) = (cluster.ttl, common.config.dead_letter.repeat);
        let reporter = Reporter::new(shown.status.clone(), common.store.clone(), ttl, repeat);
        shards.push(Task::spawn("incidents of the cluster", |stop| reporter.run(stop)));
        shards
            .extend(history.map(|history| Task::spawn("records for the history", |stop| history.run(stop))));
        let run = async move |stop| Ok(coordinator.run(stop).await?);
        Member {
            common: Arc::clone(common),
            coordinator: Task::spawn_fallible("coordinator", run),
            shards,
            traps,
            sizes,
            shown,
            failures,
        }
    }
}

impl Member {
    /// These devices are configured now, wherever they are polled.
    pub(super) async fn configured(&self, devices: &[Arc<Device>]) {
        let digest = DevicesDigest::of(&self.common.config, devices);
        // Nobody takes it only where the coordinator has ended.
        let _ = self.shown.reports.send(Report::Devices(digest)).await;
        let mut sizes = BTreeMap::new();
        for device in devices {
            *sizes.entry(shard_of(&device.id, self.shown.shards)).or_default() += 1;
        }
        self.sizes.send_replace(sizes);
        if let Some(traps) = &self.traps {
            traps.are_elsewhere(devices);
        }
    }

    /// What others see of the cluster.
    pub(super) fn shown(&self) -> &web::Cluster {
        &self.shown
    }

    /// Waits until it no longer takes part, or a unit has failed, or a task ends that should not.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            Some(error) = self.failures.recv() => error,
            error = task::any_end(std::iter::once(&mut self.coordinator).chain(&mut self.shards)) => error,
        }
    }

    /// Hands all shards over, and leaves. Gives what has not stopped in time.
    pub(super) async fn stop(self, deadline: Instant) -> Vec<&'static str> {
        let coordinator = std::iter::once(self.coordinator);
        task::end_all(coordinator.chain(self.shards), deadline).await
    }
}

/// What takes in the records of all bridges, where a history is kept, and how that is.
fn history(
    common: &Common,
    devices: watch::Receiver<Vec<Arc<Device>>>,
) -> Option<(HistoryReader, watch::Receiver<HistoryStatus>)> {
    let is_kept = !common.config.history.keep.is_zero();
    let (mqtt, topics, store) = (&common.mqtt, &common.topics, &common.store);
    is_kept.then(|| HistoryReader::new(mqtt.clone(), topics.clone(), devices, store.clone()))
}

/// Says whether the broker is reached, whenever that changes.
async fn report_broker(mut broker: watch::Receiver<BrokerStatus>, reports: mpsc::Sender<Report>) {
    let mut last = None;
    loop {
        let is_reached = broker.borrow_and_update().link.connected;
        if last.replace(is_reached) != Some(is_reached) {
            let _ = reports.send(Report::Broker(is_reached)).await;
        }
        if broker.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
