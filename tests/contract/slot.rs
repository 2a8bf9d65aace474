//! What is retained of a slot: the module, its relays and its signals.

use std::collections::BTreeSet;

use lantime2mqtt::contract::topics::{DeviceTopic, SlotTopic};
use lantime2mqtt::model::{
    Acknowledged, Cause, Detail, DeviceView, LastFault, ModuleInfo, Position, Provenance, Relay,
    RelayEventsState, RelayState, Signal, SignalState, SlotState, SlotView, Status, UnknownReason, Via,
    Wiring, WiringSource,
};

use crate::device::of_view;
use crate::example::{Example, at, event_name, slot_id};

const SINCE: &str = "10:15:30.120";
const SEEN: &str = "10:15:27.101";

pub(crate) fn examples() -> Vec<Example> {
    let examples = [state(), info(), relays(), unknown_relays(), relay_events()];
    let signals = [signals(), unknown_signals()];
    examples.into_iter().chain(signals).flatten().collect()
}

/// A device with one slot that is only listed, but for what `put` puts into it.
fn in_slot(below: SlotTopic, name: &str, put: impl FnOnce(&mut SlotView)) -> Example {
    let mut slot = SlotView::unseen(None, [], [], at(SINCE));
    put(&mut slot);
    let view = DeviceView {
        slots: [(slot_id(), slot)].into_iter().collect(),
        ..DeviceView::default()
    };
    of_view(&DeviceTopic::Slot(slot_id(), below), name, view)
}

fn state() -> Vec<Example> {
    let of = |name, state| in_slot(SlotTopic::State, name, |slot| slot.state = state);
    let topic = DeviceTopic::Slot(slot_id(), SlotTopic::State);
    vec![
        of("a relay module", SlotState::Online),
        of("the device is offline", SlotState::Offline),
        of("no module", SlotState::Absent),
        of("another module", SlotState::Mismatch),
        of_view(
            &topic,
            "cleared: no such slot is configured",
            DeviceView::default(),
        ),
    ]
}

fn info() -> Vec<Example> {
    let of = |name, state, module, wiring| {
        in_slot(SlotTopic::Info, name, |slot| {
            (slot.state, slot.module, slot.wiring) = (state, module, wiring);
        })
    };
    let module = ModuleInfo {
        model: "rel1000".into(),
        serial_number: Some("031111000002".into()),
        software_revision: Some("2.1".into()),
    };
    let usual = Wiring {
        a: Signal::Clk1,
        b: Signal::Clk2,
        c: Signal::Rsc,
    };
    let selected = Wiring {
        a: Signal::Notification,
        c: Signal::TenMhz,
        ..usual
    };
    let configured = Some((selected, WiringSource::Configured));
    let of_model_only = ModuleInfo {
        serial_number: None,
        software_revision: None,
        ..module.clone()
    };
    vec![
        of(
            "its wiring is assumed",
            SlotState::Online,
            Some(module),
            Some((usual, WiringSource::Assumed)),
        ),
        of(
            "its wiring is configured",
            SlotState::Online,
            Some(of_model_only),
            configured,
        ),
        of(
            "never asked over REST",
            SlotState::Online,
            Some(ModuleInfo::default()),
            configured,
        ),
        of("no module", SlotState::Absent, None, None),
        of(
            "cleared: the device has not answered yet",
            SlotState::Offline,
            None,
            None,
        ),
    ]
}

fn relay(position: Position) -> RelayState {
    RelayState {
        position,
        driven_by: Some(Signal::Clk1),
        cause: None,
        causes: Vec::new(),
        provenance: Provenance::Derived,
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: at(SINCE),
        last: None,
        last_fault: None,
    }
}

fn of_relay(name: &str, state: Option<RelayState>) -> Example {
    in_slot(SlotTopic::Relay(Relay::A), name, |slot| {
        slot.relays.extend(state.map(|state| (Relay::A, state)));
    })
}

fn relays() -> Vec<Example> {
    let cause = |name: &str, since| Cause {
        name: name.to_owned(),
        since: at(since),
    };
    let fault = RelayState {
        cause: Some("clock-not-sync".to_owned()),
        causes: vec![cause("clock-not-sync", SINCE)],
        ..relay(Position::Nc)
    };
    let reported = RelayState {
        cause: Some("unknown".to_owned()),
        provenance: Provenance::Reported,
        ..relay(Position::Nc)
    };
    let held = RelayState {
        driven_by: Some(Signal::Notification),
        cause: Some("ntp-not-sync".to_owned()),
        causes: vec![
            cause("ntp-not-sync", SINCE),
            cause("antenna-faulty", "10:15:31.120"),
        ],
        stale: true,
        ..relay(Position::Nc)
    };
    let last_fault = |until: Option<&str>, acknowledged| LastFault {
        since: at(SEEN),
        until: until.map(at),
        cause: Some("clock-not-sync".into()),
        acknowledged,
    };
    let recovered = RelayState {
        last_fault: Some(Box::new(last_fault(Some(SINCE), None))),
        ..relay(Position::No)
    };
    let by = Acknowledged {
        at: at("10:15:31.120"),
        by: Some("Ada".into()),
    };
    let acknowledged = RelayState {
        last_fault: Some(Box::new(last_fault(Some(SINCE), Some(by)))),
        ..relay(Position::No)
    };
    let over_snmp = RelayState {
        via: Via::Snmp,
        ..relay(Position::No)
    };
    vec![
        of_relay("normal", Some(relay(Position::No))),
        of_relay("fault", Some(fault)),
        of_relay(
            "fault that the device reports; nothing is known to hold the relay",
            Some(reported),
        ),
        of_relay("fault that two events hold; the last poll failed", Some(held)),
        of_relay(
            "normal after a fault that nobody has acknowledged",
            Some(recovered),
        ),
        of_relay("normal after a fault that was acknowledged", Some(acknowledged)),
        of_relay("known over SNMP", Some(over_snmp)),
    ]
}

