//! The composition root: every task and channel of the bridge is made here, and stopped here.

mod devices;
mod task;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_snmp::v3::AuthoritativeEngine;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::command::Dispatcher;
use crate::config::{Broker, Config, Device, SnmpSink, SnmpSinkAccess};
use crate::control;
use crate::integrations::homeassistant::Discovery;
use crate::integrations::sparkplug;
use crate::lantime::snmp::traps::{self, Traps};
use crate::model::{CommandTopic, DeviceId, Picture, Update};
use crate::mqtt::commands::Commands;
use crate::mqtt::embedded::EmbeddedBroker;
use crate::mqtt::payload::BridgeInfo;
use crate::mqtt::publisher::{self, BrokerStatus, Observer, Publisher};
use crate::mqtt::topics::Topics;
use crate::records::store::Store;
use crate::{snmp, snmp_agent, web};
use devices::Devices;
use task::Task;

/// How long a stop may take before the tasks that have not ended are named and left.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How much of that the publisher may take to flush and say goodbye.
const FLUSH_DEADLINE: Duration = Duration::from_secs(4);
/// Updates on their way from the devices to the publisher. When it is full a device waits with its next
/// poll; the publisher drains it whatever the broker does.
const UPDATES_WAITING: usize = 1024;

/// What this bridge does, as its `info` tells.
fn capabilities(config: &Config) -> Vec<String> {
    let traps = config.snmp.traps.as_ref().map(|_| "traps");
    let agent = config.snmp.agent.as_ref().map(|_| "snmp-agent");
    let asks = |device: &Device| device.snmp.access.is_some();
    let snmp = config.devices.iter().any(asks).then_some("snmp");
    let homeassistant = config.homeassistant.as_ref().map(|_| "homeassistant");
    let sparkplug = config.sparkplug.as_ref().map(|_| "sparkplug");
    ["rest", "commands"]
        .into_iter()
        .chain(
            [snmp, traps, agent, homeassistant, sparkplug]
                .into_iter()
                .flatten(),
        )
        .map(str::to_owned)
        .collect()
}

