//! The device task: sole owner of one device's client, its last snapshot and what is published of it.
//!
//! It polls, hands each answer on (`outcome`), and carries commands out (`job`), one at
//! a time and between polls. It knows no topic and no broker.

mod http;
mod job;
mod log;
mod outcome;
mod relay_events;
mod second_way;
mod serial_number;
mod traps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::letters::PollLetters;
use super::relay_events::{Applying, Selections};
use super::rest::client::Paths;
use super::rest::status;
use super::rest::{Profiles, RestClient, RestError};
use super::schedule::Schedule;
use super::snmp::status::SnmpStatus;
use super::snmp::traps::TrapLink;
use crate::config;
use crate::model::derive::{RelayEvents, Slots};
use crate::model::{
    Availability, DeadLetter, DeviceId, DeviceView, ErrorReport, EventState, SlotId, SlotView, Snapshot,
    Update,
};
use http::Http;
use job::Waiting;
pub use job::{Job, not_waited_for};
use relay_events::OverSnmp;
use second_way::SecondWay;
use serial_number::SerialNumber;
use traps::Traps;

/// How long a refused login is left alone, whatever asks for a poll: a LANTIME bans users that keep trying.
pub const REFUSAL_PAUSE: Duration = Duration::from_secs(300);
/// Pause before a command that was held up is tried again, unless the next poll comes before.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What was published of a device before its task has asked anything.
#[derive(Debug, Default)]
pub struct Known {
    /// By this process: by the task that was there before, with other settings.
    pub view: Arc<DeviceView>,
    /// The slots, which may also stem from an earlier run.
    pub slots: BTreeMap<SlotId, SlotView>,
    /// The events that switch its relays, as the task before has read them.
    pub relay_events: RelayEvents,
    /// What the task before has told of failed polls.
    pub letters: PollLetters,
    /// Its serial number, as the task before has read it.
    pub(crate) serial_number: SerialNumber,
    /// A command to apply, over SNMP, that the device has not answered yet: it must not be sent again.
    pub(crate) applying: Option<Applying>,
}

/// Everything that the task needs.
#[derive(Debug)]
pub struct DeviceTask {
    id: DeviceId,
    client: RestClient,
    profiles: Profiles,
    schedule: Schedule,
    slots: Slots,
    offline_after: u32,
    allow_unverified_writes: bool,
    updates: mpsc::Sender<Update>,
    jobs: mpsc::Receiver<Job>,
    /// The command that is being carried out, or waits for the device.
    waiting: Option<Waiting>,
    /// The events that switch its relays.
    selections: Selections,
    /// Where these are selected over SNMP.
    over_snmp: Option<OverSnmp>,
    /// A dead letter that says that they cannot be read, to be sent.
    events_letter: Option<DeadLetter>,
    /// Its status over SNMP.
    second_way: Option<SecondWay>,
    /// When it was last read over SNMP alone.
    seen_over_snmp: Option<Timestamp>,
    /// Why it is offline, while it is: for those who bring commands.
    offline: watch::Sender<Option<ErrorReport>>,
    /// What its traps tell.
    traps: Traps,
    serial_number: SerialNumber,
    /// What is published of the device.
    view: Arc<DeviceView>,
    /// What an earlier run or task published, before the first answer.
    remembered: BTreeMap<SlotId, SlotView>,
    snapshot: Option<Snapshot>,
    /// Whether REST has told of the device.
    is_known: bool,
    /// Whether it is only over SNMP that it answers now.
    is_over_snmp: bool,
    /// How each event stood when that was last known.
    stood: Arc<[EventState]>,
    failures: u32,
    letters: PollLetters,
    /// How often a failure that lasts is told again.
    repeat_letters: Duration,
    /// Until then nothing is asked: the login was refused.
    refused_until: Option<Instant>,
    http: Http,
    reported: BTreeSet<String>,
}

/// What the rest of the bridge gives a device task.
#[derive(Debug)]
pub struct Ends {
    /// Takes what is new.
    pub updates: mpsc::Sender<Update>,
    /// Gives commands, one at a time.
    pub jobs: mpsc::Receiver<Job>,
    /// What its traps tell; `None` where nothing takes traps.
    pub traps: Option<Arc<TrapLink>>,
    /// How often a failure that lasts is told again.
    pub repeat_letters: Duration,
}

