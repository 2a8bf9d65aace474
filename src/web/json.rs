//! The JSON of the API: the objects are those of the contract that MQTT retains; here they stand together.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::Shown;
use crate::contract::state::{
    BridgeInfo, DeviceError, DeviceInfo, Event, HttpSessions as Sessions, HttpStats, Relay, RelayEvents,
    Signal, SlotInfo,
};
use crate::contract::{Time, to_json};
use crate::hub;
use crate::lantime::snmp::traps::Counts as TrapCounts;
use crate::model::{DeviceId, DeviceView, HttpSessions, Place, SlotView};
use crate::mqtt::LinkStatus;

/// Before the first poll has ended.
const UNKNOWN: &str = "unknown";

/// A device but for its HTTP requests, which change all the time.
#[derive(Serialize)]
pub(super) struct Device<'a> {
    id: &'a str,
    #[serde(flatten)]
    place: &'a Place,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<DeviceInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<DeviceError<'a>>,
    events: BTreeMap<&'a str, Event<'a>>,
    slots: BTreeMap<&'a str, Slot<'a>>,
}

#[derive(Serialize)]
struct Slot<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<SlotInfo<'a>>,
    relays: BTreeMap<&'static str, Relay<'a>>,
    relay_events: BTreeMap<&'static str, RelayEvents<'a>>,
    signals: BTreeMap<&'static str, Signal<'a>>,
}

/// How a device is asked.
#[derive(Serialize)]
struct DeviceHttp {
    #[serde(skip_serializing_if = "Option::is_none")]
    http_stats: Option<HttpStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_sessions: Option<Tracking>,
}

/// Whether sessions are kept.
#[derive(Serialize)]
struct Tracking {
    enabled: bool,
    max_count: usize,
}

/// All of a device but the log of its sessions.
#[derive(Serialize)]
pub(super) struct Whole<'a> {
    #[serde(flatten)]
    device: Device<'a>,
    #[serde(flatten)]
    http: DeviceHttp,
}

/// A device in a few words.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    id: &'a str,
    #[serde(flatten)]
    place: &'a Place,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    /// Kind of the error that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// Position of each relay of each slot.
    relays: BTreeMap<&'a str, BTreeMap<&'static str, &'static str>>,
}

pub(super) fn device<'a>(id: &'a DeviceId, device: &'a DeviceView) -> Device<'a> {
    let events = device.events.iter();
    let slots = device.slots.iter();
    Device {
        id: id.as_str(),
        place: &device.place,
        state: device.availability.map_or(UNKNOWN, |state| state.as_str()),
        info: device
            .identity
            .as_ref()
            .map(|identity| DeviceInfo::new(identity, &device.place, None)),
        error: device.problem.as_ref().map(DeviceError::from),
        events: events.map(|event| (event.name.as_str(), event.into())).collect(),
        slots: slots.map(|(id, shown)| (id.as_str(), slot(shown))).collect(),
    }
}

fn slot(slot: &SlotView) -> Slot<'_> {
    let (relays, signals) = (slot.relays.iter(), slot.signals.iter());
    let relay_events = slot.relay_events.iter();
    Slot {
        state: slot.state.as_str(),
        info: slot
            .is_described()
            .then(|| SlotInfo::new(slot.module.as_ref(), slot.wiring)),
        relays: relays
            .map(|(relay, state)| (relay.as_str(), state.into()))
            .collect(),
        relay_events: relay_events
            .map(|(relay, state)| (relay.as_str(), state.into()))
            .collect(),
        signals: signals
            .map(|(signal, state)| (signal.as_str(), state.into()))
            .collect(),
    }
}

fn device_http(device: &hub::Device) -> DeviceHttp {
    DeviceHttp {
        http_stats: device.http.as_ref().map(HttpStats::from),
        http_sessions: device.sessions.as_ref().map(|log| Tracking {
            enabled: log.is_enabled(),
            max_count: log.max_count(),
        }),
    }
}

pub(super) fn whole<'a>(id: &'a DeviceId, shown: &'a hub::Device) -> Whole<'a> {
    Whole {
        device: device(id, &shown.view),
        http: device_http(shown),
    }
}

pub(super) fn summary<'a>(id: &'a DeviceId, device: &'a DeviceView) -> Summary<'a> {
    let identity = device.identity.as_ref();
    let slots = device.slots.iter();
    let positions = |slot: &SlotView| {
        let relays = slot.relays.iter();
        relays
            .map(|(relay, state)| (relay.as_str(), state.position.as_str()))
            .collect()
    };
    Summary {
        id: id.as_str(),
        place: &device.place,
        state: device.availability.map_or(UNKNOWN, |state| state.as_str()),
        model: identity.and_then(|identity| identity.model.as_deref()),
        hostname: identity.and_then(|identity| identity.hostname.as_deref()),
        error: device.problem.as_ref().map(|problem| problem.error.kind.as_str()),
        relays: slots.map(|(id, slot)| (id.as_str(), positions(slot))).collect(),
    }
}

/// The log of a device's sessions as JSON; an empty one where there is none yet.
pub(super) fn sessions(log: Option<&HttpSessions>) -> Bytes {
    let none = HttpSessions::new(false, 0);
    to_json(&Sessions::from(log.unwrap_or(&none)))
}

