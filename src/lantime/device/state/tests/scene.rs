//! A device's state, brought into the states of the table, and given its inputs.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::boot_time::BootTime;
use crate::config;
use crate::lantime::device::input::{Conversation, Effect, Input, Now, Polled};
use crate::lantime::device::state::DeviceState;
use crate::lantime::device::{Job, Prior};
use crate::lantime::rest::RestError;
use crate::lantime::rest::status::Timing;
use crate::lantime::schedule::Schedule;
use crate::lantime::snmp::oids::{self, Refclock};
use crate::lantime::snmp::status::SnmpStatus;
use crate::lantime::snmp::traps::{DeviceTrap, InformId, Receipt};
use crate::model::snapshot::Module;
use crate::model::{
    Availability, Clock, DeviceCommand, DeviceTopic, DeviceView, ErrorKind, ErrorReport, EventName,
    EventNaming, EventState, EventType, EventsChange, LastTriggered, Operation, Position, Provenance,
    Recorded, RecordedSlots, Relay, RelayModule, Signal, SlotId, SlotTopic, Snapshot, Stage, Status,
    Transition, Trap, Update, Via,
};

/// From one poll to the next.
pub(super) const POLL: Duration = Duration::from_secs(60);
/// From a command to its deadline.
const COMMAND: Duration = Duration::from_secs(20);

/// A state, at a time.
pub(super) struct Scene {
    pub(super) state: DeviceState,
    pub(super) now: Now,
    /// What waits for the store.
    to_store: Vec<Receipt>,
    /// What was recorded of times in which nobody watched.
    pauses: Vec<(&'static str, &'static str, Timestamp)>,
    /// When it wants to be woken.
    pub(super) wake_at: Option<Instant>,
}

/// A device with one slot, read over SNMP as `read` says, where that is not `off`.
fn device(read: &str) -> config::Device {
    let snmp = match read {
        "off" => String::new(),
        read => format!("snmp = {{ community = \"public\", read = \"{read}\", events = \"rest\" }}\n"),
    };
    let text = format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[[devices]]\nid = \"m1\"\nurl = \"http://127.0.0.1:1\"\n\
         username = \"u\"\npassword = \"p\"\npoll = \"60s\"\nhttp_sessions = {{ enabled = false }}\n\
         slots = [{{ id = \"io3\", relays = {{ a = \"clk1\", b = \"clk2\", c = \"notification\" }} }}]\n{snmp}"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(&file, std::iter::empty()).unwrap();
    Arc::unwrap_or_clone(loaded.config.devices.into_iter().next().unwrap())
}

pub(super) fn event_name() -> EventName {
    EventName::canonical("ntp-not-sync").unwrap()
}

/// What a device answers whose clock is synchronized or not, and whose event stands or not.
pub(super) fn snapshot(clock: Status, stands: bool) -> Snapshot {
    let slot = SlotId::new("io3").unwrap();
    let event = EventState {
        name: event_name(),
        name_on_device: None,
        triggered: Some(stands),
        kind: EventType::Error,
        last_triggered: LastTriggered::Unclear,
    };
    Snapshot {
        events_seen: true,
        chassis_seen: true,
        all_slots_seen: true,
        clocks: vec![Clock {
            signal: Signal::Clk1,
            status: clock,
            selected: None,
            is_malformed: false,
            detail: Arc::default(),
        }],
        events: Arc::new([event]),
        slots: vec![(slot.clone(), Module::Fitted(None))],
        relay_modules: vec![(slot, RelayModule::default())],
        ..Snapshot::default()
    }
}

/// An answer to a poll, in which the device says that it is not behind.
pub(super) fn answer(snapshot: Snapshot) -> Input {
    let polled = Polled {
        snapshot,
        timing: Timing {
            uptime: None,
            lag: Some(Duration::ZERO),
        },
        round_trip: Duration::from_millis(5),
    };
    Input::Polled(Box::new(Ok(polled)), Conversation::default())
}

pub(super) fn failure(kind: ErrorKind) -> Input {
    let error = RestError::new(
        Operation::Poll,
        kind,
        "http://127.0.0.1:1",
        "no answer".to_owned(),
    );
    Input::Polled(Box::new(Err(error)), Conversation::default())
}

