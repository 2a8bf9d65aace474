//! What is published of the edge node, of a LANTIME and of a slot, as metrics. Pure; docs/sparkplug.md has the table.
//!
//! A name never is the beginning of another one (`relay/a/events` beside `relay/a/events/ntp-not-sync`): hosts make
//! folders of what stands before a slash, and have no room for a value there.

use jiff::Timestamp;

use crate::model::{
    Availability, DeviceId, DeviceView, EventName, EventState, Identity, ModuleInfo, Position, Provenance,
    Relay, RelayEventsState, RelayState, Signal, SignalState, SlotView, Status, Text, UnknownReason,
    WiringSource,
};

/// Asks for all births again.
pub(super) const REBIRTH: &str = "Node Control/Rebirth";
/// Asks for a poll.
pub(super) const REFRESH: &str = "Device Control/Refresh";

/// A metric as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) value: Value,
    /// How good the value is; said only where it is not always good.
    pub(super) quality: Option<Quality>,
}

/// What Sparkplug's property `Quality` says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    /// Known.
    Good,
    /// Not known.
    Bad,
    /// Of the poll before the one that failed.
    Stale,
}

impl Quality {
    fn of(is_known: bool, is_stale: bool) -> Quality {
        match (is_known, is_stale) {
            (false, _) => Quality::Bad,
            (true, true) => Quality::Stale,
            (true, false) => Quality::Good,
        }
    }
}

/// A value, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Option<String>),
    Flag(Option<bool>),
    Time(Option<Timestamp>),
    Number(i64),
}

fn plain(name: impl Into<String>, value: Value) -> Metric {
    Metric {
        name: name.into(),
        value,
        quality: None,
    }
}

fn text(name: impl Into<String>, value: Option<&str>) -> Metric {
    plain(name, Value::Text(value.map(str::to_owned)))
}

/// A text that is `unknown` where nobody knows, or that was not always known.
fn word(name: String, word: &str, quality: Quality) -> Metric {
    Metric {
        name,
        value: Value::Text(Some(word.to_owned())),
        quality: Some(quality),
    }
}

/// Yes or no, or nobody knows.
fn flag(name: String, value: Option<bool>) -> Metric {
    Metric {
        name,
        value: Value::Flag(value),
        quality: Some(Quality::of(value.is_some(), false)),
    }
}

/// The edge node itself, without the number of its session.
pub(super) fn of_node() -> [Metric; 3] {
    [
        plain(REBIRTH, Value::Flag(Some(false))),
        text("Properties/program", Some(env!("CARGO_PKG_NAME"))),
        text("Properties/version", Some(env!("CARGO_PKG_VERSION"))),
    ]
}

/// The state of a LANTIME, as the edge node publishes it: one that is offline is dead itself.
pub(super) fn of_state(id: &DeviceId, device: &DeviceView) -> [Metric; 2] {
    let problem = device.problem.as_ref();
    let error = problem.map(|problem| format!("{}: {}", problem.error.kind, problem.error.message));
    [
        text(
            format!("devices/{id}/state"),
            device.availability.map(Availability::as_str),
        ),
        plain(format!("devices/{id}/error"), Value::Text(error)),
    ]
}

