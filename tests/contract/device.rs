//! What is retained of a device as a whole.

use std::sync::Arc;

use lantime2mqtt::contract::topics::{DeviceTopic, StateTopic};
use lantime2mqtt::hub::Device;
use lantime2mqtt::model::http_stats::RoundTrip;
use lantime2mqtt::model::{
    Availability, DeviceView, ErrorKind, ErrorReport, EventState, EventType, HttpSession, HttpSessions,
    HttpSummary, Identity, LastTriggered, Operation, Place, Problem,
};

use crate::example::{Example, ID, at, device_id, event_name, of_shard, retained};

pub(crate) fn examples() -> Vec<Example> {
    let examples = [state(), info(), error(), events(), http_stats(), http_sessions()];
    examples.into_iter().flatten().collect()
}

/// What is retained at a topic of that device.
fn of_device(below: &DeviceTopic, name: &str, device: &Device) -> Example {
    let topic = StateTopic::Device(device_id(), below.clone());
    retained(&topic, name, |payloads| {
        payloads.of_device(&device_id(), below, device)
    })
}

pub(crate) fn of_view(below: &DeviceTopic, name: &str, view: DeviceView) -> Example {
    let device = Device {
        view: view.into(),
        ..Device::default()
    };
    of_device(below, name, &device)
}

fn state() -> Vec<Example> {
    let of = |name, availability| {
        let view = DeviceView {
            availability,
            ..DeviceView::default()
        };
        of_view(&DeviceTopic::State, name, view)
    };
    vec![
        of("the last poll gave a usable document", Some(Availability::Online)),
        of("too many polls failed", Some(Availability::Offline)),
        of("it was not asked yet", None),
    ]
}

fn info() -> Vec<Example> {
    let of = |name, identity: Option<Identity>| {
        let view = DeviceView {
            identity: identity.map(Into::into),
            ..DeviceView::default()
        };
        of_view(&DeviceTopic::Info, name, view)
    };
    let whole = Identity {
        model: Some("M3000".into()),
        serial_number: Some("030111000001".into()),
        hostname: Some("m3000-a.example".into()),
        firmware: Some("fw_7.06.014-light".into()),
        api_version: Some("10.21.016".into()),
        profile: "v10".into(),
        web_interface: "https://10.0.0.7".into(),
    };
    let without_name = Identity {
        hostname: None,
        ..whole.clone()
    };
    let over_snmp = Identity {
        serial_number: whole.serial_number.clone(),
        firmware: whole.firmware.clone(),
        web_interface: whole.web_interface.clone(),
        ..Identity::default()
    };
    let in_cluster = of_shard(
        &StateTopic::Device(device_id(), DeviceTopic::Info),
        "in a cluster",
        |payloads| {
            let view = DeviceView {
                identity: Some(whole.clone().into()),
                ..DeviceView::default()
            };
            let device = Device {
                view: view.into(),
                ..Device::default()
            };
            payloads.of_device(&device_id(), &DeviceTopic::Info, &device)
        },
    );
    let with_place = of_view(
        &DeviceTopic::Info,
        "with label and site",
        DeviceView {
            identity: Some(whole.clone().into()),
            place: Arc::new(Place {
                label: Some("Control room, left".into()),
                site: Some("Substation North".into()),
            }),
            ..DeviceView::default()
        },
    );
    vec![
        of("all of it", Some(whole.clone())),
        in_cluster,
        with_place,
        of("no host name", Some(without_name)),
        of("known over SNMP alone", Some(over_snmp)),
        of("cleared: nothing is known", None),
    ]
}