/// The bridge itself.
#[derive(Serialize, PartialEq)]
pub(super) struct Bridge {
    id: String,
    info: BridgeInfo,
    broker: Broker,
    commands: Commands,
    #[serde(skip_serializing_if = "Option::is_none")]
    sparkplug: Option<EdgeNode>,
    store: StoreJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    traps: Option<TrapCounts>,
    /// Whether there is a token by which something can be changed here.
    changeable: bool,
}

#[derive(Serialize, PartialEq)]
struct Link {
    connected: bool,
    since: Time,
    connections: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

#[derive(Serialize, PartialEq)]
struct Broker {
    #[serde(flatten)]
    link: Link,
    topics: usize,
    pending: usize,
    records: usize,
}

#[derive(Serialize, PartialEq)]
struct Commands {
    #[serde(flatten)]
    link: Link,
    subscribed: bool,
    waiting: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<String>,
}

#[derive(Serialize, PartialEq)]
struct EdgeNode {
    #[serde(flatten)]
    link: Link,
    born: bool,
}

#[derive(Serialize, PartialEq)]
struct Refused {
    filter: String,
    reason: String,
}

#[derive(Serialize, PartialEq)]
struct StoreJson {
    records: usize,
    record_bytes: usize,
    commands: usize,
    dead_letters: usize,
    last_dead_letter: u64,
    dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<String>,
}

pub(super) fn bridge(shown: &Shown, changeable: bool) -> Bridge {
    let info = BridgeInfo {
        devices: shown.fleet.borrow().devices.len(),
        ..shown.info.clone()
    };
    let (broker, commands) = (shown.broker(), shown.commands());
    let store = shown.kept();
    let refused = commands.refused.iter();
    Bridge {
        id: shown.bridge.to_string(),
        info,
        broker: Broker {
            link: link(&broker.link),
            topics: broker.topics,
            pending: broker.pending,
            records: broker.records,
        },
        commands: Commands {
            link: link(&commands.link),
            subscribed: commands.subscribed,
            waiting: commands.waiting,
            refused: refused
                .map(|refused| Refused {
                    filter: refused.filter.clone(),
                    reason: refused.reason.clone(),
                })
                .collect(),
            failing: commands.failing.clone(),
        },
        sparkplug: shown.sparkplug().map(|status| EdgeNode {
            link: link(&status.link),
            born: status.born,
        }),
        store: StoreJson {
            records: store.records,
            record_bytes: store.record_bytes,
            commands: store.commands,
            dead_letters: store.dead_letters,
            last_dead_letter: store.last_dead_letter,
            dropped: store.dropped,
            failing: store.failing,
        },
        traps: shown.traps.as_ref().map(|traps| *traps.borrow()),
        changeable,
    }
}

fn link(link: &LinkStatus) -> Link {
    Link {
        connected: link.connected,
        since: Time(link.since),
        connections: link.connections,
        last_error: link.last_error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Layout;
    use crate::contract::topics::{DeviceTopic, SlotTopic, Topics};
    use crate::model::{
        self, Availability, Position, Provenance, RelayState, Signal, SlotId, SlotState, Via,
    };
    use crate::mqtt::payload::Payloads;

    #[test]
    fn what_is_shown_of_a_relay_is_what_is_retained() {
        let (id, slot) = (DeviceId::new("m1").unwrap(), SlotId::new("io3").unwrap());
        let relay = RelayState {
            position: Position::Nc,
            driven_by: Some(Signal::Clk1),
            cause: Some("clock-not-sync".into()),
            provenance: Provenance::Derived,
            causes: Vec::new(),
            unknown_reason: None,
            stale: false,
            via: Via::Rest,
            since: "2026-11-22T10:15:30.120Z".parse().unwrap(),
            last: None,
        };
        let mut slot_view = SlotView::unseen(None, [], [], relay.since);
        slot_view.state = SlotState::Online;
        slot_view.relays.insert(model::Relay::A, relay.clone());
        let view = DeviceView {
            availability: Some(Availability::Online),
            slots: [(slot.clone(), slot_view)].into_iter().collect(),
            ..DeviceView::default()
        };
        let device = hub::Device {
            view: Arc::new(view),
            ..hub::Device::default()
        };
        let topics = Topics::new("lantime", DeviceId::new("b").unwrap());
        let below = DeviceTopic::Slot(slot, SlotTopic::Relay(model::Relay::A));
        let retained = Payloads::new(topics, Layout::Json).of_device(&id, &below, &device);
        let retained = String::from_utf8(retained[0].payload.clone().unwrap().to_vec()).unwrap();
        let shown = String::from_utf8(to_json(&whole(&id, &device)).to_vec()).unwrap();
        let expected = format!(
            r#"{{"id":"m1","state":"online","events":{{}},"slots":{{"io3":{{"state":"online","info":{{}},"relays":{{"a":{retained}}},"relay_events":{{}},"signals":{{}}}}}}}}"#
        );
        assert_eq!(shown, expected);
        let summary = String::from_utf8(to_json(&summary(&id, &device.view)).to_vec()).unwrap();
        assert_eq!(
            summary,
            r#"{"id":"m1","state":"online","relays":{"io3":{"a":"NC"}}}"#
        );
    }
}