/// What is known of a LANTIME: the name of its metric, and where it is.
type Fact = (&'static str, fn(&Identity) -> Option<&Text>);

const FACTS: [Fact; 6] = [
    ("model", |identity| identity.model.as_ref()),
    ("serial_number", |identity| identity.serial_number.as_ref()),
    ("hostname", |identity| identity.hostname.as_ref()),
    ("firmware", |identity| identity.firmware.as_ref()),
    ("api_version", |identity| identity.api_version.as_ref()),
    ("web_interface", |identity| Some(&identity.web_interface)),
];

/// A LANTIME itself.
pub(super) fn of_lantime(device: &DeviceView) -> Vec<Metric> {
    let fact = |(name, fact): &Fact| {
        let value = device.identity.as_deref().and_then(fact);
        text(format!("info/{name}"), value.map(Text::as_str))
    };
    let mut metrics = vec![plain(REFRESH, Value::Flag(Some(false)))];
    metrics.extend(FACTS.iter().map(fact));
    let mut events: Vec<&EventState> = device.events.iter().collect();
    events.sort_unstable_by_key(|event| &event.name);
    let events = events.into_iter();
    metrics.extend(events.map(|event| flag(format!("event/{}", event.name), event.triggered)));
    metrics
}

/// A slot of that LANTIME.
pub(super) fn of_slot(device: &DeviceView, slot: &SlotView) -> Vec<Metric> {
    let described = Some(slot).filter(|slot| slot.is_described());
    let module = described.and_then(|slot| slot.module.as_ref());
    let fact = |name: &str, value: Option<&Text>| text(format!("info/{name}"), value.map(Text::as_str));
    let wiring = described.and_then(|slot| slot.wiring);
    let source = wiring.map(|(_, source)| match source {
        WiringSource::Configured => "configured",
        WiringSource::Assumed => "assumed",
    });
    let mut metrics = vec![
        text("state", Some(slot.state.as_str())),
        fact("model", module.map(|module| &module.model)),
        fact(
            "serial_number",
            module.and_then(|module| module.serial_number.as_ref()),
        ),
        fact(
            "software_revision",
            module.and_then(|module: &ModuleInfo| module.software_revision.as_ref()),
        ),
        text("info/wiring_source", source),
    ];
    for (relay, state) in &slot.relays {
        metrics.extend(of_relay(*relay, state));
    }
    for (relay, selection) in &slot.relay_events {
        metrics.extend(of_relay_events(
            *relay,
            selection,
            device.events.iter().map(|event| &event.name),
        ));
    }
    for (signal, state) in &slot.signals {
        metrics.extend(of_signal(*signal, state));
    }
    metrics
}

fn of_relay(relay: Relay, state: &RelayState) -> [Metric; 8] {
    let name = |part: &str| format!("relay/{relay}/{part}");
    let quality = Quality::of(state.position != Position::Unknown, state.stale);
    let fault = Metric {
        quality: Some(quality),
        ..flag(name("fault"), state.position.fault())
    };
    let causes: Vec<_> = state.causes.iter().map(|cause| cause.name.as_str()).collect();
    let causes = Some(causes.join(",")).filter(|causes| !causes.is_empty());
    [
        word(name("position"), state.position.as_str(), quality),
        fault,
        text(name("driven_by"), state.driven_by.map(Signal::as_str)),
        text(name("cause"), state.cause.as_deref()),
        plain(name("causes"), Value::Text(causes)),
        text(
            name("unknown_reason"),
            state.unknown_reason.map(UnknownReason::as_str),
        ),
        text(name("provenance"), Some(provenance(state.provenance))),
        plain(name("since"), Value::Time(Some(state.since))),
    ]
}

/// For each event that the device has, or that is selected, whether it switches this relay: writable.
fn of_relay_events<'e>(
    relay: Relay,
    selection: &'e RelayEventsState,
    known: impl Iterator<Item = &'e EventName>,
) -> Vec<Metric> {
    let mut events: Vec<_> = known
        .chain(selection.events.as_deref().into_iter().flatten())
        .collect();
    events.sort_unstable();
    events.dedup();
    let is_selected = |event: &EventName| selection.events.as_ref().map(|events| events.contains(event));
    let of_event = |event: &EventName| flag(event_metric(relay, event.as_str()), is_selected(event));
    let confirmed = plain(
        format!("relay/{relay}/events_confirmed"),
        Value::Flag(Some(selection.confirmed)),
    );
    std::iter::once(confirmed)
        .chain(events.into_iter().map(of_event))
        .collect()
}

/// The name of the metric that says whether that event switches that relay.
pub(super) fn event_metric(relay: Relay, event: &str) -> String {
    format!("relay/{relay}/events/{event}")
}

/// Relay and event of a metric of that name, which says whether that event switches that relay; which events there are,
/// and which relays have any, is for the command to say.
pub(super) fn relay_event(name: &str) -> Option<(Relay, &str)> {
    let (relay, event) = name.strip_prefix("relay/")?.split_once("/events/")?;
    Some((Relay::from_name(relay)?, event))
}

fn of_signal(signal: Signal, state: &SignalState) -> [Metric; 3] {
    let name = |part: &str| format!("signal/{signal}/{part}");
    [
        word(
            name("status"),
            state.status.as_str(),
            Quality::of(state.status != Status::Unknown, state.stale),
        ),
        text(name("provenance"), Some(provenance(state.provenance))),
        plain(name("since"), Value::Time(Some(state.since))),
    ]
}

