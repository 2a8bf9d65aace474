//! A shard of the cluster: its unit runs here while the coordinator orders it.

mod earlier_owners;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::UPDATES_WAITING;
use super::common::Common;
use super::devices::TrapRoutes;
use super::prior::cluster::{Taken, of_shard};
use super::unit::{Unit, Ways, Work};
use crate::boot_time::BootTime;
use crate::cluster::coordinator::{Order, Orders, Report, Status};
use crate::cluster::election::{Run, StopReason};
use crate::cluster::entries::{Intent, Token};
use crate::cluster::ledger::Ledger;
use crate::cluster::write_guard::WriteGuard;
use crate::cluster::{etcd, shard_of};
use crate::command::{CommandStore, Routes};
use crate::config::{Cluster, Device, Mqtt};
use crate::hub;
use crate::model::{DeviceId, ShardId};
use crate::mqtt::publisher::{BrokerStatus, Role};
use crate::records::store::{IncidentChange, StoreStatus};
use crate::web;
use earlier_owners::{open_ledger, open_sessions};

/// How long a unit may take to stop. Another bridge waits for that.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How long etcd may take to confirm a write. After more the device is not written to.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// What the units of all shards share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) common: Arc<Common>,
    pub(super) cluster: Cluster,
    pub(super) etcd: etcd::Client,
    /// All configured devices.
    pub(super) configured: watch::Receiver<Vec<Arc<Device>>>,
    pub(super) joint: hub::Joint,
    pub(super) routes: watch::Sender<Routes>,
    pub(super) traps: Option<TrapRoutes>,
    pub(super) units: watch::Sender<web::Units>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) status: watch::Receiver<Status>,
    /// Takes why a unit has failed.
    pub(super) failures: mpsc::Sender<anyhow::Error>,
}

/// The shard, as one bridge works for it.
#[derive(Debug)]
pub(super) struct Shard {
    id: ShardId,
    shared: Shared,
    /// The devices that the rest of the process sees.
    shown: Vec<DeviceId>,
}

/// Why a unit has ended that has not failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was ordered, or the coordinator has ended.
    Ordered(Option<StopReason>),
    /// It is to start again, as what it rests on is no longer so.
    Again,
}

/// A unit that runs.
struct Running {
    unit: Unit,
    token: Token,
    ledger: Ledger,
    /// Whether topics of devices stay that another member has configured still.
    keeps_left: bool,
    /// How its commands are kept.
    commands: watch::Receiver<StoreStatus>,
    /// Cancelled if another bridge may go on.
    hand_over: CancellationToken,
}

impl Shard {
    pub(super) fn new(id: ShardId, shared: Shared) -> Shard {
        Shard {
            id,
            shared,
            shown: Vec::new(),
        }
    }