/// A trap or inform of that event, or of one that no MIB knows; and what gets its acknowledgement.
pub(super) fn trap(event: Option<EventName>, inform: Option<i32>) -> (DeviceTrap, Receiver<bool>) {
    let (receipt, is_safe) = Receipt::of_test(inform.map(|request| InformId {
        source: [127, 0, 0, 1].into(),
        request,
        oid: None,
    }));
    let trap = Box::new(Trap {
        version: "2c",
        confirmed: inform.is_some(),
        oid: None,
        event,
        naming: EventNaming::default(),
        message: None,
        varbinds: Vec::new(),
        left_out: 0,
    });
    (DeviceTrap { trap, receipt }, is_safe)
}

/// A command whose deadline is in 20 s; nobody waits for its reply.
pub(super) fn job(command: DeviceCommand, fail_fast: bool, now: Instant) -> Job {
    Job {
        command,
        attempt: 1,
        deadline: now + COMMAND,
        fail_fast,
        answer: oneshot::channel().0,
    }
}

/// The command that no event switches relay C.
pub(super) fn selection() -> DeviceCommand {
    DeviceCommand::RelayEvents {
        slot: SlotId::new("io3").unwrap(),
        relay: Relay::C,
        change: EventsChange::Replace(Vec::new()),
    }
}

pub(super) fn snmp_status() -> SnmpStatus {
    use async_snmp::Value;
    let columns = [Refclock::Usage, Refclock::State, Refclock::Substate];
    let values = columns.map(|column| (oids::refclock(column, 1), Value::Integer(1)));
    SnmpStatus::read(&values)
}

/// The state of a task that begins then.
fn state(device: &config::Device, begin: Instant, prior: Prior) -> DeviceState {
    let schedule = Schedule::new(begin, POLL, Duration::ZERO, 0, 1);
    DeviceState::new(device, schedule, prior, Via::Rest, Duration::from_secs(900), true)
}

impl Scene {
    pub(super) fn new(read: &str) -> Scene {
        Scene::after(read, Prior::default())
    }

    /// In a run after another one, of which that is known.
    fn after(read: &str, prior: Prior) -> Scene {
        let start = Instant::now() + Duration::from_secs(3600);
        let now = Now {
            wall: Timestamp::from_second(1_000_000).unwrap(),
            instant: start,
            boot: BootTime::after_boot(Duration::from_secs(3600)),
        };
        Scene {
            state: state(&device(read), start, prior),
            now,
            to_store: Vec::new(),
            pauses: Vec::new(),
            wake_at: Some(start),
        }
    }

    /// A reload gives the device to another task, which reads it over SNMP as `read` says.
    pub(super) fn reload(&mut self, read: &str) {
        let (device, now) = (device(read), self.now.instant);
        let ended = std::mem::replace(&mut self.state, state(&device, now, Prior::default()));
        self.state = state(&device, now, ended.into_prior());
        self.wake_at = Some(now);
    }

    /// In that state of the table.
    pub(super) fn of(state: &str) -> Scene {
        let (base, then) = state.rsplit_once(", then ").unwrap_or(("", state));
        if !base.is_empty() {
            let mut scene = Scene::of(base);
            scene.give(then);
            return scene;
        }
        let next_run = match state {
            "next run, first poll" => Some("off"),
            "next run, first poll with fallback" => Some("fallback"),
            _ => None,
        };
        if let Some(read) = next_run {
            let mut scene = Scene::after(read, Scene::of("online").left());
            scene.give("time");
            return scene;
        }
        let (read, inputs): (&str, &[&str]) = match state {
            "new" => ("off", &[]),
            "first poll" => ("off", &["time"]),
            "online" => ("off", &["time", "answer", "selections"]),
            "poll in flight" => ("off", &["time", "answer", "selections", "time"]),
            "third poll in flight" => (
                "off",
                &[
                    "time",
                    "answer",
                    "selections",
                    "time",
                    "failure",
                    "time",
                    "failure",
                    "time",
                ],
            ),
            "offline" => (
                "off",
                &[
                    "time",
                    "answer",
                    "selections",
                    "time",
                    "failure",
                    "time",
                    "failure",
                    "time",
                    "failure",
                ],
            ),
            "refused" => ("off", &["time", "answer", "selections", "time", "refusal"]),
            "fallback, poll in flight" => ("fallback", &["time", "answer", "selections", "time"]),
            "fallback, refused" => (
                "fallback",
                &["time", "answer", "selections", "time", "refusal", "SNMP status"],
            ),
            "both ways, poll in flight" => {
                ("always", &["time", "answer", "selections", "SNMP status", "time"])
            }
            other => panic!("{other:?} is no state of this test"),
        };
        let mut scene = Scene::new(read);
        inputs.iter().for_each(|input| drop(scene.give(input)));
        scene
    }

