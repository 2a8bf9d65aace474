//! Whether another bridge may publish devices with the ids that are appended to a configuration.

use std::path::Path;

use crate::config::{self, Broker, Mqtt};
use crate::logging;
use crate::model::DeviceId;
use crate::mqtt::neighbours::neighbours;

/// The bridge that has the configuration, and its broker.
pub(super) struct Site {
    mqtt: Mqtt,
    bridge: DeviceId,
}

impl Site {
    /// `None` where the configuration cannot be read, or its broker is that of the bridge alone.
    pub(super) fn of(file: &Path) -> Option<Site> {
        let config = config::load(file, std::env::vars_os()).ok()?.config;
        let is_remote = matches!(config.mqtt.broker, Broker::Remote { .. });
        is_remote.then_some(Site {
            mqtt: config.mqtt,
            bridge: config.bridge.id,
        })
    }

    /// Warns of each id that the broker has a device of, while another bridge is online there. Nothing is said where the
    /// broker cannot be asked: `doctor` says why.
    pub(super) async fn warn(&self, ids: &[String]) {
        let Ok(mut found) = neighbours(&self.mqtt, self.bridge.clone()).await else {
            return;
        };
        found.online.remove(self.bridge.as_str());
        if found.online.is_empty() {
            return;
        }
        let others = Vec::from_iter(found.online).join(", ");
        for id in ids.iter().filter(|id| found.devices.contains(*id)) {
            logging::complain(&format!(
                "warning: the broker has a device {id:?} already, and another bridge is online there ({others}): two \
                 bridges would overwrite each other's topics; give this one another id, or leave the device to that bridge"
            ));
        }
    }
}
