//! The composition root: every task and channel of the bridge is made here, and stopped here.

mod cluster;
mod common;
mod devices;
mod prior;
mod shard;
mod start;
mod task;
mod unit;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::config::{Broker, Config, Device};
use crate::hub::{self, DeviceUpdate, Hub};
use crate::lantime::snmp::traps::Traps;
use crate::mqtt::publisher::BrokerStatus;
use crate::records::store::Store;
use crate::web;
use cluster::{Joining, Joint, Member};
use common::Common;
use start::Start;
use task::Task;
use unit::{Unit, Ways, Work};

/// How long a stop may take before the tasks that have not ended are named and left.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Updates on their way from the devices to the hub. When it is full a device waits with its next poll; the publisher
/// takes them whatever the broker does.
const UPDATES_WAITING: usize = 1024;

/// What a bridge is started with, beside its configuration.
#[derive(Debug)]
pub struct Setup {
    /// The durable store. It is closed when the bridge has stopped.
    pub store: Store,
    /// Gets each change of a device; full means that some are merged.
    pub sink: Option<mpsc::Sender<DeviceUpdate>>,
    /// Whether the command line finds this bridge, at a Unix socket in its state directory: where the store is there, too.
    pub has_socket: bool,
}

/// A running bridge.
#[derive(Debug)]
pub struct Bridge {
    common: Arc<Common>,
    /// The devices that are configured now.
    devices: watch::Sender<Vec<Arc<Device>>>,
    /// The trap receiver: it ends first, with what takes commands.
    intake: Option<Task>,
    /// Of all devices; in a cluster, of none.
    unit: Unit,
    member: Option<Member>,
    /// What others need until the end, the embedded broker last.
    listeners: Vec<Task>,
    http: Option<SocketAddr>,
    traps: Option<SocketAddr>,
    agent: Option<SocketAddr>,
}

impl Bridge {
    /// Starts everything; when it returns, whatever listens does.
    ///
    /// # Errors
    /// When an address cannot be listened on, or a device's TLS or profile files cannot be read.
    pub async fn start(config: Config, setup: Setup) -> anyhow::Result<Bridge> {
        let Setup {
            store,
            sink,
            has_socket,
        } = setup;
        let (mqtt, embedded) = start::broker(&config.mqtt).await?;
        let common = Arc::new(Common::new(config, store, mqtt));
        let cluster = common.config.cluster.as_ref();
        let (updates, updates_of_devices) = mpsc::channel(UPDATES_WAITING);
        let mut joint = hub::Joint::default();
        sink.into_iter().for_each(|sink| joint.add_sink("demo", sink));
        let fleet = joint.fleet();
        let mut start = Start::new(&common, embedded);
        let engine = start::snmp_engine(&common.config)?;
        let agent = start.snmp_agent(engine.as_ref(), &mut joint).await?;
        // Before what waits for the broker: traps that come meanwhile are kept.
        let receiver = start.trap_receiver(engine, updates.clone()).await?;
        let (traps, trap_routes) = receiver.unzip();
        let routes = watch::Sender::default();
        let hub = match cluster {
            None => joint.only_hub(common.ids(), updates_of_devices),
            Some(_) => Hub::new([], updates_of_devices),
        };
        let ways = Ways {
            updates,
            hub,
            routes: routes.clone(),
            traps: trap_routes.clone().filter(|_| cluster.is_none()),
        };
        let joining = cluster
            .map(|cluster| Joining::new(&common, cluster))
            .transpose()?;
        let elsewhere = joining.as_ref().map(Joining::elsewhere);
        // A store in memory has nothing of an earlier run, nor is there a directory for the next one.
        let last_watched = has_socket.then(|| watched::last(&common.config.state.directory));
        let work = Work::of_bridge(&common, elsewhere, last_watched.flatten()).await;
        let unit = Unit::start(&common, work, ways).await?;
        let devices = watch::Sender::new(common.config.devices.clone());
        let member = joining.map(|joining| {
            let joint = Joint {
                hub: joint,
                routes,
                traps: trap_routes,
                configured: devices.subscribe(),
                broker: unit.broker(),
            };
            joining.start(&common, joint)
        });
        if let Some(member) = &member {
            member.configured(&common.config.devices).await;
        }
        // Only now it is known whose traps they are.
        let traps_address = traps.as_ref().map(Traps::address);
        let trap_counts = traps.as_ref().map(Traps::counts);
        let intake = traps.map(|traps| Task::spawn("trap receiver", |stop| traps.run(stop)));
        let shown = web::Shown {
            bridge: common.config.bridge.id.clone(),
            info: common.info.clone(),
            fleet,
            unit: unit.shown().clone(),
            cluster: member.as_ref().map(|member| member.shown().clone()),
            traps: trap_counts,
            store: common.store.clone(),
        };
        if has_socket && member.is_none() {
            start.note_watched();
        }
        if has_socket {
            start.control_socket(shown.clone())?;
        }
        let http = start.http_server(shown).await?;
        let listeners = start.listeners.into_iter().rev().collect();
        Ok(Bridge {
            devices,
            intake,
            unit,
            member,
            listeners,
            http,
            traps: traps_address,
            agent,
            common,
        })
    }

