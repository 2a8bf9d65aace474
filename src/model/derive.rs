//! Signals, events and wiring -> the slots of a device: `reported` beats `derived`, `derived` beats `unknown`.

mod finding;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use litemap::LiteMap;

use super::snapshot::Module;
use super::{
    Cause, ChassisKind, EventName, LastFault, Position, Relay, RelayEventsState, RelayModule, RelayState,
    Signal, SignalState, SlotId, SlotState, SlotView, Snapshot, UnknownReason, Via, Wiring, WiringSource,
};
use finding::Finding;

/// Which slots of a device are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slots {
    /// Every slot that holds a relay module.
    Auto,
    /// These, with their wiring where it is configured.
    Listed(Vec<(SlotId, Option<Wiring>)>),
}

/// The events that switch the notification-driven relays, where that is known.
pub type RelayEvents = LiteMap<(SlotId, Relay), SelectedEvents>;

/// The events that switch one relay, as the device reported them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedEvents {
    /// Which events, in the order of their names. Shared with what is published of them.
    pub events: Arc<[EventName]>,
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
    old: &LiteMap<SlotId, SlotView>,
    now: Timestamp,
) -> LiteMap<SlotId, SlotView> {
    let view = |id: &SlotId, wiring: Option<Wiring>| {
        let wiring = match wiring {
            Some(wiring) => (wiring, WiringSource::Configured),
            None => (Wiring::usual(chassis), WiringSource::Assumed),
        };
        // Of a slot that is only listed, and that no document has shown yet, SNMP does not say whether it has a module.
        let is_known =
            wiring.1 == WiringSource::Configured || old.contains_key(id) || snapshot.via == Via::Rest;
        // A slot that could not be read is not one that does not exist.
        if is_known && !snapshot.all_slots_seen && snapshot.module(id).is_none() {
            let reason = UnknownReason::Unclear;
            let slot = unread(id, old.get(id), Some(wiring), relay_events, reason, now);
            return (id.clone(), slot);
        }
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
        return unseen(watched, relay_events, old, UnknownReason::Unclear, now);
    }
    match watched {
        Slots::Listed(listed) => map(listed.iter().map(|(id, wiring)| view(id, *wiring))),
        Slots::Auto => {
            let found = snapshot.relay_modules.iter().map(|(id, _)| id);
            let known = old.keys().filter(|id| match snapshot.module(id) {
                Some(Module::Empty | Module::Fitted(None)) => true,
                Some(Module::Fitted(Some(_))) => false,
                None => !snapshot.all_slots_seen,
            });
            map(found.chain(known).map(|id| view(id, None)))
        }
    }
}

/// The slots while no document shows any: those that are configured, or were known before, all unknown for that reason.
pub fn unseen(
    watched: &Slots,
    relay_events: &RelayEvents,
    old: &LiteMap<SlotId, SlotView>,
    reason: UnknownReason,
    now: Timestamp,
) -> LiteMap<SlotId, SlotView> {
    let listed = match watched {
        Slots::Auto => &[][..],
        Slots::Listed(listed) => listed,
    };
    let known = old.iter().map(|(id, slot)| (id, slot.wiring));
    let mut wirings: BTreeMap<_, _> = known.collect();
    for (id, wiring) in listed {
        let known = wirings.entry(id).or_default();
        *known = wiring.map(|wiring| (wiring, WiringSource::Configured)).or(*known);
    }
    let view = |(id, wiring): (&SlotId, _)| {
        let slot = unread(id, old.get(id), wiring, relay_events, reason, now);
        (id.clone(), slot)
    };
    wirings.into_iter().map(view).collect()
}

/// A slot of which nothing could be read for that reason: as it was known before, but wired and switched as is known
/// now.
fn unread(
    id: &SlotId,
    old: Option<&SlotView>,
    wiring: Option<(Wiring, WiringSource)>,
    relay_events: &RelayEvents,
    reason: UnknownReason,
    now: Timestamp,
) -> SlotView {
    let mut slot = old.cloned().unwrap_or_else(|| {
        let wired = wiring
            .iter()
            .flat_map(|(wiring, _)| Relay::ALL.map(|relay| wiring.driver(relay)));
        SlotView::unseen(None, Relay::ALL, wired, now)
    });
    slot.relay_events.clear();
    if let Some((wiring, source)) = wiring {
        slot.wiring = Some((wiring, source));
        slot.relay_events = on_notification(wiring)
            .filter(|relay| slot.relays.contains_key(relay))
            .map(|relay| (relay, relay_events_state(relay_events, id, relay, old, now)))
            .collect();
    }
    slot.relays
        .iter_mut()
        .for_each(|(relay, state)| state.driven_by = wiring.map(|(wiring, _)| wiring.driver(*relay)));
    // The device answers: what may hold a relay module counts as one, until a document shows the slot.
    if slot.state == SlotState::Offline && reason != UnknownReason::Offline {
        slot.state = match slot.relays.is_empty() {
            true => SlotState::Absent,
            false => SlotState::Online,
        };
    }
    slot.forget_states(reason, now, now);
    slot
}

