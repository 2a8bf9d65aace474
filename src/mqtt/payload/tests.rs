//! Every payload, word for word.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::model::{
    Cause, Detail, DeviceView, ErrorKind, ErrorReport, EventName, EventState, EventType, HttpSummary,
    Identity, LastTriggered, ModuleInfo, Operation, Position, Problem, Provenance, Relay, RelayEventsState,
    RelayState, Signal, SignalState, SlotState, Status, UnknownReason, Via, Wiring, WiringSource,
    http_stats::RoundTrip,
};

const AT: &str = "2026-02-10T09:45:48.000Z";

fn at() -> Timestamp {
    AT.parse().unwrap()
}

fn payloads(layout: Layout) -> Payloads {
    Payloads::new(Topics::new("lantime", DeviceId::new("b1").unwrap()), layout)
}

fn device() -> DeviceId {
    DeviceId::new("m1").unwrap()
}

fn slot() -> SlotId {
    SlotId::new("io3").unwrap()
}

fn text(payload: Option<Bytes>) -> Option<String> {
    payload.map(|payload| String::from_utf8(payload.to_vec()).unwrap())
}

/// A topic of a device, and what is known of the device.
struct Case(DeviceTopic, Device);

fn of_view(below: DeviceTopic, view: DeviceView) -> Case {
    let view = Arc::new(view);
    Case(
        below,
        Device {
            view,
            ..Device::default()
        },
    )
}

/// A device with one slot that is only listed, but for what `put` puts into it.
fn in_slot(below: SlotTopic, put: impl FnOnce(&mut SlotView)) -> Case {
    let mut view = SlotView::unseen(None, [], [], at());
    put(&mut view);
    let view = DeviceView {
        slots: BTreeMap::from([(slot(), view)]),
        ..DeviceView::default()
    };
    of_view(DeviceTopic::Slot(slot(), below), view)
}

/// The one message of the JSON layout, without the prefix.
fn json(Case(below, known): &Case) -> (String, Option<String>) {
    let [message] = &payloads(Layout::Json).of_device(&device(), below, known)[..] else {
        panic!("one topic in the JSON layout");
    };
    let topic = message.topic.strip_prefix("lantime/m1/").unwrap();
    (topic.to_owned(), text(message.payload.clone()))
}

/// The topics of the scalar layout below `below`, with what they hold, in alphabetical order.
fn scalar(Case(topic, known): &Case, below: &str) -> Vec<(String, String)> {
    let below = format!("lantime/m1/{below}/");
    let messages = payloads(Layout::Scalar).of_device(&device(), topic, known);
    let field = |message: Message| {
        let field = message
            .topic
            .strip_prefix(&below)
            .unwrap_or_else(|| panic!("{}", message.topic));
        (field.to_owned(), text(message.payload).unwrap())
    };
    let mut fields: Vec<_> = messages.into_iter().map(field).collect();
    fields.sort();
    fields
}

fn fields(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let expected = expected.iter();
    expected
        .map(|(field, text)| ((*field).to_owned(), (*text).to_owned()))
        .collect()
}

fn relay(position: Position, cause: Option<&str>, last: Option<Position>) -> RelayState {
    RelayState {
        position,
        driven_by: Some(Signal::Clk1),
        cause: cause.map(str::to_owned),
        provenance: Provenance::Derived,
        causes: Vec::new(),
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: at(),
        last: last.map(|position| (position, at())),
    }
}

fn of_relay(relay: Option<RelayState>) -> Case {
    in_slot(SlotTopic::Relay(Relay::A), |slot| {
        slot.relays.extend(relay.map(|relay| (Relay::A, relay)));
    })
}

fn signal(status: Status, detail: Vec<(&'static str, Detail)>, last: Option<Status>) -> SignalState {
    SignalState {
        status,
        provenance: Provenance::Reported,
        unknown_reason: None,
        stale: false,
        via: Via::Rest,
        since: at(),
        detail,
        last: last.map(|status| (status, at())),
    }
}

fn of_signal(signal: Option<SignalState>) -> Case {
    in_slot(SlotTopic::Signal(Signal::Clk1), |slot| {
        slot.signals.extend(signal.map(|signal| (Signal::Clk1, signal)));
    })
}

#[track_caller]
fn golden(case: &Case, topic: &str, payload: Option<&str>) {
    assert_eq!(json(case), (topic.to_owned(), payload.map(str::to_owned)));
}

#[test]
fn states_are_one_word_in_every_layout() {
    let offline = of_view(
        DeviceTopic::State,
        DeviceView {
            availability: Some(Availability::Offline),
            ..DeviceView::default()
        },
    );
    golden(&offline, "state", Some("offline"));
    let nobody_knows = of_view(DeviceTopic::State, DeviceView::default());
    golden(&nobody_knows, "state", Some("offline"));
    let mismatch = in_slot(SlotTopic::State, |slot| slot.state = SlotState::Mismatch);
    golden(&mismatch, "io3/state", Some("mismatch"));
    let gone = of_view(DeviceTopic::Slot(slot(), SlotTopic::State), DeviceView::default());
    golden(&gone, "io3/state", None);
    for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
        let messages = payloads(layout).of_device(&device(), &offline.0, &offline.1);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic, "lantime/m1/state");
    }
}