fn provenance(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Reported => "reported",
        Provenance::Derived => "derived",
        Provenance::Unknown | Provenance::Unseen => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Via};

    fn named(names: &[&str]) -> Vec<EventName> {
        names
            .iter()
            .filter_map(|name| EventName::canonical(name))
            .collect()
    }

    #[test]
    fn a_position_that_nobody_knows_is_no_good_and_its_fault_is_null() {
        let state = RelayState {
            position: Position::Unknown,
            driven_by: Some(Signal::Clk1),
            cause: None,
            causes: Vec::new(),
            provenance: Provenance::Unseen,
            unknown_reason: Some(UnknownReason::Offline),
            stale: false,
            via: Via::Rest,
            since: Timestamp::UNIX_EPOCH,
            last: None,
            last_fault: None,
        };
        let [position, fault, driven_by, cause, causes, reason, provenance, _] = of_relay(Relay::A, &state);
        assert_eq!(
            position,
            word("relay/a/position".to_owned(), "unknown", Quality::Bad)
        );
        assert_eq!(
            (fault.value, fault.quality),
            (Value::Flag(None), Some(Quality::Bad))
        );
        assert_eq!((cause.value, cause.quality), (Value::Text(None), None));
        assert_eq!(causes, text("relay/a/causes", None));
        assert_eq!(reason, text("relay/a/unknown_reason", Some("offline")));
        assert_eq!(driven_by, text("relay/a/driven_by", Some("clk1")));
        assert_eq!(provenance, text("relay/a/provenance", Some("unknown")));
    }

    #[test]
    fn a_position_of_the_poll_before_is_stale() {
        let since = Timestamp::UNIX_EPOCH;
        let cause = |name: &str| Cause {
            name: name.to_owned(),
            since,
        };
        let state = RelayState {
            position: Position::Nc,
            driven_by: Some(Signal::Notification),
            cause: Some("ntp-not-sync".to_owned()),
            causes: vec![cause("ntp-not-sync"), cause("antenna-faulty")],
            provenance: Provenance::Derived,
            unknown_reason: None,
            stale: true,
            via: Via::Rest,
            since,
            last: None,
            last_fault: None,
        };
        let [position, fault, _, _, causes, reason, ..] = of_relay(Relay::A, &state);
        let qualities = [position.quality, fault.quality];
        assert_eq!(qualities, [Some(Quality::Stale); 2]);
        assert_eq!(
            causes,
            text("relay/a/causes", Some("ntp-not-sync,antenna-faulty"))
        );
        assert_eq!(reason.value, Value::Text(None));
    }

    #[test]
    fn each_event_that_is_known_or_selected_is_one_metric() {
        let known = named(&["ntp-not-sync", "antenna-faulty"]);
        let mut selection = RelayEventsState {
            events: Some(named(&["former-event", "ntp-not-sync"]).into()),
            confirmed: true,
            via: Some(Via::Rest),
            since: Timestamp::UNIX_EPOCH,
        };
        let metrics = of_relay_events(Relay::C, &selection, known.iter());
        let expected = [
            plain("relay/c/events_confirmed", Value::Flag(Some(true))),
            flag("relay/c/events/antenna-faulty".to_owned(), Some(false)),
            flag("relay/c/events/former-event".to_owned(), Some(true)),
            flag("relay/c/events/ntp-not-sync".to_owned(), Some(true)),
        ];
        assert_eq!(metrics, expected);
        selection.events = None;
        let unknown = &of_relay_events(Relay::C, &selection, known.iter())[1];
        assert_eq!(
            (&unknown.value, unknown.quality),
            (&Value::Flag(None), Some(Quality::Bad))
        );
    }

    #[test]
    fn the_name_of_a_metric_contains_relay_and_event() {
        assert_eq!(
            relay_event(&event_metric(Relay::A, "ntp-not-sync")),
            Some((Relay::A, "ntp-not-sync"))
        );
        for name in [
            "relay/a/position",
            "relay/d/events/x",
            "relay/a/b/events/x",
            "signal/clk1/status",
            "",
        ] {
            assert_eq!(relay_event(name), None, "{name}");
        }
    }
}
