//! What every part of this bridge is made with.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Config, Device, Mqtt};
use crate::contract::state::BridgeInfo;
use crate::contract::topics::Topics;
use crate::model::DeviceId;
use crate::records::store::Store;

/// Longest keep-alive of a bridge in a cluster.
const CLUSTER_KEEP_ALIVE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Common {
    pub(super) config: Config,
    pub(super) store: Store,
    /// Where it finds the broker: what is configured but for the port of an embedded one.
    pub(super) mqtt: Mqtt,
    pub(super) topics: Topics,
    pub(super) info: BridgeInfo,
}

impl Common {
    /// For a broker that is found as `mqtt` says.
    pub(super) fn new(config: Config, store: Store, mut mqtt: Mqtt) -> Common {
        if config.cluster.is_some() {
            // Another bridge can go on for one whose way to the broker is cut.
            mqtt.keep_alive = mqtt.keep_alive.min(CLUSTER_KEEP_ALIVE);
        }
        Common {
            topics: Topics::new(config.mqtt.prefix.clone(), config.bridge.id.clone()),
            info: bridge_info(&config),
            config,
            store,
            mqtt,
        }
    }

    /// The configured devices.
    pub(super) fn ids(&self) -> Vec<DeviceId> {
        let devices = self.config.devices.iter();
        devices.map(|device| device.id.clone()).collect()
    }
}

/// What the bridge says of itself.
fn bridge_info(config: &Config) -> BridgeInfo {
    BridgeInfo {
        version: env!("CARGO_PKG_VERSION"),
        started_at: Timestamp::now(),
        devices: config.devices.len(),
        mqtt_version: config.mqtt.version.as_str(),
        capabilities: capabilities(config),
    }
}

/// What this bridge does, as its `info` lists it.
fn capabilities(config: &Config) -> Vec<String> {
    let traps = config.snmp.traps.as_ref().map(|_| "traps");
    let agent = config.snmp.agent.as_ref().map(|_| "snmp-agent");
    let asks = |device: &Arc<Device>| device.snmp.access.is_some();
    let snmp = config.devices.iter().any(asks).then_some("snmp");
    let homeassistant = config.homeassistant.as_ref().map(|_| "homeassistant");
    let sparkplug = config.sparkplug.as_ref().map(|_| "sparkplug");
    let cluster = config.cluster.as_ref().map(|_| "cluster");
    ["rest", "commands"]
        .into_iter()
        .chain(
            [snmp, traps, agent, homeassistant, sparkplug, cluster]
                .into_iter()
                .flatten(),
        )
        .map(str::to_owned)
        .collect()
}
