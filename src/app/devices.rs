//! The device tasks: started, replaced and stopped as the configuration says, and started again after a fault.

mod fault;
mod trap_routes;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use litemap::LiteMap;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cluster::write_guard::WriteGuard;
use crate::command::{Route, Routes};
use crate::config::{Device, ProfileChoice};
use crate::lantime::device::{DeviceTask, Handles, Prior, TrapInbox};
use crate::lantime::rest::{HttpClients, Profile, Profiles, RestClient};
use crate::lantime::schedule::{Schedule, TICK};
use crate::lantime::snmp::traps::Sender;
use crate::model::{DeviceId, Incident, SlotId, SlotView, Update};
use crate::tls::Trust;
use trap_routes::TrapRoute;
pub(super) use trap_routes::TrapRoutes;

/// Pause before a device task that has ended by a fault is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// How much later than its deadline a command may be answered, beside the requests that have begun before.
const GRACE: Duration = Duration::from_secs(5);
/// Most requests that a device task makes before it looks for commands: a poll and what follows it, with new tokens.
const REQUESTS_IN_A_ROW: u32 = 8;

#[derive(Debug)]
pub(super) struct Devices {
    updates: mpsc::Sender<Update>,
    /// How often a failure that lasts is reported again.
    repeat: Duration,
    /// Where traps go; `None` where nothing takes any.
    traps: Option<TrapRoutes>,
    /// Asked before each write to a device, where several bridges share them.
    write_guard: Option<WriteGuard>,
    /// The ways on which commands get to the devices, those of other units of this process included.
    routes: watch::Sender<Routes>,
    /// The devices that have ever run here: what is said of them is said here.
    own: HashSet<DeviceId>,
    /// Where the grid of ticks begins.
    epoch: Instant,
    sources: Sources,
    /// Those that were to run last, whether they do or not.
    configured: Vec<DeviceId>,
    /// When it was last reported that a device's task has failed, and how.
    faults: HashMap<DeviceId, (Instant, Incident)>,
    running: HashMap<DeviceId, Running>,
    tasks: JoinSet<Prior>,
    /// What was published of devices that do not run (any more).
    prior: HashMap<DeviceId, Prior>,
}

#[derive(Debug)]
struct Running {
    device: Arc<Device>,
    files: Files,
    place: Place,
    /// The slots that it began with, but not how they stood.
    slots: LiteMap<SlotId, SlotView>,
    route: Route,
    traps: Option<TrapRoute>,
    task: Id,
    stop: CancellationToken,
}

impl Running {
    /// By what its traps are known.
    fn sender(&self) -> Option<Sender> {
        let TrapRoute { traps, identity } = self.traps.clone()?;
        Some(trap_routes::sender(&self.device, Some(traps), identity))
    }
}

/// Where a device's polls lie among those of the others.
#[derive(Debug, Clone, Copy)]
struct Place {
    origin: Instant,
    index: usize,
    count: usize,
}

/// What devices have in common, and their files are read with.
#[derive(Debug)]
struct Sources {
    clients: HttpClients,
    built_in: Profiles,
}

/// What a device task is made of, and what can be wrong with it.
struct Parts {
    client: RestClient,
    files: Files,
}

/// What stood in the files that a device's configuration names: when that changes, the device has changed.
#[derive(Debug, PartialEq)]
struct Files {
    profiles: Profiles,
    ca: Option<Vec<u8>>,
}

impl Default for Sources {
    fn default() -> Sources {
        Sources {
            clients: HttpClients::default(),
            built_in: Profiles::built_in(),
        }
    }
}

impl Sources {
    fn parts(&mut self, device: &Device) -> anyhow::Result<Parts> {
        let what = || format!("device {:?}", device.id.as_str());
        let client = RestClient::new(self.clients.for_device(device).with_context(what)?, device);
        let profiles = match &device.profile {
            ProfileChoice::Auto => self.built_in.clone(),
            ProfileChoice::BuiltIn(name) => Profiles::named(name)
                .ok_or_else(|| anyhow!("there is no built-in API profile {name:?}"))
                .with_context(what)?,
            ProfileChoice::File(path) => Profiles::fixed(Profile::from_file(path).with_context(what)?),
        };
        let ca = match &device.tls.trust {
            Trust::Ca(path) => Some(std::fs::read(path).with_context(what)?),
            _ => None,
        };
        let files = Files { profiles, ca };
        Ok(Parts { client, files })
    }
}

