//! The retained objects, and those of the API that are the same: one struct for each topic. A field that does not
//! apply is left out.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::{OrUnknown, Time, is_unset};
use crate::model::http_stats::RoundTrip;
use crate::model::{
    self, Cause, Detail, DeviceId, ErrorReport, EventName, EventState, EventType, HttpSession, HttpSummary,
    Identity, ModuleInfo, Operation, Place, Position, Problem, Provenance, RelayEventsState, RelayState,
    ShardId, SignalState, Status, Text, UnknownReason, Via, Wiring, WiringSource,
};

/// `bridge/{bridge}/info`: what the bridge says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BridgeInfo {
    /// Of this program.
    pub version: &'static str,
    /// When this process started.
    #[serde(serialize_with = "time")]
    pub started_at: Timestamp,
    /// How many devices are configured.
    pub devices: usize,
    /// Protocol version towards the broker.
    pub mqtt_version: &'static str,
    /// What this bridge can do (`rest`).
    pub capabilities: Vec<String>,
}

/// `shard/{shard}/topics`: the devices of which something is retained, for the next owner of the shard.
#[derive(Debug, Serialize)]
pub(crate) struct ShardTopics {
    pub(crate) devices: Vec<DeviceId>,
}

/// `{device}/info`: what a device is.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceInfo<'a> {
    /// In a cluster, the bridge that polls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<&'a DeviceId>,
    /// In a cluster, the shard that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardId>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    profile: &'a str,
    web_interface: &'a str,
}

impl<'a> DeviceInfo<'a> {
    /// What a device and its operator say of it; `shard` is that for which it is polled, and by which bridge.
    pub(crate) fn new(
        identity: &'a Identity,
        place: &'a Place,
        shard: Option<(ShardId, &'a DeviceId)>,
    ) -> DeviceInfo<'a> {
        let (shard, bridge) = shard.unzip();
        DeviceInfo {
            bridge,
            shard,
            label: place.label.as_deref(),
            site: place.site.as_deref(),
            model: identity.model.as_deref(),
            serial_number: identity.serial_number.as_deref(),
            hostname: identity.hostname.as_deref(),
            firmware: identity.firmware.as_deref(),
            api_version: identity.api_version.as_deref(),
            profile: &identity.profile,
            web_interface: &identity.web_interface,
        }
    }
}

/// `{device}/error`: the error that stands now.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceError<'a> {
    id: Uuid,
    operation: Operation,
    error: &'a ErrorReport,
    first_at: Time,
}

impl<'a> From<&'a Problem> for DeviceError<'a> {
    fn from(problem: &'a Problem) -> DeviceError<'a> {
        DeviceError {
            id: problem.id,
            operation: problem.operation,
            error: &problem.error,
            first_at: Time(problem.first_at),
        }
    }
}

/// `{device}/event/{event}`: a notification event, and the ones that it ends.
#[derive(Debug, Serialize)]
pub(crate) struct Event<'a> {
    triggered: OrUnknown<bool>,
    #[serde(rename = "type")]
    kind: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_triggered: Option<Time>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    clears: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    name_on_device: Option<&'a str>,
}

impl<'a> From<&'a EventState> for Event<'a> {
    fn from(event: &'a EventState) -> Event<'a> {
        Event {
            triggered: OrUnknown(event.triggered),
            kind: event.kind,
            last_triggered: event.last_triggered.time().map(Time),
            clears: event.name.clears(),
            name_on_device: event.name_on_device.as_deref().map(Text::as_str),
        }
    }
}

/// `{device}/{slot}/info`: the module of a slot, and its wiring.
#[derive(Debug, Serialize)]
pub(crate) struct SlotInfo<'a> {
    /// None of a device that was never asked over REST.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wiring: Option<Wiring>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wiring_source: Option<WiringSource>,
}

impl<'a> SlotInfo<'a> {
    pub(crate) fn new(
        module: Option<&'a ModuleInfo>,
        wiring: Option<(Wiring, WiringSource)>,
    ) -> SlotInfo<'a> {
        let (wiring, wiring_source) = wiring.unzip();
        SlotInfo {
            model: module
                .map(|module| module.model.as_str())
                .filter(|model| !model.is_empty()),
            serial_number: module.and_then(|module| module.serial_number.as_deref()),
            software_revision: module.and_then(|module| module.software_revision.as_deref()),
            wiring,
            wiring_source,
        }
    }
}

/// `{device}/{slot}/relay/{relay}`
#[derive(Debug, Serialize)]
pub(crate) struct Relay<'a> {
    position: Position,
    fault: OrUnknown<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driven_by: Option<model::Signal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<HoldingCause<'a>>,
    provenance: Provenance,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_reason: Option<UnknownReason>,
    #[serde(skip_serializing_if = "is_unset")]
    stale: bool,
    #[serde(skip_serializing_if = "is_usual")]
    via: Via,
    since: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastPosition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fault: Option<LastFault<'a>>,
}

/// The last fault of a relay.
#[derive(Debug, Serialize)]
pub(crate) struct LastFault<'a> {
    since: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    acknowledged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged_by: Option<&'a str>,
}

impl<'a> From<&'a model::LastFault> for LastFault<'a> {
    fn from(fault: &'a model::LastFault) -> LastFault<'a> {
        let acknowledged = fault.acknowledged.as_ref();
        LastFault {
            since: Time(fault.since),
            until: fault.until.map(Time),
            cause: fault.cause.as_deref(),
            acknowledged: acknowledged.is_some(),
            acknowledged_at: acknowledged.map(|acknowledged| Time(acknowledged.at)),
            acknowledged_by: acknowledged.and_then(|acknowledged| acknowledged.by.as_deref()),
        }
    }
}

