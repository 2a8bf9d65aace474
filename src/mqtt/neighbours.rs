//! Who else is at the broker below a prefix: other bridges, and the devices that have a state there. Nothing is published.

use std::collections::BTreeSet;

use super::read_back::read_below;
use crate::config::Mqtt;
use crate::contract::topics::{DeviceTopic, StateTopic, Topics};
use crate::model::DeviceId;

/// What is retained there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Bridges that are online.
    pub online: BTreeSet<String>,
    /// Devices that have a state, whatever it is: also of bridges that do not run.
    pub devices: BTreeSet<String>,
}

impl Neighbours {
    fn note(&mut self, topics: &Topics, topic: &str, payload: &[u8]) {
        if let Some(bridge) = topics.parse_bridge_state(topic) {
            if payload == b"online" {
                self.online.insert(bridge.to_owned());
            }
        } else if let Some((StateTopic::Device(device, DeviceTopic::State), None)) = topics.parse(topic) {
            self.devices.insert(device.to_string());
        }
    }
}

/// Looks for them as a client of its own; takes some seconds, since no broker says when it has sent all. `bridge` is the one
/// that looks.
///
/// # Errors
/// Why it is not known.
pub async fn neighbours(settings: &Mqtt, bridge: DeviceId) -> Result<Neighbours, String> {
    let topics = Topics::new(&settings.prefix, bridge);
    let settings = Mqtt {
        client_id: format!("{}-probe", settings.client_id),
        ..settings.clone()
    };
    let mut found = Neighbours::default();
    let take = |topic: &str, payload: &[u8]| {
        found.note(&topics, topic, payload);
        false
    };
    read_below(&settings, 0, &topics.all_state_filters(), take).await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_that_are_online_and_devices_are_noted() {
        let topics = Topics::new("lantime", DeviceId::new("b1").unwrap());
        let mut found = Neighbours::default();
        for (topic, payload) in [
            ("lantime/bridge/b1/state", "online"),
            ("lantime/bridge/b2/state", "offline"),
            ("lantime/bridge/state", "online"),
            ("lantime/m1/state", "offline"),
            ("elsewhere/m2/state", "online"),
            ("lantime/m3/io3/state", "online"),
        ] {
            found.note(&topics, topic, payload.as_bytes());
        }
        let expected = Neighbours {
            online: ["b1".to_owned()].into(),
            devices: ["m1".to_owned()].into(),
        };
        assert_eq!(found, expected);
    }
}