#[test]
fn the_bridge() {
    let payloads = payloads(Layout::Json);
    let info = BridgeInfo {
        version: "0.1.0",
        started_at: at(),
        devices: 3,
        mqtt_version: "3.1.1",
        capabilities: vec!["rest".to_owned()],
    };
    let [message] = &payloads.bridge_info(&info)[..] else {
        panic!("one topic")
    };
    assert_eq!(message.topic, "lantime/bridge/b1/info");
    let expected = format!(
        r#"{{"version":"0.1.0","started_at":"{AT}","devices":3,"mqtt_version":"3.1.1","capabilities":["rest"]}}"#
    );
    assert_eq!(text(message.payload.clone()), Some(expected));
    assert_eq!(text(payloads.bridge_online().payload).as_deref(), Some("online"));
    assert_eq!(payloads.bridge_offline().topic, "lantime/bridge/b1/state");
    assert_eq!(
        text(payloads.bridge_offline().payload).as_deref(),
        Some("offline")
    );
}

fn of_identity(identity: Identity) -> Case {
    let view = DeviceView {
        identity: Some(identity),
        ..DeviceView::default()
    };
    of_view(DeviceTopic::Info, view)
}

#[test]
fn identity() {
    let identity = Identity {
        model: Some("M3000".into()),
        serial_number: Some("030".into()),
        hostname: None,
        firmware: Some("fw_7.06".into()),
        api_version: Some("10.21.016".into()),
        profile: "v10".into(),
        web_interface: "https://10.0.0.7".into(),
    };
    let case = of_identity(identity);
    let expected = r#"{"model":"M3000","serial_number":"030","firmware":"fw_7.06","api_version":"10.21.016","profile":"v10","web_interface":"https://10.0.0.7"}"#;
    golden(&case, "info", Some(expected));
    let names = [
        "api_version",
        "firmware",
        "model",
        "profile",
        "serial_number",
        "web_interface",
    ];
    let found = scalar(&case, "info");
    assert!(found.iter().map(|(name, _)| name).eq(names), "{found:?}");
}

#[test]
fn problem() {
    let error = ErrorReport {
        kind: ErrorKind::HttpStatus,
        message: "503".to_owned(),
        remedy: "wait".to_owned(),
        http_status: Some(503),
        url: Some("https://h/api".to_owned()),
        body: None,
    };
    let (operation, first_at) = (Operation::Poll, at());
    let problem = Problem {
        id: uuid::Uuid::nil(),
        operation,
        error,
        first_at,
    };
    let of = |problem| {
        let view = DeviceView {
            problem,
            ..DeviceView::default()
        };
        of_view(DeviceTopic::Error, view)
    };
    let case = of(Some(problem));
    let expected = format!(
        r#"{{"id":"00000000-0000-0000-0000-000000000000","operation":"poll","error":{{"kind":"http-status","message":"503","remedy":"wait","http_status":503,"url":"https://h/api"}},"first_at":"{AT}"}}"#
    );
    golden(&case, "error", Some(&expected));
    golden(&of(None), "error", None);
    let expected = [
        ("error/http_status", "503"),
        ("error/kind", "http-status"),
        ("error/message", "503"),
        ("error/remedy", "wait"),
        ("error/url", "https://h/api"),
        ("first_at", AT),
        ("id", "00000000-0000-0000-0000-000000000000"),
        ("operation", "poll"),
    ];
    assert_eq!(scalar(&case, "error"), fields(&expected));
    assert_eq!(scalar(&of(None), "error"), []);
}

fn of_event(name: EventName, event: Option<EventState>) -> Case {
    let view = DeviceView {
        events: event.into_iter().collect(),
        ..DeviceView::default()
    };
    of_view(DeviceTopic::Event(name), view)
}

