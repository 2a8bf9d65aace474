//! A device as it is published: availability, identity, events, and per slot the relays and signals.

use std::sync::Arc;

use jiff::Timestamp;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::snapshot::ModuleInfo;
use super::{
    ChassisKind, Details, EventName, EventState, Identity, Place, Position, Problem, Provenance, Relay,
    RelayEventsState, RelayState, Signal, SignalState, SlotId, Status, UnknownReason, Via, Wiring,
    WiringSource,
};

/// Whether the bridge hears from a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// The last poll gave a usable document.
    Online,
    /// Too many polls in a row failed.
    Offline,
}

impl Availability {
    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Availability::Online => "online",
            Availability::Offline => "offline",
        }
    }
}

/// State of a configured slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// A relay module is there.
    Online,
    /// The device does not answer.
    Offline,
    /// No module in the slot, or no such slot.
    Absent,
    /// Another module than a relay module.
    Mismatch,
}

impl SlotState {
    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            SlotState::Online => "online",
            SlotState::Offline => "offline",
            SlotState::Absent => "absent",
            SlotState::Mismatch => "mismatch",
        }
    }
}

/// A slot as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotView {
    /// Whether a relay module is there.
    pub state: SlotState,
    /// The module, while the device reports one.
    pub module: Option<ModuleInfo>,
    /// What drives the relays, and how that is known; `None` only before the device was first seen.
    pub wiring: Option<(Wiring, WiringSource)>,
    /// Relays A, B and C.
    pub relays: LiteMap<Relay, RelayState>,
    /// What switches the relays that follow notification events.
    pub relay_events: LiteMap<Relay, RelayEventsState>,
    /// The signals that can be wired in this chassis.
    pub signals: LiteMap<Signal, SignalState>,
}

/// A device as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceView {
    /// `None` until the first poll has ended.
    pub availability: Option<Availability>,
    /// `None` until the device was first seen.
    pub identity: Option<Arc<Identity>>,
    /// The error that stands now.
    pub problem: Option<Problem>,
    /// Notification events, as last reported.
    pub events: Arc<[EventState]>,
    /// The configured slots; with `slots = "auto"`, those that hold a relay module.
    pub slots: LiteMap<SlotId, SlotView>,
    /// The kind of chassis. Once redundant it stays so: a second clock that vanishes is a fault of
    /// the clock, not another wiring.
    pub chassis: Option<ChassisKind>,
    /// What the operator says of it.
    pub place: Arc<Place>,
}

impl DeviceView {
    /// That event, where the device lists it.
    pub fn event(&self, name: &EventName) -> Option<&EventState> {
        self.events.iter().find(|event| event.name == *name)
    }

    /// That relay, where it is shown.
    pub fn relay(&self, slot: &SlotId, relay: Relay) -> Option<&RelayState> {
        self.slots.get(slot)?.relays.get(&relay)
    }

    /// That signal, where it is shown.
    pub fn signal(&self, slot: &SlotId, signal: Signal) -> Option<&SignalState> {
        self.slots.get(slot)?.signals.get(&signal)
    }

    /// Whether an answer of the device has shown what is in that slot.
    pub fn has_seen(&self, slot: &SlotId) -> bool {
        self.slots.get(slot).is_some_and(|slot| match slot.state {
            SlotState::Offline if slot.relays.is_empty() => self.identity.is_some(),
            SlotState::Offline => {
                let mut relays = slot.relays.values();
                slot.module.is_some() || relays.any(|relay| relay.provenance != Provenance::Unseen)
            }
            _ => true,
        })
    }

    /// The events as they are when a document does not show them: known by name, but not how they stand.
    pub fn events_unknown(&self) -> Arc<[EventState]> {
        let unknown = |event: &EventState| EventState {
            triggered: None,
            ..event.clone()
        };
        self.events.iter().map(unknown).collect()
    }

    /// Marks every known value as stale: the last poll failed, and the device is not given up yet.
    pub fn mark_stale(&mut self) {
        for (_, slot) in self.slots.iter_mut() {
            for (_, relay) in slot.relays.iter_mut() {
                relay.stale = relay.position != Position::Unknown;
            }
            for (_, signal) in slot.signals.iter_mut() {
                signal.stale = signal.status != Status::Unknown;
            }
        }
    }

