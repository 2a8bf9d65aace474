//! Records of events, traps and changes.

use jiff::Timestamp;
use lantime2mqtt::model::{
    Availability, DeviceView, ErrorKind, EventNaming, EventState, EventType, LastTriggered, Position,
    Provenance, RecordedSlots, Relay, Signal, SlotState, SlotView, Status, Transition, Trap, Varbind,
    VarbindValue, Via, diff,
};
use lantime2mqtt::records::{Record, change, trap};

use crate::example::{Example, at, device_id, event_name, records, slot_id};

const AT: &str = "10:15:30.120";

pub(crate) fn examples() -> Vec<Example> {
    let examples = [events(), traps(), devices(), relays(), signals()];
    examples.into_iter().flatten().collect()
}

/// All records of the way from one view to the next one.
fn all_records(old: &DeviceView, new: &DeviceView) -> Vec<Record> {
    let transitions = Transition::between(old, new, &diff(old, new)).into_iter();
    records_of(transitions)
}

fn records_of(transitions: impl Iterator<Item = Transition>) -> Vec<Record> {
    let record = |transition: Transition| change::record(&device_id(), &transition, at(AT));
    transitions.map(record).collect()
}

fn event(triggered: bool, last: Option<&str>) -> EventState {
    EventState {
        name: event_name("ntp-not-sync"),
        name_on_device: None,
        triggered: Some(triggered),
        kind: EventType::Error,
        last_triggered: last.map_or(LastTriggered::Never, |time| LastTriggered::at(at(time))),
    }
}

fn events() -> Vec<Example> {
    let of = |name, old: EventState, new: EventState, via| {
        let transitions = new.transitions(&old).iter().map(|triggered| Transition::Event {
            event: new.clone(),
            triggered: *triggered,
            via,
        });
        records(name, &records_of(transitions))
    };
    let spelled = |event: EventState| EventState {
        name: event_name("faillock:-user-banned"),
        name_on_device: Some(Box::new("faillock:-user-banned".into())),
        ..event
    };
    let appeared = || event(true, Some("10:15:29"));
    let cleared = || event(false, Some("10:15:29"));
    vec![
        of("an event appeared", event(false, None), appeared(), Via::Rest),
        of("an event cleared", appeared(), cleared(), Via::Rest),
        of(
            "an event came and went between two polls",
            event(false, None),
            cleared(),
            Via::Rest,
        ),
        of(
            "an event appeared, without a time; read over SNMP",
            event(false, None),
            event(true, None),
            Via::Snmp,
        ),
        of(
            "the device spells it otherwise",
            spelled(event(false, None)),
            spelled(appeared()),
            Via::Rest,
        ),
    ]
}

fn varbind(oid: &str, kind: &'static str, value: VarbindValue) -> Varbind {
    let oid = oid.to_owned();
    Varbind { oid, kind, value }
}

fn text(text: &str) -> VarbindValue {
    VarbindValue::Text(text.to_owned())
}

fn traps() -> Vec<Example> {
    let of = |name, trap: &Trap| records(name, &[trap::record(&device_id(), trap, at(AT))]);
    let message = "refclock 1 not sync";
    let usual = Trap {
        version: "2c",
        confirmed: false,
        oid: Some("1.3.6.1.4.1.5597.30.3.0.5".to_owned()),
        event: Some(event_name("refclock-1-not-sync")),
        naming: EventNaming::Document,
        message: Some(message.to_owned()),
        varbinds: vec![
            varbind("1.3.6.1.4.1.5597.30.3.0.100.0", "OCTET STRING", text(message)),
            varbind(
                "1.3.6.1.6.3.1.1.4.3.0",
                "OBJECT IDENTIFIER",
                text("1.3.6.1.4.1.5597.30"),
            ),
        ],
        left_out: 0,
    };
    let inform = Trap {
        version: "3",
        confirmed: true,
        naming: EventNaming::Mib,
        varbinds: Vec::new(),
        ..usual.clone()
    };
    let matched = Trap {
        event: Some(event_name("refclock-one-not-sync")),
        naming: EventNaming::Matched(event_name("refclock-1-not-sync")),
        ..inform.clone()
    };
    let unknown = Trap {
        oid: Some("1.3.6.1.6.3.1.1.5.1".to_owned()),
        event: None,
        naming: EventNaming::Document,
        message: None,
        varbinds: vec![
            varbind(
                "1.3.6.1.2.1.1.3.0",
                "Counter64",
                VarbindValue::Number(u64::MAX.into()),
            ),
            varbind("1.3.6.1.2.1.1.5.0", "OCTET STRING", text("0xff00")),
            varbind("1.3.6.1.2.1.1.6.0", "NULL", VarbindValue::Null),
        ],
        left_out: 3,
        ..usual.clone()
    };
    let without_oid = Trap {
        version: "1",
        oid: None,
        varbinds: Vec::new(),
        left_out: 0,
        ..unknown.clone()
    };
    vec![
        of("a trap", &usual),
        of("an inform; the name of its event is made from the MIB", &inform),
        of(
            "the one event that the device lists fits the MIB's name",
            &matched,
        ),
        of("a notification that the vendor's MIB does not know", &unknown),
        of("a v1 trap whose numbers make no OID", &without_oid),
    ]
}

