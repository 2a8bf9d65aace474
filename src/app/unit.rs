//! A unit: devices, what publishes them, and what takes and carries out their commands. It starts and stops as a whole.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::common::Common;
use super::devices::{Devices, TrapRoutes};
use super::prior::{self, Earlier};
use super::task::{self, Task};
use crate::cluster::edge_node_sessions::EdgeNodeSessions;
use crate::cluster::fence::Fence;
use crate::cluster::write_guard::WriteGuard;
use crate::command::{CommandStore, Dispatcher, Elsewhere, Inbox, Routes};
use crate::config::{Device, Mqtt, Sparkplug};
use crate::contract::topics::Topics;
use crate::homeassistant::HomeAssistant;
use crate::hub::Hub;
use crate::model::{DeviceId, Update};
use crate::mqtt::commands::{Commands, CommandsStatus};
use crate::mqtt::discovery::Discovery;
use crate::mqtt::publisher::{self, BrokerStatus, Publisher, Role};
use crate::sparkplug::{self, EdgeNode, LastSession};
use crate::web;

/// How much of a stop the publisher may take to flush and disconnect.
const FLUSH_DEADLINE: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct Unit {
    /// What takes commands: ends first.
    intake: Vec<Task>,
    devices: Devices,
    /// The devices whose commands are taken.
    configured: watch::Sender<Vec<DeviceId>>,
    /// The publisher, which ends after the devices, and the edge node.
    outlet: Vec<Task>,
    shown: web::Unit,
}

/// What a unit works for.
#[derive(Debug)]
pub(super) struct Work {
    /// As which client.
    pub(super) mqtt: Mqtt,
    pub(super) topics: Topics,
    pub(super) role: Role,
    /// As which edge node.
    pub(super) sparkplug: Option<Sparkplug>,
    /// What keeps the number of its last session, if not a file of this host.
    pub(super) sessions: Option<EdgeNodeSessions>,
    pub(super) devices: Vec<Arc<Device>>,
    /// What earlier runs, or another owner, have left.
    pub(super) earlier: Earlier,
    /// What permits it to write, where others may be allowed to instead.
    pub(super) fence: Option<Fence>,
    /// Where its commands are kept, if not in the store of this host.
    pub(super) commands: Option<CommandStore>,
    /// What its commands may be about beside its own devices: of the unit of a bridge in a cluster.
    pub(super) elsewhere: Option<Elsewhere>,
    /// What is asked before each write to a device, likewise.
    pub(super) write_guard: Option<WriteGuard>,
}

impl Work {
    /// All that a bridge without a cluster works for; in a cluster, what belongs to no shard.
    /// Devices were last watched then, as far as an earlier run has left that.
    pub(super) async fn of_bridge(
        common: &Common,
        elsewhere: Option<Elsewhere>,
        last_watched: Option<Timestamp>,
    ) -> Work {
        let config = &common.config;
        let (earlier, devices, sparkplug) = match config.cluster {
            None => {
                let earlier = prior::of_bridge(common, last_watched).await;
                (earlier, config.devices.clone(), config.sparkplug.clone())
            }
            Some(_) => (prior::cluster::of_bridge(common).await, Vec::new(), None),
        };
        Work {
            mqtt: common.mqtt.clone(),
            topics: common.topics.clone(),
            role: Role::Bridge(common.info.clone()),
            sparkplug,
            sessions: None,
            devices,
            earlier,
            fence: None,
            commands: None,
            elsewhere,
            write_guard: None,
        }
    }

    pub(super) fn ids(&self) -> Vec<DeviceId> {
        self.devices.iter().map(|device| device.id.clone()).collect()
    }
}

/// The ways between a unit and the rest of the process.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) updates: mpsc::Sender<Update>,
    /// Takes what comes by `updates`.
    pub(super) hub: Hub,
    /// To the devices of all units.
    pub(super) routes: watch::Sender<Routes>,
    pub(super) traps: Option<TrapRoutes>,
}

