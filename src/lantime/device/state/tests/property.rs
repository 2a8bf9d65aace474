//! Whatever comes in whatever order: one poll at a time, one record for each transition, `online` after what stands beside
//! it, an acknowledgement after its record, and one reply to each command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tokio::time::Instant;

use super::scene::{Scene, answer, event_name, failure, job, selection, snapshot, trap};
use crate::lantime::device::input::{Conversation, Effect, Input};
use crate::lantime::device::trap_polls::SETTLED_AFTER;
use crate::lantime::snmp::traps::Receipt;
use crate::model::{
    Availability, DeviceCommand, DeviceTopic, DeviceView, ErrorKind, ErrorReport, EventName, Provenance,
    Status, Transition, Update,
};

/// Something that may happen; what cannot happen now does not.
#[derive(Debug, Clone)]
enum Step {
    Later(u64),
    Wake,
    Answer {
        clock: bool,
        event: bool,
    },
    Fail {
        refused: bool,
    },
    Snmp {
        works: bool,
    },
    SelectionsRead,
    Attempted {
        again: bool,
    },
    Trap {
        clears: bool,
    },
    Inform {
        clears: bool,
        request: i32,
    },
    Stored,
    Command {
        selects: bool,
        fail_fast: bool,
    },
    /// The device is given to another task, with its settings or others.
    Reload {
        read: &'static str,
    },
}

/// How a device is read over SNMP.
fn read() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("off"), Just("fallback"), Just("always")]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0_u64..90_000).prop_map(Step::Later),
        6 => Just(Step::Wake),
        4 => any::<(bool, bool)>().prop_map(|(clock, event)| Step::Answer { clock, event }),
        2 => any::<bool>().prop_map(|refused| Step::Fail { refused }),
        2 => any::<bool>().prop_map(|works| Step::Snmp { works }),
        2 => Just(Step::SelectionsRead),
        2 => any::<bool>().prop_map(|again| Step::Attempted { again }),
        2 => any::<bool>().prop_map(|clears| Step::Trap { clears }),
        2 => (any::<bool>(), 0..4).prop_map(|(clears, request)| Step::Inform { clears, request }),
        3 => Just(Step::Stored),
        1 => any::<(bool, bool)>().prop_map(|(selects, fail_fast)| Step::Command { selects, fail_fast }),
        1 => read().prop_map(|read| Step::Reload { read }),
    ];
    vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        cases: 256,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_promises_hold(steps in steps(), read in read()) {
        let mut device = Device::new(read);
        for step in steps {
            device.take(step);
        }
    }
}

/// A state with a driver that checks what it is asked to do.
struct Device {
    scene: Scene,
    /// What is in flight.
    polls: usize,
    snmp: usize,
    reads: usize,
    selects: usize,
    commands: usize,
    /// Traps that have come, with what gets the acknowledgement of each.
    traps: Vec<Receiver<bool>>,
    /// The trap whose record each of them waits for.
    waits_for: Vec<usize>,
    /// Which of them each inform was first.
    first_of: BTreeMap<i32, usize>,
    /// What waits for the store: the trap, and what is owed for it.
    to_store: Vec<(usize, Receipt)>,
    view: Arc<DeviceView>,
    /// How the event stood when that was last known, and the records since that it came.
    stood: Option<bool>,
    came: usize,
    /// Whether the task gets its first answer.
    is_first_answer: bool,
    /// Whether a trap whose move was not published may be the record of what a next answer shows.
    is_recorded: bool,
    last_trap: Option<Instant>,
    /// When the last poll over REST began.
    poll_began: Option<Instant>,
}

impl Device {
    fn new(read: &str) -> Device {
        Device {
            scene: Scene::new(read),
            polls: 0,
            snmp: 0,
            reads: 0,
            selects: 0,
            commands: 0,
            traps: Vec::new(),
            waits_for: Vec::new(),
            first_of: BTreeMap::new(),
            to_store: Vec::new(),
            view: Arc::default(),
            stood: None,
            came: 0,
            is_first_answer: false,
            is_recorded: false,
            last_trap: None,
            poll_began: None,
        }
    }

    fn has_answered(&self) -> bool {
        self.scene.state.device.published.snapshot.is_some()
    }

    /// When a poll over REST last came to its end with an answer.
    fn last_success(&self) -> Option<Timestamp> {
        self.scene.state.device.http.last_success()
    }

