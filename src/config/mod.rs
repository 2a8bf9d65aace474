//! The configuration, checked and typed.
//!
//! [`load`](load()) lays the environment over the file. `mqtt`, `device` and `slots` ask a `section` for each
//! key they know, with its type and its bounds (`parse`, `url`, `access`), and give the types below or a list
//! of [`Problem`]s. Nothing here connects to anything.

mod access;
mod device;
mod environment;
mod homeassistant;
mod http;
mod load;
mod log;
mod mqtt;
mod parse;
mod places;
mod problem;
pub mod secret;
mod section;
mod slots;
mod snmp;
mod sparkplug;
mod url;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use load::{Loaded, from_table, load, load_store};
pub use log::{Log, LogFormat};
pub use problem::{ConfigError, Problem};
pub use secret::Secret;

use crate::model::DeviceId;
use crate::model::derive::Slots;
use crate::tls::ClientTls;

/// Names of the API profiles that the program brings along.
pub const BUILT_IN_PROFILES: [&str; 3] = ["api-10", "api-16", "api-20"];

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
    /// Dead letters.
    pub dead_letter: DeadLetters,
    /// The durable store.
    pub state: State,
    /// Log lines.
    pub log: Log,
    /// The devices.
    pub devices: Vec<Device>,
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
            ("dead_letter", self.dead_letter != other.dead_letter),
            ("state", self.state != other.state),
            // A reload does change the level.
            ("log", self.log.format != other.log.format),
        ];
        let changed = sections.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| name).collect()
    }
}

/// What leads to the store of a bridge, and tells whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The bridge.
    pub bridge: Bridge,
    /// First levels of every topic, without a slash at either end.
    pub prefix: String,
    /// Dead letters.
    pub dead_letter: DeadLetters,
    /// Where the store is.
    pub state: State,
}

/// `[bridge]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The bridge's id: one topic level, distinct among the bridges that share a prefix.
    pub id: DeviceId,
}

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// Which broker.
    pub broker: Broker,
    /// Protocol version.
    pub version: MqttVersion,
    /// First levels of every topic, without a slash at either end.
    pub prefix: String,
    /// How state is laid out in topics.
    pub layout: Layout,
    /// Client id of the state connection; other connections append to it.
    pub client_id: String,
    /// User name and password.
    pub credentials: Option<Credentials>,
    /// Trust and client certificate, for `mqtts` and `wss`.
    pub tls: ClientTls,
    /// Keep-alive.
    pub keep_alive: Duration,
    /// How long the broker keeps commands for a bridge that is away (MQTT 5).
    pub session_expiry: Duration,
}

/// User name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Option<Secret>,
}

/// Which broker the bridge talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broker {
    /// A broker somewhere else.
    Remote {
        /// How to get there.
        transport: Transport,
        /// Host name or address; an IPv6 address without brackets.
        host: String,
        /// TCP port.
        port: u16,
        /// Path of a websocket, with its leading slash; empty for others.
        path: String,
    },
    /// A broker inside this process.
    Embedded {
        /// Where it listens for MQTT.
        listen: SocketAddr,
        /// Where it listens for MQTT over websockets.
        websocket: Option<SocketAddr>,
    },
}

/// Transport to a remote broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `mqtt://`
    Tcp,
    /// `mqtts://`
    Tls,
    /// `ws://`
    WebSocket,
    /// `wss://`
    WebSocketTls,
}

/// MQTT protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MqttVersion {
    /// MQTT 5.
    V5,
    /// MQTT 3.1.1.
    V311,
}

impl MqttVersion {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            MqttVersion::V5 => "5",
            MqttVersion::V311 => "3.1.1",
        }
    }
}

/// How state is laid out in topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One JSON object per topic.
    Json,
    /// One topic per field.
    Scalar,
    /// Both.
    Both,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where the bridge's own HTTP server listens; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// Who has it may change something; `None`: nobody may.
    pub token: Option<Secret>,
    /// Host names by which the server may be asked, in lower case, beside addresses, `localhost` and the machine's own.
    pub hosts: Vec<String>,
}

/// `[snmp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snmp {
    /// What takes traps and informs; `None` for nothing.
    pub traps: Option<Traps>,
    /// The bridge as an agent; `None` for none.
    pub agent: Option<SnmpAgent>,
}

/// `[snmp.agent]`: the bridge as an agent. Nothing is writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpAgent {
    /// Where it listens, by UDP; notifications are sent from there too.
    pub listen: SocketAddr,
    /// Who may read with SNMP v2c.
    pub communities: Vec<Secret>,
    /// Who may read with SNMP v3.
    pub users: Vec<SnmpUser>,
    /// Where its MIB stands: an OID below the enterprises.
    pub root: Vec<u32>,
    /// Who is told of changes.
    pub sinks: Vec<SnmpSink>,
}

/// Who is told of changes by notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpSink {
    /// Where it is, by UDP.
    pub address: SocketAddr,
    /// As whom the bridge sends.
    pub access: SnmpSinkAccess,
}

/// As whom the bridge sends notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnmpSinkAccess {
    /// SNMP v2c.
    Community(Secret),
    /// SNMP v3.
    User(SnmpUser),
}

/// What takes traps and informs of all devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traps {
    /// Where it listens, by UDP.
    pub listen: SocketAddr,
    /// Who may send with SNMP v1 and v2c.
    pub communities: Vec<Secret>,
    /// Who may send with SNMP v3.
    pub users: Vec<SnmpUser>,
}

