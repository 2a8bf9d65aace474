//! A shard of the cluster: its unit runs here while the coordinator orders it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::UPDATES_WAITING;
use super::common::Common;
use super::devices::TrapRoutes;
use super::prior::cluster::{Taken, of_shard};
use super::unit::{Unit, Ways, Work};
use crate::cluster::coordinator::{Order, Orders, Report, Status};
use crate::cluster::election::{Run, StopReason};
use crate::cluster::entries::Token;
use crate::cluster::fence::Fence;
use crate::cluster::ledger::Ledger;
use crate::cluster::write_guard::WriteGuard;
use crate::cluster::{BootTime, etcd, shard_of};
use crate::command::{CommandStore, Routes};
use crate::config::{Cluster, Device, Mqtt};
use crate::hub;
use crate::model::{DeviceId, ShardId};
use crate::mqtt::publisher::{BrokerStatus, Role};
use crate::records::store::{Entries, IncidentChange};
use crate::web;

/// Pause before a unit that has failed is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(5);
/// How long a unit may take to stop. Another bridge waits for that.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Pause before what cannot be read from etcd is read again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// How long etcd may take to confirm a write. After more the device is not written to.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// What the units of all shards share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) common: Arc<Common>,
    pub(super) cluster: Cluster,
    pub(super) etcd: etcd::Client,
    /// All configured devices.
    pub(super) configured: watch::Receiver<Vec<Device>>,
    pub(super) joint: hub::Joint,
    pub(super) routes: watch::Sender<Routes>,
    pub(super) traps: Option<TrapRoutes>,
    pub(super) units: watch::Sender<web::Units>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) status: watch::Receiver<Status>,
}

/// The shard, as one bridge works for it.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) shared: Shared,
}

/// Why a unit has ended that has not failed.
enum Ended {
    /// It was ordered, or the coordinator has ended.
    Ordered(Option<StopReason>),
    /// The shard was lost and won again.
    NewToken,
}

/// A unit that runs.
struct Running {
    unit: Unit,
    token: Token,
    devices: Vec<DeviceId>,
    /// Cancelled if another bridge goes on.
    hand_over: CancellationToken,
}

impl Shard {
    /// Runs the unit whenever it is ordered, until the coordinator has ended.
    pub(super) async fn run(mut self) {
        let mut last = Run::default();
        while let Some(order) = self.next_order(last).await {
            last = order.run;
            if let Err(error) = self.serve(&order).await {
                tracing::error!("the unit of shard {} has failed: {error:#}", self.id);
                let mut orders = self.shared.orders.clone();
                tokio::select! {
                    () = sleep(RESTART_PAUSE) => {}
                    _ = stop_of(&mut orders, self.id, order.run) => {}
                }
            }
            // Nobody takes it only where the coordinator has ended.
            let _ = self
                .shared
                .reports
                .send(Report::Stopped(self.id, order.run))
                .await;
        }
    }

    /// Waits for the order after that run.
    async fn next_order(&mut self, last: Run) -> Option<Order> {
        let id = self.id;
        let is_next = |orders: &Orders| orders.get(&id).is_some_and(|order| order.run > last);
        let orders = self.shared.orders.wait_for(is_next).await.ok()?;
        orders.get(&id).cloned()
    }

    /// Runs the unit until it is ordered to stop.
    async fn serve(&mut self, order: &Order) -> anyhow::Result<()> {
        while let Ended::NewToken = self.serve_with_token(order).await? {
            tracing::info!(shard = %self.id, "this bridge has lost the shard and won it again: its unit starts again");
        }
        Ok(())
    }

    /// The same as long as the shard is won with the same token: with another one, others may have worked for it in between.
    async fn serve_with_token(&mut self, order: &Order) -> anyhow::Result<Ended> {
        let mut orders = self.shared.orders.clone();
        let mut running = tokio::select! {
            biased;
            reason = stop_of(&mut orders, self.id, order.run) => return Ok(Ended::Ordered(reason)),
            started = self.start(order) => started?,
        };
        tracing::info!(shard = %self.id, devices = running.devices.len(), "this bridge works for the shard");
        let shown = running.unit.shown().clone();
        self.shared.units.send_modify(|units| units.begin(self.id, shown));
        let ended = self.work(&mut running, &mut orders, order).await;
        self.end(running, &ended).await;
        ended
    }

    async fn work(
        &mut self,
        running: &mut Running,
        orders: &mut watch::Receiver<Orders>,
        Order { run, fence, .. }: &Order,
    ) -> anyhow::Result<Ended> {
        let (run, mut fence, mut broker) = (*run, fence.clone(), running.unit.broker());
        let mut was_connected = false;
        loop {
            tokio::select! {
                reason = stop_of(orders, self.id, run) => return Ok(Ended::Ordered(reason)),
                true = fence.changed() => {
                    let token = fence.may_write(BootTime::now());
                    if token.is_some_and(|token| token != running.token) {
                        return Ok(Ended::NewToken);
                    }
                }
                error = running.unit.failed() => return Err(error),
                Ok(()) = self.shared.configured.changed() => self.reload(running).await,
                Ok(()) = broker.changed() => {
                    if has_lost(&mut broker, &mut was_connected) {
                        let _ = self.shared.reports.send(Report::Disconnected(self.id, run)).await;
                    }
                }
            }
        }
    }

