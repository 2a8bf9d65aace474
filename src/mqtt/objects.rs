//! The objects of the contract: which fields a value of the model has, and in which order. For topics and for the API.

use super::fields::{Field, Fields};
use super::payload::BridgeInfo;
use crate::model::{
    Cause, Detail, EventState, HttpSession, HttpSessions, HttpSummary, Identity, ModuleInfo, Problem, Relay,
    RelayEventsState, RelayState, Signal, SignalState, SlotInfo, UnknownReason, Via,
};

/// What the bridge says of itself.
pub(crate) fn bridge_fields(info: &BridgeInfo) -> Fields {
    vec![
        ("version", Field::Text(env!("CARGO_PKG_VERSION").to_owned())),
        ("started_at", Field::time(Some(info.started_at))),
        ("devices", Field::Count(info.devices as u64)),
        ("mqtt_version", Field::Text(info.mqtt_version.as_str().to_owned())),
        ("capabilities", Field::List(info.capabilities.clone())),
    ]
}

/// Statistics of HTTP requests.
pub(crate) fn http_stats_fields(summary: &HttpSummary) -> Fields {
    let trip = summary.round_trip;
    let number = |value: Option<f64>| value.map_or(Field::Absent, Field::Number);
    let rtt_ms = vec![
        ("last", number(trip.map(|trip| trip.last))),
        ("mean", number(trip.map(|trip| round(trip.mean)))),
        ("p50", number(trip.map(|trip| trip.p50))),
        ("p95", number(trip.map(|trip| trip.p95))),
        ("p99", number(trip.map(|trip| trip.p99))),
        ("max", number(trip.map(|trip| trip.max))),
    ];
    vec![
        ("polls", Field::Count(summary.polls)),
        ("failures", Field::Count(summary.failures)),
        ("rtt_ms", Field::Object(rtt_ms)),
        ("last_success", Field::time(summary.last_success)),
    ]
}

/// The log of HTTP sessions.
pub(crate) fn http_sessions_fields(log: &HttpSessions) -> Fields {
    vec![
        ("enabled", Field::Flag(log.is_enabled())),
        ("max_count", Field::Count(log.max_count() as u64)),
        ("sessions", Field::Rows(log.iter().map(session_fields).collect())),
    ]
}

/// What a device is.
pub(crate) fn identity_fields(identity: &Identity) -> Fields {
    vec![
        ("model", Field::text(identity.model.as_deref())),
        ("serial_number", Field::text(identity.serial_number.as_deref())),
        ("hostname", Field::text(identity.hostname.as_deref())),
        ("firmware", Field::text(identity.firmware.as_deref())),
        ("api_version", Field::text(identity.api_version.as_deref())),
        ("profile", Field::text(filled(&identity.profile))),
        ("web_interface", Field::Text(identity.web_interface.to_string())),
    ]
}

/// The error that stands now.
pub(crate) fn problem_fields(problem: Option<&Problem>) -> Fields {
    let error = problem.map(|problem| &problem.error);
    let status = error.and_then(|error| error.http_status);
    let error = vec![
        ("kind", Field::text(error.map(|error| error.kind.as_str()))),
        ("message", Field::text(error.map(|error| &error.message))),
        ("remedy", Field::text(error.map(|error| &error.remedy))),
        (
            "http_status",
            status.map_or(Field::Absent, |status| Field::Count(status.into())),
        ),
        ("url", Field::text(error.and_then(|error| error.url.as_deref()))),
        ("body", Field::text(error.and_then(|error| error.body.as_deref()))),
    ];
    vec![
        ("id", Field::text(problem.map(|problem| problem.id.to_string()))),
        (
            "operation",
            Field::text(problem.map(|problem| problem.operation.as_str())),
        ),
        ("error", Field::Object(error)),
        ("first_at", Field::time(problem.map(|problem| problem.first_at))),
    ]
}

/// A notification event, and the ones that it ends.
pub(crate) fn event_fields(clears: &[&str], event: Option<&EventState>) -> Fields {
    let clears = event.map_or(Vec::new(), |_| {
        clears.iter().map(|name| (*name).to_owned()).collect()
    });
    vec![
        (
            "triggered",
            event.map_or(Field::Absent, |event| Field::known(event.triggered)),
        ),
        ("type", Field::text(event.map(|event| event.kind.as_str()))),
        (
            "last_triggered",
            Field::time(event.and_then(|event| event.last_triggered)),
        ),
        ("clears", Field::List(clears)),
        (
            "name_on_device",
            Field::text(event.and_then(|event| event.name_on_device.as_deref())),
        ),
    ]
}

/// The module of a slot, and its wiring.
pub(crate) fn slot_fields(info: Option<&SlotInfo>) -> Fields {
    let module = info.and_then(|info| info.module.as_ref());
    let wiring = info.and_then(|info| info.wiring);
    let text = |of: fn(&ModuleInfo) -> Option<&str>| Field::text(module.and_then(of));
    let driver = |relay| Field::text(wiring.map(|(wiring, _)| wiring.driver(relay).as_str()));
    vec![
        ("model", text(|module| filled(&module.model))),
        ("serial_number", text(|module| module.serial_number.as_deref())),
        (
            "software_revision",
            text(|module| module.software_revision.as_deref()),
        ),
        (
            "wiring",
            Field::Object(Relay::ALL.map(|relay| (relay.as_str(), driver(relay))).into()),
        ),
        (
            "wiring_source",
            Field::text(wiring.map(|(_, source)| name_of(&source))),
        ),
    ]
}