/// A user of SNMP v3, always with authentication and encryption (authPriv).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpUser {
    /// The securityName.
    pub name: String,
    /// How messages are authenticated.
    pub auth: AuthProtocol,
    /// The password for that.
    pub auth_password: Secret,
    /// How messages are encrypted.
    pub privacy: PrivProtocol,
    /// The password for that.
    pub priv_password: Secret,
}

/// How SNMP v3 authenticates messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthProtocol {
    /// HMAC-SHA-1 (RFC 3414).
    Sha1,
    /// HMAC-SHA-256 (RFC 7860).
    Sha256,
    /// HMAC-SHA-512 (RFC 7860).
    Sha512,
}

/// How SNMP v3 encrypts messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivProtocol {
    /// AES with 128 bits (RFC 3826).
    Aes128,
    /// AES with 256 bits; the keys are extended as net-snmp and most agents do it (Blumenthal).
    Aes256,
}

/// `[homeassistant]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeAssistant {
    /// First levels of discovery topics, without a slash at either end.
    pub discovery_prefix: String,
    /// Where Home Assistant says that it has started.
    pub status_topic: String,
}

/// `[sparkplug]`: ids are levels of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparkplug {
    /// The group that the edge node belongs to.
    pub group: String,
    /// The edge node: one for each bridge of the group.
    pub edge_node: String,
    /// The host application without which nothing is published.
    pub primary_host: Option<String>,
}

/// `[dead_letter]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// Time from one letter about a failure that lasts to the next.
    pub repeat: Duration,
    /// How many are kept in the archive.
    pub keep: usize,
}

/// `[state]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Directory of the durable store.
    pub directory: PathBuf,
}

/// One of `[[devices]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// One topic level.
    pub id: DeviceId,
    /// `http` or `https`, host and port (where it is not the default); no path, no slash at the end, no user.
    pub url: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// The way through or around a proxy.
    pub proxy: Proxy,
    /// How to log in.
    pub auth: Auth,
    /// Time from one poll to the next.
    pub poll: Duration,
    /// Random delay added to each poll, at most.
    pub jitter: Duration,
    /// Time for a whole request.
    pub timeout: Duration,
    /// Time for a connection to come about.
    pub connect_timeout: Duration,
    /// Failures in a row after which the device is offline.
    pub offline_after: u32,
    /// Which API profile.
    pub profile: ProfileChoice,
    /// Whom to trust.
    pub tls: ClientTls,
    /// Which slots are watched.
    pub slots: Slots,
    /// The log of HTTP sessions, as it is at the start.
    pub http_sessions: HttpSessionsConfig,
    /// Whether profile entries that nobody has seen on a device may be written by.
    pub allow_unverified_writes: bool,
    /// How long a command may wait for the device and be carried out.
    pub command_timeout: Duration,
    /// SNMP: whose traps are this device's, and the second way to it.
    pub snmp: DeviceSnmp,
}

/// `snmp` of a device
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSnmp {
    /// Host and UDP port of its agent.
    pub address: (String, u16),
    /// Who asks; `None` where it is never asked.
    pub access: Option<SnmpAccess>,
    /// When its status is read.
    pub read: SnmpRead,
    /// Which way the events that switch its relays are chosen.
    pub events: EventsWay,
    /// Time for an answer.
    pub timeout: Duration,
    /// How often a request is repeated.
    pub retries: u32,
    /// Addresses that its traps come from, beside those of its URL.
    pub sources: Vec<IpAddr>,
    /// Engine id of its agent.
    pub engine_id: Option<Vec<u8>>,
    /// Its sysName, where several devices send from one address.
    pub sys_name: Option<String>,
}

impl DeviceSnmp {
    /// The longest that one request may take, which is asked twice where the session may be the reason; nothing where
    /// the device is not asked.
    pub fn longest(&self) -> Duration {
        match self.access {
            Some(_) => self.timeout * (self.retries + 1) * 2,
            None => Duration::ZERO,
        }
    }
}

/// Who asks a device over SNMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnmpAccess {
    /// SNMP v2c.
    Community {
        /// For reading.
        read: Secret,
        /// For writing.
        write: Secret,
    },
    /// SNMP v3.
    User(SnmpUser),
}

/// When a device's status is read over SNMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnmpRead {
    /// Never.
    Off,
    /// When REST does not answer.
    Fallback,
    /// With each poll.
    Always,
}

/// Which way the events that switch relays are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsWay {
    /// SNMP where there are credentials for it, else REST.
    Auto,
    /// REST.
    Rest,
    /// SNMP.
    Snmp,
}

/// `http_sessions` of a device
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpSessionsConfig {
    /// Whether sessions are kept.
    pub enabled: bool,
    /// How many of them, at most.
    pub max_count: usize,
}

/// The way to a device.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// Straight there, whatever the environment says.
    Bypass,
    /// As the environment says (`HTTPS_PROXY` and the like).
    System,
    /// Through this one; the URL may hold a password.
    Url(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proxy::Bypass => f.write_str("Bypass"),
            Proxy::System => f.write_str("System"),
            Proxy::Url(url) => f
                .debug_tuple("Url")
                .field(&problem::without_secrets(url))
                .finish(),
        }
    }
}

/// How to log in at a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Basic, and Bearer where the firmware has it (7.08 and later).
    Auto,
    /// HTTP Basic.
    Basic,
    /// A token.
    Bearer,
}

/// Which API profile reads a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileChoice {
    /// By the API version that the device reports.
    Auto,
    /// A built-in one, by name.
    BuiltIn(String),
    /// A file.
    File(PathBuf),
}
