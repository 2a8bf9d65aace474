//! The configuration, checked and typed.
//!
//! `keys` has the table of all keys: type, bounds, default, what is said of what is wrong, and what the manual says.
//! [`load`](load()) reads the files and lays the environment over them (`settings`). The file of each section (`mqtt`,
//! `device`, `snmp` and so on) has its types, takes each key from a `section`, and gives these types or a list of
//! [`Problem`]s. The whole, and the sections of one or two keys, are here. Nothing connects to anything.

mod access;
mod cluster;
mod device;
mod environment;
mod homeassistant;
mod http;
mod keys;
mod load;
mod log;
mod mqtt;
mod parse;
mod print;
mod problem;
pub mod secret;
mod section;
mod settings;
mod slots;
mod snmp;
mod sparkplug;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use access::is_world_readable;
pub use cluster::{Cluster, EtcdUser};
pub use device::profile::{BUILT_IN_PROFILES, ProfileChoice};
pub use device::proxy::Proxy;
pub use device::{Auth, Device, HttpSessionsConfig};
pub use homeassistant::HomeAssistant;
pub use http::Http;
pub use load::{ListedDevice, Loaded, from_table, list_devices, load, load_store};
pub(crate) use log::log_filter;
pub use log::{Log, LogFormat};
pub use mqtt::broker::{Broker, Transport};
pub use mqtt::{Credentials, Layout, Mqtt, MqttVersion};
pub(crate) use parse::{from_hex, span};
pub use problem::{ConfigError, Place, Problem, grouped};
pub use secret::Secret;
pub use settings::Settings;
pub use snmp::agent::{SnmpAgent, SnmpSink, SnmpSinkAccess};
pub use snmp::device::{DeviceSnmp, EventsWay, SnmpAccess, SnmpRead};
pub use snmp::user::{AuthProtocol, PrivProtocol, SnmpUser};
pub use snmp::{Snmp, Traps};
pub use sparkplug::Sparkplug;

use crate::model::DeviceId;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This bridge.
    pub bridge: Bridge,
    /// The broker and how to publish there.
    pub mqtt: Mqtt,
    /// The bridge's own HTTP server.
    pub http: Http,
    /// SNMP.
    pub snmp: Snmp,
    /// Discovery by Home Assistant, where it is wanted.
    pub homeassistant: Option<HomeAssistant>,
    /// The bridge as an edge node of Sparkplug; `None` for none.
    pub sparkplug: Option<Sparkplug>,
    /// The cluster that this bridge is one of; `None` for a bridge that works alone.
    pub cluster: Option<Cluster>,
    /// Dead letters.
    pub dead_letter: DeadLetters,
    /// What is kept of changes.
    pub history: History,
    /// The durable store.
    pub state: State,
    /// Log lines.
    pub log: Log,
    /// The devices.
    pub devices: Vec<Arc<Device>>,
}

impl Config {
    /// The sections that differ and that a reload does not touch: they take effect with a restart.
    pub fn changed_outside_devices(&self, other: &Config) -> Vec<&'static str> {
        let sections = [
            ("bridge", self.bridge != other.bridge),
            ("mqtt", self.mqtt != other.mqtt),
            ("http", self.http != other.http),
            ("snmp", self.snmp != other.snmp),
            ("homeassistant", self.homeassistant != other.homeassistant),
            ("sparkplug", self.sparkplug != other.sparkplug),
            ("cluster", self.cluster != other.cluster),
            ("dead_letter", self.dead_letter != other.dead_letter),
            ("history", self.history != other.history),
            ("state", self.state != other.state),
            // A reload does change the level.
            ("log", self.log.format != other.log.format),
        ];
        let changed = sections.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| name).collect()
    }
}

/// What leads to the store of a bridge, and identifies its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The bridge.
    pub bridge: Bridge,
    /// First levels of every topic, without a slash at either end.
    pub prefix: String,
    /// Dead letters.
    pub dead_letter: DeadLetters,
    /// What is kept of changes.
    pub history: History,
    /// Whether the bridge belongs to a cluster.
    pub is_in_cluster: bool,
    /// Where the store is.
    pub state: State,
}

/// `[bridge]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The bridge's id: one topic level, distinct among the bridges that share a prefix.
    pub id: DeviceId,
    /// Whether commands below the prefix for what is not there are answered: for the only bridge of a prefix.
    pub answer_unknown: bool,
}

/// `[dead_letter]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// Time from one dead letter about a failure that lasts to the next.
    pub repeat: Duration,
    /// How many are kept in the archive.
    pub keep: usize,
}

/// `[history]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// How long entries are kept; zero for no history.
    pub keep: Duration,
    /// How many are kept at most.
    pub max_entries: usize,
}

/// `[state]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Directory of the durable store.
    pub directory: PathBuf,
}