    /// What the next run knows of a device that is as this one: what is recorded, and what is read back.
    fn left(&self) -> Prior {
        let published = &self.state.device.published;
        let mut slots = published.view.slots.clone();
        for (_, slot) in slots.iter_mut() {
            let relays = slot.relays.iter_mut();
            relays.for_each(|(_, relay)| relay.provenance = Provenance::Unseen);
            let signals = slot.signals.iter_mut();
            signals.for_each(|(_, signal)| signal.provenance = Provenance::Unseen);
        }
        Prior {
            slots,
            recorded: Box::new(Recorded {
                slots: Some(RecordedSlots::default().with(&published.view)),
                events: Some(published.events.recorded()),
            }),
            ..Prior::default()
        }
    }

    /// Relay A as it is published: where it stands, since how many seconds, and what is said of before.
    pub(super) fn relay(&self) -> (Position, i64, Option<(Position, i64)>) {
        let view = &self.state.device.published.view;
        let relay = view.relay(&SlotId::new("io3").unwrap(), Relay::A).unwrap();
        let ago = |at: Timestamp| self.now.wall.as_second() - at.as_second();
        let last = relay.last.map(|(position, at)| (position, ago(at)));
        (relay.position, ago(relay.since), last)
    }

    /// Gives that input of the table; gives the effects in the words of the table.
    pub(super) fn give(&mut self, input: &str) -> String {
        let input = self.input(input);
        let mut words = Vec::new();
        for effect in self.on(input) {
            words.extend(self.words(&effect));
            if let Effect::Record(_, receipt) = effect {
                self.to_store.push(receipt);
            }
        }
        match words.is_empty() {
            true => "nothing".to_owned(),
            false => words.join(", "),
        }
    }

    pub(super) fn on(&mut self, input: Input) -> Vec<Effect> {
        self.wake_at = None;
        let effects = self.state.on(input, self.now);
        for effect in &effects {
            if let Effect::WakeAt(at) = effect {
                self.wake_at = Some(*at);
            }
            if let Effect::Publish(Update::Device { transitions, .. }) = effect {
                self.pauses.extend(transitions.iter().filter_map(pause));
            }
        }
        effects
    }

    /// The records of times in which nobody watched: what it was before, and is now, and since when.
    pub(super) fn pauses(&self) -> Vec<(&'static str, &'static str, Timestamp)> {
        self.pauses.clone()
    }

    pub(super) fn later(&mut self, time: Duration) {
        self.now.instant += time;
        self.suspended(time);
    }

    /// The machine was suspended for so long.
    pub(super) fn suspended(&mut self, time: Duration) {
        self.now.wall += time;
        self.now.boot = self.now.boot + time;
    }

    fn input(&mut self, input: &str) -> Input {
        let now = self.now.instant;
        let order = |command, fail_fast| Input::Command(job(command, fail_fast, now));
        let traps = |event, inform| Input::Traps(vec![trap(event, inform).0]);
        match input {
            "time" => {
                let wake_at = self.wake_at.expect("it waits for a time");
                self.later(wake_at.saturating_duration_since(self.now.instant));
                Input::Timer
            }
            "answer" | "the same answer" => answer(snapshot(Status::Ok, false)),
            "answer: the clock has failed" => answer(snapshot(Status::Fail, false)),
            "answer: the event stands" => answer(snapshot(Status::Ok, true)),
            "answer without events" => answer(Snapshot {
                events_seen: false,
                events: Arc::default(),
                ..snapshot(Status::Ok, false)
            }),
            "failure" => failure(ErrorKind::Timeout),
            "refusal" => failure(ErrorKind::Unauthorized),
            "SNMP status" => Input::SnmpRead(Ok(snmp_status())),
            "SNMP failure" => {
                let report = ErrorReport::new(ErrorKind::Timeout, "no answer", "wait");
                Input::SnmpRead(Err(report))
            }
            "selections" | "selections not read" => {
                let report = ErrorReport::new(ErrorKind::Timeout, "no answer", "wait");
                Input::SelectionsRead(Err(report), Some(Conversation::default()))
            }
            "trap" => traps(Some(event_name()), None),
            "inform" | "the same inform" => traps(Some(event_name()), Some(1)),
            "another inform of the event" => traps(Some(event_name()), Some(2)),
            "unknown trap" => traps(None, None),
            "stored" => Input::Stored(std::mem::take(&mut self.to_store)),
            "refresh" => order(DeviceCommand::Refresh, false),
            "refresh, fail fast" => order(DeviceCommand::Refresh, true),
            "HTTP sessions on" => order(
                DeviceCommand::HttpSessions {
                    enabled: Some(true),
                    max_count: None,
                },
                false,
            ),
            "selection" => order(selection(), false),
            "attempt fails for now" => {
                let report = ErrorReport::new(ErrorKind::Busy, "busy", "wait");
                Input::Selected(Err(report.into()), Some(Conversation::default()))
            }
            "attempt is refused" => {
                let report = ErrorReport::new(ErrorKind::Rejected, "no", "do not");
                Input::Selected(Err(report.into()), Some(Conversation::default()))
            }
            other => panic!("{other:?} is no input of this test"),
        }
    }

