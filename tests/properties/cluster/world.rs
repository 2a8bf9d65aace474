//! Bridges, their network and etcd, in the time of a simulation. After each event it is checked that nobody may write who
//! must not.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use lantime2mqtt::boot_time::BootTime;
use lantime2mqtt::cluster::election::{Effect, Input, Run, StopReason};
use lantime2mqtt::cluster::entries::{BridgeId, Change, LeaseId, Revision, ShardId, Token};
use lantime2mqtt::cluster::fence::Permit;

use super::bridge::{Bridge, Clock, Unit, UnitState};
use super::etcd::Etcd;
use super::faults::{self, Fault};
use super::network::Request;

/// A process of a bridge.
#[derive(Debug, Clone, Copy)]
pub(super) struct To {
    pub(super) bridge: usize,
    pub(super) incarnation: u64,
}

#[derive(Debug)]
pub(super) enum Event {
    Start(usize),
    Input(To, Input),
    /// A bridge tries to reach its broker.
    Connect(To),
    Timer(To, u64),
    /// A unit reports that it has stopped, perhaps not for the first time.
    UnitStopped(To, ShardId, Run),
    /// The watch with that number reports something, or ends.
    Watched(To, u64, Option<(Revision, Vec<Change>)>),
    /// A request comes to etcd; the answer is on time if it takes so long.
    Request(To, Request, BootTime, Option<u64>),
    /// A unit writes.
    Write(usize, ShardId, Token),
    Resume(usize),
    /// A lease may have ended.
    Expire,
    Begin(Fault, u64),
    End(Fault),
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) shards: u16,
    pub(super) ttl: u64,
    pub(super) etcd: Etcd,
    pub(super) bridges: Vec<Bridge>,
    /// How many outages of etcd stand.
    pub(super) outages: u32,
    /// How many times the network is bad.
    pub(super) lossy: u32,
    /// How often a unit was started.
    pub(super) starts: usize,
    /// When units were stopped.
    pub(super) stops: Vec<u64>,
    unowned_since: BTreeMap<ShardId, u64>,
    /// Until then bridges may write whose keys a restored etcd does not have: they have not read that yet.
    unsure_until: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    pub(super) rng: Rng,
}

impl World {
    /// A cluster whose bridges start at these times.
    pub(super) fn new(starts: &[u64], shards: u16, ttl: u64, seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let mut bridge = |number: usize| {
            let offset = Duration::from_micros(rng.u64(0..100_000_000));
            let rate = rng.u64(980..=1_020);
            let id = BridgeId::new(format!("bridge-{number}")).expect("an id");
            Bridge::new(id, Clock { offset, rate })
        };
        let bridges = (0..starts.len()).map(&mut bridge).collect();
        let mut world = World {
            now: 0,
            shards,
            ttl,
            etcd: Etcd::new(ttl),
            bridges,
            outages: 0,
            lossy: 0,
            starts: 0,
            stops: Vec::new(),
            unowned_since: BTreeMap::new(),
            unsure_until: 0,
            queue: BTreeMap::new(),
            queued: 0,
            rng,
        };
        for (number, at) in starts.iter().enumerate() {
            world.bridges[number].faults.down = 1;
            world.at(*at, Event::Start(number));
        }
        world
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }

    pub(super) fn after(&mut self, from: u64, to: u64, event: Event) {
        let at = self.now + self.rng.u64(from..=to);
        self.at(at, event);
    }

    pub(super) fn run_until(&mut self, end: u64) {
        while let Some(((at, _), event)) = self.next_until(end) {
            self.go_to(at);
            self.handle(event);
            self.serve_watches();
            self.check();
        }
        self.go_to(end);
        self.check();
    }

    fn next_until(&mut self, end: u64) -> Option<((u64, u64), Event)> {
        let (at, _) = self.queue.first_key_value()?;
        if at.0 <= end { self.queue.pop_first() } else { None }
    }

    fn go_to(&mut self, now: u64) {
        self.now = now;
        if self.outages == 0 {
            self.etcd.expire(now);
        }
    }

    /// How long the shard that has had no owner for the longest time has had none.
    pub(super) fn longest_unowned(&self) -> u64 {
        let since = self.unowned_since.values().min();
        since.map_or(0, |since| self.now - since)
    }

    fn handle(&mut self, event: Event) {
        let to = match &event {
            Event::Input(to, _)
            | Event::Connect(to)
            | Event::Timer(to, _)
            | Event::UnitStopped(to, ..)
            | Event::Watched(to, ..) => Some(*to),
            _ => None,
        };
        let Some(to) = to else {
            return self.happen(event);
        };
        let bridge = &mut self.bridges[to.bridge];
        if bridge.incarnation != to.incarnation {
            return;
        }
        match bridge.paused_until > self.now || !bridge.held.is_empty() {
            true => bridge.held.push(event),
            false => self.deliver(to, event),
        }
    }