fn relay_events_state(
    relay_events: &RelayEvents,
    slot: &SlotId,
    relay: Relay,
    old: Option<&SlotView>,
    now: Timestamp,
) -> RelayEventsState {
    let selection = relay_events.get(&(slot.clone(), relay));
    let events = selection.map(|selection| selection.events.clone());
    let old = old.and_then(|slot| slot.relay_events.get(&relay));
    let since = old
        .filter(|old| old.events == events)
        .map_or(now, |old| old.since);
    RelayEventsState {
        events,
        confirmed: selection.is_some_and(|selection| selection.confirmed),
        via: selection.map(|selection| selection.via),
        since,
    }
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

impl Poll<'_> {
    fn slot_view(&self, wiring: (Wiring, WiringSource)) -> SlotView {
        let module = self.snapshot.relay_module(self.slot);
        let state = match (module, self.snapshot.module(self.slot)) {
            (Some(_), _) => SlotState::Online,
            (None, Some(Module::Fitted(Some(_)))) => SlotState::Mismatch,
            // A module without power may still be listed, but does not report what it is.
            (None, _) => SlotState::Absent,
        };
        if module.is_none() && self.old.is_none_or(|old| old.relays.is_empty()) {
            // Nothing is there, and never was: there is nothing to be known of it.
            return SlotView {
                state,
                module: None,
                wiring: Some(wiring),
                relays: LiteMap::new(),
                relay_events: LiteMap::new(),
                signals: LiteMap::new(),
            };
        }
        let signals = Signal::ALL
            .into_iter()
            .filter(|signal| self.is_monitored(module, *signal, wiring.0));
        let signals = map(signals.map(|signal| (signal, self.signal_state(module, signal, wiring.0))));
        let relays = Relay::ALL.into_iter().map(|relay| {
            let driver = wiring.0.driver(relay);
            // Without a module in the slot there is no contact.
            let found = match module {
                Some(module) => self.position(module, relay, driver),
                None => Finding::unknown(Position::Unknown, UnknownReason::Missing),
            };
            (relay, self.relay_state(relay, driver, found))
        });
        SlotView {
            state,
            module: module.map(|module| module.info.clone()),
            wiring: Some(wiring),
            relays: map(relays),
            relay_events: map(on_notification(wiring.0).map(|relay| {
                let state = relay_events_state(self.relay_events, self.slot, relay, self.old, self.now);
                (relay, state)
            })),
            signals,
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
        let standing = old.filter(|old| old.position == found.value);
        let before = standing.filter(|old| old.driven_by == Some(driver));
        let is_fault = found.value == Position::Nc;
        let reason_before = old.and_then(|old| old.unknown_reason);
        let cause = is_fault.then(|| first_cause(before, &found.causes));
        let since = standing.map_or(self.now, |old| old.since);
        let fault_before = old.and_then(|old| old.last_fault.as_deref());
        let stands = (since, cause.as_deref());
        RelayState {
            last_fault: LastFault::after(fault_before, found.value, stands, self.now).map(Box::new),
            position: found.value,
            driven_by: Some(driver),
            cause,
            causes: self.causes(before, found.causes),
            provenance: found.provenance,
            unknown_reason: self.reason(found.unknown_reason, reason_before),
            stale: false,
            via: self.snapshot.via,
            since,
            last: None,
        }
    }

    /// Why a value is unknown. Over SNMP little is reported: that REST does not report it either is known only from
    /// before.
    fn reason(&self, found: Option<UnknownReason>, before: Option<UnknownReason>) -> Option<UnknownReason> {
        let not_reported = Some(UnknownReason::NotReported);
        match self.snapshot.via == Via::Snmp && found == not_reported && before != not_reported {
            true => Some(UnknownReason::Unclear),
            false => found,
        }
    }

    /// What holds the relay now, each with its time: those that held it `before` first, in their order.
    fn causes(&self, before: Option<&RelayState>, names: Vec<String>) -> Vec<Cause> {
        let known = before.map_or(&[][..], |old| &old.causes);
        let mut causes: Vec<_> = names
            .into_iter()
            .map(|name| Cause {
                since: known
                    .iter()
                    .find(|cause| cause.name == name)
                    .map_or(self.now, |cause| cause.since),
                name,
            })
            .collect();
        let place = |cause: &Cause| known.iter().position(|known| known.name == cause.name);
        causes.sort_by_key(|cause| place(cause).unwrap_or(usize::MAX));
        causes
    }

    fn signal_state(&self, module: Option<&RelayModule>, signal: Signal, wiring: Wiring) -> SignalState {
        let found = self.status(module, signal, wiring);
        let old = self.old.and_then(|slot| slot.signals.get(&signal));
        let since = old
            .filter(|old| old.status == found.value)
            .map_or(self.now, |old| old.since);
        let reason_before = old.and_then(|old| old.unknown_reason);
        let detail = self.detail(signal);
        SignalState {
            status: found.value,
            provenance: found.provenance,
            unknown_reason: self.reason(found.unknown_reason, reason_before),
            stale: false,
            via: self.snapshot.via,
            since,
            detail,
            last: None,
        }
    }
}

/// What made a relay fall that is in NC: as long as it stays there, the cause stays the same. One that was not known at
/// first is given once it is: an answer of the device mixes moments.
fn first_cause(before: Option<&RelayState>, causes: &[String]) -> String {
    const NOT_KNOWN: &str = "unknown";
    let standing = before.and_then(|old| old.cause.as_deref());
    let first = standing.filter(|cause| *cause != NOT_KNOWN);
    first
        .or(causes.first().map(String::as_str))
        .unwrap_or(NOT_KNOWN)
        .to_owned()
}

/// A map without room to spare: it is kept until something changes, and each device has several.
fn map<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> LiteMap<K, V> {
    let mut sorted = entries.collect::<LiteMap<_, _>>().into_tuple_vec();
    sorted.shrink_to_fit();
    LiteMap::from_sorted_store_unchecked(sorted)
}
