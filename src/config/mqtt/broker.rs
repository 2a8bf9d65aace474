//! Which broker: another one, or the one in this process (`mqtt.embedded`).

use std::net::SocketAddr;

use super::super::parse;
use super::super::problem::complaint;
use super::super::section::Section;

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

/// Fills in `embedded.*`; refuses them for another broker.
pub(super) fn read_embedded(section: &mut Section<'_>, broker: Option<Broker>) -> Option<Broker> {
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
