//! A unit: devices, what publishes them, and what takes and carries out their commands. It starts and stops as a whole.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::common::Common;
use super::devices::{Devices, TrapRoutes};
use super::prior;
use super::task::{self, Task};
use crate::command::{CommandStore, Counts, Dispatcher, Inbox};
use crate::config::Device;
use crate::homeassistant::HomeAssistant;
use crate::hub::Hub;
use crate::model::{DeviceId, Update};
use crate::mqtt::EdgeNodeStatus;
use crate::mqtt::commands::{Commands, CommandsStatus};
use crate::mqtt::discovery::Discovery;
use crate::mqtt::publisher::{self, BrokerStatus, Digest, Publisher, Role};
use crate::sparkplug::{self, EdgeNode};

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
    shown: Shown,
}

/// What others see of a unit, and how commands get into it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) broker: watch::Receiver<BrokerStatus>,
    pub(super) commands: watch::Receiver<CommandsStatus>,
    pub(super) sparkplug: Option<watch::Receiver<EdgeNodeStatus>>,
    pub(super) command_counts: watch::Receiver<Counts>,
    pub(super) inbox: Inbox,
}

impl Unit {
    /// Starts it, with what earlier runs have left of its devices; what comes by `updates` gets to `hub`.
    ///
    /// # Errors
    /// When a device's TLS or profile files, or the inbox, cannot be read.
    pub(super) async fn start(
        common: &Common,
        (updates, mut hub): (mpsc::Sender<Update>, Hub),
        traps: Option<TrapRoutes>,
    ) -> anyhow::Result<Unit> {
        let (published, prior) = prior::prior(common).await;
        let mut devices = Devices::new(updates.clone(), common.config.dead_letter.repeat, traps, prior);
        devices.apply(&common.config.devices).await?;
        let (dispatcher, inbox) = Dispatcher::new(
            CommandStore::Local(common.store.clone()),
            common.topics.clone(),
            common.config.bridge.id.clone(),
            devices.routes(),
        )
        .await?;
        let command_counts = dispatcher.counts();
        let edge_node = edge_node(common, &inbox, &mut hub, updates);
        let sparkplug = edge_node.as_ref().map(|(edge_node, _)| edge_node.status());
        let (configured, watched) = watch::channel(common.ids());
        let (commands, commands_status) = commands(common, &inbox, watched);
        let (publisher, broker) = publisher(common, published, hub);
        let mut intake = vec![
            Task::spawn("commands connection", |stop| commands.run(stop)),
            Task::spawn("dispatcher", |stop| dispatcher.run(stop)),
        ];
        let mut outlet = vec![Task::spawn("publisher", |_| publisher.run())];
        if let Some((edge_node, written)) = edge_node {
            intake.push(Task::spawn("Sparkplug commands", |stop| written.run(stop)));
            outlet.push(Task::spawn("Sparkplug edge node", |stop| edge_node.run(stop)));
        }
        Ok(Unit {
            intake,
            devices,
            configured,
            outlet,
            shown: Shown {
                broker,
                commands: commands_status,
                sparkplug,
                command_counts,
                inbox,
            },
        })
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Goes on with these devices: the ones that did not change without a gap.
    ///
    /// # Errors
    /// When something cannot be applied; then nothing has changed.
    pub(super) async fn apply(&mut self, devices: &[Device]) -> anyhow::Result<()> {
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
    inbox: &Inbox,
    hub: &mut Hub,
    updates: mpsc::Sender<Update>,
) -> Option<(EdgeNode, sparkplug::Commands)> {
    Some(sparkplug::edge_node(sparkplug::Setup {
        settings: common.config.sparkplug.as_ref()?,
        mqtt: common.mqtt.clone(),
        directory: &common.config.state.directory,
        contract: common.topics.clone(),
        devices: common.ids(),
        changes: hub.sink("Sparkplug", sparkplug::UPDATES_WAITING),
        inbox: inbox.clone(),
        updates,
        store: common.store.clone(),
    }))
}

/// The connection that takes the commands of these devices, and how it is.
fn commands(
    common: &Common,
    inbox: &Inbox,
    devices: watch::Receiver<Vec<DeviceId>>,
) -> (Commands, watch::Receiver<CommandsStatus>) {
    let inbox = inbox.clone();
    let submit = move |commands| {
        let inbox = inbox.clone();
        async move { inbox.submit(commands).await }
    };
    let (commands, status) = Commands::new(common.mqtt.clone(), common.topics.clone(), devices, submit);
    let commands = commands
        .taking_unknown(common.config.bridge.answer_unknown)
        .reporting_to(common.store.clone());
    (commands, status)
}

/// The publisher, which drives the hub.
fn publisher(
    common: &Common,
    remembered: Vec<(String, Option<Digest>)>,
    hub: Hub,
) -> (Publisher, watch::Receiver<BrokerStatus>) {
    let setup = publisher::Setup {
        mqtt: common.mqtt.clone(),
        bridge: common.config.bridge.id.clone(),
        role: Role::Bridge(common.info.clone()),
        remembered,
        store: common.store.clone(),
        discovery: discovery(common),
        stop_within: FLUSH_DEADLINE,
    };
    Publisher::new(setup, hub)
}

fn discovery(common: &Common) -> Option<Box<dyn Discovery>> {
    let (layout, bridge) = (common.config.mqtt.layout, common.config.bridge.id.clone());
    let settings = common.config.homeassistant.clone()?;
    let discovery = HomeAssistant::new(settings, common.topics.clone(), layout, bridge);
    Some(Box::new(discovery))
}
