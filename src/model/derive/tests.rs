//! What holds a relay, and why a value is unknown, from poll to poll.

use super::*;
use crate::model::snapshot::ModuleInfo;
use crate::model::{
    Clock, Detail, Details, DeviceTopic, DeviceView, EventState, EventType, LastTriggered, Provenance,
    SlotTopic, Status, diff,
};

const A: EventKey = ("antenna-faulty", EventType::Warning);
const NTP: EventKey = ("ntp-not-sync", EventType::Error);
const INFO: EventKey = ("ntp-sync", EventType::Info);
/// Of a type that nobody has documented, or one that could not be read.
const ODD: EventKey = ("system-reboot", EventType::Unknown);

type EventKey = (&'static str, EventType);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn io3() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn name(name: &str) -> EventName {
    EventName::canonical(name).unwrap()
}

/// An event that is triggered since then, or is not.
fn event((event, kind): EventKey, since: Option<i64>) -> EventState {
    EventState {
        name: name(event),
        name_on_device: None,
        triggered: Some(since.is_some()),
        kind,
        last_triggered: since.map_or(LastTriggered::Never, |since| LastTriggered::at(at(since))),
    }
}

fn snapshot(events: Vec<EventState>) -> Snapshot {
    let module = RelayModule {
        info: ModuleInfo {
            model: "rel1000".into(),
            ..ModuleInfo::default()
        },
        ..RelayModule::default()
    };
    Snapshot {
        events: events.into(),
        chassis_seen: true,
        all_slots_seen: true,
        relay_modules: vec![(io3(), module)],
        ..Snapshot::default()
    }
}

fn watched() -> Slots {
    let wiring = Wiring {
        a: Signal::Notification,
        b: Signal::Pps,
        c: Signal::Rsc,
    };
    Slots::Listed(vec![(io3(), Some(wiring))])
}

/// The slots after that poll, in which relay A follows these events.
fn polled(
    snapshot: &Snapshot,
    selected: &[EventKey],
    old: &LiteMap<SlotId, SlotView>,
    second: i64,
) -> LiteMap<SlotId, SlotView> {
    let selection = SelectedEvents {
        events: selected.iter().map(|(event, _)| name(event)).collect(),
        via: Via::Rest,
        confirmed: true,
    };
    let relay_events = [((io3(), Relay::A), selection)].into_iter().collect();
    slots(
        snapshot,
        ChassisKind::SingleClock,
        &watched(),
        &relay_events,
        old,
        at(second),
    )
}

fn relay(slots: &LiteMap<SlotId, SlotView>, relay: Relay) -> &RelayState {
    &slots[&io3()].relays[&relay]
}

/// What made relay A fall, and what holds it, each with its time.
fn causes(slots: &LiteMap<SlotId, SlotView>) -> (Option<&str>, Vec<(&str, i64)>) {
    let relay = relay(slots, Relay::A);
    let since = |cause: &'_ Cause| cause.since.as_second();
    let causes = relay
        .causes
        .iter()
        .map(|cause| (cause.name.as_str(), since(cause)));
    (relay.cause.as_deref(), causes.collect())
}

