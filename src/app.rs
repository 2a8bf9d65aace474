//! The composition root: every task and channel of the bridge is made here, and stopped here.

mod devices;
mod prior;
mod start;
mod task;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::command::Dispatcher;
use crate::config::{Broker, Config};
use crate::hub::{DeviceUpdate, Hub};
use crate::model::DeviceId;
use crate::mqtt::publisher::BrokerStatus;
use crate::records::store::Store;
use crate::web;
use devices::Devices;
use start::{Start, bridge_info, snmp_engine};
use task::Task;

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
    config: Config,
    /// Where the publisher finds the broker.
    reached_broker: Broker,
    store: Store,
    /// What takes commands: ends first.
    intake: Vec<Task>,
    devices: Devices,
    /// The configured devices, whose commands are taken.
    configured: watch::Sender<Vec<DeviceId>>,
    /// What everybody else needs until the end: the publisher, then what listens, the embedded broker last.
    outlet: Vec<Task>,
    broker: watch::Receiver<BrokerStatus>,
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
        let (updates, updates_of_devices) = mpsc::channel(UPDATES_WAITING);
        let devices_at_start = config.devices.iter().map(|device| device.id.clone());
        let mut hub = Hub::new(devices_at_start, updates_of_devices);
        sink.into_iter().for_each(|sink| hub.add_sink("demo", sink));
        let mut start = Start::new(&config, &store, updates.clone()).await?;
        let engine = snmp_engine(&config)?;
        let agent = start.snmp_agent(engine.as_ref(), &mut hub).await?;
        let info = bridge_info(&config);
        let mut devices = Devices::new(updates, config.dead_letter.repeat);
        // Before what waits for the broker: traps that come meanwhile are kept.
        let traps = start.trap_receiver(engine, &mut devices).await?;
        let (remembered, known) = start.prior().await;
        devices.begin_with(known);
        devices.apply(&config.devices).await?;
        // Only now it is known whose traps they are.
        let (traps, trap_counts) = start.take_traps(traps).unzip();

        let bridge = config.bridge.id.clone();
        let (dispatcher, inbox) = Dispatcher::new(
            store.clone(),
            start.topics.clone(),
            bridge.clone(),
            devices.routes(),
        )
        .await?;
        let command_counts = dispatcher.counts();
        let edge_node = start.sparkplug(&inbox, &mut hub);
        let fleet = hub.fleet();
        let (publisher, broker) = start.publisher(info.clone(), remembered, hub);
        let (configured, commands) = start.commands(&inbox);
        start
            .intake
            .push(Task::spawn("dispatcher", |stop| dispatcher.run(stop)));
        let shown = web::Shown {
            bridge,
            info,
            fleet,
            broker: broker.clone(),
            commands,
            sparkplug: edge_node,
            command_counts,
            traps: trap_counts,
            store: store.clone(),
        };
        let topics = start.topics.clone();
        let changed = web::Changed { inbox, topics };
        if has_socket {
            start.control_socket(shown.clone(), changed.clone())?;
        }
        let http = start.http_server(shown, changed).await?;
        let Start {
            mqtt,
            intake,
            listeners,
            ..
        } = start;
        let publisher = Task::spawn("publisher", |_| publisher.run());
        Ok(Bridge {
            reached_broker: mqtt.broker,
            store,
            intake,
            devices,
            configured,
            outlet: std::iter::once(publisher)
                .chain(listeners.into_iter().rev())
                .collect(),
            broker,
            http,
            traps,
            agent,
            config,
        })
    }

    /// Where the broker is; with an embedded one, where it really listens.
    pub fn broker(&self) -> &Broker {
        &self.reached_broker
    }

    /// Whether there is a connection to the broker.
    pub fn broker_status(&self) -> watch::Receiver<BrokerStatus> {
        self.broker.clone()
    }

    /// How many devices are configured.
    pub fn devices(&self) -> usize {
        self.config.devices.len()
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
        let rest = self.config.changed_outside_devices(&config);
        if !rest.is_empty() {
            tracing::warn!(
                "reload: changes of [{}] take effect with a restart",
                rest.join("], [")
            );
        }
        match self.devices.apply(&config.devices).await {
            Ok(()) => {
                let ids = config.devices.iter().map(|device| device.id.clone());
                self.configured.send_replace(ids.collect());
                self.config.devices = config.devices;
            }
            Err(error) => {
                tracing::error!("reload refused, the running configuration stays in force: {error:#}")
            }
        }
    }

    /// Waits until a task ends that should not; device tasks are started again, and not reported here.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = task::any_end(self.intake.iter_mut().chain(&mut self.outlet)) => error,
            never = self.devices.supervise() => match never {},
        }
    }

    /// Stops with the flow: no more commands, then the devices, then the publisher, which flushes and says
    /// `offline`, then what listens, then the store.
    ///
    /// # Errors
    /// When something has not stopped in time; it is named.
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STOP_DEADLINE;
        let mut late = Vec::new();
        self.intake.iter().for_each(Task::stop);
        for task in self.intake {
            late.extend(task.end(deadline).await.err());
        }
        // With the last device its end of the channel goes, and so the publisher knows that it is over.
        if tokio::time::timeout_at(deadline, self.devices.stop())
            .await
            .is_err()
        {
            late.push("devices");
        }
        for task in self.outlet {
            late.extend(task.end(deadline).await.err());
        }
        // The last handle: it waits until the disk has everything, but not for long.
        drop(self.store);
        if late.is_empty() {
            Ok(())
        } else {
            Err(anyhow!("did not stop within 10 s: {}", late.join(", ")))
        }
    }
}