/// What a bridge is started with, beside its configuration.
#[derive(Debug)]
pub struct Setup {
    /// The durable store. It is closed when the bridge has stopped.
    pub store: Store,
    /// Gets each update as well, and misses those for which it has no room.
    pub observer: Option<mpsc::Sender<Update>>,
    /// Where the command line finds this bridge: a Unix socket.
    pub control: Option<PathBuf>,
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
    /// What everybody else needs until the end: the publisher, then what listens.
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
            observer,
            control,
        } = setup;
        // What is configured stays as it is, to be compared at a reload; what is used may differ in the port.
        let mut mqtt = config.mqtt.clone();
        let mut listeners = Vec::new();
        if let Broker::Embedded { listen, websocket } = mqtt.broker {
            let broker = EmbeddedBroker::bind(listen, websocket).await?;
            mqtt.broker = broker.for_clients();
            listeners.push(Task::spawn("embedded broker", async move |stop| {
                Ok(broker.run(stop).await?)
            }));
        }
        let remembered = store.published_topics().await.unwrap_or_else(|error| {
            tracing::error!("topics of earlier runs cannot be read, and so not be cleared: {error}");
            Vec::new()
        });
        let topics = Topics::new(config.mqtt.prefix.clone(), config.bridge.id.clone());
        let standing = store.standing_failures().await.unwrap_or_else(|error| {
            tracing::error!(
                "dead letters of earlier runs cannot be read; a failure that lasts is told anew: {error}"
            );
            Vec::new()
        });
        let mut known = devices::published_slots(&topics, &remembered);
        devices::stand(&mut known, standing, config.dead_letter.repeat);
        let ids: Vec<_> = config.devices.iter().map(|device| device.id.clone()).collect();
        let mut observers: Vec<_> = observer.map(Observer::copying).into_iter().collect();
        let (picture, pictured) = watch::channel(Picture::new(ids.iter().cloned()));
        if config.http.listen.is_some() || config.sparkplug.is_some() {
            observers.push(Observer::picturing(picture));
        }
        let sparkplug = config.sparkplug.as_ref().map(|settings| {
            let (edge_node, observer) = sparkplug::prepare(pictured.clone());
            observers.push(observer);
            (settings, edge_node)
        });
        let engine = snmp_engine(&config)?;
        let mut agent_address = None;
        if let (Some(settings), Some(engine)) = (&config.snmp.agent, &engine) {
            let setup = snmp_agent::Setup {
                config: settings.clone(),
                bridge: config.bridge.id.clone(),
                devices: config.devices.iter().map(|device| device.id.clone()).collect(),
                engine: engine.clone(),
                store: store.status(),
            };
            let (agent, observer) = snmp_agent::Agent::bind(setup).await?;
            agent_address = Some(agent.address());
            observers.push(observer);
            listeners.push(Task::spawn("SNMP agent", async move |stop| {
                Ok(agent.run(stop).await?)
            }));
        }
        let (updates, updates_of_devices) = mpsc::channel(UPDATES_WAITING);
        let info = BridgeInfo {
            started_at: Timestamp::now(),
            devices: config.devices.len(),
            mqtt_version: config.mqtt.version,
            capabilities: capabilities(&config),
        };
        let publisher = publisher::Setup {
            mqtt: mqtt.clone(),
            bridge: config.bridge.id.clone(),
            info: info.clone(),
            configured: ids.clone(),
            remembered,
            store: store.clone(),
            observers,
            discovery: discovery(&config, &topics),
            stop_within: FLUSH_DEADLINE,
        };
        let (publisher, broker) = Publisher::new(publisher, updates_of_devices);
        let mut devices = Devices::new(updates.clone(), config.dead_letter.repeat, known);
        let mut intake = Vec::new();
        let (mut traps_address, mut trap_counts, mut take_traps) = (None, None, None);
        if let (Some(traps), Some(engine)) = (&config.snmp.traps, engine) {
            let setup = traps::Setup {
                traps: traps.clone(),
                engine,
                senders: devices.take_traps(),
                store: store.clone(),
                updates: updates.clone(),
                repeat_letters: config.dead_letter.repeat,
            };
            let traps = Traps::start(setup).await?;
            (traps_address, trap_counts) = (Some(traps.address()), Some(traps.counts()));
            take_traps = Some(traps);
        }
        devices.apply(&config.devices).await?;
        // Only now it is known whose traps they are.
        if let Some(traps) = take_traps {
            intake.push(Task::spawn("trap receiver", async move |stop| {
                traps.run(stop).await;
                Ok(())
            }));
        }

        let id = config.bridge.id.clone();
        let (dispatcher, inbox) =
            Dispatcher::new(store.clone(), topics.clone(), id, devices.routes()).await?;
        let command_counts = dispatcher.counts();
        let (configured, watched) = watch::channel(ids);
        if let Some(path) = control {
            let server = control::server::Server::bind(&path)?;
            let (store, inbox, topics) = (store.clone(), inbox.clone(), topics.clone());
            let topic = topics.command(&CommandTopic::Replay);
            let replay = move |letter| {
                let (inbox, topic) = (inbox.clone(), topic.clone());
                async move { inbox.replay(topic, letter).await }
            };
            intake.push(Task::spawn("control socket", async move |stop| {
                server.run(store, topics, replay, stop).await;
                Ok(())
            }));
        }
        let changed = web::Changed {
            inbox: inbox.clone(),
            topics: topics.clone(),
        };
        let mut edge_node_status = None;
        if let Some((settings, edge_node)) = sparkplug {
            let directory = &config.state.directory;
            let (edge_node, commands) = edge_node.finish(
                settings,
                mqtt.clone(),
                directory,
                topics.clone(),
                inbox.clone(),
                updates,
            );
            edge_node_status = Some(edge_node.status());
            intake.push(Task::spawn("Sparkplug commands", async move |stop| {
                commands.run(stop).await;
                Ok(())
            }));
            listeners.push(Task::spawn("Sparkplug edge node", async move |stop| {
                edge_node.run(stop).await;
                Ok(())
            }));
        }
        let submit = move |commands| {
            let inbox = inbox.clone();
            async move { inbox.submit(commands).await }
        };
        let (commands, commands_status) = Commands::new(mqtt.clone(), topics, watched, submit);
        intake.push(Task::spawn("commands connection", async move |stop| {
            commands.run(stop).await;
            Ok(())
        }));
        intake.push(Task::spawn("dispatcher", async move |stop| {
            dispatcher.run(stop).await;
            Ok(())
        }));
        let mut http = None;
        if let Some(listen) = config.http.listen {
            let shown = web::Shown {
                bridge: config.bridge.id.clone(),
                info,
                picture: pictured,
                broker: broker.clone(),
                commands: commands_status,
                sparkplug: edge_node_status,
                command_counts,
                traps: trap_counts,
                store: store.clone(),
            };
            let server = web::Server::bind(listen, &config.http, shown, changed).await;
            let server = server.with_context(|| {
                format!("cannot listen on {listen}; set http.listen to a free address, or to \"off\"")
            })?;
            http = Some(server.local_addr()?);
            listeners.push(Task::spawn("HTTP server", async move |stop| {
                server.run(stop).await;
                Ok(())
            }));
        }
        let publisher = Task::spawn("publisher", async move |_| {
            publisher.run().await;
            Ok(())
        });
        Ok(Bridge {
            config,
            reached_broker: mqtt.broker,
            store,
            intake,
            devices,
            configured,
            outlet: std::iter::once(publisher).chain(listeners).collect(),
            broker,
            http,
            traps: traps_address,
            agent: agent_address,
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

fn discovery(config: &Config, topics: &Topics) -> Option<Discovery> {
    let (layout, bridge) = (config.mqtt.layout, config.bridge.id.clone());
    let settings = config.homeassistant.clone()?;
    Some(Discovery::new(settings, topics.clone(), layout, bridge))
}

/// The engine of this process, where anything needs one. It is opened once: each time counts its boots up. Without a
/// user of SNMP v3 nobody sees it, so it is not kept.
fn snmp_engine(config: &Config) -> anyhow::Result<Option<AuthoritativeEngine>> {
    let (agent, traps) = (&config.snmp.agent, &config.snmp.traps);
    if agent.is_none() && traps.is_none() {
        return Ok(None);
    }
    let is_user = |sink: &SnmpSink| matches!(sink.access, SnmpSinkAccess::User(_));
    let has_users = traps.as_ref().is_some_and(|traps| !traps.users.is_empty())
        || agent
            .as_ref()
            .is_some_and(|agent| !agent.users.is_empty() || agent.sinks.iter().any(is_user));
    Ok(Some(match has_users {
        true => snmp::engine(&config.state.directory)?,
        false => snmp::passing_engine()?,
    }))
}