/// What holds a relay in NC.
#[derive(Debug, Serialize)]
struct HoldingCause<'a> {
    cause: &'a str,
    since: Time,
}

#[derive(Debug, Serialize)]
struct LastPosition {
    position: Position,
    at: Time,
}

impl<'a> From<&'a RelayState> for Relay<'a> {
    fn from(relay: &'a RelayState) -> Relay<'a> {
        let holding = |cause: &'a Cause| HoldingCause {
            cause: &cause.name,
            since: Time(cause.since),
        };
        Relay {
            position: relay.position,
            fault: OrUnknown(relay.position.fault()),
            driven_by: relay.driven_by,
            cause: relay.cause.as_deref(),
            causes: relay.causes.iter().map(holding).collect(),
            provenance: relay.provenance,
            unknown_reason: relay.unknown_reason,
            stale: relay.stale,
            via: relay.via,
            since: Time(relay.since),
            last: relay.last.map(|(position, at)| LastPosition {
                position,
                at: Time(at),
            }),
            last_fault: relay.last_fault.as_deref().map(LastFault::from),
        }
    }
}

/// `{device}/{slot}/relay/{relay}/events`: what switches a relay.
#[derive(Debug, Serialize)]
pub(crate) struct RelayEvents<'a> {
    events: OrUnknown<&'a [EventName]>,
    confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<Via>,
    since: Time,
}

impl<'a> From<&'a RelayEventsState> for RelayEvents<'a> {
    fn from(selection: &'a RelayEventsState) -> RelayEvents<'a> {
        RelayEvents {
            events: OrUnknown(selection.events.as_deref()),
            confirmed: selection.confirmed,
            via: selection.via,
            since: Time(selection.since),
        }
    }
}

/// `{device}/{slot}/signal/{signal}`
#[derive(Debug, Serialize)]
pub(crate) struct Signal<'a> {
    status: Status,
    provenance: Provenance,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_reason: Option<UnknownReason>,
    #[serde(skip_serializing_if = "is_unset")]
    stale: bool,
    #[serde(skip_serializing_if = "is_usual")]
    via: Via,
    since: Time,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "map")]
    detail: &'a [(&'static str, Detail)],
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastStatus>,
}

#[derive(Debug, Serialize)]
struct LastStatus {
    status: Status,
    at: Time,
}

impl<'a> From<&'a SignalState> for Signal<'a> {
    fn from(signal: &'a SignalState) -> Signal<'a> {
        Signal {
            status: signal.status,
            provenance: signal.provenance,
            unknown_reason: signal.unknown_reason,
            stale: signal.stale,
            via: signal.via,
            since: Time(signal.since),
            detail: &signal.detail,
            last: signal
                .last
                .map(|(status, at)| LastStatus { status, at: Time(at) }),
        }
    }
}

/// `{device}/http/stats`: how HTTP requests went.
#[derive(Debug, Serialize)]
pub(crate) struct HttpStats {
    polls: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<RoundTrip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<Time>,
}

impl From<&HttpSummary> for HttpStats {
    fn from(summary: &HttpSummary) -> HttpStats {
        let rounded = |trip: RoundTrip| RoundTrip {
            mean: to_microseconds(trip.mean),
            ..trip
        };
        HttpStats {
            polls: summary.polls,
            failures: summary.failures,
            rtt_ms: summary.round_trip.map(rounded),
            last_success: summary.last_success.map(Time),
        }
    }
}

/// `{device}/http/sessions`: the log of HTTP sessions.
#[derive(Debug, Serialize)]
pub(crate) struct HttpSessions<'a> {
    enabled: bool,
    max_count: usize,
    sessions: Vec<Session<'a>>,
}

#[derive(Debug, Serialize)]
struct Session<'a> {
    id: u64,
    method: &'static str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    started_at: Time,
    request_ms: f64,
    response_ms: f64,
    rtt_ms: f64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> From<&'a model::HttpSessions> for HttpSessions<'a> {
    fn from(log: &'a model::HttpSessions) -> HttpSessions<'a> {
        HttpSessions {
            enabled: log.is_enabled(),
            max_count: log.max_count(),
            sessions: log.iter().map(Session::from).collect(),
        }
    }
}

impl<'a> From<&'a HttpSession> for Session<'a> {
    fn from(session: &'a HttpSession) -> Session<'a> {
        Session {
            id: session.id,
            method: session.method,
            path: &session.path,
            status: session.status,
            started_at: Time(session.started_at),
            request_ms: to_microseconds(session.request_ms),
            response_ms: to_microseconds(session.response_ms),
            rtt_ms: to_microseconds(session.rtt_ms),
            bytes: session.bytes,
            error: session.error,
        }
    }
}

/// Milliseconds to the microsecond: more digits would be noise.
fn to_microseconds(millis: f64) -> f64 {
    (millis * 1000.0).round() / 1000.0
}

/// Whether it is the usual way to the device, which is not named.
fn is_usual(via: &Via) -> bool {
    *via == Via::Rest
}

fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    Time(*at).serialize(serializer)
}

fn map<S: Serializer>(detail: &&[(&'static str, Detail)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(detail.iter().map(|(name, value)| (name, value)))
}
