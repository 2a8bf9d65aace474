//! What a device's task does: the only part of it that waits. Poll, SNMP, the events of relays, commands and traps go on
//! side by side; what is to be done next says the state.

use std::future::pending;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::command::Job;
use super::in_flight::{InFlight, Way};
use super::input::{Effect, Input, Now, Selection};
use super::requests::{
    Rest, poll, read_over_rest, read_over_snmp, read_snmp, select_over_rest, select_over_snmp,
};
use super::state::DeviceState;
use super::trap_inbox::TrapInbox;
use super::{Handles, OfflineReason, Prior};
use crate::config::{self, EventsWay};
use crate::lantime::relay_events::{Applying, DeviceGuard, Selections};
use crate::lantime::rest::{Profiles, RestClient};
use crate::lantime::schedule::Schedule;
use crate::lantime::snmp::manager::Manager;
use crate::model::{Update, Via};

/// The task of one device: sole owner of all that is known of it, and of what is in flight.
#[derive(Debug)]
pub struct DeviceTask {
    state: DeviceState,
    ways: Ways,
    /// The command to apply, over SNMP, that nothing else waits for, and its answer.
    applying: Option<Applying>,
    applied: InFlight<bool>,
    traps: TrapInbox,
    updates: mpsc::Sender<Update>,
    jobs: futures_channel::mpsc::Receiver<Box<Job>>,
    /// For those who bring commands.
    offline: OfflineReason,
    wake_at: Option<Instant>,
}

/// The ways to the device. Boxed: each moves into the future that uses it, and back; and most devices are read over REST
/// alone.
#[derive(Debug)]
struct Ways {
    rest: Way<Box<Rest>>,
    /// Reads the status.
    snmp: Way<Box<Manager>>,
    /// Reads and selects the events of relays, where that goes over SNMP.
    events: Way<Box<Manager>>,
    /// The same, to begin with.
    events_from: Option<Box<Manager>>,
    /// Asked before something is changed at the device.
    guard: DeviceGuard,
}

/// Nobody takes the updates any more: the bridge is stopping.
#[derive(Debug)]
struct Closed;

impl DeviceTask {
    /// A task for that device. The slots of `prior` are shown as unknown as long as the device has not answered,
    /// since what stands at the broker may be stale.
    pub fn new(
        device: &config::Device,
        client: RestClient,
        profiles: Profiles,
        schedule: Schedule,
        prior: Prior,
        handles: Handles,
    ) -> DeviceTask {
        let manager = Manager::new(&device.snmp).map(Box::new);
        let events_from = manager.clone().filter(|_| device.snmp.events != EventsWay::Rest);
        let via = match events_from {
            Some(_) => Via::Snmp,
            None => Via::Rest,
        };
        let applying = prior.applying.clone();
        let state = DeviceState::new(
            device,
            schedule,
            prior,
            via,
            handles.repeat,
            handles.write_guard.is_none(),
        );
        let offline = OfflineReason::default();
        offline.set(state.offline().cloned());
        let mut task = DeviceTask {
            state,
            ways: Ways {
                rest: Way::new(Some(Box::new(Rest::new(client, profiles)))),
                snmp: Way::new(manager),
                events: Way::new(events_from.clone()),
                events_from,
                guard: DeviceGuard::new(handles.write_guard, &device.id),
            },
            applying: None,
            applied: InFlight::idle(),
            traps: handles.traps,
            updates: handles.updates,
            jobs: handles.jobs,
            offline,
            wake_at: Some(Instant::now()),
        };
        applying
            .into_iter()
            .for_each(|applying| task.await_apply(applying));
        task
    }

    /// Why the device is offline, while it is.
    pub fn offline(&self) -> OfflineReason {
        self.offline.clone()
    }

    /// Polls, takes traps and carries commands out until `stop`, or until nobody takes the updates any more; gives back
    /// what the task needs that may follow it. A poll that is in flight then is dropped; a command that is under way is
    /// not answered: who gave it gives it again.
    pub async fn run(mut self: Box<Self>, stop: CancellationToken) -> Prior {
        // Ends early only when nobody takes the updates.
        let _ = self.work_until(&stop).await;
        let mut prior = self.state.into_prior();
        prior.applying = self.applying.or(prior.applying);
        prior.traps = Some(self.traps);
        prior
    }

