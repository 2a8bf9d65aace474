//! `[mqtt]`: its keys, their defaults, and which of them go together. Which broker it is has a file of its own.

pub(super) mod broker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::section::Section;
use super::{Secret, access, parse, url};
use crate::model::DeviceId;
use crate::tls::ClientTls;
use broker::{Broker, Transport};

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
    /// How long the broker keeps commands for a bridge that is not connected (MQTT 5).
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
            prefix: "lantime".to_owned(),
            layout: Layout::Json,
            client_id: "bridge".to_owned(),
            credentials: None,
            tls: ClientTls::default(),
            keep_alive: Duration::from_secs(5),
            session_expiry: Duration::from_secs(60),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum MqttVersion {
    /// MQTT 5.
    #[serde(rename = "5")]
    V5,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One JSON object per topic.
    Json,
    /// One topic per field.
    Scalar,
    /// Both.
    Both,
}

/// `None` only together with a problem. `bridge` is missing where its id is wrong.
pub(super) fn read(section: &Section<'_>, bridge: Option<&DeviceId>) -> Option<Mqtt> {
    let broker = section.parsed("url", broker::read);
    let version = section.choice("version");
    let client_id = read_client_id(section, bridge);
    if section.has("session_expiry") && version == MqttVersion::V311 {
        let what = "without effect: with MQTT 3.1.1 the broker alone decides how long it keeps a session";
        let remedy = "set it at the broker, and leave it out here";
        section.warn("session_expiry", Problem::new(what, remedy));
    }
    let mqtt = Mqtt {
        version,
        prefix: read_prefix(section),
        layout: section.choice("layout"),
        credentials: read_credentials(section, broker.as_ref()),
        tls: read_tls(section, broker.as_ref()),
        keep_alive: section.duration("keep_alive"),
        session_expiry: section.duration("session_expiry"),
        broker: broker::read_embedded(&section.section("embedded"), broker)?,
        client_id: client_id?,
    };
    Some(mqtt)
}

/// `mqtt.prefix`
pub(super) fn read_prefix(section: &Section<'_>) -> String {
    section.read("prefix", parse::prefix).unwrap_or_default()
}

fn read_credentials(section: &Section<'_>, broker: Option<&Broker>) -> Option<Credentials> {
    let username = section.filled("username");
    let password = access::secret(section, "password");
    let keys = ["username", "password", "password_file"];
    let mut given = keys.into_iter().filter(|key| section.has(key));
    match broker {
        Some(Broker::Embedded { .. }) => given.for_each(|key| {
            let what = "the embedded broker asks for no password";
            section.refuse(key, Problem::new(what, "leave it out"));
        }),
        Some(Broker::Remote { transport, host, .. }) => {
            let plain = matches!(transport, Transport::Tcp | Transport::WebSocket);
            if plain && !url::is_loopback(host) && given.any(|key| key != "username") {
                let what = "the password crosses the network in clear text";
                let remedy = "use mqtts:// or wss:// where the broker has it";
                section.warn("url", Problem::new(what, remedy));
            }
        }
        None => {}
    }
    if password.is_some() && !section.has("username") {
        let remedy = "write the user name that the password belongs to";
        section.refuse("username", Problem::new("missing", remedy));
    }
    Some(Credentials {
        username: username?,
        password,
    })
}

fn read_tls(section: &Section<'_>, broker: Option<&Broker>) -> ClientTls {
    let identity = access::identity(section);
    let keys = section.section("tls");
    let trust = access::trust(&keys, section.path("ca"));
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
    ClientTls {
        trust: trust.unwrap_or_default(),
        identity,
    }
}

fn read_client_id(section: &Section<'_>, bridge: Option<&DeviceId>) -> Option<String> {
    let given = section.read("client_id", parse::client_id);
    if section.has("client_id") {
        return given;
    }
    let default = format!("lantime2mqtt-{}", bridge?);
    if default.len() > parse::MAX_CLIENT_ID {
        let what = format!("missing, and the default {default} is too long");
        section.refuse(
            "client_id",
            Problem::new(what, "write one, or a shorter bridge.id"),
        );
    }
    Some(default)
}
