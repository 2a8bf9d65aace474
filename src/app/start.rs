//! What of the configuration becomes which task, area by area; [`super::Bridge::start`] has the order.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use async_snmp::v3::AuthoritativeEngine;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::devices::Devices;
use super::prior;
use super::task::Task;
use crate::command::Inbox;
use crate::config::{Broker, Config, Device, Mqtt, SnmpSink, SnmpSinkAccess};
use crate::contract::read_back::ReadBack;
use crate::contract::state::BridgeInfo;
use crate::contract::topics::Topics;
use crate::homeassistant::HomeAssistant;
use crate::hub::Hub;
use crate::lantime::device::Prior;
use crate::lantime::snmp::traps::{self, Traps};
use crate::model::{DeviceId, IncidentKind, Recorded, Update};
use crate::mqtt::EdgeNodeStatus;
use crate::mqtt::commands::{Commands, CommandsStatus};
use crate::mqtt::discovery::Discovery;
use crate::mqtt::embedded::EmbeddedBroker;
use crate::mqtt::publisher::{self, BrokerStatus, Digest, Publisher};
use crate::mqtt::read_back::read_back;
use crate::records::store::{Entries, Store};
use crate::sparkplug;
use crate::{snmp, snmp_agent, web};

/// How much of that the publisher may take to flush and disconnect.
const FLUSH_DEADLINE: Duration = Duration::from_secs(4);

/// A bridge that is being started.
pub(super) struct Start<'c> {
    config: &'c Config,
    store: &'c Store,
    /// Where it finds the broker: what is configured but for the port of an embedded one.
    pub(super) mqtt: Mqtt,
    pub(super) topics: Topics,
    updates: mpsc::Sender<Update>,
    /// What takes commands: to end first.
    pub(super) intake: Vec<Task>,
    /// What listens: to end last.
    pub(super) listeners: Vec<Task>,
}

