//! Signals, events and wiring -> the slots of a device: `reported` beats `derived`, `derived` beats `unknown`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::snapshot::Module;
use super::{
    ChassisKind, Detail, EventName, EventType, Position, Provenance, Relay, RelayEventsState, RelayModule,
    RelayState, Signal, SignalState, SlotId, SlotState, SlotView, Snapshot, Status, Via, Wiring,
    WiringSource,
};

/// Which slots of a device are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slots {
    /// Every slot that holds a relay module.
    Auto,
    /// These, with their wiring where it is configured.
    Listed(Vec<(SlotId, Option<Wiring>)>),
}

/// The events that switch the notification-driven relays, where that is known.
pub type RelayEvents = BTreeMap<(SlotId, Relay), ChosenEvents>;

/// The events that switch one relay, as the device told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenEvents {
    /// Which events.
    pub events: BTreeSet<EventName>,
    /// The way on which they became known.
    pub via: Via,
    /// Whether that is still certain.
    pub confirmed: bool,
}

/// What the slots of a device look like after a poll.
///
/// `old` are the slots as last published: they give each `since`, and with [`Slots::Auto`] a slot that
/// held a relay module stays watched while it is empty, so that a module that loses its power becomes
/// `absent` and does not vanish.
pub fn slots(
    snapshot: &Snapshot,
    chassis: ChassisKind,
    watched: &Slots,
    relay_events: &RelayEvents,
    old: &BTreeMap<SlotId, SlotView>,
    now: Timestamp,
) -> BTreeMap<SlotId, SlotView> {
    let view = |id: &SlotId, wiring: Option<Wiring>| {
        let wiring = match wiring {
            Some(wiring) => (wiring, WiringSource::Configured),
            None => (Wiring::usual(chassis), WiringSource::Assumed),
        };
        let poll = Poll {
            snapshot,
            chassis,
            relay_events,
            slot: id,
            old: old.get(id),
            now,
        };
        (id.clone(), poll.slot_view(wiring))
    };
    if !snapshot.chassis_seen {
        return unseen(watched, old, now);
    }
    match watched {
        Slots::Listed(listed) => listed.iter().map(|(id, wiring)| view(id, *wiring)).collect(),
        Slots::Auto => {
            let found = snapshot.relay_modules.iter().map(|(id, _)| id);
            let known = old.keys().filter(|id| match snapshot.module(id) {
                Some(Module::Empty | Module::Fitted(None)) => true,
                Some(Module::Fitted(Some(_))) => false,
                None => !snapshot.all_slots_seen,
            });
            found.chain(known).map(|id| view(id, None)).collect()
        }
    }
}

/// The slots before a document has shown any: those that are configured, or were known before, all unknown.
pub fn unseen(
    watched: &Slots,
    old: &BTreeMap<SlotId, SlotView>,
    now: Timestamp,
) -> BTreeMap<SlotId, SlotView> {
    let mut slots = old.clone();
    if let Slots::Listed(listed) = watched {
        for (id, wiring) in listed {
            let slot = slots.entry(id.clone()).or_insert_with(|| {
                let wired = wiring
                    .iter()
                    .flat_map(|wiring| Relay::ALL.map(|relay| wiring.driver(relay)));
                SlotView::unseen(None, Relay::ALL, wired, now)
            });
            if let Some(wiring) = wiring {
                slot.wiring = Some((*wiring, WiringSource::Configured));
                for relay in on_notification(*wiring) {
                    slot.relay_events.entry(relay).or_insert(RelayEventsState {
                        events: None,
                        confirmed: false,
                        via: None,
                        since: now,
                    });
                }
                slot.relays
                    .iter_mut()
                    .for_each(|(relay, state)| state.driven_by = Some(wiring.driver(*relay)));
            }
        }
    }
    slots.values_mut().for_each(|slot| slot.forget_states(now, now));
    slots
}

/// The relays that notification events switch.
pub fn on_notification(wiring: Wiring) -> impl Iterator<Item = Relay> {
    let is_driven = move |relay: &Relay| wiring.driver(*relay) == Signal::Notification;
    Relay::ALL.into_iter().filter(is_driven)
}

/// One slot in one poll.
struct Poll<'a> {
    snapshot: &'a Snapshot,
    chassis: ChassisKind,
    relay_events: &'a RelayEvents,
    slot: &'a SlotId,
    old: Option<&'a SlotView>,
    now: Timestamp,
}

/// A value, how it is known, and what brought it about.
struct Finding<T> {
    value: T,
    provenance: Provenance,
    cause: Option<String>,
}