impl DeviceTask {
    /// A task for that device. The `known` slots are shown as unknown as long as the device has not answered,
    /// since what stands at the broker may be stale.
    pub fn new(
        device: &config::Device,
        client: RestClient,
        profiles: Profiles,
        schedule: Schedule,
        known: Known,
        ends: Ends,
    ) -> DeviceTask {
        // At another address another device is none that was exchanged.
        let is_same_address = |view: &DeviceView| {
            view.identity
                .as_ref()
                .is_some_and(|identity| identity.web_interface == device.url.as_str())
        };
        let serial_number = Some(known.serial_number).filter(|_| is_same_address(&known.view));
        DeviceTask {
            id: device.id.clone(),
            client,
            profiles,
            schedule,
            slots: device.slots.clone(),
            offline_after: device.offline_after,
            allow_unverified_writes: device.allow_unverified_writes,
            updates: ends.updates,
            jobs: ends.jobs,
            waiting: None,
            selections: Selections::new(&device.slots, known.relay_events, known.applying.is_some()),
            over_snmp: OverSnmp::new(&device.snmp, known.applying),
            events_letter: None,
            second_way: SecondWay::new(&device.snmp),
            seen_over_snmp: None,
            offline: watch::Sender::default(),
            traps: Traps::new(ends.traps),
            serial_number: serial_number.unwrap_or_default(),
            view: known.view,
            remembered: known.slots,
            snapshot: None,
            is_known: false,
            is_over_snmp: false,
            stood: Arc::default(),
            failures: 0,
            letters: known.letters,
            repeat_letters: ends.repeat_letters,
            refused_until: None,
            http: Http::new(device),
            reported: BTreeSet::new(),
        }
    }

    /// Why the device is offline, while it is.
    pub fn offline(&self) -> watch::Receiver<Option<ErrorReport>> {
        self.offline.subscribe()
    }

    /// Polls and carries commands out until `stop`, or until nobody takes the updates any more; gives back
    /// what it has published, for the task that may follow it. A command that is under way then is not
    /// answered: who gave it gives it again.
    pub async fn run(mut self: Box<Self>, stop: CancellationToken) -> Known {
        // Ends early only when nobody listens any more.
        let _ = self.work_until(&stop).await;
        let applying = self.take_applying();
        let slots = if self.snapshot.is_none() {
            self.remembered
        } else {
            self.view.slots.clone()
        };
        Known {
            view: self.view,
            slots,
            relay_events: self.selections.into_known(),
            letters: self.letters,
            serial_number: self.serial_number,
            applying,
        }
    }