    async fn start(&mut self, order: &Order) -> anyhow::Result<Running> {
        let Shared {
            common,
            cluster,
            etcd,
            configured,
            joint,
            routes,
            traps,
            status,
            ..
        } = &mut self.shared;
        let devices = of(&configured.borrow_and_update(), self.id, cluster.shards);
        let mqtt = Mqtt {
            client_id: format!("{}-{}", cluster.name, self.id),
            ..common.mqtt.clone()
        };
        let topics = common.topics.of_shard(self.id);
        let taken = Taken {
            mqtt: &mqtt,
            topics: &topics,
            devices: &devices,
            clears: status.borrow().with_other_devices().next().is_none(),
        };
        let (earlier, left) = of_shard(common, taken).await;
        let (ledger, token) = open_ledger(etcd, cluster, self.id, order.fence.clone()).await;
        let hand_over = CancellationToken::new();
        let role = Role::Shard {
            shard: self.id,
            fence: order.fence.clone(),
            left,
            replies: Some(ledger.clone()),
            hand_over: hand_over.clone(),
        };
        let client = etcd.within(CONFIRM_WITHIN);
        let write_guard = WriteGuard::new(client, cluster.name.as_str(), self.id, order.fence.clone());
        let sparkplug = common
            .config
            .sparkplug
            .clone()
            .map(|settings| settings.of_shard(self.id));
        let ids: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        let (updates, receiver) = mpsc::channel(UPDATES_WAITING);
        let ways = Ways {
            updates,
            hub: joint.hub(ids.clone(), receiver),
            routes: routes.clone(),
            traps: traps.clone(),
        };
        let work = Work {
            mqtt,
            topics,
            role,
            sparkplug,
            devices,
            earlier,
            fence: Some(order.fence.clone()),
            commands: Some(CommandStore::Shared(ledger, common.store.clone())),
            elsewhere: None,
            write_guard: Some(write_guard),
        };
        let unit = match Unit::start(common, work, ways).await {
            Ok(unit) => unit,
            Err(error) => {
                joint.leave(ids).await;
                return Err(error);
            }
        };
        Ok(Running {
            unit,
            token,
            devices: ids,
            hand_over,
        })
    }

    async fn reload(&mut self, running: &mut Running) {
        let devices = of(
            &self.shared.configured.borrow_and_update(),
            self.id,
            self.shared.cluster.shards,
        );
        match running.unit.apply(&devices).await {
            Ok(()) => running.devices = devices.into_iter().map(|device| device.id).collect(),
            Err(error) => {
                tracing::error!("the devices of shard {} stay as they were: {error:#}", self.id);
            }
        }
    }

    async fn end(&self, running: Running, ended: &anyhow::Result<Ended>) {
        let Shared {
            common,
            joint,
            units,
            status,
            ..
        } = &self.shared;
        let is_last = matches!(
            ended,
            Ok(Ended::Ordered(Some(StopReason::HandOver)) | Ended::Ordered(None))
        ) && status.borrow().members.len() < 2;
        if !is_last {
            running.hand_over.cancel();
        }
        let late = running.unit.stop(Instant::now() + STOP_WITHIN).await;
        if !late.is_empty() {
            tracing::error!("of shard {} did not stop in time: {}", self.id, late.join(", "));
        }
        units.send_modify(|units| units.end(self.id));
        let closed = running.devices.iter().cloned();
        let closed =
            closed.map(|device| IncidentChange::AllClosed(device, "its shard is another bridge's now"));
        let entries = Entries {
            incidents: closed.collect(),
            ..Entries::default()
        };
        common.store.append_all(entries).await;
        joint.leave(running.devices).await;
        tracing::info!(shard = %self.id, "this bridge no longer works for the shard");
    }
}

/// What there is of the shard's commands, as soon as etcd gives it and this bridge may write.
async fn open_ledger(
    etcd: &etcd::Client,
    cluster: &Cluster,
    shard: ShardId,
    mut fence: Fence,
) -> (Ledger, Token) {
    loop {
        fence.permitted().await;
        let token = fence.may_write(BootTime::now());
        let opened = Ledger::open(etcd, cluster.name.as_str(), shard, fence.clone()).await;
        match (opened, token) {
            (Ok(ledger), Some(token)) => return (ledger, token),
            (Err(error), _) => tracing::warn!(%shard, "the commands of the shard cannot be read: {error}"),
            (Ok(_), None) => {}
        }
        sleep(OPEN_AGAIN).await;
    }
}

/// The devices of a shard.
fn of(devices: &[Device], shard: ShardId, shards: u16) -> Vec<Device> {
    let devices = devices.iter();
    devices
        .filter(|device| shard_of(&device.id, shards) == shard)
        .cloned()
        .collect()
}

/// Waits until that run is to stop, or a later one is ordered. None if the coordinator has ended.
async fn stop_of(orders: &mut watch::Receiver<Orders>, shard: ShardId, run: Run) -> Option<StopReason> {
    let is_over = |orders: &Orders| {
        let order = orders.get(&shard);
        order.is_none_or(|order| order.run > run || order.stop.is_some())
    };
    let orders = orders.wait_for(is_over).await.ok()?;
    orders.get(&shard)?.stop
}

/// Whether there was a connection, and there is none any longer.
fn has_lost(broker: &mut watch::Receiver<BrokerStatus>, was_connected: &mut bool) -> bool {
    let is_connected = broker.borrow_and_update().link.connected;
    let was_connected = std::mem::replace(was_connected, is_connected);
    was_connected && !is_connected
}
