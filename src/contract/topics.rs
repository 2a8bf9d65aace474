//! Every topic of the bridge, built and parsed: no topic string stands anywhere else.
//!
//! Owns the form of topics; what is published there belongs to [`super::state`]. Topics of retained state
//! are here, those of commands, of records and of other people's conventions in files of their own.
//!
//! ```
//! use lantime2mqtt::model::{DeviceId, Relay, ShardId, SlotId};
//! use lantime2mqtt::contract::topics::{DeviceTopic, SlotTopic, StateTopic, Topics};
//!
//! let topics = Topics::new("lantime", DeviceId::new("site-1").unwrap());
//! assert_eq!(topics.state(&StateTopic::OwnState), "lantime/bridge/site-1/state");
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
//!
//! // In a cluster a shard has a state of its own, whichever bridge owns it.
//! let topics = topics.of_shard(ShardId(3));
//! assert_eq!(topics.state(&StateTopic::OwnState), "lantime/shard/03/state");
//! ```

mod command;
mod discovery;
mod record;

use std::fmt;

pub use crate::model::{CommandTopic, DeviceTopic, SlotTopic};
pub use command::reply_topic;
pub use discovery::{Component, DiscoveryTopics, Owner};
pub use record::Destination;

use crate::model::id::is_valid_id;
use crate::model::{DeviceId, EventName, Relay, ShardId, Signal, SlotId};

/// Second levels that are not a device's.
const NOT_DEVICES: [&str; 2] = ["bridge", "dead-letter"];

/// Levels below a device that are not a slot's.
const NOT_SLOTS: [&str; 7] = ["state", "info", "error", "event", "events", "http", "refresh"];

/// A topic that carries retained state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateTopic {
    /// `{prefix}/bridge/{bridge}/state`, or `{prefix}/shard/{shard}/state`: whether what stands at the topics of devices is
    /// kept up to date. Also the topic of the last will.
    OwnState,
    /// `{prefix}/bridge/{bridge}/info`
    BridgeInfo,
    /// `{prefix}/shard/{shard}/topics`: which devices have topics, for the next owner.
    ShardTopics,
    /// Below `{prefix}/{device}`.
    Device(DeviceId, DeviceTopic),
}

impl StateTopic {
    /// Whether it is the same in every layout: one plain word, or what only bridges read.
    pub fn is_plain(&self) -> bool {
        matches!(
            self,
            StateTopic::OwnState
                | StateTopic::ShardTopics
                | StateTopic::Device(_, DeviceTopic::State | DeviceTopic::Slot(_, SlotTopic::State))
        )
    }

    /// The device that it belongs to.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            StateTopic::Device(device, _) => Some(device),
            StateTopic::OwnState | StateTopic::BridgeInfo | StateTopic::ShardTopics => None,
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

/// The topics of one bridge under one prefix, or of one of its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
    bridge: DeviceId,
    shard: Option<ShardId>,
}

impl Topics {
    /// Topics under `prefix`, which has no slash at either end.
    pub fn new(prefix: impl Into<String>, bridge: DeviceId) -> Topics {
        Topics {
            prefix: prefix.into(),
            bridge,
            shard: None,
        }
    }

    /// The topics of that shard: its own state is not the bridge's.
    #[must_use]
    pub fn of_shard(&self, shard: ShardId) -> Topics {
        Topics {
            shard: Some(shard),
            ..self.clone()
        }
    }

    /// What the topic of our own state begins with, and no topic of a device.
    fn own(&self) -> String {
        match self.shard {
            None => format!("{}/bridge/{}", self.prefix, self.bridge),
            Some(shard) => format!("{}/shard/{shard}", self.prefix),
        }
    }

    /// A state topic.
    pub fn state(&self, topic: &StateTopic) -> String {
        let Topics { prefix, bridge, .. } = self;
        match topic {
            StateTopic::OwnState => format!("{}/state", self.own()),
            StateTopic::BridgeInfo => format!("{prefix}/bridge/{bridge}/info"),
            StateTopic::ShardTopics => format!("{}/topics", self.own()),
            StateTopic::Device(device, below) => format!("{prefix}/{device}/{below}"),
        }
    }

    /// What all of them begin with.
    pub(crate) fn all(&self) -> String {
        format!("{}/", self.prefix)
    }

    /// What every state topic of `device` begins with, and no other one does.
    pub fn of_device(&self, device: &DeviceId) -> String {
        format!("{}/{device}/", self.prefix)
    }

    /// What every state topic of this bridge or shard itself begins with, and no other one does.
    pub fn of_bridge(&self) -> String {
        format!("{}/", self.own())
    }

    /// What these topics are of, where that is a shard: its number, and the bridge that owns it.
    pub fn shard(&self) -> Option<(ShardId, &DeviceId)> {
        Some((self.shard?, &self.bridge))
    }

    /// Filters of our own `state` and of that of all devices below the prefix, those of other bridges included.
    pub fn own_state_filters(&self) -> [String; 2] {
        [
            self.state(&StateTopic::OwnState),
            format!("{}/+/state", self.prefix),
        ]
    }

    /// Filters of the own state of all bridges below the prefix, and of the state of all devices there.
    pub fn all_state_filters(&self) -> [String; 2] {
        let prefix = &self.prefix;
        [format!("{prefix}/bridge/+/state"), format!("{prefix}/+/state")]
    }

    /// The bridge whose own state `topic` is: this one or another one below the prefix.
    pub fn parse_bridge_state<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let below = self.below_prefix(topic)?.strip_prefix("bridge/")?;
        below.strip_suffix("/state").filter(|bridge| is_valid_id(bridge))
    }

    /// The state topic that `topic` is, and the field of it where it is one of the scalar layout
    /// (`position`, `last/at`). `None` for anything else, another bridge's topics included.
    pub fn parse<'a>(&self, topic: &'a str) -> Option<(StateTopic, Option<&'a str>)> {
        let (first, rest) = self.below_prefix(topic)?.split_once('/')?;
        let own = topic
            .strip_prefix(&self.own())
            .and_then(|rest| rest.strip_prefix('/'));
        let (topic, field) = if let Some(rest) = own {
            match split(rest) {
                ("state", field) => (StateTopic::OwnState, field),
                ("info", field) if self.shard.is_none() => (StateTopic::BridgeInfo, field),
                ("topics", field) if self.shard.is_some() => (StateTopic::ShardTopics, field),
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

/// The topic of the field at `path` of the object at `topic`, in the scalar layout.
pub fn field(topic: &str, path: &str) -> String {
    format!("{topic}/{path}")
}

/// The longest topic: MQTT counts its bytes in 16 bits.
const MAX_TOPIC: usize = u16::MAX as usize;

/// Whether `filter` stands for more than one topic.
pub fn has_wildcard(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// Whether a broker may be given a message at `topic`: not empty, not too long, without wildcards and NUL.
pub fn is_publishable(topic: &str) -> bool {
    (1..=MAX_TOPIC).contains(&topic.len()) && !has_wildcard(topic) && !topic.contains('\0')
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
mod tests;