    /// Runs the unit whenever it is ordered, until the coordinator has ended.
    pub(super) async fn run(mut self) {
        let mut last = Run::default();
        while let Some(order) = self.next_order(last).await {
            last = order.run;
            let served = self.serve(&order).await;
            if let Err(error) = served {
                // The process ends by it; then other bridges take the shard.
                let error = error.context(format!("the unit of shard {}", self.id));
                let _ = self.shared.failures.try_send(error);
                stop_of(&mut self.shared.orders, self.id, order.run).await;
            }
            // Nobody takes it only where the coordinator has ended.
            let stopped = Report::Stopped(self.id, order.run);
            let _ = self.shared.reports.send(stopped).await;
            // Another bridge does not wait for that.
            self.close_incidents().await;
            self.leave().await;
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
        while self.serve_once(order).await? == Ended::Again {
            tracing::info!(shard = %self.id, "the unit of the shard starts again");
            self.close_incidents().await;
            self.leave().await;
        }
        Ok(())
    }

    /// The same until it is to start again.
    async fn serve_once(&mut self, order: &Order) -> anyhow::Result<Ended> {
        let (id, mut orders) = (self.id, self.shared.orders.clone());
        let mut running = tokio::select! {
            biased;
            reason = stop_of(&mut orders, id, order.run) => return Ok(Ended::Ordered(reason)),
            started = self.start(order) => started?,
        };
        let devices = self.shown.len();
        tracing::info!(shard = %id, devices, "this bridge works for the shard");
        let shown = running.unit.shown().clone();
        self.shared.units.send_modify(|units| units.begin(id, shown));
        let ended = tokio::select! {
            biased;
            reason = stop_of(&mut orders, id, order.run) => Ok(Ended::Ordered(reason)),
            ended = self.work(&mut running, order) => ended,
        };
        self.stop(running, ended.as_ref().ok()).await;
        ended
    }

    async fn work(&mut self, running: &mut Running, order: &Order) -> anyhow::Result<Ended> {
        let Order { run, fence, .. } = order;
        let (mut fence, mut broker) = (fence.clone(), running.unit.broker());
        let mut was_connected = false;
        loop {
            tokio::select! {
                true = fence.changed() => {
                    // Others may have worked for the shard before it was won again.
                    let token = fence.may_write(BootTime::now());
                    if token.is_some_and(|token| token != running.token) {
                        return Ok(Ended::Again);
                    }
                }
                () = running.ledger.lost() => return Ok(Ended::Again),
                error = running.unit.failed() => return Err(error),
                Ok(()) = running.commands.changed() => {
                    let failing = running.commands.borrow_and_update().failing.clone();
                    let _ = self.shared.reports.send(Report::Commands(self.id, failing)).await;
                }
                Ok(()) = self.shared.configured.changed() => self.reload(running).await,
                Ok(()) = self.shared.status.changed() => {
                    let agrees = agrees_on_devices(&self.shared.status.borrow_and_update());
                    if running.keeps_left && agrees {
                        return Ok(Ended::Again);
                    }
                }
                Ok(()) = broker.changed() => {
                    if has_lost(&mut broker, &mut was_connected) {
                        let _ = self.shared.reports.send(Report::Disconnected(self.id, *run)).await;
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
            status,
            ..
        } = &mut self.shared;
        let (common, cluster) = (Arc::clone(common), cluster.clone());
        let mqtt = Mqtt {
            client_id: format!("{}-{}", cluster.name, self.id),
            ..common.mqtt.clone()
        };
        let topics = common.topics.of_shard(self.id);
        let mut fence = order.fence.clone();
        let (devices, (earlier, left), (ledger, token), (clears, taken_at)) = loop {
            fence.permitted().await;
            let before = fence.may_write(BootTime::now());
            let all = configured.borrow_and_update().clone();
            let devices = of(&all, self.id, cluster.shards);
            let taken = Taken {
                mqtt: &mqtt,
                topics: &topics,
                devices: &devices,
                all: &all.iter().map(|device| device.id.clone()).collect(),
                fence: &order.fence,
                clears: agrees_on_devices(&status.borrow_and_update()),
            };
            let (clears, taken_at) = (taken.clears, Instant::now());
            let (earlier, left) = of_shard(&common, taken).await;
            let opened = open_ledger(etcd, &cluster, self.id, fence.clone()).await;
            // With another token, others may have published since.
            if before == Some(opened.1) {
                break (devices, (earlier, left), opened, (clears, taken_at));
            }
        };
        let (hand_over, keeps_left) = (CancellationToken::new(), !clears && !left.is_empty());
        let role = Role::Shard {
            shard: self.id,
            fence: fence.clone(),
            taken_at,
            left,
            replies: Some(ledger.clone()),
            hand_over: hand_over.clone(),
        };
        let client = etcd.within(CONFIRM_WITHIN);
        let write_guard = WriteGuard::new(client, cluster.name.as_str(), self.id, fence.clone());
        let sparkplug = common.config.sparkplug.clone();
        let sparkplug = sparkplug.map(|settings| settings.of_shard(self.id));
        let sessions = match sparkplug {
            Some(_) => Some(open_sessions(etcd, &cluster, self.id, token).await),
            None => None,
        };
        let work = Work {
            mqtt,
            topics,
            role,
            sparkplug,
            sessions,
            devices,
            earlier,
            fence: Some(fence),
            commands: Some(CommandStore::Shared(ledger.clone(), common.store.clone())),
            elsewhere: None,
            write_guard: Some(write_guard),
        };
        let ways = self.show(work.ids());
        Ok(Running {
            unit: Unit::start(&common, work, ways).await?,
            token,
            commands: ledger.status(),
            ledger,
            keeps_left,
            hand_over,
        })
    }

    /// The rest of the process sees these devices from now on.
    fn show(&mut self, devices: Vec<DeviceId>) -> Ways {
        let (updates, receiver) = mpsc::channel(UPDATES_WAITING);
        self.shown.clone_from(&devices);
        Ways {
            updates,
            hub: self.shared.joint.hub(devices, receiver),
            routes: self.shared.routes.clone(),
            traps: self.shared.traps.clone(),
        }
    }

    async fn reload(&mut self, running: &mut Running) {
        let Shared {
            configured, cluster, ..
        } = &mut self.shared;
        let devices = of(&configured.borrow_and_update(), self.id, cluster.shards);
        let ids: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        self.shown.extend(ids.clone());
        match running.unit.apply(&devices).await {
            Ok(()) => self.shown = ids,
            Err(error) => {
                tracing::error!("the devices of shard {} stay as they were: {error:#}", self.id);
            }
        }
    }

    /// Stops the unit. If another bridge may go on, `offline` is left to the will.
    async fn stop(&self, running: Running, ended: Option<&Ended>) {
        let _ = self.shared.reports.send(Report::Commands(self.id, None)).await;
        let is_handed_on = match ended {
            Some(Ended::Ordered(Some(StopReason::HandOver) | None)) => {
                others_may_go_on(&self.shared.status.borrow())
            }
            _ => true,
        };
        if is_handed_on {
            running.hand_over.cancel();
        }
        let deadline = Instant::now() + STOP_WITHIN;
        let late = running.unit.stop(deadline).await;
        // What the broker has is not sent again by the next owner.
        let _ = tokio::time::timeout_at(deadline, running.ledger.flush()).await;
        if !late.is_empty() {
            tracing::error!("of shard {} did not stop in time: {}", self.id, late.join(", "));
        }
        self.shared.units.send_modify(|units| units.end(self.id));
        tracing::info!(shard = %self.id, "this bridge no longer works for the shard");
    }

    /// Those of the devices are for whoever works for the shard next.
    async fn close_incidents(&self) {
        let closed = self.shown.iter().cloned();
        let closed =
            closed.map(|device| IncidentChange::AllClosed(device, "this bridge no longer polls the device"));
        let mut changes = closed.collect();
        // The next start does not wait for a disk that hangs.
        self.shared.common.store.change_incidents(&mut changes).await;
    }

    /// The rest of the process no longer sees its devices.
    async fn leave(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        self.shared.joint.leave(shown).await;
    }
}

/// Whether all members have the same devices.
fn agrees_on_devices(status: &Status) -> bool {
    status.with_other_devices().next().is_none()
}

/// Whether there is another member that stays, as far as is known.
fn others_may_go_on(status: &Status) -> bool {
    let mut others = status.members.iter().filter(|(id, _)| **id != status.me);
    !status.is_current || others.any(|(_, member)| member.state.intent != Intent::Leave)
}

/// The devices of a shard.
fn of(devices: &[Arc<Device>], shard: ShardId, shards: u16) -> Vec<Arc<Device>> {
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