fn unknown_relays() -> Vec<Example> {
    let unknown = |reason| RelayState {
        provenance: Provenance::Unknown,
        unknown_reason: Some(reason),
        ..relay(Position::Unknown)
    };
    let offline = RelayState {
        last: Some((Position::No, at(SEEN))),
        ..unknown(UnknownReason::Offline)
    };
    let unseen = RelayState {
        driven_by: None,
        provenance: Provenance::Unseen,
        ..unknown(UnknownReason::Offline)
    };
    vec![
        of_relay("not reported", Some(unknown(UnknownReason::NotReported))),
        of_relay("the device is offline", Some(offline)),
        of_relay("the device has not answered yet", Some(unseen)),
        of_relay("cleared: no such relay", None),
    ]
}

fn relay_events() -> Vec<Example> {
    let of = |name, relay, events: Option<&[&str]>, via: Option<Via>| {
        let state = RelayEventsState {
            events: events.map(|names| {
                let names: BTreeSet<_> = names.iter().map(|name| event_name(name)).collect();
                names.into_iter().collect()
            }),
            confirmed: events.is_some(),
            via,
            since: at(SINCE),
        };
        in_slot(SlotTopic::RelayEvents(relay), name, |slot| {
            slot.relay_events.insert(relay, state);
        })
    };
    let two = &["ntp-not-sync", "antenna-faulty"][..];
    let (rest, snmp) = (Some(Via::Rest), Some(Via::Snmp));
    vec![
        of("two events", Relay::A, Some(two), rest),
        of("over SNMP", Relay::C, Some(&two[..1]), snmp),
        of("none", Relay::A, Some(&[]), rest),
        of("not read yet", Relay::A, None, None),
        in_slot(
            SlotTopic::RelayEvents(Relay::A),
            "cleared: not wired to notification",
            |_| (),
        ),
    ]
}

fn signal(status: Status) -> SignalState {
    SignalState {
        status,
        provenance: Provenance::Reported,
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: at(SINCE),
        detail: [].into(),
        last: None,
    }
}

fn of_signal(name: &str, signal: Signal, state: Option<SignalState>) -> Example {
    in_slot(SlotTopic::Signal(signal), name, |slot| {
        slot.signals.extend(state.map(|state| (signal, state)));
    })
}

fn text(text: &str) -> Detail {
    Detail::Text(text.into())
}

fn signals() -> Vec<Example> {
    let clock = SignalState {
        detail: [
            ("model", text("gps180")),
            ("clock", text("synchronized")),
            ("selected", Detail::Flag(true)),
        ]
        .into(),
        ..signal(Status::Ok)
    };
    let stale = SignalState {
        provenance: Provenance::Derived,
        stale: true,
        detail: [("selected", text("clk1")), ("mode", text("auto"))].into(),
        ..signal(Status::Fail)
    };
    let over_snmp = SignalState {
        via: Via::Snmp,
        detail: [("substate", text("gpsSync"))].into(),
        ..signal(Status::Ok)
    };
    let notification = SignalState {
        provenance: Provenance::Derived,
        ..signal(Status::Fail)
    };
    vec![
        of_signal("a clock that is synchronized", Signal::Clk1, Some(clock)),
        of_signal("no second clock", Signal::Clk2, Some(signal(Status::Absent))),
        of_signal(
            "the selected clock fails; the last poll failed",
            Signal::Rsc,
            Some(stale),
        ),
        of_signal("known over SNMP", Signal::Clk1, Some(over_snmp)),
        of_signal("an event is triggered", Signal::Notification, Some(notification)),
    ]
}

fn unknown_signals() -> Vec<Example> {
    let unknown = |reason| SignalState {
        provenance: Provenance::Unknown,
        unknown_reason: Some(reason),
        ..signal(Status::Unknown)
    };
    let contradiction = SignalState {
        detail: [("rest", text("ok")), ("snmp", text("fail"))].into(),
        ..unknown(UnknownReason::Unclear)
    };
    let offline = SignalState {
        last: Some((Status::Ok, at(SEEN))),
        ..unknown(UnknownReason::Offline)
    };
    let of = |name, signal, reason| of_signal(name, signal, Some(unknown(reason)));
    vec![
        of("not reported", Signal::TenMhz, UnknownReason::NotReported),
        of_signal("the device is offline", Signal::Clk1, Some(offline)),
        of(
            "the device has not answered yet",
            Signal::Clk1,
            UnknownReason::Offline,
        ),
        of("the module is missing", Signal::Pps, UnknownReason::Missing),
        of(
            "events of type info alone",
            Signal::Notification,
            UnknownReason::InfoOnly,
        ),
        of("not settled", Signal::Clk1, UnknownReason::Unclear),
        of_signal("REST and SNMP differ", Signal::Clk1, Some(contradiction)),
        of_signal("cleared: no such signal", Signal::Clk1, None),
    ]
}