    /// What no process waits for.
    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(bridge) => {
                self.bridges[bridge].faults.down -= 1;
                if self.bridges[bridge].faults.down == 0 {
                    self.start(bridge);
                }
            }
            Event::Request(from, request, sent, back) => self.serve(from, request, sent, back),
            Event::Write(bridge, shard, token) => {
                if self.outages == 0
                    && self.now >= self.unsure_until
                    && let Some(owner) = self.etcd.write_fenced(shard, token)
                {
                    assert_eq!(
                        *owner, self.bridges[bridge].id,
                        "another one's writing was accepted"
                    );
                }
            }
            Event::Resume(bridge) if self.bridges[bridge].paused_until <= self.now => {
                let incarnation = self.bridges[bridge].incarnation;
                for event in std::mem::take(&mut self.bridges[bridge].held) {
                    if self.bridges[bridge].incarnation == incarnation {
                        self.deliver(To { bridge, incarnation }, event);
                    }
                }
            }
            Event::Begin(fault, length) => faults::begin(self, fault, length),
            Event::End(fault) => faults::end(self, fault),
            _ => {}
        }
    }

    fn deliver(&mut self, to: To, event: Event) {
        let bridge = &mut self.bridges[to.bridge];
        let input = match event {
            Event::Input(_, input) => input,
            Event::Connect(_) => Input::Broker(bridge.faults.without_broker == 0),
            Event::Timer(_, timer) if timer == bridge.timer => Input::Timer,
            Event::UnitStopped(_, shard, run) => {
                let unit = bridge.unit(shard);
                if run == unit.run {
                    unit.state = UnitState::Stopped;
                }
                Input::UnitStopped(shard, run)
            }
            Event::Watched(_, watch, change) if watch == bridge.watch_number => match change {
                Some((revision, changes)) => Input::Changed(revision, changes),
                None => Input::WatchEnded,
            },
            _ => return,
        };
        self.give(to.bridge, input);
    }

    pub(super) fn start(&mut self, bridge: usize) {
        self.bridges[bridge].start(self.shards, self.now);
        self.give(bridge, Input::Timer);
        if self.bridges[bridge].faults.drained > 0 {
            self.give(bridge, Input::Drain(true));
        }
        let connect = Event::Connect(self.to(bridge));
        self.after(5, 1_500, connect);
    }

    pub(super) fn to(&self, bridge: usize) -> To {
        let incarnation = self.bridges[bridge].incarnation;
        To { bridge, incarnation }
    }

    /// Something has happened to a bridge, which it hears now, or when it goes on.
    pub(super) fn send(&mut self, bridge: usize, input: Input) {
        let to = self.to(bridge);
        self.handle(Event::Input(to, input));
    }

    fn give(&mut self, bridge: usize, input: Input) {
        let now = self.bridges[bridge].clock.at(self.now);
        let Some(election) = &mut self.bridges[bridge].election else {
            return;
        };
        let effects = election.on(input, now);
        self.bridges[bridge].timer += 1;
        for effect in effects {
            self.perform(bridge, effect);
        }
    }

    fn perform(&mut self, bridge: usize, effect: Effect) {
        let request = match effect {
            Effect::GrantLease => Request::Grant,
            Effect::RenewLease(lease) => Request::Renew(lease),
            Effect::ReadSnapshot => {
                let bridge = &mut self.bridges[bridge];
                bridge.watch_number += 1;
                bridge.watch = None;
                Request::Read(bridge.watch_number)
            }
            Effect::WriteMember { lease, state } => Request::WriteMember(lease, state),
            Effect::Claim { shard, lease } => Request::Claim(shard, lease),
            Effect::Release { shard, token } => {
                let state = self.bridges[bridge].unit(shard).state;
                assert_eq!(state, UnitState::Stopped, "a shard is released that is worked on");
                Request::Release(shard, token)
            }
            Effect::Permit(shard, permit) => return self.permit(bridge, shard, permit),
            Effect::StartUnit(shard, run) => return self.start_unit(bridge, shard, run),
            Effect::StopUnit(shard, reason) => return self.stop_unit(bridge, shard, reason),
            Effect::Leave(lease) => return self.leave(bridge, lease),
            Effect::WakeAt(at) => {
                let bridge_now = &self.bridges[bridge];
                assert!(at > bridge_now.clock.at(self.now), "a timer for what is due");
                let at = bridge_now.clock.when(at);
                let timer = Event::Timer(self.to(bridge), bridge_now.timer);
                return self.at(at, timer);
            }
        };
        self.request(bridge, request);
    }

    fn permit(&mut self, bridge: usize, shard: ShardId, permit: Option<Permit>) {
        let is_working = self.bridges[bridge].state(shard) != Some(UnitState::Stopped);
        let is_valid = is_working && self.bridges[bridge].may_write(shard, self.now).is_some();
        assert!(
            permit.is_some() || !is_valid || self.now < self.unsure_until,
            "an owner is stopped that is still one, at {}",
            self.now
        );
        self.bridges[bridge].unit(shard).gate.set(permit);
    }

    fn start_unit(&mut self, bridge: usize, shard: ShardId, run: Run) {
        let unit = self.bridges[bridge].unit(shard);
        assert_eq!(unit.state, UnitState::Stopped, "a unit is started twice");
        unit.state = UnitState::Running;
        unit.run = run;
        self.starts += 1;
        if self.bridges[bridge].faults.without_broker > 0 {
            return;
        }
        // The broker closes the connection of whoever had the client id.
        for other in 0..self.bridges.len() {
            let has_unit = self.bridges[other]
                .state(shard)
                .is_some_and(|state| state != UnitState::Stopped);
            if other != bridge && has_unit && self.bridges[other].faults.without_broker == 0 {
                let (to, run) = (self.to(other), self.bridges[other].unit(shard).run);
                self.after(1, 50, Event::Input(to, Input::Disconnected(shard, run)));
            }
        }
    }

    fn stop_unit(&mut self, bridge: usize, shard: ShardId, reason: StopReason) {
        let unit = self.bridges[bridge].unit(shard);
        assert_ne!(unit.state, UnitState::Stopping(reason), "a unit is stopped twice");
        if unit.state == UnitState::Stopped {
            return;
        }
        unit.state = UnitState::Stopping(reason);
        let run = unit.run;
        self.stops.push(self.now);
        let longest = match reason {
            StopReason::HandOver => 1_500,
            StopReason::Lost => 100,
        };
        let to = self.to(bridge);
        self.after(5, longest, Event::UnitStopped(to, shard, run));
        // Some report each thing twice, and late.
        if self.rng.bool() {
            self.after(longest, 5_000, Event::UnitStopped(to, shard, run));
        }
    }

    fn leave(&mut self, bridge: usize, lease: Option<LeaseId>) {
        let is_stopped = |unit: &Unit| unit.state == UnitState::Stopped;
        assert!(
            self.bridges[bridge].units.iter().all(is_stopped),
            "units are left behind"
        );
        if let Some(lease) = lease {
            self.request(bridge, Request::Revoke(lease));
        }
        self.bridges[bridge].end();
    }

    /// etcd is stopped, and starts again with a backup.
    pub(super) fn restore(&mut self, backup: Etcd) {
        self.etcd.restore(backup, self.now);
        self.at(self.now + self.ttl, Event::Expire);
        (0..self.bridges.len()).for_each(|bridge| self.break_watch(bridge));
        // Watches end within two seconds, and then it is read again.
        self.unsure_until = self.now + 4_000;
    }

    fn check(&mut self) {
        for shard in ShardId::all(self.shards) {
            let writers = self.bridges.iter().enumerate();
            let writers = writers.filter_map(|(number, bridge)| {
                Some((number, &bridge.id, bridge.may_write(shard, self.now)?))
            });
            let writers: Vec<_> = writers.collect();
            let owner = self.etcd.owners.get(&shard);
            match owner {
                Some(_) => drop(self.unowned_since.remove(&shard)),
                None => drop(self.unowned_since.entry(shard).or_insert(self.now)),
            }
            if self.now < self.unsure_until {
                continue;
            }
            assert!(
                writers.len() <= 1,
                "two bridges write at {}: {writers:?}",
                self.now
            );
            let Some(&(number, bridge, token)) = writers.first() else {
                continue;
            };
            let owner = owner.map(|owner| (&owner.bridge, owner.token));
            assert_eq!(
                owner,
                Some((bridge, token)),
                "a bridge writes that owns nothing, at {}",
                self.now
            );
            let state = self.bridges[number].state(shard);
            assert_ne!(
                state,
                Some(UnitState::Stopped),
                "a unit that has stopped may write"
            );
            if self.rng.u8(0..10) == 0 {
                self.after(1, 2_000, Event::Write(number, shard, token));
            }
        }
    }
}