    async fn work_until(&mut self, stop: &CancellationToken) -> Result<(), Gone> {
        let mut next = self.schedule.first();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(job) = self.jobs.recv(), if self.waiting.is_none() => {
                    if self.begin(job).await? {
                        next = Instant::now();
                    }
                }
                () = until(self.waiting.as_ref().map(Waiting::deadline)) => {
                    if self.give_up() {
                        next = self.earliest(Instant::now());
                    }
                }
                ended = relay_events::ended(&mut self.over_snmp) => {
                    let may_have_moved = self.beside_ended(ended);
                    let is_current = self.view.problem.is_none() || self.is_over_snmp;
                    if self.view.availability == Some(Availability::Online) && is_current {
                        self.publish_anew().await?;
                    }
                    self.answer_if_done();
                    if may_have_moved {
                        next = self.earliest(Instant::now());
                    } else if self.waiting.is_some() {
                        next = next.min(self.earliest(Instant::now() + TRY_AGAIN));
                    }
                }
                () = until(self.letters.ends_at()) => self.tell_end().await?,
                () = until(self.second_way.as_ref().and_then(SecondWay::ends_at)) => self.tell_second_end().await?,
                () = self.traps.news() => {
                    self.hear().await?;
                    let wanted = self.traps.poll_at();
                    next = next.min(self.earliest(wanted));
                }
                () = sleep_until(next) => {
                    let began = Instant::now();
                    let Some((mut polled, looked)) = stop.run_until_cancelled(self.ask()).await else {
                        return Ok(());
                    };
                    // Traps that have come meanwhile are older than what is to be said of the answer.
                    self.hear().await?;
                    if let Some(Ok((polled, _))) = &mut polled {
                        let known = self.snapshot.as_ref().map(|snapshot| &snapshot.events[..]);
                        self.traps.keep_moved(began, known.unwrap_or_default(), &mut polled.events);
                    }
                    let is_answered = matches!(polled, Some(Ok(_)));
                    let failure = self.take(polled, looked).await?;
                    self.traps.polled(began, is_answered);
                    next = self.next_poll();
                    if let Some(again) = self.traps.poll_again_at(began) {
                        next = next.min(self.earliest(again));
                    }
                    if let Some(failure) = failure.filter(|_| !self.can_go_on_over_snmp()) {
                        self.poll_failed(failure);
                    } else if self.has_more_to_ask() {
                        // Boxed: it is rare, and large.
                        let Some(may_have_moved) = stop.run_until_cancelled(Box::pin(self.ask_more())).await
                        else {
                            return Ok(());
                        };
                        self.publish_anew().await?;
                        self.answer_if_done();
                        if may_have_moved {
                            next = Instant::now();
                        }
                    }
                    if self.waiting.is_some() && !self.is_selecting() {
                        next = next.min(self.earliest(Instant::now() + TRY_AGAIN));
                    }
                }
            }
        }
    }

    /// A poll; before the first state of a device is published, also what switches its relays. And what is told over
    /// SNMP. A login that was refused is left alone: then there is no poll.
    async fn ask(&mut self) -> (Option<Polled>, Option<Result<SnmpStatus, ErrorReport>>) {
        let mut polled = None;
        if !self.is_refused() {
            let result = self.poll().await;
            if let Ok((snapshot, _)) = &result
                && self.snapshot.is_none()
                // Over SNMP it takes a way, and perhaps a time, of its own.
                && self.over_snmp.is_none()
                && self.selections.is_due(snapshot, Instant::now())
            {
                Box::pin(self.read_events(snapshot)).await;
            }
            polled = Some(result);
        }
        let is_rest_well = matches!(polled, Some(Ok(_)));
        // The first failures are told without it: what it tells would not be shown.
        let is_needed = match &polled {
            Some(Err(error)) => error.report.kind.is_refusal() || self.failures + 1 >= self.offline_after,
            _ => true,
        };
        if !is_needed {
            return (polled, None);
        }
        // Boxed: most devices have no second way.
        let looked = Box::pin(self.look_over_snmp(is_rest_well)).await;
        (polled, looked)
    }

    /// Whether REST is not asked now, since the login was refused.
    fn is_refused(&self) -> bool {
        self.refused_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether REST is not asked now, for that or since the device has asked for a pause.
    fn is_left_alone(&self) -> bool {
        self.is_refused() || self.client.busy_until().is_some()
    }

    /// That moment, or the first one at which there is somebody to ask.
    fn earliest(&self, at: Instant) -> Instant {
        match self.refused_until.max(self.client.busy_until()) {
            Some(until) if self.second_way.is_none() => at.max(until),
            _ => at,
        }
    }

    /// When to poll after the poll that has just ended.
    fn next_poll(&mut self) -> Instant {
        let now = Instant::now();
        match self.refused_until {
            Some(refused_until) if self.second_way.is_none() => return refused_until,
            Some(refused_until) => return self.schedule.next(now).0.min(refused_until),
            None => {}
        }
        let has_failed = self.failures > 0 && !self.is_over_snmp;
        if has_failed && self.failures >= self.offline_after {
            let next = self.schedule.after_failure(now);
            return self.client.busy_until().map_or(next, |until| next.min(until));
        }
        if let Some(busy_until) = self.client.busy_until() {
            // Polls that are due meanwhile are not sent, but count as failed: what is published of it is stale.
            return self.schedule.next(now).0.min(busy_until);
        }
        if has_failed {
            // Until it is known that the device is away, what is published of it may be stale.
            return self.schedule.retry(now, self.failures);
        }
        let (next, missed) = self.schedule.next(now);
        if missed > 0 {
            tracing::debug!(device = %self.id, missed, "polls skipped: the last one took too long");
        }
        next
    }

    /// One request, read.
    async fn poll(&mut self) -> Result<(Snapshot, Duration), RestError> {
        // The answer is needed to know the profile, the profile to ask: the paths are those of the profile
        // that read the last answer, and before the first, of the newest.
        let version = self.snapshot.as_ref().and_then(|snapshot| snapshot.api_major());
        let profile = self.profiles.for_version(version);
        let paths = Paths::from(profile);
        // Boxed: between polls the task need not keep the room that a request takes.
        let answer = Box::pin(self.client.status(paths)).await?;
        match status::snapshot_and_timing(&answer.body, &self.profiles, self.client.url()) {
            Ok((snapshot, timing)) => {
                self.traps.runs_for(timing.uptime, Instant::now());
                self.traps.lags_by(timing.lag);
                Ok((snapshot, answer.round_trip))
            }
            Err(error) => {
                let url = format!("{}{}", self.client.url(), profile.status.path);
                Err(answer.not_understood(&url, &error))
            }
        }
    }
}

/// What came of a poll, and how long it took.
type Polled = Result<(Snapshot, Duration), RestError>;

/// That moment; never, for none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Nobody takes the updates any more: the bridge is stopping.
#[derive(Debug)]
struct Gone;