impl Start<'_> {
    /// Begins with the embedded broker, where there is one.
    pub(super) async fn new<'c>(
        config: &'c Config,
        store: &'c Store,
        updates: mpsc::Sender<Update>,
    ) -> anyhow::Result<Start<'c>> {
        let mut mqtt = config.mqtt.clone();
        let mut listeners = Vec::new();
        if let Broker::Embedded { listen, websocket } = mqtt.broker {
            let broker = EmbeddedBroker::bind(listen, websocket).await?;
            mqtt.broker = broker.for_clients();
            listeners.push(Task::spawn_fallible("embedded broker", async move |stop| {
                Ok(broker.run(stop).await?)
            }));
        }
        Ok(Start {
            topics: Topics::new(config.mqtt.prefix.clone(), config.bridge.id.clone()),
            config,
            store,
            mqtt,
            updates,
            intake: Vec::new(),
            listeners,
        })
    }

    fn ids(&self) -> Vec<DeviceId> {
        let devices = self.config.devices.iter();
        devices.map(|device| device.id.clone()).collect()
    }

    /// The SNMP agent, and where it listens.
    pub(super) async fn snmp_agent(
        &mut self,
        engine: Option<&AuthoritativeEngine>,
        hub: &mut Hub,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let (Some(settings), Some(engine)) = (&self.config.snmp.agent, engine) else {
            return Ok(None);
        };
        let setup = snmp_agent::Setup {
            config: settings.clone(),
            bridge: self.config.bridge.id.clone(),
            devices: self.ids(),
            fleet: hub.fleet(),
            changes: hub.sink("SNMP agent", snmp_agent::UPDATES_WAITING),
            engine: engine.clone(),
            store: self.store.status(),
        };
        let agent = snmp_agent::Agent::bind(setup).await?;
        let address = agent.address();
        self.listeners
            .push(Task::spawn_fallible("SNMP agent", async move |stop| {
                Ok(agent.run(stop).await?)
            }));
        Ok(Some(address))
    }

    /// What earlier runs have published, as far as it was read back with what is there, and the prior state of each
    /// device.
    pub(super) async fn prior(&self) -> (Vec<(String, Option<Digest>)>, HashMap<DeviceId, Prior>) {
        let remembered = self.store.published_topics().await.unwrap_or_else(|error| {
            tracing::error!(
                "cannot read the list of topics of earlier runs, so none of them is cleared: {error}"
            );
            Vec::new()
        });
        let (read, there) = self.read_back(&remembered).await;
        let devices = &self.config.devices;
        let mut prior = prior::published_slots(&self.topics, &remembered, &read, devices);
        let mut open = self.store.incidents().borrow().clone();
        // The trap receiver goes on with its own.
        let has_traps = self.config.snmp.traps.is_some();
        open.retain(|key, _| !(has_traps && key.kind == IncidentKind::Trap));
        let closed = prior::resume(&mut prior, open, &self.ids(), self.config.dead_letter.repeat);
        let recorded = self.recorded(&mut prior).await;
        let entries = Entries {
            incidents: closed,
            recorded,
            ..Entries::default()
        };
        self.store.append_all(entries).await;
        let with_digest = |topic: String| {
            let there = there.get(&topic).copied();
            (topic, there)
        };
        (remembered.into_iter().map(with_digest).collect(), prior)
    }

    /// What is retained of the state of devices: how relays and signals stood since when, and by which payloads. An
    /// embedded broker has nothing of it.
    async fn read_back(&self, remembered: &[String]) -> (ReadBack, HashMap<String, Digest>) {
        let (mut read, mut there) = (ReadBack::default(), HashMap::new());
        if matches!(self.config.mqtt.broker, Broker::Embedded { .. }) {
            return (read, there);
        }
        let wanted = prior::to_read_back(&self.topics, remembered, &self.ids());
        let take = |topic: &str, payload: &[u8]| {
            read.take(&self.topics, topic, payload);
            there.insert(topic.to_owned(), Digest::of(payload));
        };
        if let Err(reason) = read_back(&self.mqtt, &wanted, take).await {
            tracing::warn!(
                reason,
                "what is retained at the broker could not be read back, so `since` of these relays and signals begins with this \
                 start; let the bridge read what it publishes, and let the broker keep it"
            );
        }
        (read, there)
    }

    /// Gives each device what an earlier run has recorded of it; gives what is to be forgotten.
    async fn recorded(&self, prior: &mut HashMap<DeviceId, Prior>) -> BTreeMap<DeviceId, Option<Recorded>> {
        let recorded = self.store.recorded().await.unwrap_or_else(|error| {
            tracing::error!(
                "cannot read what earlier runs have recorded of devices, so changes since then get no records: {error}"
            );
            BTreeMap::new()
        });
        let (known, removed): (Vec<_>, Vec<_>) = recorded
            .into_iter()
            .partition(|(id, _)| self.config.devices.iter().any(|device| device.id == *id));
        for (device, recorded) in known {
            *prior.entry(device).or_default().recorded = recorded;
        }
        removed.into_iter().map(|(device, _)| (device, None)).collect()
    }

    /// The publisher, which drives the hub.
    pub(super) fn publisher(
        &mut self,
        info: BridgeInfo,
        remembered: Vec<(String, Option<Digest>)>,
        hub: Hub,
    ) -> (Publisher, watch::Receiver<BrokerStatus>) {
        let setup = publisher::Setup {
            mqtt: self.mqtt.clone(),
            bridge: self.config.bridge.id.clone(),
            info,
            remembered,
            store: self.store.clone(),
            discovery: self.discovery(),
            stop_within: FLUSH_DEADLINE,
        };
        Publisher::new(setup, hub)
    }

    fn discovery(&self) -> Option<Box<dyn Discovery>> {
        let (layout, bridge) = (self.config.mqtt.layout, self.config.bridge.id.clone());
        let settings = self.config.homeassistant.clone()?;
        let discovery = HomeAssistant::new(settings, self.topics.clone(), layout, bridge);
        Some(Box::new(discovery))
    }

    /// The trap receiver, which listens already. To be made before the first device is started.
    pub(super) async fn trap_receiver(
        &self,
        engine: Option<AuthoritativeEngine>,
        devices: &mut Devices,
    ) -> anyhow::Result<Option<Traps>> {
        let (Some(traps), Some(engine)) = (&self.config.snmp.traps, engine) else {
            return Ok(None);
        };
        let counts = watch::Sender::default();
        let open = self.store.incidents().borrow().clone();
        let setup = traps::Setup {
            traps: traps.clone(),
            engine,
            senders: devices.take_traps(self.store.clone(), counts.clone()),
            counts,
            updates: self.updates.clone(),
            repeat: self.config.dead_letter.repeat,
            open: open
                .values()
                .filter(|incident| incident.key.kind == IncidentKind::Trap)
                .cloned()
                .collect(),
        };
        Ok(Some(Traps::start(setup).await?))
    }

    /// Lets the trap receiver take what has come; where it listens, and what it counts.
    pub(super) fn take_traps(
        &mut self,
        traps: Option<Traps>,
    ) -> Option<(SocketAddr, watch::Receiver<traps::Counts>)> {
        let traps = traps?;
        let reported = (traps.address(), traps.counts());
        self.intake
            .push(Task::spawn("trap receiver", |stop| traps.run(stop)));
        Some(reported)
    }

    /// The edge node's connection, and what carries out its commands.
    pub(super) fn sparkplug(
        &mut self,
        inbox: &Inbox,
        hub: &mut Hub,
    ) -> Option<watch::Receiver<EdgeNodeStatus>> {
        let (edge_node, commands) = sparkplug::edge_node(sparkplug::Setup {
            settings: self.config.sparkplug.as_ref()?,
            mqtt: self.mqtt.clone(),
            directory: &self.config.state.directory,
            contract: self.topics.clone(),
            devices: self.ids(),
            changes: hub.sink("Sparkplug", sparkplug::UPDATES_WAITING),
            inbox: inbox.clone(),
            updates: self.updates.clone(),
            store: self.store.clone(),
        });
        let status = edge_node.status();
        self.intake
            .push(Task::spawn("Sparkplug commands", |stop| commands.run(stop)));
        self.listeners
            .push(Task::spawn("Sparkplug edge node", |stop| edge_node.run(stop)));
        Some(status)
    }

    /// The connection that takes commands: whose are taken, and how it is.
    pub(super) fn commands(
        &mut self,
        inbox: &Inbox,
    ) -> (watch::Sender<Vec<DeviceId>>, watch::Receiver<CommandsStatus>) {
        let (configured, watched) = watch::channel(self.ids());
        let inbox = inbox.clone();
        let submit = move |commands| {
            let inbox = inbox.clone();
            async move { inbox.submit(commands).await }
        };
        let (commands, status) = Commands::new(self.mqtt.clone(), self.topics.clone(), watched, submit);
        let commands = commands
            .taking_unknown(self.config.bridge.answer_unknown)
            .reporting_to(self.store.clone());
        self.intake
            .push(Task::spawn("commands connection", |stop| commands.run(stop)));
        (configured, status)
    }

    /// The page, its API, metrics and health, and where they are.
    pub(super) async fn http_server(
        &mut self,
        shown: web::Shown,
        changed: web::Changed,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let Some(listen) = self.config.http.listen else {
            return Ok(None);
        };
        let bound = web::Server::bind(listen, &self.config.http, shown, changed).await;
        let (server, address) = bound.with_context(|| {
            format!("cannot listen on {listen}; set http.listen to a free address, or to \"off\"")
        })?;
        // A thousand pages may be open: polls must not wait for them.
        self.listeners
            .push(Task::spawn_on_thread("HTTP server", |stop| server.run(stop))?);
        Ok(Some(address))
    }

    /// The same for the command line, which finds this bridge in its state directory.
    pub(super) fn control_socket(&mut self, shown: web::Shown, changed: web::Changed) -> anyhow::Result<()> {
        let server = web::Server::bind_socket(&self.config.state.directory, shown, changed)?;
        self.listeners
            .push(Task::spawn("control socket", |stop| server.run(stop)));
        Ok(())
    }
}

/// What the bridge says of itself.
pub(super) fn bridge_info(config: &Config) -> BridgeInfo {
    BridgeInfo {
        version: env!("CARGO_PKG_VERSION"),
        started_at: Timestamp::now(),
        devices: config.devices.len(),
        mqtt_version: config.mqtt.version.as_str(),
        capabilities: capabilities(config),
    }
}

/// What this bridge does, as its `info` lists it.
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

/// The engine of this process, where anything needs one. It is opened once: each time counts its boots up. Without a
/// user of SNMP v3 nobody sees it, so it is not kept.
pub(super) fn snmp_engine(config: &Config) -> anyhow::Result<Option<AuthoritativeEngine>> {
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