impl Devices {
    /// No devices yet; each begins with what is `prior` to it. Commands get to them by `routes`.
    pub(super) fn new(
        updates: mpsc::Sender<Update>,
        repeat: Duration,
        traps: Option<TrapRoutes>,
        write_guard: Option<WriteGuard>,
        prior: HashMap<DeviceId, Prior>,
        routes: watch::Sender<Routes>,
    ) -> Devices {
        Devices {
            updates,
            repeat,
            traps,
            write_guard,
            routes,
            own: HashSet::new(),
            epoch: Instant::now(),
            sources: Sources::default(),
            configured: Vec::new(),
            faults: HashMap::new(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            prior,
        }
    }

    /// Shows the ways to the devices that run now, beside those of other units.
    fn publish_ways(&mut self) {
        self.own.extend(self.running.keys().cloned());
        let is_foreign = |id: &DeviceId| !self.own.contains(id);
        if let Some(TrapRoutes { senders, .. }) = &self.traps {
            senders.send_modify(|senders| {
                senders.here.retain(|sender| is_foreign(&sender.device));
                senders
                    .here
                    .extend(self.running.values().filter_map(Running::sender));
            });
        }
        self.routes.send_modify(|routes| {
            let foreign = routes.iter().filter(|(id, _)| is_foreign(id));
            let foreign = foreign.map(|(id, route)| (id.clone(), route.clone()));
            let own = self.running.iter();
            let own = own.map(|(id, running)| (id.clone(), running.route.clone()));
            *routes = Routes::new(foreign.chain(own).collect());
        });
    }

    /// Starts, replaces and stops tasks so that just these devices run. Those that did not change are not touched.
    ///
    /// # Errors
    /// When a device's TLS or profile files cannot be read; then nothing has changed.
    pub(super) async fn apply(&mut self, devices: &[Arc<Device>]) -> anyhow::Result<()> {
        // All on one grid of ticks, whenever they are started.
        let ticks = self.epoch.elapsed().as_nanos().div_ceil(TICK.as_nanos());
        let origin = self.epoch + TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        let count = devices.len();
        // Certificates are read again: they may be what has changed.
        self.sources = Sources::default();
        let mut to_start = Vec::new();
        for (index, device) in devices.iter().enumerate() {
            let parts = self.sources.parts(device)?;
            let is_same = |running: &Running| running.device == *device && running.files == parts.files;
            if !self.running.get(&device.id).is_some_and(is_same) {
                to_start.push((device, parts, Place { origin, index, count }));
            }
        }
        let listed: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        let before = std::mem::replace(&mut self.configured, listed.clone());
        let removed: Vec<_> = before.into_iter().filter(|id| !listed.contains(id)).collect();
        for id in &removed {
            self.stop_one(id).await;
        }
        for (device, ..) in &to_start {
            let running = self.running.get(&device.id);
            let has_moved = running.is_some_and(|running| running.device.url != device.url);
            self.stop_one(&device.id).await;
            if has_moved && let Some(prior) = self.prior.get_mut(&device.id) {
                prior.moved();
            }
        }
        for device in removed {
            tracing::info!(%device, "device removed");
            self.prior.remove(&device);
            self.faults.remove(&device);
            self.traps
                .iter_mut()
                .for_each(|traps| drop(traps.routes.remove(&device)));
            // Nobody listens only when the bridge is stopping.
            let _ = self.updates.send(Update::Removed { device }).await;
        }
        for (device, parts, place) in to_start {
            self.start(device, parts, place);
        }
        self.publish_ways();
        let _ = self.updates.send(Update::Configured(listed)).await;
        Ok(())
    }

    fn start(&mut self, device: &Arc<Device>, Parts { client, files }: Parts, place: Place) {
        let schedule = Schedule::new(place.origin, device.poll, device.jitter, place.index, place.count);
        let mut prior = self.prior.remove(&device.id).unwrap_or_default();
        // Whoever gives a command has a sender of its own, and so a place.
        let (jobs, commands) = futures_channel::mpsc::channel(0);
        let before = prior.traps.take();
        let traps = self.traps.as_mut().map(|traps| traps.route(&device.id, before));
        let (traps, inbox) = traps.unzip();
        let handles = Handles {
            updates: self.updates.clone(),
            jobs: commands,
            traps: inbox.unwrap_or_else(|| TrapInbox::new(None)),
            repeat: self.repeat,
            write_guard: self.write_guard.clone(),
        };
        let profiles = files.profiles.clone();
        let now = Timestamp::now();
        let slots = prior.slots.iter();
        let slots = slots.map(|(id, slot)| (id.clone(), slot.parts(now))).collect();
        let task = Box::new(DeviceTask::new(
            device, client, profiles, schedule, prior, handles,
        ));
        let route = Route {
            jobs,
            timeout: device.command_timeout,
            grace: GRACE + (device.timeout + device.snmp.longest()) * REQUESTS_IN_A_ROW,
            fail_fast: device.fail_fast,
            offline: task.offline(),
        };
        let stop = CancellationToken::new();
        // At every level: otherwise a filter for warnings would leave out whose they are.
        let span = tracing::error_span!("device", id = %device.id);
        let task = self.tasks.spawn(task.run(stop.clone()).instrument(span)).id();
        self.running.insert(
            device.id.clone(),
            Running {
                device: Arc::clone(device),
                files,
                place,
                slots,
                route,
                traps,
                task,
                stop,
            },
        );
    }

    /// Ends that device's task, if it runs, and waits for its end.
    async fn stop_one(&mut self, id: &DeviceId) {
        let Some(running) = self.running.remove(id) else {
            return;
        };
        running.stop.cancel();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            match ended {
                Ok((task, prior)) if task == running.task => {
                    self.prior.insert(id.clone(), prior);
                    return;
                }
                Err(error) if error.id() == running.task => {
                    // Nobody knows what it has published.
                    let _ = self.updates.send(Update::Forgotten { device: id.clone() }).await;
                    return;
                }
                // Another one has ended meanwhile, by a fault.
                Ok((task, _)) => self.restart(task, "it returned"),
                Err(error) => self.restart(error.id(), &error.to_string()),
            }
        }
    }