    fn take(&mut self, step: Step) {
        let Some(input) = self.input(step) else { return };
        let is_timer = matches!(input, Input::Timer);
        let (had_answered, last_success) = (self.has_answered(), self.last_success());
        let effects = self.scene.on(input);
        // It may show all that the last trap has reported; what comes later is another time.
        let shows_traps = self.last_success() != last_success
            && self.poll_began > self.last_trap.map(|trap| trap + SETTLED_AFTER);
        self.is_first_answer = self.has_answered() && !had_answered;
        for effect in effects {
            self.check(effect);
        }
        if self.is_first_answer {
            self.is_recorded |= self.came > 0;
            self.came = 0;
        }
        self.is_recorded &= !shows_traps;
        let now = self.scene.now.instant;
        assert!(
            !is_timer || self.scene.wake_at.is_none_or(|at| at > now),
            "it would be woken for ever"
        );
    }

    fn input(&mut self, step: Step) -> Option<Input> {
        let no_answer = || ErrorReport::new(ErrorKind::Timeout, "no answer", "wait");
        let over_rest = Some(Conversation::default());
        Some(match step {
            Step::Later(millis) => {
                self.scene.later(Duration::from_millis(millis));
                Input::Timer
            }
            Step::Wake => {
                let at = self.scene.wake_at?;
                let wait = at.saturating_duration_since(self.scene.now.instant);
                self.scene.later(wait);
                Input::Timer
            }
            Step::Answer { clock, event } => {
                self.polls = self.polls.checked_sub(1)?;
                let clock = if clock { Status::Ok } else { Status::Fail };
                answer(snapshot(clock, event))
            }
            Step::Fail { refused } => {
                self.polls = self.polls.checked_sub(1)?;
                failure(if refused {
                    ErrorKind::Unauthorized
                } else {
                    ErrorKind::Timeout
                })
            }
            Step::Snmp { works } => {
                self.snmp = self.snmp.checked_sub(1)?;
                Input::SnmpRead(match works {
                    true => Ok(super::scene::snmp_status()),
                    false => Err(no_answer()),
                })
            }
            Step::SelectionsRead => {
                self.reads = self.reads.checked_sub(1)?;
                Input::SelectionsRead(Err(no_answer()), over_rest)
            }
            Step::Attempted { again } => {
                self.selects = self.selects.checked_sub(1)?;
                let kind = if again {
                    ErrorKind::Busy
                } else {
                    ErrorKind::Rejected
                };
                let report = ErrorReport::new(kind, "no", "wait");
                Input::Selected(Err(report.into()), over_rest)
            }
            Step::Trap { clears } => self.trap(clears, None),
            Step::Inform { clears, request } => self.trap(clears, Some(request)),
            Step::Stored => {
                let stored = std::mem::take(&mut self.to_store);
                Input::Stored(stored.into_iter().map(|(_, receipt)| receipt).collect())
            }
            Step::Command { selects, fail_fast } => {
                if !self.scene.state.is_free() {
                    return None;
                }
                self.commands += 1;
                let command = if selects {
                    selection()
                } else {
                    DeviceCommand::Refresh
                };
                Input::Command(job(command, fail_fast, self.scene.now.instant))
            }
            Step::Reload { read } => {
                self.scene.reload(read);
                // What was in flight is dropped; who gave the command gives it again.
                (self.polls, self.snmp, self.reads, self.selects, self.commands) = (0, 0, 0, 0, 0);
                return None;
            }
        })
    }

    fn trap(&mut self, clears: bool, request: Option<i32>) -> Input {
        let event = match clears {
            true => EventName::canonical("ntp-sync").unwrap(),
            false => event_name(),
        };
        // Whether it is the same inform again, or that number is used for another one later, only the state knows.
        let request = request.map(|request| 2 * request + i32::from(clears));
        self.last_trap = Some(self.scene.now.instant);
        let number = self.traps.len();
        let first = request.map_or(number, |request| *self.first_of.entry(request).or_insert(number));
        let (trap, is_safe) = trap(Some(event), request);
        self.traps.push(is_safe);
        self.waits_for.push(first);
        Input::Traps(vec![trap])
    }

