//! One bridge of the simulation: its election, what runs on it, and what is wrong with it.

use std::time::Duration;

use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::election::{Election, Run, StopReason};
use lantime2mqtt::cluster::entries::{BridgeId, ShardId, Token};
use lantime2mqtt::cluster::fence::{Fence, Gate};

use super::world::Event;

/// A process, or none.
pub(super) struct Bridge {
    pub(super) id: BridgeId,
    pub(super) clock: Clock,
    pub(super) election: Option<Election>,
    /// Which process it is: what was for the one before does not reach it.
    pub(super) incarnation: u64,
    /// Which timer is the last.
    pub(super) timer: u64,
    /// Which watch is the last.
    pub(super) watch_number: u64,
    pub(super) watch: Option<Watch>,
    pub(super) units: Vec<Unit>,
    /// What has come while it is paused.
    pub(super) held: Vec<Event>,
    pub(super) paused_until: u64,
    pub(super) faults: Faults,
}

/// A watch that etcd serves.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    /// The first change in etcd's history that it has not sent.
    pub(super) next: usize,
    pub(super) last_delivery: u64,
}

/// How many faults of each kind stand.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) down: u32,
    pub(super) cut_off: u32,
    pub(super) without_broker: u32,
    pub(super) drained: u32,
    pub(super) cannot_claim: bool,
}

/// The unit of one shard.
pub(super) struct Unit {
    pub(super) state: UnitState,
    pub(super) gate: Gate,
    fence: Fence,
    /// The last start.
    pub(super) run: Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitState {
    Stopped,
    Running,
    Stopping(StopReason),
}

/// A clock with its own beginning, and a little too fast or too slow.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) offset: Duration,
    /// Microseconds in a millisecond.
    pub(super) rate: u64,
}

impl Clock {
    pub(super) fn at(self, now: u64) -> BootTime {
        BootTime::after_boot(self.offset + Duration::from_micros(now * self.rate))
    }

    /// The first millisecond of the simulation at which it shows that time.
    pub(super) fn when(self, time: BootTime) -> u64 {
        let since_start = time.saturating_duration_since(BootTime::after_boot(self.offset));
        let micros = since_start.as_nanos().div_ceil(1_000);
        u64::try_from(micros)
            .expect("a time of the simulation")
            .div_ceil(self.rate)
    }
}

impl Bridge {
    pub(super) fn new(id: BridgeId, clock: Clock) -> Bridge {
        Bridge {
            id,
            clock,
            election: None,
            incarnation: 0,
            timer: 0,
            watch_number: 0,
            watch: None,
            units: Vec::new(),
            held: Vec::new(),
            paused_until: 0,
            faults: Faults::default(),
        }
    }

    /// A new process.
    pub(super) fn start(&mut self, shards: u16, now: u64) {
        self.end();
        self.units = (0..shards).map(|_| Unit::new()).collect();
        self.election = Some(Election::new(self.id.clone(), shards, self.clock.at(now)));
    }

    /// The process ends, whatever it is doing.
    pub(super) fn end(&mut self) {
        self.election = None;
        self.incarnation += 1;
        self.watch = None;
        self.units.clear();
        self.held.clear();
    }

    pub(super) fn unit(&mut self, shard: ShardId) -> &mut Unit {
        &mut self.units[usize::from(shard.0)]
    }

    pub(super) fn state(&self, shard: ShardId) -> Option<UnitState> {
        self.units.get(usize::from(shard.0)).map(|unit| unit.state)
    }

    /// Whether the unit could write at this moment.
    pub(super) fn may_write(&self, shard: ShardId, now: u64) -> Option<Token> {
        let unit = self.units.get(usize::from(shard.0))?;
        unit.fence.may_write(self.clock.at(now))
    }
}

impl Unit {
    fn new() -> Unit {
        let gate = Gate::closed();
        let fence = gate.fence();
        let state = UnitState::Stopped;
        Unit {
            state,
            gate,
            fence,
            run: Run::default(),
        }
    }
}
