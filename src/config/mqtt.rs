//! `[mqtt]`: its keys, their defaults, and which of them go together. Which broker it is has a file of its own.

pub(super) mod broker;

use std::time::Duration;

use super::problem::complaint;
use super::section::Section;
use super::{Secret, access, parse, url};
use crate::model::DeviceId;
use crate::tls::ClientTls;
use broker::{Broker, Transport};

/// Topics begin with it.
const DEFAULT_PREFIX: &str = "lantime";

/// A dead connection is noticed after one and a half of it.
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The client library takes no less.
const MIN_KEEP_ALIVE: Duration = Duration::from_secs(5);
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(3600);

/// A bridge that was away for a night still gets its commands; older ones would surprise.
const DEFAULT_SESSION_EXPIRY: Duration = DAY;

/// Less would end while the bridge still tries to come back.
const MIN_SESSION_EXPIRY: Duration = Duration::from_secs(60);
const MAX_SESSION_EXPIRY: Duration = DAY.saturating_mul(30);
const DAY: Duration = Duration::from_secs(24 * 3600);

const VERSIONS: [(&str, MqttVersion); 2] = [("5", MqttVersion::V5), ("3.1.1", MqttVersion::V311)];
const LAYOUTS: [(&str, Layout); 3] = [
    ("json", Layout::Json),
    ("scalar", Layout::Scalar),
    ("both", Layout::Both),
];

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

#[cfg(test)]
impl Mqtt {
    /// Settings for tests in which no connection is made.
    pub(crate) fn for_test(version: MqttVersion) -> Mqtt {
        Mqtt {
            broker: Broker::Embedded {
                listen: ([127, 0, 0, 1], 1883).into(),
                websocket: None,
            },
            version,
            prefix: DEFAULT_PREFIX.to_owned(),
            layout: Layout::Json,
            client_id: "bridge".to_owned(),
            credentials: None,
            tls: ClientTls::default(),
            keep_alive: MIN_KEEP_ALIVE,
            session_expiry: MIN_SESSION_EXPIRY,
        }
    }
}

/// User name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Option<Secret>,
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

/// `None` only together with a problem. `bridge` is missing where its id is wrong.
pub(super) fn read(mut section: Section<'_>, bridge: Option<&DeviceId>) -> Option<Mqtt> {
    let broker = section.parsed("url", broker::read);
    section.need(
        "url",
        r#"write where the broker is, such as url = "mqtt://localhost:1883", or "embedded""#,
    );
    let version = section.parsed("version", parse::word(&VERSIONS));
    let prefix = read_prefix(&mut section);
    let layout = section.parsed("layout", parse::word(&LAYOUTS));
    let client_id = read_client_id(&mut section, bridge);
    let keep_alive = section.duration("keep_alive", MIN_KEEP_ALIVE..=MAX_KEEP_ALIVE);
    let session_expiry = section.duration("session_expiry", MIN_SESSION_EXPIRY..=MAX_SESSION_EXPIRY);
    if session_expiry.is_some() && version == Some(MqttVersion::V311) {
        let what = "without effect: with MQTT 3.1.1 the broker alone decides how long it keeps a session";
        section.warn(
            "session_expiry",
            complaint(what, "set it at the broker, and leave it out here"),
        );
    }
    let credentials = read_credentials(&mut section, broker.as_ref());
    let tls = read_tls(&mut section, broker.as_ref());
    let broker = broker::read_embedded(&mut section, broker);
    section.finish();
    Some(Mqtt {
        broker: broker?,
        version: version.unwrap_or(MqttVersion::V5),
        prefix,
        layout: layout.unwrap_or(Layout::Json),
        client_id: client_id?,
        credentials,
        tls,
        keep_alive: keep_alive.unwrap_or(DEFAULT_KEEP_ALIVE),
        session_expiry: session_expiry.unwrap_or(DEFAULT_SESSION_EXPIRY),
    })
}

/// `mqtt.prefix`
pub(super) fn read_prefix(section: &mut Section<'_>) -> String {
    let prefix = section.parsed("prefix", parse::prefix);
    prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned())
}

fn read_credentials(section: &mut Section<'_>, broker: Option<&Broker>) -> Option<Credentials> {
    let username = section.filled("username");
    let password = access::password(section);
    let keys = ["username", "password", "password_file"];
    let mut given = keys.into_iter().filter(|key| section.has(key));
    match broker {
        Some(Broker::Embedded { .. }) => given.for_each(|key| {
            let what = "the embedded broker asks for no password";
            section.refuse(key, complaint(what, "leave it out"));
        }),
        Some(Broker::Remote { transport, host, .. }) => {
            let plain = matches!(transport, Transport::Tcp | Transport::WebSocket);
            if plain && !url::is_loopback(host) && given.any(|key| key != "username") {
                let what = "the password crosses the network in clear text";
                section.warn(
                    "url",
                    complaint(what, "use mqtts:// or wss:// where the broker has it"),
                );
            }
        }
        None => {}
    }
    if password.is_some() {
        section.need("username", "write the user name that the password belongs to");
    }
    Some(Credentials {
        username: username?,
        password,
    })
}

fn read_tls(section: &mut Section<'_>, broker: Option<&Broker>) -> ClientTls {
    let ca = section.path("ca");
    let identity = access::identity(section);
    let mut keys = section.section("tls");
    let trust = access::trust(&mut keys, ca);
    match broker {
        Some(Broker::Remote {
            transport: Transport::Tls | Transport::WebSocketTls,
            ..
        }) => {
            access::check_trust(section, trust.as_ref());
            access::check_identity(section, identity.as_ref());
        }
        Some(_) => {
            let scheme = "mqtts:// or wss://";
            access::refuse_tls(section, &["ca", "certificate", "key"], scheme);
            access::refuse_tls(&keys, &access::tls_keys(trust.as_ref()), scheme);
        }
        None => {}
    }
    keys.finish();
    ClientTls {
        trust: trust.unwrap_or_default(),
        identity,
    }
}

fn read_client_id(section: &mut Section<'_>, bridge: Option<&DeviceId>) -> Option<String> {
    let given = section.parsed("client_id", parse::client_id);
    if section.has("client_id") {
        return given;
    }
    let default = format!("lantime2mqtt-{}", bridge?);
    if default.len() > parse::MAX_CLIENT_ID {
        let what = format!("missing, and the default {default} is too long");
        section.refuse("client_id", complaint(what, "write one, or a shorter bridge.id"));
    }
    Some(default)
}