    /// Marks the device offline: slots `offline`, relays and signals unknown.
    pub fn go_offline(&mut self, seen_at: Timestamp, now: Timestamp) {
        self.availability = Some(Availability::Offline);
        for (_, slot) in self.slots.iter_mut() {
            slot.state = SlotState::Offline;
            slot.forget_states(UnknownReason::Offline, seen_at, now);
        }
    }
}

/// How what stood so since then is unknown, and when it was last seen.
fn forgotten(provenance: Provenance, since: Timestamp, seen_at: Timestamp) -> (Provenance, Timestamp) {
    match provenance {
        Provenance::Unseen => (Provenance::Unseen, since),
        _ => (Provenance::Unknown, seen_at),
    }
}

impl SlotView {
    /// Whether module and wiring are published. Before the device has answered there is nothing to publish that an
    /// earlier run would not have published better.
    pub fn is_described(&self) -> bool {
        self.module.is_some() || self.state != SlotState::Offline
    }

    /// Makes every relay and signal unknown for that reason, keeping its last known value: a stale NO would lie.
    /// `seen_at` is when the device last answered; of what only an earlier run has seen, `since` is all that is known of that.
    pub fn forget_states(&mut self, reason: UnknownReason, seen_at: Timestamp, now: Timestamp) {
        for (_, selection) in self.relay_events.iter_mut() {
            selection.confirmed = false;
        }
        for (_, relay) in self.relays.iter_mut() {
            relay.unknown_reason = Some(reason);
            relay.stale = false;
            if relay.position == Position::Unknown {
                continue;
            }
            let (provenance, seen_at) = forgotten(relay.provenance, relay.since, seen_at);
            relay.last = Some((relay.position, seen_at));
            relay.position = Position::Unknown;
            relay.provenance = provenance;
            relay.via = Via::Rest;
            relay.cause = None;
            relay.causes.clear();
            relay.since = now;
        }
        for (_, signal) in self.signals.iter_mut() {
            signal.unknown_reason = Some(reason);
            signal.stale = false;
            if signal.status == Status::Unknown {
                continue;
            }
            let (provenance, seen_at) = forgotten(signal.provenance, signal.since, seen_at);
            signal.last = Some((signal.status, seen_at));
            signal.status = Status::Unknown;
            signal.provenance = provenance;
            signal.via = Via::Rest;
            signal.detail = Details::default();
            signal.since = now;
        }
    }

    /// Its parts, without what is known of them.
    pub fn parts(&self, now: Timestamp) -> SlotView {
        let (relays, signals) = (self.relays.keys().copied(), self.signals.keys().copied());
        SlotView::unseen(None, relays, signals, now)
    }

    /// A slot of which only the parts are known, not the state: before the first usable document.
    pub fn unseen(
        wiring: Option<(Wiring, WiringSource)>,
        relays: impl IntoIterator<Item = Relay>,
        signals: impl IntoIterator<Item = Signal>,
        now: Timestamp,
    ) -> SlotView {
        let relay_state = |relay| RelayState {
            position: Position::Unknown,
            driven_by: wiring.map(|(wiring, _)| wiring.driver(relay)),
            cause: None,
            causes: Vec::new(),
            provenance: Provenance::Unseen,
            unknown_reason: Some(UnknownReason::Offline),
            stale: false,
            via: Via::Rest,
            since: now,
            last: None,
            last_fault: None,
        };
        let signal_state = SignalState {
            status: Status::Unknown,
            provenance: Provenance::Unseen,
            unknown_reason: Some(UnknownReason::Offline),
            stale: false,
            via: Via::Rest,
            since: now,
            detail: Details::default(),
            last: None,
        };
        SlotView {
            state: SlotState::Offline,
            module: None,
            wiring,
            relays: relays
                .into_iter()
                .map(|relay| (relay, relay_state(relay)))
                .collect(),
            relay_events: LiteMap::new(),
            signals: signals
                .into_iter()
                .map(|signal| (signal, signal_state.clone()))
                .collect(),
        }
    }
}
