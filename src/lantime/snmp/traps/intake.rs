//! What becomes of each notification: its device is found, and its task takes it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::held::Held;
use super::receiver::Taken;
use super::refusals::{Reason, Refusals};
use super::replay::Engines;
use super::senders::{Configured, DeviceTrap, Sender, Senders, UnknownSender};
use crate::model::{DeviceId, Incident, IncidentReport, Stage, Update};
use crate::wording::quoted;

/// How often the counters are checked for refusals.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often host names are looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);
/// How long the receiver is kept at least that has believed a replay: whoever has one could send it again and again.
const REPLACE_AFTER: Duration = Duration::from_secs(10);
/// Time for looking a host name up.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// Notifications that are looked at in one go.
const AT_ONCE: usize = 256;

type Resolved = HashMap<String, Vec<IpAddr>>;

pub(super) struct Intake {
    taken: mpsc::Receiver<Taken>,
    configured: watch::Receiver<Configured>,
    updates: mpsc::Sender<Update>,
    counts: watch::Sender<Counts>,
    held: Held,
    receiver: Receiver,
    senders: Senders,
    /// Where the hosts were when they were last found.
    resolved: Resolved,
    /// Host names that are being looked up.
    resolving: Option<JoinHandle<Resolved>>,
    engines: Engines,
    refusals: Refusals,
    /// The counters as they were last looked at.
    looked: Counts,
}

/// The receiver, since it was last replaced.
struct Receiver {
    generation: watch::Sender<u64>,
    began: Instant,
    /// Whether it has believed a replay.
    is_misled: bool,
}

/// The ends of channels that the task needs.
pub(super) struct Handles {
    pub(super) taken: mpsc::Receiver<Taken>,
    pub(super) configured: watch::Receiver<Configured>,
    pub(super) updates: mpsc::Sender<Update>,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) generation: watch::Sender<u64>,
    pub(super) repeat: Duration,
    pub(super) hold_for: Duration,
    pub(super) open: Vec<Incident>,
}

impl Intake {
    pub(super) fn new(ends: Handles) -> Intake {
        Intake {
            taken: ends.taken,
            configured: ends.configured,
            updates: ends.updates,
            counts: ends.counts,
            held: Held::new(ends.hold_for),
            receiver: Receiver {
                generation: ends.generation,
                began: Instant::now(),
                is_misled: false,
            },
            senders: Senders::default(),
            resolved: Resolved::new(),
            resolving: None,
            engines: Engines::default(),
            refusals: Refusals::new(ends.repeat, ends.open),
            looked: Counts::default(),
        }
    }