/// A text that a device which was never asked over REST has not.
fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The way to the device, where it is not the usual one.
fn other_way(via: Option<Via>) -> Field {
    Field::text(via.filter(|via| *via != Via::Rest).map(Via::as_str))
}

fn reason(reason: Option<UnknownReason>) -> Field {
    Field::text(reason.map(UnknownReason::as_str))
}

/// `true`, or left out.
fn mark(is_set: bool) -> Field {
    if is_set { Field::Flag(true) } else { Field::Absent }
}

fn cause_fields(cause: &Cause) -> Fields {
    vec![
        ("cause", Field::Text(cause.name.clone())),
        ("since", Field::time(Some(cause.since))),
    ]
}

/// A relay.
pub(crate) fn relay_fields(relay: Option<&RelayState>) -> Fields {
    let last = relay.and_then(|relay| relay.last);
    let last = vec![
        (
            "position",
            Field::text(last.map(|(position, _)| position.as_str())),
        ),
        ("at", Field::time(last.map(|(_, at)| at))),
    ];
    vec![
        (
            "position",
            Field::text(relay.map(|relay| relay.position.as_str())),
        ),
        (
            "fault",
            relay.map_or(Field::Absent, |relay| Field::known(relay.position.fault())),
        ),
        (
            "driven_by",
            Field::text(relay.and_then(|relay| relay.driven_by).map(Signal::as_str)),
        ),
        (
            "cause",
            Field::text(relay.and_then(|relay| relay.cause.as_deref())),
        ),
        (
            "causes",
            Field::NamedRows(relay.map_or(Vec::new(), |relay| {
                relay.causes.iter().map(cause_fields).collect()
            })),
        ),
        (
            "provenance",
            Field::text(relay.map(|relay| name_of(&relay.provenance))),
        ),
        (
            "unknown_reason",
            reason(relay.and_then(|relay| relay.unknown_reason)),
        ),
        ("stale", mark(relay.is_some_and(|relay| relay.stale))),
        ("via", other_way(relay.map(|relay| relay.via))),
        ("since", Field::time(relay.map(|relay| relay.since))),
        ("last", Field::Object(last)),
    ]
}

/// What switches a relay.
pub(crate) fn relay_events_fields(chosen: Option<&RelayEventsState>) -> Fields {
    let events = match chosen.map(|chosen| &chosen.events) {
        None => Field::Absent,
        Some(None) => Field::Text("unknown".to_owned()),
        Some(Some(events)) => Field::Names(events.iter().map(|event| event.as_str().to_owned()).collect()),
    };
    vec![
        ("events", events),
        (
            "confirmed",
            chosen.map_or(Field::Absent, |chosen| Field::Flag(chosen.confirmed)),
        ),
        (
            "via",
            Field::text(chosen.and_then(|chosen| chosen.via).map(Via::as_str)),
        ),
        ("since", Field::time(chosen.map(|chosen| chosen.since))),
    ]
}

fn session_fields(session: &HttpSession) -> Fields {
    vec![
        ("id", Field::Count(session.id)),
        ("method", Field::Text(session.method.to_owned())),
        ("path", Field::Text(session.path.to_string())),
        (
            "status",
            session
                .status
                .map_or(Field::Absent, |status| Field::Count(status.into())),
        ),
        ("started_at", Field::time(Some(session.started_at))),
        ("request_ms", Field::Number(round(session.request_ms))),
        ("response_ms", Field::Number(round(session.response_ms))),
        ("rtt_ms", Field::Number(round(session.rtt_ms))),
        ("bytes", Field::Count(session.bytes)),
        ("error", Field::text(session.error)),
    ]
}

/// A signal. `old` tells which details were there before: their names depend on the device.
pub(crate) fn signal_fields(old: Option<&SignalState>, new: Option<&SignalState>) -> Fields {
    let last = new.and_then(|signal| signal.last);
    let last = vec![
        ("status", Field::text(last.map(|(status, _)| status.as_str()))),
        ("at", Field::time(last.map(|(_, at)| at))),
    ];
    let mut detail: Fields = new
        .iter()
        .flat_map(|signal| &signal.detail)
        .map(|(name, value)| (*name, detail_field(value)))
        .collect();
    for (name, _) in old.iter().flat_map(|signal| &signal.detail) {
        if !detail.iter().any(|(kept, _)| kept == name) {
            detail.push((name, Field::Absent));
        }
    }
    vec![
        ("status", Field::text(new.map(|signal| signal.status.as_str()))),
        (
            "provenance",
            Field::text(new.map(|signal| name_of(&signal.provenance))),
        ),
        (
            "unknown_reason",
            reason(new.and_then(|signal| signal.unknown_reason)),
        ),
        ("stale", mark(new.is_some_and(|signal| signal.stale))),
        ("via", other_way(new.map(|signal| signal.via))),
        ("since", Field::time(new.map(|signal| signal.since))),
        ("detail", Field::Object(detail)),
        ("last", Field::Object(last)),
    ]
}

fn detail_field(detail: &Detail) -> Field {
    match detail {
        Detail::Text(text) => Field::Text(text.to_string()),
        Detail::Flag(flag) => Field::Flag(*flag),
    }
}

/// A mean to the microsecond: more digits would be noise.
fn round(millis: f64) -> f64 {
    (millis * 1000.0).round() / 1000.0
}

/// The name that the model gives a value of one of its enums.
fn name_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("an enum without fields is a text, not {other:?}"),
    }
}