#[test]
fn the_cause_is_what_made_the_relay_fall_and_stays() {
    let poll = |events, old: &_, second| polled(&snapshot(events), &[A, NTP], old, second);
    let start = poll(vec![event(A, None), event(NTP, None)], &LiteMap::new(), 1);
    assert_eq!(causes(&start), (None, vec![]));
    let fallen = poll(vec![event(A, None), event(NTP, Some(2))], &start, 2);
    let ntp = Some("ntp-not-sync");
    assert_eq!(causes(&fallen), (ntp, vec![("ntp-not-sync", 2)]));
    // One that comes first in the alphabet.
    let both = poll(vec![event(A, Some(3)), event(NTP, Some(2))], &fallen, 3);
    let held = vec![("ntp-not-sync", 2), ("antenna-faulty", 3)];
    assert_eq!(causes(&both), (ntp, held.clone()));
    assert_eq!(relay(&both, Relay::A).since, at(2));
    // The device sends it again: that is no other order.
    let again = poll(vec![event(A, Some(3)), event(NTP, Some(4))], &both, 4);
    assert_eq!(causes(&again), (ntp, held));
    let other = poll(vec![event(A, Some(3)), event(NTP, None)], &again, 5);
    assert_eq!(causes(&other), (ntp, vec![("antenna-faulty", 3)]));
    let up = poll(vec![event(A, None), event(NTP, None)], &other, 6);
    assert_eq!(causes(&up), (None, vec![]));
    let down = poll(vec![event(A, Some(7)), event(NTP, None)], &up, 7);
    assert_eq!(
        causes(&down),
        (Some("antenna-faulty"), vec![("antenna-faulty", 7)])
    );
}

#[test]
fn of_several_events_at_once_the_oldest_made_it_fall() {
    let old = LiteMap::new();
    let events = vec![event(A, Some(9)), event(NTP, Some(8))];
    let fallen = polled(&snapshot(events), &[A, NTP], &old, 10);
    let held = vec![("ntp-not-sync", 10), ("antenna-faulty", 10)];
    assert_eq!(causes(&fallen), (Some("ntp-not-sync"), held));
}

#[test]
fn another_cause_is_a_change_of_the_topic() {
    let view = |slots| DeviceView {
        slots,
        ..Default::default()
    };
    let one = polled(
        &snapshot(vec![event(A, None), event(NTP, Some(2))]),
        &[A, NTP],
        &LiteMap::new(),
        2,
    );
    let two = polled(
        &snapshot(vec![event(A, Some(3)), event(NTP, Some(2))]),
        &[A, NTP],
        &one,
        3,
    );
    let changes = diff(&view(one), &view(two));
    let is_relay = |change: &DeviceTopic| matches!(change, DeviceTopic::Slot(_, SlotTopic::Relay(Relay::A)));
    assert!(changes.iter().any(is_relay), "{changes:?}");
}

#[test]
fn a_reported_fault_without_a_known_cause_gets_it_once_it_is_known() {
    let with_position = |position, events| {
        let mut snapshot = snapshot(events);
        snapshot.relay_modules[0].1.positions = [Some(position); 3];
        snapshot
    };
    let none = vec![event(NTP, None)];
    let first = polled(
        &with_position(Position::Nc, none.clone()),
        &[NTP],
        &LiteMap::new(),
        1,
    );
    assert_eq!(causes(&first), (Some("unknown"), vec![]));
    let second = polled(
        &with_position(Position::Nc, vec![event(NTP, Some(1))]),
        &[NTP],
        &first,
        2,
    );
    assert_eq!(causes(&second), (Some("ntp-not-sync"), vec![("ntp-not-sync", 2)]));
    // What is reported stays in NC, though nothing is known any longer that holds it.
    let third = polled(&with_position(Position::Nc, none.clone()), &[NTP], &second, 3);
    assert_eq!(causes(&third), (Some("ntp-not-sync"), vec![]));
    let up = polled(&with_position(Position::No, none), &[NTP], &third, 4);
    assert_eq!(causes(&up), (None, vec![]));
}

