//! Every topic of the bridge, built and parsed: no topic string stands anywhere else.
//!
//! Owns the shape of topics; what is published there belongs to [`super::payload`].
//!
//! ```
//! use lantime2mqtt::model::{DeviceId, Relay, SlotId};
//! use lantime2mqtt::mqtt::topics::{DeviceTopic, SlotTopic, StateTopic, Topics};
//!
//! let topics = Topics::new("lantime", DeviceId::new("site-1").unwrap());
//! assert_eq!(topics.state(&StateTopic::BridgeState), "lantime/bridge/site-1/state");
//!
//! let (device, slot) = (DeviceId::new("m3000-a").unwrap(), SlotId::new("io3").unwrap());
//! let relay = DeviceTopic::Slot(slot, SlotTopic::Relay(Relay::A));
//! let topic = topics.state(&StateTopic::Device(device, relay));
//! assert_eq!(topic, "lantime/m3000-a/io3/relay/a");
//!
//! // The scalar layout has one topic per field; both parse to the same thing.
//! let (parsed, field) = topics.parse("lantime/m3000-a/io3/relay/a/position").unwrap();
//! assert_eq!((topics.state(&parsed), field), (topic, Some("position")));
//! assert_eq!(topics.parse("elsewhere/m3000-a/state"), None);
//! ```

use std::fmt::{self, Write as _};

use crate::model::id::is_valid_id;
use crate::model::{DeviceId, EventName, Relay, Signal, SlotId};

/// Second levels that are not a device's.
const NOT_DEVICES: [&str; 2] = ["bridge", "dead-letter"];

/// Levels below a device that are not a slot's.
const NOT_SLOTS: [&str; 7] = ["state", "info", "error", "event", "events", "http", "refresh"];

/// A topic that carries retained state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateTopic {
    /// `{prefix}/bridge/{bridge}/state`, also the topic of the last will.
    BridgeState,
    /// `{prefix}/bridge/{bridge}/info`
    BridgeInfo,
    /// Below `{prefix}/{device}`.
    Device(DeviceId, DeviceTopic),
}

/// A state topic of a device, below its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceTopic {
    /// `state`
    State,
    /// `info`
    Info,
    /// `error`
    Error,
    /// `event/{event}`
    Event(EventName),
    /// `http/sessions`
    HttpSessions,
    /// `http/stats`
    HttpStats,
    /// Below `{slot}`.
    Slot(SlotId, SlotTopic),
}

/// A state topic of a slot, below its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotTopic {
    /// `state`
    State,
    /// `info`
    Info,
    /// `relay/{relay}`
    Relay(Relay),
    /// `relay/{relay}/events`
    RelayEvents(Relay),
    /// `signal/{signal}`
    Signal(Signal),
}

impl StateTopic {
    /// Whether its payload is one plain word in every layout, and no JSON object.
    pub fn is_plain(&self) -> bool {
        matches!(
            self,
            StateTopic::BridgeState
                | StateTopic::Device(_, DeviceTopic::State | DeviceTopic::Slot(_, SlotTopic::State))
        )
    }

    /// The device that it belongs to.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            StateTopic::Device(device, _) => Some(device),
            StateTopic::BridgeState | StateTopic::BridgeInfo => None,
        }
    }
}

impl fmt::Display for DeviceTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceTopic::State => f.write_str("state"),
            DeviceTopic::Info => f.write_str("info"),
            DeviceTopic::Error => f.write_str("error"),
            DeviceTopic::Event(event) => write!(f, "event/{event}"),
            DeviceTopic::HttpSessions => f.write_str("http/sessions"),
            DeviceTopic::HttpStats => f.write_str("http/stats"),
            DeviceTopic::Slot(slot, below) => write!(f, "{slot}/{below}"),
        }
    }
}

impl fmt::Display for SlotTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotTopic::State => f.write_str("state"),
            SlotTopic::Info => f.write_str("info"),
            SlotTopic::Relay(relay) => write!(f, "relay/{relay}"),
            SlotTopic::RelayEvents(relay) => write!(f, "relay/{relay}/events"),
            SlotTopic::Signal(signal) => write!(f, "signal/{signal}"),
        }
    }
}

/// The topics of one bridge under one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
    bridge: DeviceId,
}

impl Topics {
    /// Topics under `prefix`, which has no slash at either end.
    pub fn new(prefix: impl Into<String>, bridge: DeviceId) -> Topics {
        Topics {
            prefix: prefix.into(),
            bridge,
        }
    }

    /// A state topic.
    pub fn state(&self, topic: &StateTopic) -> String {
        let Topics { prefix, bridge } = self;
        match topic {
            StateTopic::BridgeState => format!("{prefix}/bridge/{bridge}/state"),
            StateTopic::BridgeInfo => format!("{prefix}/bridge/{bridge}/info"),
            StateTopic::Device(device, below) => format!("{prefix}/{device}/{below}"),
        }
    }