impl Poll<'_> {
    fn slot_view(&self, wiring: (Wiring, WiringSource)) -> SlotView {
        let module = self.snapshot.relay_module(self.slot);
        let state = match (module, self.snapshot.module(self.slot)) {
            (Some(_), _) => SlotState::Online,
            (None, Some(Module::Fitted(Some(_)))) => SlotState::Mismatch,
            // A module without power may still be listed, but does not tell what it is.
            (None, _) => SlotState::Absent,
        };
        if module.is_none() && self.old.is_none_or(|old| old.relays.is_empty()) {
            // Nothing is there, and never was: there is nothing to be known of it.
            return SlotView {
                state,
                module: None,
                wiring: Some(wiring),
                relays: BTreeMap::new(),
                relay_events: BTreeMap::new(),
                signals: BTreeMap::new(),
            };
        }
        let signals = Signal::ALL
            .into_iter()
            .filter(|signal| self.is_monitored(module, *signal, wiring.0));
        let signals = signals
            .map(|signal| (signal, self.signal_state(module, signal, wiring.0)))
            .collect();
        let relays = Relay::ALL.into_iter().map(|relay| {
            let driver = wiring.0.driver(relay);
            // Without a module in the slot there is no contact of which anything could be said.
            let found = match module {
                Some(module) => self.position(module, relay, driver),
                None => Finding {
                    value: Position::Unknown,
                    provenance: Provenance::Unknown,
                    cause: None,
                },
            };
            (relay, self.relay_state(relay, driver, found))
        });
        SlotView {
            state,
            module: module.map(|module| module.info.clone()),
            wiring: Some(wiring),
            relays: relays.collect(),
            relay_events: on_notification(wiring.0)
                .map(|relay| (relay, self.relay_events_state(relay)))
                .collect(),
            signals,
        }
    }

    fn relay_events_state(&self, relay: Relay) -> RelayEventsState {
        let chosen = self.relay_events.get(&(self.slot.clone(), relay));
        let events = chosen.map(|chosen| chosen.events.clone());
        let old = self.old.and_then(|slot| slot.relay_events.get(&relay));
        let since = old
            .filter(|old| old.events == events)
            .map_or(self.now, |old| old.since);
        RelayEventsState {
            events,
            confirmed: chosen.is_some_and(|chosen| chosen.confirmed),
            via: chosen.map(|chosen| chosen.via),
            since,
        }
    }

    /// Whether the signal says anything here: it drives a relay, or this chassis has what gives it.
    fn is_monitored(&self, module: Option<&RelayModule>, signal: Signal, wiring: Wiring) -> bool {
        wiring.uses(signal)
            || match signal {
                Signal::Clk1 => true,
                Signal::Clk2 => self.snapshot.clock(Signal::Clk2).is_some(),
                Signal::Rsc => self.chassis == ChassisKind::Redundant,
                Signal::Pps | Signal::TenMhz => module.is_some_and(|module| module.signal(signal).is_some()),
                Signal::Notification => false,
            }
    }

    fn relay_state(&self, relay: Relay, driver: Signal, found: Finding<Position>) -> RelayState {
        let old = self.old.and_then(|slot| slot.relays.get(&relay));
        let since = old
            .filter(|old| old.position == found.value)
            .map_or(self.now, |old| old.since);
        RelayState {
            position: found.value,
            driven_by: Some(driver),
            cause: found.cause,
            provenance: found.provenance,
            via: self.snapshot.via,
            since,
            last: None,
        }
    }

    fn signal_state(&self, module: Option<&RelayModule>, signal: Signal, wiring: Wiring) -> SignalState {
        let found = match signal {
            Signal::Notification => self.notification(on_notification(wiring)),
            _ => self.monitored(module, signal),
        };
        let old = self.old.and_then(|slot| slot.signals.get(&signal));
        let since = old
            .filter(|old| old.status == found.value)
            .map_or(self.now, |old| old.since);
        let detail = self.detail(signal);
        SignalState {
            status: found.value,
            provenance: found.provenance,
            via: self.snapshot.via,
            since,
            detail,
            last: None,
        }
    }

    fn position(&self, module: &RelayModule, relay: Relay, driver: Signal) -> Finding<Position> {
        let derived = self.derived_position(module, relay, driver);
        match module.position(relay) {
            None => derived,
            // The device does say, but nobody knows what: to conclude something else would be a guess.
            Some(Position::Unknown) => Finding {
                value: Position::Unknown,
                provenance: Provenance::Unknown,
                cause: None,
            },
            Some(position) => {
                let cause = (position == Position::Nc).then(|| {
                    derived
                        .cause
                        .unwrap_or_else(|| Status::Unknown.as_str().to_owned())
                });
                Finding {
                    value: position,
                    provenance: Provenance::Reported,
                    cause,
                }
            }
        }
    }

    fn derived_position(&self, module: &RelayModule, relay: Relay, driver: Signal) -> Finding<Position> {
        let found = match driver {
            Signal::Notification => self.notification([relay]),
            _ => self.monitored(Some(module), driver),
        };
        let value = match found.value {
            Status::Ok => Position::No,
            Status::Fail | Status::Absent => Position::Nc,
            Status::Unknown => Position::Unknown,
        };
        let provenance = if value == Position::Unknown {
            Provenance::Unknown
        } else {
            Provenance::Derived
        };
        Finding {
            value,
            provenance,
            cause: found.cause,
        }
    }

    /// A signal that hardware gives; [`Signal::Notification`] is not one.
    fn monitored(&self, module: Option<&RelayModule>, signal: Signal) -> Finding<Status> {
        match signal {
            Signal::Clk1 | Signal::Clk2 => self.clock(signal),
            Signal::Rsc => self.rsc(),
            Signal::Pps | Signal::TenMhz => found(module.and_then(|module| module.signal(signal)), || {
                format!("{signal}-failed")
            }),
            Signal::Notification => found(None, String::new),
        }
    }

    fn clock(&self, signal: Signal) -> Finding<Status> {
        // Without such a slot nothing is known: it may have another name in this chassis.
        let status = self.snapshot.clock(signal).map(|clock| clock.status);
        let cause = if status == Some(Status::Absent) {
            "clock-absent"
        } else {
            "clock-not-sync"
        };
        found(status, || cause.to_owned())
    }

    /// `ok` while the clock that it has selected is. No interface is known that reports its own state.
    fn rsc(&self) -> Finding<Status> {
        let selected = self
            .snapshot
            .clocks
            .iter()
            .find(|clock| clock.selected == Some(true));
        let Some(selected) = selected.filter(|clock| clock.status != Status::Unknown) else {
            return found(None, String::new);
        };
        let (value, cause) = match selected.status {
            Status::Ok => (Status::Ok, None),
            _ => (Status::Fail, Some("selected-clock-not-sync".to_owned())),
        };
        Finding {
            value,
            provenance: Provenance::Derived,
            cause,
        }
    }

    /// In fault while one of the events that switch these relays is triggered. Events of type info never
    /// put a relay into NC. Unknown where it is not known which events were chosen, or how one of them stands.
    fn notification(&self, relays: impl IntoIterator<Item = Relay>) -> Finding<Status> {
        let mut certain = None;
        for relay in relays {
            let chosen = self.relay_events.get(&(self.slot.clone(), relay));
            for name in chosen.iter().flat_map(|chosen| &chosen.events) {
                let event = self.snapshot.events.iter().find(|event| event.name == *name);
                if event.is_some_and(|event| event.triggered == Some(true) && event.kind != EventType::Info) {
                    let cause = Some(name.as_str().to_owned());
                    return Finding {
                        value: Status::Fail,
                        provenance: Provenance::Derived,
                        cause,
                    };
                }
                certain =
                    Some(certain.unwrap_or(true) && event.is_some_and(|event| event.triggered.is_some()));
            }
            certain = Some(certain.unwrap_or(true) && chosen.is_some());
        }
        match certain {
            Some(true) => Finding {
                value: Status::Ok,
                provenance: Provenance::Derived,
                cause: None,
            },
            _ => found(None, String::new),
        }
    }

    fn detail(&self, signal: Signal) -> Vec<(&'static str, Detail)> {
        match signal {
            Signal::Clk1 | Signal::Clk2 => self
                .snapshot
                .clock(signal)
                .map_or(Vec::new(), |clock| clock.detail.clone()),
            Signal::Rsc => {
                let selected = self
                    .snapshot
                    .clocks
                    .iter()
                    .find(|clock| clock.selected == Some(true));
                let selected = selected.map(|c| ("selected", Detail::Text(c.signal.as_str().into())));
                let reported = self
                    .snapshot
                    .rsc
                    .iter()
                    .flat_map(|rsc| rsc.detail.iter().cloned());
                selected.into_iter().chain(reported).collect()
            }
            Signal::Pps | Signal::TenMhz | Signal::Notification => Vec::new(),
        }
    }
}

/// What the device says itself, or unknown; `cause` names the fault where it is one.
fn found(status: Option<Status>, cause: impl FnOnce() -> String) -> Finding<Status> {
    let value = status.unwrap_or(Status::Unknown);
    let provenance = if value == Status::Unknown {
        Provenance::Unknown
    } else {
        Provenance::Reported
    };
    let cause = matches!(value, Status::Fail | Status::Absent).then(cause);
    Finding {
        value,
        provenance,
        cause,
    }
}