    /// At the end what is in flight is dropped. The traps that have come before get their records, and what they move is
    /// published.
    async fn work_until(&mut self, stop: &CancellationToken) -> Result<(), Closed> {
        while let Some(effects) = self.next_input(stop).await.map(|input| self.react(input)) {
            self.carry_out(effects).await?;
        }
        self.ways.close();
        let until = TrapInbox::ends_by();
        while let Some(effects) = self.traps.last(until).await.map(|input| self.react(input)) {
            self.carry_out(effects).await?;
        }
        Ok(())
    }

    /// Waits for what happens next; nothing does after `stop`. Traps come first: they are older than what is to be said of an
    /// answer. It may be dropped while it waits.
    async fn next_input(&mut self, stop: &CancellationToken) -> Option<Input> {
        Some(tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            input = self.traps.next() => input,
            input = self.ways.rest.end() => input,
            input = self.ways.snmp.end() => input,
            input = self.ways.events.end() => input,
            is_applied = self.applied.end() => {
                self.applying = None;
                Input::Applied(is_applied)
            }
            Ok(job) = self.jobs.recv(), if self.state.is_free() => Input::Command(*job),
            () = until(self.wake_at) => Input::Timer,
        })
    }

    /// Gives the state what has happened; what it wants is to be carried out.
    fn react(&mut self, input: Input) -> Vec<Effect> {
        self.wake_at = None;
        self.state.on(input, Now::read())
    }

    /// It waits only for room for updates: who takes them always makes it, whatever the broker does.
    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), Closed> {
        for effect in effects {
            if let Some(update) = self.begin(effect) {
                // `send` would set room aside for the update twice more, in the task of each device.
                self.updates.reserve().await.map_err(|_| Closed)?.send(update);
            }
        }
        self.traps.settle();
        Ok(())
    }

    /// Does what takes no time, or lets it go on beside all else; gives what is to be published.
    fn begin(&mut self, effect: Effect) -> Option<Update> {
        match effect {
            Effect::Publish(update) => return Some(update),
            Effect::Poll(version) => self.ways.poll(version),
            Effect::ReadSnmp(within) => self.ways.snmp.ask(|manager| read_snmp(manager, within)),
            Effect::ReadSelections(version, selections) => self.ways.read(version, selections),
            Effect::Select(version, selection) => self.ways.select(version, *selection),
            Effect::AwaitApply(applying) => self.await_apply(applying),
            // Who asked may not wait any more.
            Effect::Reply((answer, result)) => drop(answer.send(result)),
            Effect::Offline(reason) => self.offline.set(reason),
            Effect::Record(record, receipt) => self.traps.record(record, receipt),
            Effect::Acknowledge(receipt) => self.traps.acknowledge(receipt),
            Effect::Repeated(receipt) => self.traps.repeated(receipt),
            Effect::Identify(identity) => self.traps.identify(identity),
            Effect::WakeAt(at) => self.wake_at = Some(at),
        }
        None
    }

    fn await_apply(&mut self, mut applying: Applying) {
        self.applying = Some(applying.clone());
        self.applied.begin(async move { applying.answer().await.is_ok() });
    }
}

impl Ways {
    fn poll(&mut self, version: Option<u32>) {
        self.rest.ask(|rest| poll(rest, version));
    }

    fn read(&mut self, version: Option<u32>, selections: Selections) {
        match self.events_from {
            Some(_) => self.events.ask(|manager| read_over_snmp(manager, selections)),
            None => self.rest.ask(|rest| read_over_rest(rest, version, selections)),
        }
    }

    fn select(&mut self, version: Option<u32>, selection: Selection) {
        let guard = self.guard.clone();
        if self.events_from.is_some() {
            // What is being read would be of before.
            self.events = Way::new(self.events_from.clone());
            return self
                .events
                .ask(|manager| select_over_snmp(manager, guard, selection));
        }
        self.rest
            .ask(|rest| select_over_rest(rest, version, guard, selection));
    }

    /// Drops what is in flight; nothing is begun any more.
    fn close(&mut self) {
        self.rest = Way::new(None);
        (self.snmp, self.events, self.events_from) = (Way::new(None), Way::new(None), None);
    }
}

/// That moment; never, for none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