/// A device with one relay and one signal, in these states.
fn view(position: Position, status: Status, provenance: Provenance) -> DeviceView {
    let mut slot = SlotView::unseen(None, [Relay::A], [Signal::Clk1], Timestamp::UNIX_EPOCH);
    let relay = slot.relays.get_mut(&Relay::A).unwrap();
    (relay.position, relay.provenance) = (position, provenance);
    relay.driven_by = Some(Signal::Clk1);
    relay.cause = (position == Position::Nc).then(|| "clock-not-sync".to_owned());
    let signal = slot.signals.get_mut(&Signal::Clk1).unwrap();
    (signal.status, signal.provenance) = (status, provenance);
    DeviceView {
        slots: [(slot_id(), slot)].into_iter().collect(),
        ..DeviceView::default()
    }
}

/// The records of the way from one view to the next one.
fn changed(name: &str, old: &DeviceView, new: &DeviceView) -> Example {
    records(name, &all_records(old, new))
}

fn devices() -> Vec<Example> {
    let of = |name, old, new, not_observed_since| {
        let transition = Transition::Availability {
            old,
            new,
            error: Some(ErrorKind::Timeout),
            taken_over: false,
            not_observed_since,
        };
        records(name, &records_of([transition].into_iter()))
    };
    let (online, offline) = (Availability::Online, Availability::Offline);
    let slot = Transition::Slot {
        slot: slot_id(),
        old: SlotState::Online,
        new: SlotState::Absent,
        taken_over: false,
    };
    vec![
        of("a device is watched for the first time", None, online, None),
        of("it does not answer any more", Some(online), offline, None),
        of(
            "it was online when no bridge watched, and still is",
            Some(online),
            online,
            Some(at("08:15:30")),
        ),
        records("its relay module is taken out", &records_of([slot].into_iter())),
    ]
}

fn relays() -> Vec<Example> {
    let of = |position| view(position, Status::Ok, Provenance::Derived);
    let (before, now) = (of(Position::No), of(Position::Nc));
    let mut seen_before = RecordedSlots::by_another(None, before.slots.iter());
    let taken_over = records_of(seen_before.take_transitions(&now).into_iter());
    vec![
        changed("a relay falls", &of(Position::No), &of(Position::Nc)),
        changed("a relay returns", &of(Position::Nc), &of(Position::No)),
        records(
            "it fell while one bridge of a cluster took over from another",
            &taken_over,
        ),
    ]
}

fn signals() -> Vec<Example> {
    let good = view(Position::No, Status::Ok, Provenance::Reported);
    let fails = view(Position::No, Status::Fail, Provenance::Reported);
    let mut offline = good.clone();
    offline.go_offline(at("10:15:25"), at(AT));
    let bad = view(Position::Nc, Status::Fail, Provenance::Derived);
    vec![
        changed("a signal fails", &good, &fails),
        changed("a signal fails, and a relay falls by it", &good, &bad),
        changed("the device is offline", &good, &offline),
        changed("the device answers again", &offline, &good),
    ]
}