#[test]
fn event() {
    let name = EventName::canonical("ntp-sync").unwrap();
    let event = EventState {
        name: name.clone(),
        name_on_device: None,
        triggered: Some(true),
        kind: EventType::Error,
        last_triggered: LastTriggered::At(at()),
    };
    let case = of_event(name, Some(event));
    let expected =
        format!(r#"{{"triggered":true,"type":"error","last_triggered":"{AT}","clears":["ntp-not-sync"]}}"#);
    golden(&case, "event/ntp-sync", Some(&expected));

    let name = EventName::canonical("leapsecond-announced").unwrap();
    let event = EventState {
        name: name.clone(),
        name_on_device: Some("leapsecond-announced".into()),
        triggered: None,
        kind: EventType::Unknown,
        last_triggered: LastTriggered::Never,
    };
    let case = of_event(name.clone(), Some(event));
    let expected = r#"{"triggered":"unknown","type":"unknown","name_on_device":"leapsecond-announced"}"#;
    golden(&case, "event/leap-second-announced", Some(expected));
    golden(&of_event(name, None), "event/leap-second-announced", None);
}

#[test]
fn relay_events() {
    let case = |events: Option<&[&str]>| {
        let name = |name: &&str| EventName::canonical(name).unwrap();
        let state = RelayEventsState {
            events: events.map(|names| names.iter().map(name).collect()),
            confirmed: events.is_some(),
            via: events.map(|_| Via::Rest),
            since: at(),
        };
        in_slot(SlotTopic::RelayEvents(Relay::A), |slot| {
            slot.relay_events.insert(Relay::A, state);
        })
    };
    for (events, expected) in [
        (
            Some(&["ntp-not-sync", "antenna-faulty"][..]),
            r#""events":["antenna-faulty","ntp-not-sync"],"confirmed":true,"via":"rest""#,
        ),
        (Some(&[]), r#""events":[],"confirmed":true,"via":"rest""#),
        (None, r#""events":"unknown","confirmed":false"#),
    ] {
        let expected = format!(r#"{{{expected},"since":"{AT}"}}"#);
        golden(&case(events), "io3/relay/a/events", Some(&expected));
    }
}

#[test]
fn slot_info() {
    let module = ModuleInfo {
        model: "rel1000".into(),
        serial_number: Some("031".into()),
        software_revision: Some("2.1".into()),
    };
    let wiring = Wiring {
        a: Signal::Clk1,
        b: Signal::Clk2,
        c: Signal::Rsc,
    };
    let info = |state, module, wiring| {
        in_slot(SlotTopic::Info, |slot| {
            (slot.state, slot.module, slot.wiring) = (state, module, wiring);
        })
    };
    let assumed = Some((wiring, WiringSource::Assumed));
    let whole = info(SlotState::Online, Some(module), assumed);
    let expected = r#"{"model":"rel1000","serial_number":"031","software_revision":"2.1","wiring":{"a":"clk1","b":"clk2","c":"rsc"},"wiring_source":"assumed"}"#;
    golden(&whole, "io3/info", Some(expected));
    golden(&info(SlotState::Absent, None, None), "io3/info", Some("{}"));
    golden(&info(SlotState::Offline, None, None), "io3/info", None);
    assert_eq!(
        scalar(&whole, "io3/info"),
        fields(&[
            ("model", "rel1000"),
            ("serial_number", "031"),
            ("software_revision", "2.1"),
            ("wiring/a", "clk1"),
            ("wiring/b", "clk2"),
            ("wiring/c", "rsc"),
            ("wiring_source", "assumed"),
        ])
    );
}

#[test]
fn relays() {
    let fault = of_relay(Some(relay(Position::Nc, Some("clock-not-sync"), None)));
    let expected = format!(
        r#"{{"position":"NC","fault":true,"driven_by":"clk1","cause":"clock-not-sync","provenance":"derived","since":"{AT}"}}"#
    );
    golden(&fault, "io3/relay/a", Some(&expected));
    let away = of_relay(Some(relay(Position::Unknown, None, Some(Position::No))));
    let expected = format!(
        r#"{{"position":"unknown","fault":"unknown","driven_by":"clk1","provenance":"derived","since":"{AT}","last":{{"position":"NO","at":"{AT}"}}}}"#
    );
    golden(&away, "io3/relay/a", Some(&expected));
    golden(&of_relay(None), "io3/relay/a", None);
    assert_eq!(
        scalar(&fault, "io3/relay/a"),
        fields(&[
            ("cause", "clock-not-sync"),
            ("driven_by", "clk1"),
            ("fault", "true"),
            ("position", "NC"),
            ("provenance", "derived"),
            ("since", AT),
        ])
    );
    assert_eq!(scalar(&of_relay(None), "io3/relay/a"), []);
}

#[test]
fn what_holds_a_relay_and_why_a_value_is_unknown() {
    let cause = |name: &str| Cause {
        name: name.to_owned(),
        since: at(),
    };
    let held = of_relay(Some(RelayState {
        causes: vec![cause("ntp-not-sync"), cause("antenna-faulty")],
        stale: true,
        ..relay(Position::Nc, Some("ntp-not-sync"), None)
    }));
    let expected = format!(
        r#"{{"position":"NC","fault":true,"driven_by":"clk1","cause":"ntp-not-sync","causes":[{{"cause":"ntp-not-sync","since":"{AT}"}},{{"cause":"antenna-faulty","since":"{AT}"}}],"provenance":"derived","stale":true,"since":"{AT}"}}"#
    );
    golden(&held, "io3/relay/a", Some(&expected));
    let fields = scalar(&held, "io3/relay/a");
    for field in [("causes", "ntp-not-sync,antenna-faulty"), ("stale", "true")] {
        let field = (field.0.to_owned(), field.1.to_owned());
        assert!(fields.contains(&field), "{fields:?}");
    }
    for (reason, word) in [
        (UnknownReason::NotReported, "not-reported"),
        (UnknownReason::Offline, "offline"),
        (UnknownReason::Missing, "missing"),
        (UnknownReason::InfoOnly, "info-only"),
        (UnknownReason::Unclear, "unclear"),
    ] {
        let unknown = of_signal(Some(SignalState {
            provenance: Provenance::Unknown,
            unknown_reason: Some(reason),
            ..signal(Status::Unknown, vec![], None)
        }));
        let expected = format!(
            r#"{{"status":"unknown","provenance":"unknown","unknown_reason":"{word}","since":"{AT}"}}"#
        );
        golden(&unknown, "io3/signal/clk1", Some(&expected));
    }
}

#[test]
fn signals() {
    let detail = vec![
        ("clock", Detail::Text("gps".into())),
        ("selected", Detail::Flag(true)),
    ];
    let ok = signal(Status::Ok, detail, None);
    let expected = format!(
        r#"{{"status":"ok","provenance":"reported","since":"{AT}","detail":{{"clock":"gps","selected":true}}}}"#
    );
    golden(&of_signal(Some(ok)), "io3/signal/clk1", Some(&expected));
    let away = signal(Status::Unknown, vec![], Some(Status::Ok));
    let expected = format!(
        r#"{{"status":"unknown","provenance":"reported","since":"{AT}","last":{{"status":"ok","at":"{AT}"}}}}"#
    );
    let case = of_signal(Some(away));
    golden(&case, "io3/signal/clk1", Some(&expected));
    let expected = [
        ("last/at", AT),
        ("last/status", "ok"),
        ("provenance", "reported"),
        ("since", AT),
        ("status", "unknown"),
    ];
    assert_eq!(scalar(&case, "io3/signal/clk1"), fields(&expected));
    assert_eq!(scalar(&of_signal(None), "io3/signal/clk1"), []);
}

#[test]
fn http_stats() {
    let round_trip = RoundTrip {
        last: 9.5,
        mean: 10.123_456,
        p50: 9.0,
        p95: 20.0,
        p99: 30.25,
        max: 31.0,
    };
    let mut summary = HttpSummary {
        polls: 12,
        failures: 2,
        last_success: Some(at()),
        round_trip: Some(round_trip),
        ..HttpSummary::default()
    };
    let case = |summary: &HttpSummary| {
        let http = Some(summary.clone());
        Case(
            DeviceTopic::HttpStats,
            Device {
                http,
                ..Device::default()
            },
        )
    };
    let expected = format!(
        r#"{{"polls":12,"failures":2,"rtt_ms":{{"last":9.5,"mean":10.123,"p50":9.0,"p95":20.0,"p99":30.25,"max":31.0}},"last_success":"{AT}"}}"#
    );
    golden(&case(&summary), "http/stats", Some(&expected));
    (summary.round_trip, summary.last_success) = (None, None);
    golden(
        &case(&summary),
        "http/stats",
        Some(r#"{"polls":12,"failures":2}"#),
    );
}

#[test]
fn both_layouts_are_the_sum_of_the_two() {
    let Case(below, known) = of_relay(Some(relay(Position::No, None, None)));
    let of = |layout| payloads(layout).of_device(&device(), &below, &known);
    let sum: Vec<_> = of(Layout::Scalar).into_iter().chain(of(Layout::Json)).collect();
    assert_eq!(of(Layout::Both), sum);
    // And every topic of it is one of this layout by its parse.
    for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
        for message in of(layout) {
            let payloads = payloads(layout);
            let (topic, field) = payloads.topics().parse(&message.topic).unwrap();
            assert!(payloads.publishes(&topic, field.is_some()), "{}", message.topic);
        }
    }
}

#[test]
fn an_empty_text_cannot_be_a_scalar() {
    let identity = Identity {
        hostname: Some("".into()),
        ..Identity::default()
    };
    let case = of_identity(identity);
    let found = scalar(&case, "info");
    assert!(!found.iter().any(|(name, _)| name == "hostname"), "{found:?}");
    assert!(json(&case).1.unwrap().contains(r#""hostname":"""#));
}