    /// What every state topic of `device` begins with, and no other one does.
    pub fn of_device(&self, device: &DeviceId) -> String {
        format!("{}/{device}/", self.prefix)
    }

    /// What every state topic of this bridge itself begins with, and no other one does.
    pub fn of_bridge(&self) -> String {
        format!("{}/bridge/{}/", self.prefix, self.bridge)
    }

    /// The state topic that `topic` is, and the field of it where it is one of the scalar layout
    /// (`position`, `last/at`). `None` for anything else, another bridge's topics included.
    pub fn parse<'a>(&self, topic: &'a str) -> Option<(StateTopic, Option<&'a str>)> {
        let below_prefix = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let (first, rest) = below_prefix.split_once('/')?;
        let (topic, field) = if first == "bridge" {
            let rest = rest.strip_prefix(self.bridge.as_str())?.strip_prefix('/')?;
            match split(rest) {
                ("state", field) => (StateTopic::BridgeState, field),
                ("info", field) => (StateTopic::BridgeInfo, field),
                _ => return None,
            }
        } else {
            let device = DeviceId::new(first).filter(|_| !NOT_DEVICES.contains(&first))?;
            let (below, field) = parse_device(rest)?;
            (StateTopic::Device(device, below), field)
        };
        let fits = field.is_none_or(|field| !topic.is_plain() && is_field(field));
        fits.then_some((topic, field))
    }
}

/// The topic of one field of `topic` in the scalar layout.
pub fn field(topic: &str, path: &[&str]) -> String {
    let mut field = String::with_capacity(topic.len() + 16);
    field.push_str(topic);
    for level in path {
        // Writing into a String cannot fail.
        let _ = write!(field, "/{level}");
    }
    field
}

fn parse_device(topic: &str) -> Option<(DeviceTopic, Option<&str>)> {
    let (first, rest) = split(topic);
    match (first, rest) {
        ("state", field) => Some((DeviceTopic::State, field)),
        ("info", field) => Some((DeviceTopic::Info, field)),
        ("error", field) => Some((DeviceTopic::Error, field)),
        ("event", Some(rest)) => {
            let (name, field) = split(rest);
            let event = EventName::canonical(name).filter(|event| event.as_str() == name)?;
            Some((DeviceTopic::Event(event), field))
        }
        ("http", Some(rest)) => match split(rest) {
            ("stats", field) => Some((DeviceTopic::HttpStats, field)),
            ("sessions", field) => Some((DeviceTopic::HttpSessions, field)),
            _ => None,
        },
        (slot, Some(rest)) if !NOT_SLOTS.contains(&slot) => {
            let (below, field) = parse_slot(rest)?;
            Some((DeviceTopic::Slot(SlotId::new(slot)?, below), field))
        }
        _ => None,
    }
}

fn parse_slot(topic: &str) -> Option<(SlotTopic, Option<&str>)> {
    match split(topic) {
        ("state", field) => Some((SlotTopic::State, field)),
        ("info", field) => Some((SlotTopic::Info, field)),
        ("relay", Some(rest)) => {
            let (name, rest) = split(rest);
            let relay = Relay::from_name(name)?;
            match rest.map(split) {
                Some(("events", field)) => Some((SlotTopic::RelayEvents(relay), field)),
                _ => Some((SlotTopic::Relay(relay), rest)),
            }
        }
        ("signal", Some(rest)) => {
            let (name, field) = split(rest);
            Some((SlotTopic::Signal(Signal::from_name(name)?), field))
        }
        _ => None,
    }
}

/// The first level and what is below it.
fn split(topic: &str) -> (&str, Option<&str>) {
    match topic.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (topic, None),
    }
}