    fn check(&mut self, effect: Effect) {
        let uses_rest = self.polls + self.reads + self.selects;
        match effect {
            Effect::Poll(_) => {
                assert_eq!(uses_rest, 0, "two conversations over REST");
                self.polls += 1;
                self.poll_began = Some(self.scene.now.instant);
            }
            Effect::ReadSelections(..) => {
                assert_eq!(uses_rest, 0, "two conversations over REST");
                self.reads += 1;
            }
            Effect::Select(..) => {
                assert_eq!(uses_rest, 0, "two conversations over REST");
                self.selects += 1;
            }
            Effect::ReadSnmp(_) => {
                assert_eq!(self.snmp, 0, "two readings over SNMP");
                self.snmp += 1;
            }
            Effect::Reply(_) => {
                self.commands = self.commands.checked_sub(1).expect("one reply to each command");
            }
            Effect::Record(record, receipt) => {
                // It is of the trap that has just come.
                let number = self.is_no_repetition();
                self.to_store.push((number, receipt));
                let is_about_it =
                    String::from_utf8_lossy(&record.payload).contains(r#""event":"ntp-not-sync""#);
                self.came += usize::from(is_about_it);
            }
            Effect::Repeated(_) => drop(self.is_no_repetition()),
            Effect::Acknowledge(receipt) => {
                receipt.acknowledge();
                self.check_stored();
            }
            Effect::Publish(Update::Device {
                view,
                changes,
                transitions,
                ..
            }) => self.published(&view, &changes, &transitions),
            _ => {}
        }
    }

    /// The state takes the last trap for one of its own; gives its number.
    fn is_no_repetition(&mut self) -> usize {
        let number = self.traps.len() - 1;
        let before = std::mem::replace(&mut self.waits_for[number], number);
        for first in self.first_of.values_mut().filter(|first| **first == before) {
            *first = number;
        }
        number
    }

    /// A trap is acknowledged when its record, or that of the one that it repeats, is stored, or none is due for it.
    fn check_stored(&self) {
        for (number, is_safe) in self.traps.iter().enumerate() {
            let first = self.waits_for[number];
            let waits = self.to_store.iter().any(|(waiting, _)| *waiting == first);
            assert!(
                is_safe.try_recv().is_err() || !waits,
                "{number} waits for {first}"
            );
        }
    }

    fn published(&mut self, view: &Arc<DeviceView>, changes: &[DeviceTopic], transitions: &[Transition]) {
        let has_come = view.availability == Some(Availability::Online)
            && self.view.availability != Some(Availability::Online);
        assert!(
            !has_come || changes.last() == Some(&DeviceTopic::State),
            "online comes last"
        );
        let count = |is_it: fn(&Transition) -> bool| transitions.iter().filter(|one| is_it(one)).count();
        let relays = count(|one| matches!(one, Transition::Relay { .. }));
        assert_eq!(relays, relays_moved(&self.view, view), "{transitions:?}");
        let signals = count(|one| matches!(one, Transition::Signal { .. }));
        assert_eq!(signals, signals_moved(&self.view, view), "{transitions:?}");
        let stands = stands_in(view);
        let came = count(|one| matches!(one, Transition::Event { triggered: true, .. }));
        let ended = count(|one| matches!(one, Transition::Event { triggered: false, .. }));
        // What traps move is not published before the first answer, nor while nobody knows how the event stands: they may
        // move it several times until then.
        let was_hidden = self.is_first_answer || stands_in(&self.view).is_none();
        match (self.stood, stands) {
            (Some(false), Some(true)) if was_hidden && self.came > 0 => {
                assert_eq!((came, ended), (0, 0), "a trap has said so: {transitions:?}");
            }
            (Some(false), Some(true)) if self.is_recorded && self.came + came == 0 => assert_eq!(ended, 0),
            (Some(false), Some(true)) => {
                assert_eq!((self.came + came, ended), (1, 0), "it came: {transitions:?}");
            }
            (Some(true), Some(false)) => assert_eq!((came, ended), (0, 1), "it ended: {transitions:?}"),
            _ => assert_eq!((came, ended), (0, 0), "it did nothing: {transitions:?}"),
        }
        if stands.is_some() && (was_hidden || stands != self.stood) {
            self.is_recorded = was_hidden && (self.is_recorded || self.came > 0);
            self.came = 0;
        }
        self.stood = stands.or(self.stood);
        self.view = Arc::clone(view);
    }
}

/// How the event stands, where that is published.
fn stands_in(view: &DeviceView) -> Option<bool> {
    view.events.first()?.triggered
}

fn relays_moved(old: &DeviceView, new: &DeviceView) -> usize {
    let relays = |view: &DeviceView| {
        let slots = view.slots.values();
        slots
            .flat_map(|slot| slot.relays.values().cloned())
            .collect::<Vec<_>>()
    };
    let (old, new) = (relays(old), relays(new));
    let moved = old.iter().zip(&new);
    moved
        .filter(|(old, new)| old.position != new.position && old.provenance != Provenance::Unseen)
        .count()
}

fn signals_moved(old: &DeviceView, new: &DeviceView) -> usize {
    let signals = |view: &DeviceView| {
        let slots = view.slots.values();
        slots
            .flat_map(|slot| slot.signals.clone())
            .collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (signals(old), signals(new));
    let changed = new
        .iter()
        .filter_map(|(signal, new)| Some((old.get(signal)?, new)));
    changed
        .filter(|(old, new)| old.status != new.status && old.provenance != Provenance::Unseen)
        .count()
}