#[test]
fn whether_an_info_event_switches_a_relay_is_not_known() {
    let states = [
        // (selected, triggered, position and reason)
        (
            &[INFO][..],
            vec![event(INFO, Some(1))],
            Some(UnknownReason::InfoOnly),
        ),
        (&[INFO], vec![event(INFO, None)], None),
        (
            &[INFO, NTP],
            vec![event(INFO, Some(1)), event(NTP, None)],
            Some(UnknownReason::InfoOnly),
        ),
        // One of which the device says nothing changes nothing of that.
        (
            &[INFO, NTP],
            vec![event(INFO, Some(1))],
            Some(UnknownReason::InfoOnly),
        ),
        // The device lists it as a rule: this is not what the firmware lacks.
        (
            &[INFO, NTP],
            vec![event(INFO, None)],
            Some(UnknownReason::Unclear),
        ),
        // What an event of another type does is unclear, but never nothing.
        (&[ODD], vec![event(ODD, Some(1))], Some(UnknownReason::Unclear)),
        (
            &[INFO, ODD],
            vec![event(INFO, Some(1)), event(ODD, Some(1))],
            Some(UnknownReason::Unclear),
        ),
        (&[ODD], vec![event(ODD, None)], None),
    ];
    for (selected, events, reason) in states {
        let slots = polled(&snapshot(events), selected, &LiteMap::new(), 2);
        let relay = relay(&slots, Relay::A);
        let expected = match reason {
            Some(_) => (Position::Unknown, Provenance::Unknown),
            None => (Position::No, Provenance::Derived),
        };
        assert_eq!((relay.position, relay.provenance), expected, "{selected:?}");
        assert_eq!(relay.unknown_reason, reason, "{selected:?}");
        let signal = &slots[&io3()].signals[&Signal::Notification];
        assert_eq!(signal.unknown_reason, reason);
    }
    let events = vec![event(INFO, Some(1)), event(NTP, Some(2)), event(ODD, Some(1))];
    let slots = polled(&snapshot(events.clone()), &[INFO, NTP, ODD], &LiteMap::new(), 2);
    assert_eq!(causes(&slots), (Some("ntp-not-sync"), vec![("ntp-not-sync", 2)]));
    // What the device reports counts.
    let mut reporting = snapshot(events);
    reporting.relay_modules[0].1.positions = [Some(Position::No), None, None];
    let slots = polled(&reporting, &[INFO], &LiteMap::new(), 2);
    let relay = relay(&slots, Relay::A);
    assert_eq!((relay.position, relay.unknown_reason), (Position::No, None));
}

#[test]
fn the_reasons_of_unknown_are_distinguished() {
    let reasons = |slots: &LiteMap<SlotId, SlotView>, signal| {
        let pps = relay(slots, Relay::B).unknown_reason;
        (
            pps,
            slots[&io3()]
                .signals
                .get(&signal)
                .and_then(|signal| signal.unknown_reason),
        )
    };
    let mut plain = snapshot(vec![]);
    let slots = polled(&plain, &[], &LiteMap::new(), 1);
    let not_reported = Some(UnknownReason::NotReported);
    assert_eq!(reasons(&slots, Signal::Pps), (not_reported, not_reported));
    assert_eq!(relay(&slots, Relay::C).unknown_reason, not_reported);

    let mut cut = plain.clone();
    cut.all_slots_seen = false;
    let cut = polled(&cut, &[], &slots, 2);
    let unclear = Some(UnknownReason::Unclear);
    assert_eq!(
        reasons(&cut, Signal::Clk1).1,
        unclear,
        "its slot may be one that was not read"
    );
    assert_eq!(relay(&cut, Relay::C).unknown_reason, unclear);

    plain.relay_modules[0].1.positions = [None, Some(Position::Unknown), None];
    plain.relay_modules[0].1.signals = vec![(Signal::Pps, Status::Unknown)];
    plain.clocks = vec![Clock {
        signal: Signal::Clk1,
        status: Status::Unknown,
        selected: None,
        is_malformed: false,
        detail: [("clock", Detail::Text("free-running".into()))].into(),
    }];
    let odd = polled(&plain, &[], &slots, 2);
    assert_eq!(reasons(&odd, Signal::Pps), (unclear, unclear));
    assert_eq!(reasons(&odd, Signal::Clk1).1, unclear);

    plain.clocks[0].detail = Details::default();
    plain.clocks[0].is_malformed = true;
    let malformed = polled(&plain, &[], &odd, 3);
    assert_eq!(reasons(&malformed, Signal::Clk1).1, unclear);
    assert_eq!(
        relay(&malformed, Relay::C).unknown_reason,
        unclear,
        "it may be the selected one"
    );
    plain.clocks[0].is_malformed = false;
    let silent = polled(&plain, &[], &malformed, 3);
    assert_eq!(reasons(&silent, Signal::Clk1).1, not_reported);
    assert_eq!(relay(&silent, Relay::C).unknown_reason, not_reported);

    plain.relay_modules.clear();
    let pulled = polled(&plain, &[], &silent, 3);
    let missing = Some(UnknownReason::Missing);
    assert_eq!(reasons(&pulled, Signal::Pps), (missing, missing));
    assert_eq!(
        reasons(&pulled, Signal::Clk1).1,
        not_reported,
        "the clock is still there"
    );

    plain.chassis_seen = false;
    let unseen = polled(&plain, &[], &pulled, 4);
    assert_eq!(reasons(&unseen, Signal::Pps), (unclear, unclear));
}

