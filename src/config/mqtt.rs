//! `[mqtt]`: its keys, their defaults, and which of them go together.

use std::net::SocketAddr;
use std::time::Duration;

use super::problem::complaint;
use super::section::Section;
use super::{Broker, Credentials, Layout, Mqtt, MqttVersion, Transport, access, parse, url};
use crate::model::DeviceId;
use crate::tls::ClientTls;

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

/// `None` only together with a problem. `bridge` is missing where its id is wrong.
pub(super) fn read(mut section: Section<'_>, bridge: Option<&DeviceId>) -> Option<Mqtt> {
    let broker = section.parsed("url", url::broker);
    section.need(
        "url",
        r#"write where the broker is, such as url = "mqtt://localhost:1883", or "embedded""#,
    );
    let version = section.parsed("version", parse::word(&VERSIONS));
    let prefix = section.parsed("prefix", parse::prefix);
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
    let broker = read_embedded(&mut section, broker);
    section.finish();
    Some(Mqtt {
        broker: broker?,
        version: version.unwrap_or(MqttVersion::V5),
        prefix: prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
        layout: layout.unwrap_or(Layout::Json),
        client_id: client_id?,
        credentials,
        tls,
        keep_alive: keep_alive.unwrap_or(DEFAULT_KEEP_ALIVE),
        session_expiry: session_expiry.unwrap_or(DEFAULT_SESSION_EXPIRY),
    })
}

/// Fills in `embedded.*`; refuses them for another broker.
fn read_embedded(section: &mut Section<'_>, broker: Option<Broker>) -> Option<Broker> {
    let mut keys = section.section("embedded");
    let listen_key = keys.parsed("listen", parse::listen);
    let websocket_key = keys.parsed("websocket", parse::listen_or_off).flatten();
    let broker = match broker {
        Some(Broker::Embedded { listen, .. }) => {
            let listen = listen_key.unwrap_or(listen);
            check_embedded(&keys, listen, websocket_key);
            Some(Broker::Embedded {
                listen,
                websocket: websocket_key,
            })
        }
        Some(Broker::Remote { .. }) => {
            for key in ["listen", "websocket"].into_iter().filter(|key| keys.has(key)) {
                let what = "only for the broker in this process, and mqtt.url names another";
                keys.refuse(key, complaint(what, r#"leave it out, or write url = "embedded""#));
            }
            broker
        }
        None => None,
    };
    keys.finish();
    broker
}

fn check_embedded(keys: &Section<'_>, listen: SocketAddr, websocket: Option<SocketAddr>) {
    if listen.port() != 0 && websocket == Some(listen) {
        let what = "the address of embedded.listen";
        keys.refuse("websocket", complaint(what, "write another port"));
    }
    let addresses = [("listen", Some(listen)), ("websocket", websocket)];
    for (key, address) in addresses {
        if address.is_some_and(|address| !address.ip().is_loopback()) {
            let what = "whoever reaches this address can read and change all state";
            let remedy = "listen at 127.0.0.1, or use a broker that asks for a password";
            keys.warn(key, complaint(what, remedy));
        }
    }
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