    /// Starts devices again whose task has ended by a fault.
    pub(super) async fn supervise(&mut self) -> Infallible {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(Ok((task, _))) => self.restart(task, "it returned"),
                Some(Err(error)) => self.restart(error.id(), &error.to_string()),
                None => std::future::pending().await,
            }
        }
    }

    fn restart(&mut self, task: Id, why: &str) {
        let Some(id) = self
            .running
            .iter()
            .find(|(_, running)| running.task == task)
            .map(|(id, _)| id.clone())
        else {
            return;
        };
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        tracing::error!(device = %id, "device task ended ({why}); restarting it");
        let prior = Prior {
            slots: running.slots,
            ..self.report_fault(&id, running.route.offline.get().is_some())
        };
        self.prior.insert(id.clone(), prior);
        let place = Place {
            origin: Instant::now() + RESTART_PAUSE,
            ..running.place
        };
        match self.sources.parts(&running.device) {
            Ok(parts) => {
                self.start(&running.device, parts, place);
                self.publish_ways();
            }
            Err(error) => tracing::error!(device = %id, "device task cannot be restarted: {error:#}"),
        }
    }

    /// Ends all tasks and waits for them.
    pub(super) async fn stop(mut self) {
        self.running.values().for_each(|running| running.stop.cancel());
        while self.tasks.join_next().await.is_some() {}
    }
}

/// No way leads to them any more.
impl Drop for Devices {
    fn drop(&mut self) {
        self.running.clear();
        self.publish_ways();
    }
}

/// Whether these devices could be started.
///
/// # Errors
/// When a device's TLS or profile files cannot be read.
pub(super) fn check(devices: &[Arc<Device>]) -> anyhow::Result<()> {
    let mut sources = Sources::default();
    devices
        .iter()
        .try_for_each(|device| sources.parts(device).map(drop))
}

#[cfg(test)]
mod tests;