#[test]
fn over_snmp_only_what_rest_does_not_report_either_is_not_reported() {
    let mut rest = snapshot(vec![event(NTP, None)]);
    rest.relay_modules[0].1.positions = [Some(Position::No), None, Some(Position::No)];
    let before = polled(&rest, &[NTP], &LiteMap::new(), 1);
    let mut snmp = snapshot(vec![EventState {
        triggered: None,
        ..event(NTP, None)
    }]);
    snmp.via = Via::Snmp;
    let over = polled(&snmp, &[NTP], &before, 2);
    let reasons = |slots: &_| Relay::ALL.map(|of| relay(slots, of).unknown_reason);
    let (unclear, not_reported) = (Some(UnknownReason::Unclear), Some(UnknownReason::NotReported));
    assert_eq!(reasons(&over), [unclear, not_reported, unclear]);
    let later = polled(&snmp, &[NTP], &over, 3);
    assert_eq!(reasons(&later), reasons(&over), "it stays so");
    let alone = polled(&snmp, &[NTP], &LiteMap::new(), 1);
    assert_eq!(
        reasons(&alone),
        [unclear; 3],
        "nobody knows what REST would report"
    );
}

#[test]
fn what_stands_is_stale_while_polls_fail_and_offline_after_that() {
    let mut plain = snapshot(vec![event(NTP, Some(1))]);
    plain.relay_modules[0].1.positions = [None, Some(Position::No), None];
    let slots = polled(&plain, &[NTP], &LiteMap::new(), 1);
    let mut view = DeviceView {
        slots,
        ..Default::default()
    };
    view.mark_stale();
    let marks = |view: &DeviceView| Relay::ALL.map(|of| relay(&view.slots, of).stale);
    assert_eq!(marks(&view), [true, true, false], "what is unknown is not stale");
    assert_eq!(relay(&view.slots, Relay::B).position, Position::No);
    view.go_offline(at(2), at(3));
    assert_eq!(marks(&view), [false; 3]);
    for of in Relay::ALL {
        let relay = relay(&view.slots, of);
        assert_eq!(relay.unknown_reason, Some(UnknownReason::Offline));
        assert_eq!(relay.causes, []);
    }
    let back = polled(&plain, &[NTP], &view.slots, 4);
    assert_eq!(relay(&back, Relay::B).unknown_reason, None);
    assert!(!relay(&back, Relay::B).stale);
}