    /// Where the broker is; with an embedded one, where it really listens.
    pub fn broker(&self) -> &Broker {
        &self.common.mqtt.broker
    }

    /// Whether there is a connection to the broker.
    pub fn broker_status(&self) -> watch::Receiver<BrokerStatus> {
        self.unit.broker()
    }

    /// How many devices are configured.
    pub fn devices(&self) -> usize {
        self.devices.borrow().len()
    }

    /// Where the bridge's own HTTP server listens.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where traps are taken.
    pub fn traps_address(&self) -> Option<SocketAddr> {
        self.traps
    }

    /// Where SNMP managers may ask.
    pub fn agent_address(&self) -> Option<SocketAddr> {
        self.agent
    }

    /// Applies the devices of another configuration: the ones that did not change go on without a gap. What
    /// cannot be changed while running is named, and what cannot be applied changes nothing.
    pub async fn reload(&mut self, config: Config) {
        let rest = self.common.config.changed_outside_devices(&config);
        if !rest.is_empty() {
            tracing::warn!(
                "reload: changes of [{}] take effect with a restart",
                rest.join("], [")
            );
        }
        let applied = match &self.member {
            None => self.unit.apply(&config.devices).await,
            Some(_) => devices::check(&config.devices),
        };
        if let Err(error) = applied {
            tracing::error!("reload refused, the running configuration stays in force: {error:#}");
            return;
        }
        if let Some(member) = &self.member {
            member.configured(&config.devices).await;
        }
        self.devices.send_replace(config.devices);
    }

    /// Waits until a task ends that should not; device tasks are started again, and not reported here.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = task::any_end(self.intake.iter_mut().chain(&mut self.listeners)) => error,
            error = self.unit.failed() => error,
            error = failed(&mut self.member) => error,
        }
    }

    /// Stops with the flow: no more traps and commands, then the units, then what listens, then the store.
    ///
    /// # Errors
    /// When something has not stopped in time; it is named.
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_DEADLINE;
        self.unit.stop_intake();
        let mut late = task::end_all(self.intake, deadline).await;
        if let Some(member) = self.member {
            late.extend(member.stop(deadline).await);
        }
        late.extend(self.unit.stop(deadline).await);
        late.extend(task::end_all(self.listeners, deadline).await);
        // The last handle: it waits until the disk has everything, but not for long.
        drop(self.common);
        if late.is_empty() {
            Ok(())
        } else {
            Err(anyhow!("did not stop within 10 s: {}", late.join(", ")))
        }
    }
}

/// The end of a member; never, for none.
async fn failed(member: &mut Option<Member>) -> anyhow::Error {
    match member {
        Some(member) => member.failed().await,
        None => std::future::pending().await,
    }
}