    /// Works until `stop`, and then until nothing waits any more.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut resolves = interval(RESOLVE_EVERY);
        self.configure();
        let mut batch = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.taken.close();
                    while self.taken.recv_many(&mut batch, AT_ONCE).await > 0 {
                        self.take(&mut batch).await;
                    }
                    return;
                }
                Ok(()) = self.configured.changed() => self.configure(),
                resolved = finished(&mut self.resolving) => {
                    self.resolving = None;
                    self.resolved.extend(resolved);
                    let configured = self.configured.borrow().all();
                    self.senders = Senders::new(configured, &self.resolved);
                }
                _ = resolves.tick() => self.resolve(),
                _ = looks.tick() => self.look().await,
                count = self.taken.recv_many(&mut batch, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    self.take(&mut batch).await;
                }
            }
        }
    }

    /// Addresses are known at once, names later.
    fn configure(&mut self) {
        let configured = self.configured.borrow_and_update().all();
        let hosts = configured.iter().flat_map(|sender| &sender.hosts);
        let addresses = hosts.filter_map(|host| Some((host.clone(), vec![host.parse().ok()?])));
        self.resolved.extend(addresses);
        let elsewhere = configured.iter().filter(|sender| sender.traps.is_none());
        let elsewhere: HashSet<_> = elsewhere.map(|sender| sender.device.clone()).collect();
        // When one of them restarts is not known here.
        self.engines.forget(|device| elsewhere.contains(device));
        self.senders = Senders::new(configured, &self.resolved);
        self.resolve();
        let configured = self.configured.borrow();
        let here = |device: &DeviceId| configured.here.iter().find(|sender| sender.device == *device);
        let taken = self.held.take(|device| here(device).is_some(), Instant::now());
        for (device, trap) in taken {
            if let Some(traps) = here(&device).and_then(|sender| sender.traps.as_ref())
                && traps.try_send(trap).is_err()
            {
                self.counts.send_modify(|counts| counts.overrun += 1);
            }
        }
    }

    fn resolve(&mut self) {
        if self.resolving.is_some() {
            return;
        }
        let configured = self.configured.borrow().all();
        let mut hosts: Vec<_> = configured
            .iter()
            .flat_map(|sender| sender.hosts.clone())
            .collect();
        hosts.sort();
        hosts.dedup();
        if hosts.iter().all(|host| host.parse::<IpAddr>().is_ok()) {
            return;
        }
        self.resolving = Some(tokio::spawn(resolve(hosts)));
    }

    async fn take(&mut self, batch: &mut Vec<Taken>) {
        let now = Instant::now();
        for taken in batch.drain(..) {
            if let Err((reason, what)) = self.hand_over(taken, now) {
                // Not acknowledged: a sender cannot find out whether it is known.
                let report = self.refusals.note(reason, 1, what, now);
                self.send(report).await;
            }
        }
    }

    /// Gives a notification to its device's task, or says why there is none.
    fn hand_over(&mut self, taken: Taken, now: Instant) -> Result<(), (Reason, String)> {
        let Taken {
            received,
            generation,
            receipt,
        } = taken;
        let sender = match self.senders.find(&received) {
            Ok(sender) => sender,
            Err(UnknownSender::Name {
                may_be_elsewhere: true,
                ..
            }) => {
                self.counts.send_modify(|counts| counts.elsewhere += 1);
                return Ok(());
            }
            Err(unknown) => {
                self.counts.send_modify(|counts| counts.strangers += 1);
                return Err((Reason::UnknownSender, describe(&unknown)));
            }
        };
        // Where another bridge polls the device, only that one knows when it has restarted: here a trap may look like a replay.
        if let (Some(engine_id), Some(_)) = (&received.engine_id, &sender.traps) {
            let (uptime, restarted) = (received.uptime, sender.identity.borrow().restarted);
            if !self
                .engines
                .accepts(engine_id, &sender.device, generation, uptime, restarted, now)
            {
                self.counts.send_modify(|counts| counts.replays += 1);
                // The library has learnt from it what the engine's clock shows, and would refuse the true one.
                self.receiver.is_misled = true;
                let what = format!("an SNMP v3 trap of {} is older than its last", sender.device);
                return Err((Reason::OutOfTime, what));
            }
        }
        let trap = DeviceTrap {
            trap: Box::new(received.trap),
            receipt,
        };
        match &sender.traps {
            None => {
                self.counts.send_modify(|counts| counts.elsewhere += 1);
                self.held.put(sender.device.clone(), trap, now);
            }
            // There is room for all that have a place: it is full only where the task has ended by a fault.
            Some(traps) if traps.try_send(trap).is_err() => {
                self.counts.send_modify(|counts| counts.overrun += 1);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Reports what was refused before it came here, and has the receiver replaced where that helps.
    async fn look(&mut self) {
        let now = Instant::now();
        let counts = *self.counts.borrow();
        let before = std::mem::replace(&mut self.looked, counts);
        let dropped = |counts: &Counts| counts.overrun + counts.socket_drops;
        let from =
            |from: Option<IpAddr>| from.map_or("an unknown address".to_owned(), |from| from.to_string());
        let noted = [
            (
                Reason::Community,
                counts.wrong_community - before.wrong_community,
                format!(
                    "traps with a community that is not configured here, the last of them from {}",
                    from(counts.wrong_community_from)
                ),
            ),
            (
                Reason::Unprotected,
                counts.unprotected - before.unprotected,
                format!(
                    "SNMP v3 traps without encryption, the last of them from {}",
                    from(counts.unprotected_from)
                ),
            ),
            (
                Reason::Credentials,
                counts.wrong_credentials.saturating_sub(before.wrong_credentials),
                "SNMP v3 messages of a user that is not configured here, or with another password; from where is not known".to_owned(),
            ),
            (
                Reason::OutOfTime,
                counts.out_of_time.saturating_sub(before.out_of_time),
                "SNMP v3 messages with engine boots or a time that are over".to_owned(),
            ),
            (
                Reason::Overrun,
                dropped(&counts).saturating_sub(dropped(&before)),
                "traps were dropped: they come faster than they can be stored".to_owned(),
            ),
        ];
        for (reason, times, what) in noted {
            let report = self.refusals.note(reason, times, what, now);
            self.send(report).await;
        }
        let due = self.refusals.all_due(now);
        self.send(due).await;
        // A message of a device that has not counted its engine boots up is refused without a count, so whether that
        // is so cannot be seen.
        let Receiver { began, is_misled, .. } = self.receiver;
        let engines = &self.engines;
        let may_be_refused = |sender: &Sender| {
            let restarted = sender.identity.borrow().restarted;
            restarted.is_some_and(|restarted| restarted > began) && engines.knows(&sender.device)
        };
        let is_misled = is_misled && now.duration_since(began) > REPLACE_AFTER;
        if is_misled || self.configured.borrow().here.iter().any(may_be_refused) {
            tracing::info!("SNMP v3 receiver replaced: a device has restarted");
            (self.receiver.began, self.receiver.is_misled) = (now, false);
            self.receiver
                .generation
                .send_modify(|generation| *generation += 1);
        }
    }

    async fn send(&self, reports: impl IntoIterator<Item = IncidentReport>) {
        for report in reports {
            let (error, subject) = (&report.incident.error, &report.incident.key.subject);
            match report.stage {
                Stage::Over => tracing::info!(subject, "no more traps are refused for this reason"),
                _ => tracing::warn!(remedy = error.remedy, "{}", error.message),
            }
            // Nobody listens only when the bridge is stopping.
            let _ = self.updates.send(Update::Incident(Box::new(report))).await;
        }
    }
}

fn describe(unknown: &UnknownSender) -> String {
    match unknown {
        UnknownSender::Address(address) => {
            format!("a trap came from {address}, which is no configured device's address")
        }
        UnknownSender::Name {
            address,
            name,
            devices,
            ..
        } => {
            let name = name.as_deref().map_or("none".to_owned(), quoted);
            let devices: Vec<_> = devices.iter().take(5).map(|device| device.as_str()).collect();
            let devices = devices.join(", ");
            format!(
                "a trap came from {address}, where several devices are ({devices}), and its sysName ({name}) is that of none or of more than one"
            )
        }
    }
}

async fn finished(resolving: &mut Option<JoinHandle<Resolved>>) -> Resolved {
    match resolving {
        Some(resolving) => resolving.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// Where these hosts are, as far as they can be found.
async fn resolve(hosts: Vec<String>) -> Resolved {
    let mut lookups = JoinSet::new();
    for host in hosts {
        lookups.spawn(async move {
            let found = timeout(RESOLVE_WITHIN, tokio::net::lookup_host((host.as_str(), 0))).await;
            let addresses = found.ok()?.ok()?.map(|address| address.ip()).collect();
            Some((host, addresses))
        });
    }
    lookups.join_all().await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