/// A document without a usable entry for the slot, and one without any slots.
fn without_the_slot() -> [(&'static str, Snapshot); 2] {
    let mut unreadable = snapshot(vec![]);
    unreadable.relay_modules.clear();
    unreadable.all_slots_seen = false;
    let mut hidden = unreadable.clone();
    hidden.chassis_seen = false;
    [("unreadable", unreadable), ("hidden", hidden)]
}

#[test]
fn a_slot_that_cannot_be_read_has_the_state_that_is_known() {
    let seen = polled(&snapshot(vec![]), &[NTP], &LiteMap::new(), 1);
    let in_state = |state| {
        let mut old = seen.clone();
        old.get_mut(&io3()).unwrap().state = state;
        old
    };
    let offline = in_state(SlotState::Offline);
    let mut never_fitted = offline.clone();
    never_fitted.get_mut(&io3()).unwrap().relays.clear();
    let remembered = SlotView::unseen(None, Relay::ALL, [Signal::Clk1], at(0));
    let states = [
        ("first run", LiteMap::new(), SlotState::Online),
        (
            "restart",
            [(io3(), remembered)].into_iter().collect(),
            SlotState::Online,
        ),
        ("after offline", offline, SlotState::Online),
        ("online", in_state(SlotState::Online), SlotState::Online),
        ("absent", in_state(SlotState::Absent), SlotState::Absent),
        ("mismatch", in_state(SlotState::Mismatch), SlotState::Mismatch),
        ("never fitted", never_fitted, SlotState::Absent),
    ];
    for (document, snapshot) in without_the_slot() {
        for (name, old, state) in &states {
            let slots = polled(&snapshot, &[NTP], old, 2);
            assert_eq!(slots[&io3()].state, *state, "{document}, {name}");
            for relay in slots[&io3()].relays.values() {
                let found = (relay.position, relay.unknown_reason);
                let unclear = (Position::Unknown, Some(UnknownReason::Unclear));
                assert_eq!(found, unclear, "{document}, {name}");
            }
        }
    }
}

#[test]
fn a_slot_that_cannot_be_read_has_its_wiring_and_relay_events() {
    let remembered = SlotView::unseen(None, Relay::ALL, [Signal::Clk1], at(0));
    let other = Slots::Listed(vec![(io3(), Some(Wiring::usual(ChassisKind::SingleClock)))]);
    let rewired = slots(
        &snapshot(vec![]),
        ChassisKind::SingleClock,
        &other,
        &RelayEvents::new(),
        &LiteMap::new(),
        at(1),
    );
    let seen = polled(&snapshot(vec![]), &[A], &LiteMap::new(), 1);
    let states = [
        ("first run", LiteMap::new()),
        ("restart", [(io3(), remembered)].into_iter().collect()),
        ("other wiring", rewired),
        ("other selection", seen),
    ];
    for (document, snapshot) in without_the_slot() {
        for (name, old) in &states {
            let slots = polled(&snapshot, &[NTP], old, 2);
            let slot = &slots[&io3()];
            let source = slot.wiring.map(|(_, source)| source);
            assert_eq!(source, Some(WiringSource::Configured), "{document}, {name}");
            assert!(slot.is_described(), "{document}, {name}");
            let drivers = Relay::ALL.map(|of| relay(&slots, of).driven_by);
            let wired = [Signal::Notification, Signal::Pps, Signal::Rsc].map(Some);
            assert_eq!(drivers, wired, "{document}, {name}");
            let events = slot.relay_events.iter().map(|(relay, state)| {
                let events = state.events.clone().unwrap_or_default();
                (*relay, events.iter().cloned().collect::<Vec<_>>())
            });
            let selected = [(Relay::A, vec![self::name(NTP.0)])];
            assert_eq!(events.collect::<Vec<_>>(), selected, "{document}, {name}");
        }
    }
}

#[test]
fn a_slot_that_was_found_before_a_restart_is_wired_as_usual_where_it_cannot_be_read() {
    let [(_, unreadable), _] = without_the_slot();
    let old = [(io3(), SlotView::unseen(None, Relay::ALL, [Signal::Clk1], at(0)))]
        .into_iter()
        .collect();
    let chassis = ChassisKind::SingleClock;
    let slots = slots(
        &unreadable,
        chassis,
        &Slots::Auto,
        &RelayEvents::new(),
        &old,
        at(1),
    );
    let slot = &slots[&io3()];
    let usual = (Wiring::usual(chassis), WiringSource::Assumed);
    assert_eq!((slot.state, slot.wiring), (SlotState::Online, Some(usual)));
}
