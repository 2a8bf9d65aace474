//! Which position follows from what.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lantime2mqtt::model::derive::{RelayEvents, SelectedEvents, Slots, slots};
use lantime2mqtt::model::snapshot::{Module, Rsc};
use lantime2mqtt::model::{
    ChassisKind, Clock, EventName, EventState, EventType, LastTriggered, ModuleInfo, Position, Provenance,
    Relay, RelayModule, RelayState, Signal, SignalState, SlotId, Snapshot, Status, Via, Wiring,
};
use litemap::LiteMap;
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::config;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn any_status_of_a_signal() -> impl Strategy<Value = Status> {
    select(&[Status::Ok, Status::Fail, Status::Absent, Status::Unknown][..])
}

fn any_event(name: &'static str) -> impl Strategy<Value = EventState> {
    let kinds = [
        EventType::Info,
        EventType::Warning,
        EventType::Error,
        EventType::Unknown,
    ];
    (option::of(any::<bool>()), select(kinds.to_vec())).prop_map(move |(triggered, kind)| EventState {
        name: EventName::canonical(name).expect("a name of the catalogue"),
        name_on_device: None,
        triggered,
        kind,
        last_triggered: LastTriggered::Never,
    })
}

const EVENTS: [&str; 3] = ["ntp-not-sync", "antenna-faulty", "ntp-sync"];

fn any_events() -> impl Strategy<Value = Vec<EventState>> {
    EVENTS
        .map(|name| option::of(any_event(name)))
        .prop_map(|events| events.into_iter().flatten().collect())
}

