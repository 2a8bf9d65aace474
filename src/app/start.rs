//! What of the configuration becomes which task, area by area; [`super::Bridge::start`] has the order.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use async_snmp::v3::AuthoritativeEngine;
use tokio::sync::mpsc;

use super::common::Common;
use super::devices::TrapRoutes;
use super::task::Task;
use super::watched;
use crate::config::{Broker, Config, Mqtt, SnmpSink, SnmpSinkAccess};
use crate::hub::Joint;
use crate::lantime::snmp::traps::{self, Traps};
use crate::model::{IncidentKind, Update};
use crate::mqtt::embedded::EmbeddedBroker;
use crate::{snmp, snmp_agent, web};

/// A bridge that is being started.
#[derive(Debug)]
pub(super) struct Start<'c> {
    common: &'c Common,
    /// What listens, in the order in which it was started.
    pub(super) listeners: Vec<Task>,
}

/// Where to find the broker. An embedded one listens from now on.
pub(super) async fn broker(mqtt: &Mqtt) -> anyhow::Result<(Mqtt, Option<Task>)> {
    let Broker::Embedded { listen, websocket } = mqtt.broker else {
        return Ok((mqtt.clone(), None));
    };
    let broker = EmbeddedBroker::bind(listen, websocket).await?;
    let mqtt = Mqtt {
        broker: broker.for_clients(),
        ..mqtt.clone()
    };
    let run = async move |stop| Ok(broker.run(stop).await?);
    Ok((mqtt, Some(Task::spawn_fallible("embedded broker", run))))
}

impl Start<'_> {
    /// Begins with what listens already.
    pub(super) fn new(common: &Common, listeners: impl IntoIterator<Item = Task>) -> Start<'_> {
        Start {
            common,
            listeners: listeners.into_iter().collect(),
        }
    }

    /// The SNMP agent, and where it listens.
    pub(super) async fn snmp_agent(
        &mut self,
        engine: Option<&AuthoritativeEngine>,
        joint: &mut Joint,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let (Some(settings), Some(engine)) = (&self.common.config.snmp.agent, engine) else {
            return Ok(None);
        };
        let setup = snmp_agent::Setup {
            config: settings.clone(),
            bridge: self.common.config.bridge.id.clone(),
            devices: self.common.ids(),
            fleet: joint.fleet(),
            changes: joint.sink("SNMP agent", snmp_agent::UPDATES_WAITING),
            engine: engine.clone(),
            store: self.common.store.status(),
        };
        let agent = snmp_agent::Agent::bind(setup).await?;
        let address = agent.address();
        self.listeners
            .push(Task::spawn_fallible("SNMP agent", async move |stop| {
                Ok(agent.run(stop).await?)
            }));
        Ok(Some(address))
    }

    /// The trap receiver, which listens already, and the way from it to the devices: what it takes waits until there are any.
    pub(super) async fn trap_receiver(
        &self,
        engine: Option<AuthoritativeEngine>,
        updates: mpsc::Sender<Update>,
    ) -> anyhow::Result<Option<(Traps, TrapRoutes)>> {
        let Common { config, store, .. } = self.common;
        let (Some(settings), Some(engine)) = (&config.snmp.traps, engine) else {
            return Ok(None);
        };
        let routes = TrapRoutes::new(store.clone());
        let open = store.incidents().borrow().clone();
        let setup = traps::Setup {
            traps: settings.clone(),
            engine,
            senders: routes.senders.subscribe(),
            counts: routes.counts.clone(),
            updates,
            repeat: config.dead_letter.repeat,
            hold_for: config
                .cluster
                .as_ref()
                .map_or(Duration::ZERO, |cluster| 3 * cluster.ttl),
            open: open
                .values()
                .filter(|incident| incident.key.kind == IncidentKind::Trap)
                .cloned()
                .collect(),
        };
        let traps = Traps::start(setup).await?;
        Ok(Some((traps, routes)))
    }

    /// The page, its API, metrics and health, and where they are.
    pub(super) async fn http_server(&mut self, shown: web::Shown) -> anyhow::Result<Option<SocketAddr>> {
        let Some(listen) = self.common.config.http.listen else {
            return Ok(None);
        };
        let topics = self.common.topics.clone();
        let bound = web::Server::bind(listen, &self.common.config.http, shown, topics).await;
        let (server, address) = bound.with_context(|| {
            format!("cannot listen on {listen}; set http.listen to a free address, or to \"off\"")
        })?;
        // A thousand pages may be open: polls must not wait for them.
        self.listeners
            .push(Task::spawn_on_thread("HTTP server", |stop| server.run(stop))?);
        Ok(Some(address))
    }

    /// Notes while the bridge runs that devices are watched.
    pub(super) fn note_watched(&mut self) {
        let directory = self.common.config.state.directory.clone();
        self.listeners
            .push(Task::spawn("note of what is watched", |stop| {
                watched::run(directory, stop)
            }));
    }

    /// The same for the command line, which finds this bridge in its state directory.
    pub(super) fn control_socket(&mut self, shown: web::Shown) -> anyhow::Result<()> {
        let Common { config, topics, .. } = self.common;
        let server = web::Server::bind_socket(&config.state.directory, shown, topics.clone())?;
        self.listeners
            .push(Task::spawn("control socket", |stop| server.run(stop)));
        Ok(())
    }
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