impl Unit {
    /// Starts it.
    ///
    /// # Errors
    /// When a device's TLS or profile files, or the inbox, cannot be read.
    pub(super) async fn start(common: &Common, mut work: Work, ways: Ways) -> anyhow::Result<Unit> {
        let Ways {
            updates,
            mut hub,
            routes,
            traps,
        } = ways;
        let Earlier { published, prior } = std::mem::take(&mut work.earlier);
        let (watched, repeat) = (routes.subscribe(), common.config.dead_letter.repeat);
        let mut devices = Devices::new(
            updates.clone(),
            repeat,
            traps,
            work.write_guard.take(),
            prior,
            routes,
        );
        if !work.devices.is_empty() {
            devices.apply(&work.devices).await?;
        }
        let kept = work.commands.as_ref().and_then(CommandStore::shared_status);
        let (dispatcher, inbox) = Dispatcher::new(
            work.commands
                .take()
                .unwrap_or_else(|| CommandStore::Local(common.store.clone())),
            work.topics.clone(),
            common.config.bridge.id.clone(),
            watched,
            work.elsewhere.take(),
        )
        .await?;
        let command_counts = dispatcher.counts();
        let edge_node = edge_node(common, &work, &inbox, &mut hub, updates);
        let sparkplug = edge_node.as_ref().map(|(edge_node, _)| edge_node.status());
        let (configured, watched) = watch::channel(work.ids());
        let (commands, commands_status) = commands(common, &work, &inbox, watched);
        let setup = publisher::Setup {
            mqtt: work.mqtt,
            bridge: common.config.bridge.id.clone(),
            discovery: discovery(common, work.topics),
            role: work.role,
            remembered: published,
            store: common.store.clone(),
            stop_within: FLUSH_DEADLINE,
        };
        let (publisher, broker) = Publisher::new(setup, hub);
        let mut intake = vec![
            Task::spawn("commands connection", |stop| commands.run(stop)),
            Task::spawn("dispatcher", |stop| dispatcher.run(stop)),
        ];
        let mut outlet = vec![Task::spawn("publisher", |_| publisher.run())];
        if let Some((edge_node, written)) = edge_node {
            intake.push(Task::spawn("Sparkplug commands", |stop| written.run(stop)));
            outlet.push(Task::spawn("Sparkplug edge node", |stop| edge_node.run(stop)));
        }
        if let Some(sessions) = work.sessions {
            outlet.push(Task::spawn("numbers of Sparkplug sessions", |stop| {
                sessions.run(stop)
            }));
        }
        Ok(Unit {
            intake,
            devices,
            configured,
            outlet,
            shown: web::Unit {
                broker,
                commands: commands_status,
                sparkplug,
                command_counts,
                kept,
                inbox,
            },
        })
    }

    /// What others see of it, and how commands get into it.
    pub(super) fn shown(&self) -> &web::Unit {
        &self.shown
    }

    /// Whether there is a connection to the broker.
    pub(super) fn broker(&self) -> watch::Receiver<BrokerStatus> {
        self.shown.broker.clone()
    }

    /// Goes on with these devices: the ones that did not change without a gap.
    ///
    /// # Errors
    /// When something cannot be applied; then nothing has changed.
    pub(super) async fn apply(&mut self, devices: &[Arc<Device>]) -> anyhow::Result<()> {
        self.devices.apply(devices).await?;
        let ids = devices.iter().map(|device| device.id.clone());
        self.configured.send_replace(ids.collect());
        Ok(())
    }

    /// Waits until a task ends that should not; device tasks are started again, and not reported here.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            error = task::any_end(self.intake.iter_mut().chain(&mut self.outlet)) => error,
            never = self.devices.supervise() => match never {},
        }
    }

    /// No more commands are taken.
    pub(super) fn stop_intake(&self) {
        self.intake.iter().for_each(Task::stop);
    }

    /// Stops with the flow: no more commands, then the devices, then the publisher, which flushes and says `offline`. Gives
    /// what has not stopped in time.
    pub(super) async fn stop(self, deadline: Instant) -> Vec<&'static str> {
        self.stop_intake();
        let mut late = task::end_all(self.intake, deadline).await;
        // With the last device its end of the channel goes, and so the publisher knows that it is over.
        if tokio::time::timeout_at(deadline, self.devices.stop())
            .await
            .is_err()
        {
            late.push("devices");
        }
        late.extend(task::end_all(self.outlet, deadline).await);
        late
    }
}

/// The edge node, and what carries out what hosts write.
fn edge_node(
    common: &Common,
    work: &Work,
    inbox: &Inbox,
    hub: &mut Hub,
    updates: mpsc::Sender<Update>,
) -> Option<(EdgeNode, sparkplug::Commands)> {
    Some(sparkplug::edge_node(sparkplug::Setup {
        settings: work.sparkplug.as_ref()?,
        mqtt: work.mqtt.clone(),
        fence: work.fence.clone(),
        last_session: match &work.sessions {
            Some(sessions) => LastSession::Elsewhere(sessions.last()),
            None => LastSession::In(common.config.state.directory.clone()),
        },
        contract: work.topics.clone(),
        devices: work.ids(),
        changes: hub.sink("Sparkplug", sparkplug::UPDATES_WAITING),
        inbox: inbox.clone(),
        updates,
        store: common.store.clone(),
    }))
}

/// The connection that takes the commands of these devices, and how it is.
fn commands(
    common: &Common,
    work: &Work,
    inbox: &Inbox,
    devices: watch::Receiver<Vec<DeviceId>>,
) -> (Commands, watch::Receiver<CommandsStatus>) {
    let inbox = inbox.clone();
    let submit = move |commands| {
        let inbox = inbox.clone();
        async move { inbox.submit(commands).await }
    };
    let (commands, status) = Commands::new(work.mqtt.clone(), work.topics.clone(), devices, submit);
    let commands = commands
        .taking_unknown(common.config.bridge.answer_unknown)
        .of_shards(common.config.cluster.as_ref().map(|cluster| cluster.shards))
        .only_while(work.fence.clone())
        .reporting_to(common.store.clone());
    (commands, status)
}

fn discovery(common: &Common, topics: Topics) -> Option<Box<dyn Discovery>> {
    let (layout, bridge) = (common.config.mqtt.layout, common.config.bridge.id.clone());
    let settings = common.config.homeassistant.clone()?;
    Some(Box::new(HomeAssistant::new(settings, topics, layout, bridge)))
}
