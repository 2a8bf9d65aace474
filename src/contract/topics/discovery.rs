//! Topics of Home Assistant's MQTT discovery: where the configuration of each entity is retained.
//!
//! They are the same whichever bridge has the device, since entities are known by them.
//!
//! ```
//! use lantime2mqtt::model::DeviceId;
//! use lantime2mqtt::contract::topics::{Component, DiscoveryTopics, Owner, Topics};
//!
//! let id = |id: &str| DeviceId::new(id).unwrap();
//! let topics = DiscoveryTopics::new("homeassistant", Topics::new("site/lantime", id("b1")));
//! let owner = Owner::Device(id("m1"));
//! let topic = topics.config(Component::BinarySensor, &owner, "io3_relay_a");
//! assert_eq!(topic, "homeassistant/binary_sensor/site_lantime_device_m1/io3_relay_a/config");
//! assert_eq!(topics.owner(&topic), Some(owner));
//! ```

use super::Topics;
use crate::model::DeviceId;
use crate::model::id::is_valid_id;

/// A platform of Home Assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// On, off or unknown.
    BinarySensor,
    /// Something to press.
    Button,
    /// A text or a number.
    Sensor,
    /// On or off, and to be changed.
    Switch,
}

impl Component {
    /// All that the bridge uses.
    pub const ALL: [Component; 4] = [
        Component::BinarySensor,
        Component::Button,
        Component::Sensor,
        Component::Switch,
    ];

    /// The name in topics.
    pub fn as_str(self) -> &'static str {
        match self {
            Component::BinarySensor => "binary_sensor",
            Component::Button => "button",
            Component::Sensor => "sensor",
            Component::Switch => "switch",
        }
    }
}

/// Whose entities they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This bridge.
    Bridge,
    /// A device, and its slots.
    Device(DeviceId),
}

/// The discovery topics of one bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryTopics {
    discovery_prefix: String,
    topics: Topics,
}

impl DiscoveryTopics {
    /// Topics under `discovery_prefix`, which has no slash at either end.
    pub fn new(discovery_prefix: impl Into<String>, topics: Topics) -> DiscoveryTopics {
        DiscoveryTopics {
            discovery_prefix: discovery_prefix.into(),
            topics,
        }
    }

    /// What all of them begin with, and others' too.
    pub fn all(&self) -> String {
        format!("{}/", self.discovery_prefix)
    }

    /// The second level but one: unique at the broker, whatever else is discovered there.
    pub fn node(&self, owner: &Owner) -> String {
        let Topics { prefix, bridge, .. } = &self.topics;
        let prefix = prefix.replace('/', "_");
        match owner {
            Owner::Bridge => format!("{prefix}_bridge_{bridge}"),
            Owner::Device(device) => format!("{prefix}_device_{device}"),
        }
    }

    /// Where the configuration of an entity is retained.
    pub fn config(&self, component: Component, owner: &Owner, object: &str) -> String {
        format!("{}{object}/config", self.of_component(component, owner))
    }

    /// What every discovery topic of `owner` begins with, and no other one does.
    pub fn of_owner(&self, owner: &Owner) -> [String; 4] {
        Component::ALL.map(|component| self.of_component(component, owner))
    }

    fn of_component(&self, component: Component, owner: &Owner) -> String {
        let (component, node) = (component.as_str(), self.node(owner));
        format!("{}/{component}/{node}/", self.discovery_prefix)
    }

    /// Whose discovery topic that is; `None` for any other topic, and for another bridge's own.
    pub fn owner(&self, topic: &str) -> Option<Owner> {
        let below = topic.strip_prefix(&self.discovery_prefix)?.strip_prefix('/')?;
        let levels: Vec<_> = below.split('/').collect();
        let [component, node, object, "config"] = levels[..] else {
            return None;
        };
        let is_ours = Component::ALL.iter().any(|known| known.as_str() == component);
        if !is_ours || !is_valid_id(object) {
            return None;
        }
        if node == self.node(&Owner::Bridge) {
            return Some(Owner::Bridge);
        }
        let prefix = self.topics.prefix.replace('/', "_");
        let device = node.strip_prefix(&prefix)?.strip_prefix("_device_")?;
        DeviceId::new(device).map(Owner::Device)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topics() -> DiscoveryTopics {
        let bridge = DeviceId::new("b1").unwrap();
        DiscoveryTopics::new("home/assistant", Topics::new("site/lantime", bridge))
    }

    #[test]
    fn what_others_publish_is_nobodys_here() {
        for foreign in [
            "",
            "home/assistant",
            "home/assistant/sensor/other/x/config",
            "home/assistant/sensor/site_lantime_bridge_b2/x/config",
            "home/assistant/sensor/site_lantime_device_/x/config",
            "home/assistant/sensor/site_lantime_device_m1/x",
            "home/assistant/sensor/site_lantime_device_m1/x/state",
            "home/assistant/light/site_lantime_device_m1/x/config",
            "home/assistant/sensor/site_lantime_device_m1/x/y/config",
            "homeassistant/sensor/site_lantime_device_m1/x/config",
            "site/lantime/m1/state",
        ] {
            assert_eq!(topics().owner(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn every_topic_names_its_owner(device in "[a-z0-9_-]{1,12}", object in "[a-z0-9_-]{1,12}") {
            for owner in [Owner::Bridge, Owner::Device(DeviceId::new(device.clone()).unwrap())] {
                let prefixes = topics().of_owner(&owner);
                for (component, prefix) in Component::ALL.into_iter().zip(prefixes) {
                    let topic = topics().config(component, &owner, &object);
                    prop_assert!(topic.starts_with(&prefix) && topic.starts_with(&topics().all()));
                    prop_assert_eq!(topics().owner(&topic), Some(owner.clone()));
                }
            }
        }
    }
}