/// Whether `path` can be a field: `set` is where commands arrive.
fn is_field(path: &str) -> bool {
    let mut levels = path.split('/');
    path.split('/').all(is_valid_id) && levels.next() != Some("set")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topics() -> Topics {
        Topics::new("site/lantime", DeviceId::new("b1").unwrap())
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        let device = |below| StateTopic::Device(DeviceId::new("m3000-a").unwrap(), below);
        let slot = |below| device(DeviceTopic::Slot(SlotId::new("io3").unwrap(), below));
        let event = EventName::canonical("ntp-not-sync").unwrap();
        for (topic, text) in [
            (StateTopic::BridgeState, "bridge/b1/state"),
            (StateTopic::BridgeInfo, "bridge/b1/info"),
            (device(DeviceTopic::State), "m3000-a/state"),
            (device(DeviceTopic::Info), "m3000-a/info"),
            (device(DeviceTopic::Error), "m3000-a/error"),
            (device(DeviceTopic::Event(event)), "m3000-a/event/ntp-not-sync"),
            (device(DeviceTopic::HttpSessions), "m3000-a/http/sessions"),
            (device(DeviceTopic::HttpStats), "m3000-a/http/stats"),
            (slot(SlotTopic::State), "m3000-a/io3/state"),
            (slot(SlotTopic::Info), "m3000-a/io3/info"),
            (slot(SlotTopic::Relay(Relay::A)), "m3000-a/io3/relay/a"),
            (
                slot(SlotTopic::RelayEvents(Relay::C)),
                "m3000-a/io3/relay/c/events",
            ),
            (
                slot(SlotTopic::Signal(Signal::TenMhz)),
                "m3000-a/io3/signal/10mhz",
            ),
        ] {
            assert_eq!(topics().state(&topic), format!("site/lantime/{text}"));
        }
    }

    #[test]
    fn what_is_not_retained_state_of_this_bridge_is_not_parsed() {
        for foreign in [
            "",
            "site",
            "site/lantime",
            "site/lantime/m",
            "site/lantimes/m/state",
            "other/m/state",
            "site/lantime/bridge/b2/state",
            "site/lantime/bridge/b1",
            "site/lantime/bridge/b1/dead-letters/replay",
            "site/lantime/dead-letter/m",
            "site/lantime/dead-letter/state",
            "site/lantime/m/events",
            "site/lantime/m/refresh",
            "site/lantime/m/state/x",
            "site/lantime/m/event",
            "site/lantime/m/event/faillock:-user-banned",
            "site/lantime/m/http/sessions/set",
            "site/lantime/m/io3/changes",
            "site/lantime/m/io3/relay/d",
            "site/lantime/m/io3/relay/a/",
            "site/lantime/m/io3/relay/a/events/set",
            "site/lantime/m/io3/relay/a/events/set/reply",
            "site/lantime/m/io3/signal/clk9",
            "site/lantime/M/state",
            "site/lantime//state",
        ] {
            assert_eq!(topics().parse(foreign), None, "{foreign}");
        }
    }

    fn any_topic() -> impl Strategy<Value = StateTopic> {
        let id = "[a-z0-9_-]{1,12}";
        let relay = prop::sample::select(&Relay::ALL[..]);
        let signal = prop::sample::select(&Signal::ALL[..]);
        let slot = prop_oneof![
            Just(SlotTopic::State),
            Just(SlotTopic::Info),
            relay.clone().prop_map(SlotTopic::Relay),
            relay.prop_map(SlotTopic::RelayEvents),
            signal.prop_map(SlotTopic::Signal),
        ];
        let slot_id = id.prop_filter_map("a slot's id", |id| {
            SlotId::new(id.clone()).filter(|_| !NOT_SLOTS.contains(&id.as_str()))
        });
        let below = prop_oneof![
            Just(DeviceTopic::State),
            Just(DeviceTopic::Info),
            Just(DeviceTopic::Error),
            Just(DeviceTopic::HttpStats),
            Just(DeviceTopic::HttpSessions),
            id.prop_filter_map("an event's name", |id| EventName::canonical(&id))
                .prop_map(DeviceTopic::Event),
            (slot_id, slot).prop_map(|(id, slot)| DeviceTopic::Slot(id, slot)),
        ];
        let device = id.prop_filter_map("a device's id", |id| {
            DeviceId::new(id.clone()).filter(|_| !NOT_DEVICES.contains(&id.as_str()))
        });
        prop_oneof![
            Just(StateTopic::BridgeState),
            Just(StateTopic::BridgeInfo),
            (device, below).prop_map(|(device, below)| StateTopic::Device(device, below)),
        ]
    }

    proptest! {
        #[test]
        fn every_topic_parses_to_itself(topic in any_topic()) {
            let text = topics().state(&topic);
            prop_assert_eq!(topics().parse(&text), Some((topic, None)));
        }

        #[test]
        fn every_field_parses_to_its_topic(topic in any_topic(), name in "[a-z0-9_]{1,9}") {
            prop_assume!(!topic.is_plain() && name != "set" && name != "events");
            let text = field(&topics().state(&topic), &["last", &name]);
            let path = format!("last/{name}");
            prop_assert_eq!(topics().parse(&text), Some((topic, Some(path.as_str()))));
        }

        #[test]
        fn a_device_and_its_prefix_agree(topic in any_topic()) {
            let text = topics().state(&topic);
            match topic.device() {
                Some(device) => prop_assert!(text.starts_with(&topics().of_device(device))),
                None => prop_assert!(text.starts_with(&topics().of_bridge())),
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(site/lantime/)?.{0,40}") {
            let _ = topics().parse(&text);
        }

        #[test]
        fn what_is_parsed_is_built_the_same(text in "site/lantime(/[a-z0-9]{1,6}|/bridge|/b1|/relay|/a|/state|/event|/http|/stats){1,6}") {
            if let Some((topic, below)) = topics().parse(&text) {
                let built = topics().state(&topic);
                let whole = below.map_or(built.clone(), |path| field(&built, &[path]));
                prop_assert_eq!(whole, text);
            }
        }
    }
}