fn any_module() -> impl Strategy<Value = RelayModule> {
    let position = || option::of(select(&[Position::No, Position::Nc, Position::Unknown][..]));
    let status = || option::of(select(&[Status::Ok, Status::Fail, Status::Unknown][..]));
    ([position(), position(), position()], status(), status()).prop_map(|(positions, pps, ten_mhz)| {
        RelayModule {
            info: ModuleInfo {
                model: "rel1000".into(),
                ..ModuleInfo::default()
            },
            positions,
            signals: [(Signal::Pps, pps), (Signal::TenMhz, ten_mhz)]
                .into_iter()
                .filter_map(|(signal, status)| Some((signal, status?)))
                .collect(),
        }
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let clock = |signal| {
        (any_status_of_a_signal(), option::of(any::<bool>())).prop_map(move |(status, selected)| Clock {
            signal,
            status,
            selected,
            is_malformed: false,
            detail: [].into(),
        })
    };
    let clocks = (option::of(clock(Signal::Clk1)), option::of(clock(Signal::Clk2)));
    let rsc = any::<bool>();
    (clocks, rsc, any_events(), option::of(any_module())).prop_map(|((one, two), rsc, events, module)| {
        let slot = SlotId::new("io3").expect("an id");
        Snapshot {
            clocks: one.into_iter().chain(two).collect(),
            rsc: rsc.then(|| Rsc { detail: [].into() }),
            events: events.into(),
            chassis_seen: true,
            all_slots_seen: true,
            slots: vec![(
                slot.clone(),
                module.as_ref().map_or(Module::Empty, |_| Module::Fitted(None)),
            )],
            relay_modules: module.map(|module| (slot, module)).into_iter().collect(),
            ..Snapshot::default()
        }
    })
}

fn any_wiring() -> impl Strategy<Value = Wiring> {
    let input = |relay: Relay| select(relay.possible_inputs());
    (input(Relay::A), input(Relay::B), input(Relay::C)).prop_map(|(a, b, c)| Wiring { a, b, c })
}

/// The events that switch A and C, where that is known.
fn any_relay_events() -> impl Strategy<Value = RelayEvents> {
    let selected = || option::of(btree_set(select(&EVENTS[..]), 0..3));
    (selected(), selected()).prop_map(|(a, c)| {
        let name = |name: &str| EventName::canonical(name).expect("a name of the catalogue");
        let names = |names: BTreeSet<&'static str>| SelectedEvents {
            events: names.into_iter().map(name).collect(),
            via: Via::Rest,
            confirmed: true,
        };
        let slot = SlotId::new("io3").expect("an id");
        [(Relay::A, a), (Relay::C, c)]
            .into_iter()
            .filter_map(|(relay, selected)| Some(((slot.clone(), relay), names(selected?))))
            .collect()
    })
}

/// What a relay wired to notification must follow, said without the code under test: NC while a selected event
/// of a type that switches relays is triggered; unknown while the choice or one of its events is, or while one of another
/// type is triggered.
fn expected_notification(relay: Relay, snapshot: &Snapshot, selected: &RelayEvents) -> Status {
    let slot = SlotId::new("io3").expect("an id");
    let Some(selected) = selected.get(&(slot, relay)) else {
        return Status::Unknown;
    };
    let states: Vec<_> = selected
        .events
        .iter()
        .map(|name| snapshot.events.iter().find(|event| event.name == *name))
        .collect();
    let is_triggered = |event: &&EventState| event.triggered == Some(true);
    let is_other = |kind| matches!(kind, EventType::Info | EventType::Unknown);
    let is_fault = |event: &&EventState| is_triggered(event) && !is_other(event.kind);
    if states.iter().flatten().any(is_fault) {
        Status::Fail
    } else if states.iter().flatten().any(is_triggered) {
        Status::Unknown
    } else if states
        .iter()
        .all(|event| event.is_some_and(|event| event.triggered.is_some()))
    {
        Status::Ok
    } else {
        Status::Unknown
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_position_is_reported_or_follows_its_driver(
        snapshot in any_snapshot(),
        wiring in any_wiring(),
        selected in any_relay_events(),
        is_redundant in any::<bool>(),
    ) {
        let chassis = if is_redundant { ChassisKind::Redundant } else { ChassisKind::SingleClock };
        let id = SlotId::new("io3").expect("an id");
        let watched = Slots::Listed(vec![(id.clone(), Some(wiring))]);
        let slots = slots(&snapshot, chassis, &watched, &selected, &LiteMap::new(), NOW);
        let slot = &slots[&id];
        let module = snapshot.relay_module(&id);
        for (relay, state) in &slot.relays {
            let driver = wiring.driver(*relay);
            prop_assert_eq!(state.driven_by, Some(driver));
            prop_assert_eq!(state.cause.is_some(), state.position == Position::Nc, "a cause goes with NC");
            prop_assert!(state.causes.is_empty() || state.position == Position::Nc, "and so do all causes");
            let is_unknown = state.position == Position::Unknown;
            prop_assert_eq!(state.unknown_reason.is_some(), is_unknown, "unknown has a reason");
            let RelayState { position, provenance, .. } = state;
            let found = (*position, *provenance);
            let Some(module) = module else {
                prop_assert_eq!(found, (Position::Unknown, Provenance::Unknown), "no module, no contact");
                continue;
            };
            if let Some(reported) = module.position(*relay) {
                let provenance = match reported {
                    Position::Unknown => Provenance::Unknown,
                    Position::No | Position::Nc => Provenance::Reported,
                };
                prop_assert_eq!(found, (reported, provenance), "the device knows best");
                continue;
            }
            let status = match driver {
                Signal::Notification => expected_notification(*relay, &snapshot, &selected),
                _ => slot.signals[&driver].status,
            };
            let expected = match status {
                Status::Ok => (Position::No, Provenance::Derived),
                Status::Fail | Status::Absent => (Position::Nc, Provenance::Derived),
                Status::Unknown => (Position::Unknown, Provenance::Unknown),
            };
            prop_assert_eq!(found, expected, "relay {} driven by {}", relay, driver);
        }
        for (signal, SignalState { status, provenance, .. }) in &slot.signals {
            let is_unknown = *status == Status::Unknown;
            prop_assert_eq!(*provenance == Provenance::Unknown, is_unknown, "signal {}", signal);
        }
    }

    #[test]
    fn times_stay_while_nothing_changes(snapshot in any_snapshot(), wiring in any_wiring(), selected in any_relay_events()) {
        let id = SlotId::new("io3").expect("an id");
        let watched = Slots::Listed(vec![(id, Some(wiring))]);
        let chassis = snapshot.chassis_kind();
        let first = slots(&snapshot, chassis, &watched, &selected, &LiteMap::new(), NOW);
        let later = NOW + jiff::SignedDuration::from_secs(60);
        let second = slots(&snapshot, chassis, &watched, &selected, &first, later);
        prop_assert_eq!(first, second);
    }
}