fn error() -> Vec<Example> {
    let of = |name, problem| {
        let view = DeviceView {
            problem,
            ..DeviceView::default()
        };
        of_view(&DeviceTopic::Error, name, view)
    };
    let problem = |error| Problem {
        id: ID,
        operation: Operation::Poll,
        error,
        first_at: at("10:15:27.101"),
    };
    let timeout = ErrorReport::new(
        ErrorKind::Timeout,
        "no answer within 5 s",
        "check the network and the device",
    );
    let not_found = ErrorReport {
        kind: ErrorKind::NotFound,
        message: "the device answered 404".to_owned(),
        remedy: "the REST API is probably switched off: switch it on".to_owned(),
        http_status: Some(404),
        url: Some("https://10.0.0.7/api/status".to_owned()),
        body: Some("<h1>Not found</h1>".to_owned()),
    };
    let unavailable = ErrorReport {
        kind: ErrorKind::HttpStatus,
        message: "the device answered 503".to_owned(),
        remedy: "wait until it has started".to_owned(),
        http_status: Some(503),
        body: None,
        ..not_found.clone()
    };
    vec![
        of("no answer", Some(problem(timeout))),
        of("an answer that is an error", Some(problem(not_found))),
        of("an answer without a body", Some(problem(unavailable))),
        of("cleared: no error stands", None),
    ]
}

fn events() -> Vec<Example> {
    let of = |name, event: &str, state: Option<EventState>| {
        let view = DeviceView {
            events: state.into_iter().collect(),
            ..DeviceView::default()
        };
        of_view(&DeviceTopic::Event(event_name(event)), name, view)
    };
    let triggered = EventState {
        name: event_name("ntp-sync"),
        name_on_device: None,
        triggered: Some(true),
        kind: EventType::Info,
        last_triggered: LastTriggered::at(at("10:15:29")),
    };
    let never = EventState {
        name: event_name("ntp-not-sync"),
        triggered: Some(false),
        kind: EventType::Error,
        last_triggered: LastTriggered::Never,
        ..triggered.clone()
    };
    let unclear = EventState {
        name: event_name("leapsecond-announced"),
        name_on_device: Some(Box::new("leapsecond-announced".into())),
        triggered: None,
        kind: EventType::Unknown,
        last_triggered: LastTriggered::Unclear,
    };
    vec![
        of("triggered; it clears another one", "ntp-sync", Some(triggered)),
        of("never triggered", "ntp-not-sync", Some(never)),
        of(
            "the device spells it otherwise, and does not say how it stands",
            "leapsecond-announced",
            Some(unclear),
        ),
        of(
            "cleared: the device no longer lists it",
            "leapsecond-announced",
            None,
        ),
    ]
}

fn http_stats() -> Vec<Example> {
    let of = |name, http| {
        let device = Device {
            http,
            ..Device::default()
        };
        of_device(&DeviceTopic::HttpStats, name, &device)
    };
    let round_trip = RoundTrip {
        last: 9.5,
        mean: 10.123_456,
        p50: 9.0,
        p95: 20.0,
        p99: 30.25,
        max: 31.0,
    };
    let usual = HttpSummary {
        polls: 12,
        failures: 2,
        last_success: Some(at("10:15:27.101")),
        round_trip: Some(round_trip),
        ..HttpSummary::default()
    };
    let failing = HttpSummary {
        last_success: None,
        round_trip: None,
        ..usual.clone()
    };
    vec![
        of("after some polls", Some(usual)),
        of("no poll has succeeded yet", Some(failing)),
        of("cleared: not polled yet", None),
    ]
}

fn http_sessions() -> Vec<Example> {
    let of = |name, sessions| {
        let device = Device {
            sessions,
            ..Device::default()
        };
        of_device(&DeviceTopic::HttpSessions, name, &device)
    };
    let poll = HttpSession {
        id: 0,
        method: "GET",
        path: "/api/status".into(),
        status: Some(200),
        started_at: at("10:15:27.101"),
        request_ms: 9.8,
        response_ms: 2.345_678,
        rtt_ms: 12.145_678,
        bytes: 20_480,
        error: None,
    };
    let failed = HttpSession {
        status: None,
        response_ms: 0.0,
        bytes: 0,
        error: Some(ErrorKind::Timeout.as_str()),
        ..poll.clone()
    };
    let mut log = HttpSessions::new(true, 100);
    log.push(poll);
    log.push(failed);
    vec![
        of("an answer, and none", Some(log)),
        of("switched off", Some(HttpSessions::new(false, 100))),
        of("cleared: nothing is known", None),
    ]
}