    fn words(&self, effect: &Effect) -> Option<String> {
        Some(match effect {
            Effect::Poll(_) => "poll".to_owned(),
            Effect::ReadSnmp(_) => "read over SNMP".to_owned(),
            Effect::ReadSelections(..) => "read selections".to_owned(),
            Effect::Select(..) => "select".to_owned(),
            Effect::AwaitApply(_) => "await apply".to_owned(),
            Effect::Publish(update) => published(update)?,
            Effect::Offline(reason) => match reason {
                Some(_) => "commands know: offline".to_owned(),
                None => "commands know: not offline".to_owned(),
            },
            Effect::Reply((_, Ok(_))) => "reply".to_owned(),
            Effect::Reply((_, Err(report))) => format!("refuse ({})", report.kind),
            Effect::Record(..) => "record".to_owned(),
            Effect::Acknowledge(_) => "acknowledge".to_owned(),
            Effect::Repeated(_) => "count, acknowledge".to_owned(),
            Effect::Identify(_) => "identify".to_owned(),
            Effect::WakeAt(at) => {
                let time = at.saturating_duration_since(self.now.instant);
                format!("wake after {} s", time.as_secs_f64().round())
            }
        })
    }
}

/// What is published, but for statistics, which are not up to the state.
fn published(update: &Update) -> Option<String> {
    Some(match update {
        Update::Device {
            changes,
            view,
            transitions,
            ..
        } => {
            let mut parts: Vec<_> = changes.iter().map(|change| part(change, view)).collect();
            parts.dedup();
            let mut recorded: Vec<_> = transitions.iter().filter_map(recorded).collect();
            recorded.dedup();
            match recorded.is_empty() {
                true => format!("publish {}", parts.join(" + ")),
                false => format!(
                    "publish {}, of these record {}",
                    parts.join(" + "),
                    recorded.join(" + ")
                ),
            }
        }
        Update::HttpStats { .. } => return None,
        Update::HttpSessions { .. } => "publish HTTP sessions".to_owned(),
        Update::Incident(report) if report.stage == Stage::Over => "report the recovery".to_owned(),
        Update::Incident(_) | Update::DeadLetter(_) => "report the failure".to_owned(),
        Update::Settled { .. } => "publish that all is published".to_owned(),
        _ => unreachable!("it is not a device's"),
    })
}

/// What a record says of a time in which nobody watched.
fn pause(transition: &Transition) -> Option<(&'static str, &'static str, Timestamp)> {
    match transition {
        Transition::Availability {
            old,
            new,
            not_observed_since: Some(since),
            ..
        } => Some((old.map_or("unknown", Availability::as_str), new.as_str(), *since)),
        _ => None,
    }
}

/// What a record says.
fn recorded(transition: &Transition) -> Option<&'static str> {
    match transition {
        Transition::Availability { .. } => Some("state"),
        Transition::Slot { .. } => Some("slot"),
        Transition::Event { .. } => Some("event"),
        Transition::Relay { .. } => Some("relays"),
        Transition::Signal { .. } => Some("signals"),
    }
}

fn part(change: &DeviceTopic, view: &DeviceView) -> &'static str {
    match change {
        DeviceTopic::State if view.availability == Some(Availability::Online) => "online",
        DeviceTopic::State => "offline",
        DeviceTopic::Info => "identity",
        DeviceTopic::Error if view.problem.is_some() => "error",
        DeviceTopic::Error => "no error",
        DeviceTopic::Event(_) => "event",
        DeviceTopic::Slot(_, SlotTopic::State | SlotTopic::Info) => "slot",
        DeviceTopic::Slot(_, SlotTopic::Relay(_) | SlotTopic::RelayEvents(_)) => "relays",
        DeviceTopic::Slot(_, SlotTopic::Signal(_)) => "signals",
        DeviceTopic::HttpSessions | DeviceTopic::HttpStats => unreachable!("views have none"),
    }
}
