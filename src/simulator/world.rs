//! The state of one simulated device and how it moves: clocks, antennas, change-over switch, outputs,
//! power and notification events. Pure: time comes in as an argument. How the state is published is the
//! document's; where relays stand is in `relays.rs`, and which events switch them in `configuration.rs`.

use super::action::{Action, ActionError, RscMode, Signal};
use super::configuration::{Configuration, EventActions};
use super::device_kind::{Clock, DeviceKind, Relay};
use super::events::{EventState, EventType, Events};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How long a fresh device has been running, so that its uptime looks like one in service.
const INITIAL_UPTIME: SignedDuration = SignedDuration::from_hours(11 * 24 + 3);
/// Events that stand from the start and that `Recover` leaves alone.
const FROM_THE_START: [&str; 1] = ["self-signed-https-certificate-in-use"];

/// One clock's receiver.
#[derive(Clone, Copy, Debug)]
struct Receiver {
    synchronized: bool,
    antenna: bool,
}

/// Everything that can change on a simulated device.
#[derive(Clone, Debug)]
pub struct World {
    kind: DeviceKind,
    booted_at: Timestamp,
    generation: u64,
    receivers: Vec<Receiver>,
    active: Clock,
    rsc_mode: RscMode,
    pps_ok: bool,
    ten_mhz_ok: bool,
    unpowered: BTreeSet<&'static str>,
    pub(super) events: Events,
    pub(super) configuration: Configuration,
}

impl World {
    /// A healthy device. `self_signed`: it serves https with a certificate of its own, and warns of that.
    pub fn new(kind: DeviceKind, self_signed: bool, now: Timestamp) -> Self {
        let booted_at = now.checked_sub(INITIAL_UPTIME).unwrap_or(now);
        let mut events = Events::new(kind);
        events.note("system-reboot", booted_at);
        let standing = [
            "normal-operation",
            "ntp-sync",
            "refclock-1-sync",
            "refclock-2-sync",
            "network-link-up",
        ];
        for name in standing
            .into_iter()
            .chain(FROM_THE_START.into_iter().filter(|_| self_signed))
        {
            events.fire(name, booted_at);
        }
        Self {
            kind,
            booted_at,
            generation: 0,
            receivers: vec![
                Receiver {
                    synchronized: true,
                    antenna: true
                };
                kind.chassis.clocks().len()
            ],
            active: Clock::Clk1,
            rsc_mode: RscMode::Automatic,
            pps_ok: true,
            ten_mhz_ok: true,
            unpowered: BTreeSet::new(),
            configuration: Configuration::new(kind, &events),
            events,
        }
    }

    /// What kind of device this is.
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// How many actions have been applied: each raises it by one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the device was started last.
    pub fn booted_at(&self) -> Timestamp {
        self.booted_at
    }

    /// Whether a clock is there, has power and is synchronous.
    pub fn is_synchronous(&self, clock: Clock) -> bool {
        self.receivers.get(clock.index()).is_some_and(|r| r.synchronized) && self.has_power(clock.as_str())
    }

    /// Whether a clock's antenna is connected.
    pub fn has_antenna(&self, clock: Clock) -> bool {
        self.receivers.get(clock.index()).is_some_and(|r| r.antenna)
    }

    /// The clock that is selected: by the change-over switch, or the only one.
    pub fn active_clock(&self) -> Clock {
        self.active
    }

    /// The mode of the change-over switch.
    pub fn rsc_mode(&self) -> RscMode {
        self.rsc_mode
    }

    /// Whether the module in that slot has power; `true` for slots without a module.
    pub fn has_power(&self, slot: &str) -> bool {
        !self.unpowered.contains(slot)
    }

    /// Whether a supervised output is well. Both come from the clock, so they need its power.
    pub fn is_well(&self, signal: Signal) -> bool {
        let own = match signal {
            Signal::Pps => self.pps_ok,
            Signal::TenMhz => self.ten_mhz_ok,
        };
        own && self.has_power(Clock::Clk1.as_str())
    }

    /// An event by name, in any generation's spelling.
    pub fn event(&self, name: &str) -> Option<&EventState> {
        self.events.find(name)
    }

    /// The events that switch a relay now, as this API generation writes them; none for a relay that no event
    /// can switch.
    pub fn relay_events(&self, slot: &str, relay: Relay) -> BTreeSet<&'static str> {
        self.configuration.relay_events(slot, relay)
    }

    /// How many events have a change that is not applied.
    pub fn pending_changes(&self) -> usize {
        self.configuration.pending()
    }

    /// Takes in what a client writes, all or nothing.
    pub(super) fn write(&mut self, changes: &[EventActions]) -> Result<(), ActionError> {
        self.configuration.stage(changes)?;
        self.generation += 1;
        Ok(())
    }

    /// Lets what is pending take effect, as a client asks for it.
    pub(super) fn apply_changes(&mut self, now: Timestamp) {
        self.configuration.apply(&mut self.events, now);
        self.generation += 1;
    }

    /// Restarts the device: its uptime begins at `now`; what is wrong with it stays wrong.
    pub fn restart(&mut self, now: Timestamp) {
        self.booted_at = now;
        self.events.note("system-reboot", now);
        self.generation += 1;
    }

    /// Applies one action and gives the generation that carries it.
    ///
    /// # Errors
    /// When the action is impossible on this device; nothing has changed then.
    pub fn apply(&mut self, action: &Action, now: Timestamp) -> Result<u64, ActionError> {
        let before = self.clone();
        self.change(action, now)?;
        self.change_over_if_needed();
        self.add_clock_events(&before, now);
        if matches!(action, Action::Recover) {
            self.clear_bad_news(now);
        }
        self.generation += 1;
        Ok(self.generation)
    }

    fn change(&mut self, action: &Action, now: Timestamp) -> Result<(), ActionError> {
        match action {
            Action::LoseSync(clock) => self.receiver(*clock)?.synchronized = false,
            Action::RegainSync(clock) => self.receiver(*clock)?.synchronized = true,
            Action::AntennaOff(clock) => self.receiver(*clock)?.antenna = false,
            Action::AntennaOn(clock) => self.receiver(*clock)?.antenna = true,
            Action::ChangeOver => self.active = self.change_over_target()?,
            Action::RscMode(mode) => self.rsc_mode = self.redundant().map(|()| *mode)?,
            Action::FireEvent(name) => _ = self.events.fire(self.events.name_of(name)?, now),
            Action::ClearEvent(name) => _ = self.events.clear(self.events.name_of(name)?, now),
            Action::PowerOff(slot) => _ = self.unpowered.insert(self.powered_slot(slot)?),
            Action::PowerOn(slot) => _ = self.unpowered.remove(self.powered_slot(slot)?),
            Action::FailSignal(signal) => *self.signal(*signal)? = false,
            Action::RestoreSignal(signal) => *self.signal(*signal)? = true,
            Action::RelayEvents { slot, relay, events } => {
                let change = self
                    .configuration
                    .relay_change(slot, *relay, events, &self.events)?;
                self.configuration.stage(&change)?;
                self.configuration.apply(&mut self.events, now);
            }
            Action::EventActions {
                event,
                actions,
                apply,
            } => {
                let (event, actions) = (self.events.name_of(event)?.to_owned(), actions.clone());
                self.configuration.stage(&[EventActions { event, actions }])?;
                if *apply {
                    self.configuration.apply(&mut self.events, now);
                }
            }
            Action::Recover => self.recover(),
        }
        Ok(())
    }

    fn receiver(&mut self, clock: Clock) -> Result<&mut Receiver, ActionError> {
        self.receivers
            .get_mut(clock.index())
            .ok_or(ActionError::NoClock(clock))
    }

    fn redundant(&self) -> Result<(), ActionError> {
        if self.kind.chassis.is_redundant() {
            Ok(())
        } else {
            Err(ActionError::NoRsc)
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<&mut bool, ActionError> {
        match signal {
            _ if self.kind.chassis.is_redundant() => Err(ActionError::NoSignal(signal)),
            Signal::Pps => Ok(&mut self.pps_ok),
            Signal::TenMhz => Ok(&mut self.ten_mhz_ok),
        }
    }

    /// The slots whose module can lose its power: clocks, switch and relay modules. Without its power
    /// supplies or its CPU a device would not answer at all: that is the fault `restart`.
    fn powered_slot(&self, slot: &str) -> Result<&'static str, ActionError> {
        let chassis = self.kind.chassis;
        let clocks = chassis.clocks().iter().map(|clock| clock.as_str());
        let slots = clocks
            .chain(["rsc1"])
            .chain(chassis.relay_modules().iter().map(|module| module.slot));
        let slots: Vec<_> = slots.collect();
        let found = slots.iter().find(|known| **known == slot).copied();
        found.ok_or_else(|| ActionError::NoModule {
            slot: slot.to_owned(),
            known: slots.join(", "),
        })
    }

    fn change_over_target(&self) -> Result<Clock, ActionError> {
        self.redundant()?;
        let target = self.active.other();
        if !self.has_power("rsc1") {
            return Err(ActionError::StaysPut("it has no power"));
        }
        if self.rsc_mode == RscMode::Manual {
            return Err(ActionError::StaysPut("it is in manual mode"));
        }
        if !self.is_synchronous(target) {
            return Err(ActionError::StaysPut("the other clock is not synchronous"));
        }
        Ok(target)
    }

    /// The switch leaves a clock that is not synchronous for one that is; it never goes back by itself.
    fn change_over_if_needed(&mut self) {
        if !self.is_synchronous(self.active)
            && let Ok(target) = self.change_over_target()
        {
            self.active = target;
        }
    }

    fn recover(&mut self) {
        self.receivers.fill(Receiver {
            synchronized: true,
            antenna: true,
        });
        self.unpowered.clear();
        (self.pps_ok, self.ten_mhz_ok) = (true, true);
        (self.rsc_mode, self.active) = (RscMode::Automatic, Clock::Clk1);
    }

    fn clear_bad_news(&mut self, now: Timestamp) {
        let bad = |event: &&EventState| {
            event.triggered && event.kind != EventType::Info && !FROM_THE_START.contains(&event.name)
        };
        let names: Vec<_> = self.events.iter().filter(bad).map(|event| event.name).collect();
        for name in names {
            self.events.clear(name, now);
        }
    }

    /// Fires the events of what has changed with clocks and antennas. Only changes fire, so an event that
    /// was fired by name stands until its own signal moves.
    fn add_clock_events(&mut self, before: &Self, now: Timestamp) {
        for &clock in self.kind.chassis.clocks() {
            let n = clock.index() + 1;
            if before.is_synchronous(clock) != self.is_synchronous(clock) {
                let news = if self.is_synchronous(clock) {
                    "sync"
                } else {
                    "not-sync"
                };
                self.events.fire(&format!("refclock-{n}-{news}"), now);
            }
            // Assumed: a clock without power does not respond, and is reported as not synchronous as well.
            let silent = format!("refclock-{n}-not-responding");
            match (before.has_power(clock.as_str()), self.has_power(clock.as_str())) {
                (true, false) => _ = self.events.fire(&silent, now),
                (false, true) => _ = self.events.extinguish(&silent),
                _ => (),
            }
        }
        let clocks = self.kind.chassis.clocks();
        let ntp = |world: &Self| clocks.iter().any(|&clock| world.is_synchronous(clock));
        if ntp(before) != ntp(self) {
            self.events
                .fire(if ntp(self) { "ntp-sync" } else { "ntp-not-sync" }, now);
        }
        let antennas = |world: &Self| clocks.iter().all(|&clock| world.has_antenna(clock));
        if antennas(before) != antennas(self) {
            self.events.fire(
                if antennas(self) {
                    "antenna-reconnect"
                } else {
                    "antenna-faulty"
                },
                now,
            );
        }
    }
}
