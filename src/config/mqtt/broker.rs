//! Which broker: another one, or the one in this process (`mqtt.embedded`).

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::config::{parse, url};

const REMEDY: &str = r#"write "mqtt://HOST:PORT", "mqtts://", "ws://", "wss://", or "embedded""#;

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

/// `mqtt.url`; where the embedded one listens is not known yet.
pub(super) fn read(text: &str) -> Result<Broker, Problem> {
    if text == "embedded" {
        return Ok(Broker::Embedded {
            listen: (Ipv4Addr::UNSPECIFIED, 0).into(),
            websocket: None,
        });
    }
    let url = url::parse_plain(text, REMEDY)?;
    let (transport, default_port) = match url.scheme() {
        "mqtt" => (Transport::Tcp, 1883),
        "mqtts" => (Transport::Tls, 8883),
        "ws" => (Transport::WebSocket, 80),
        "wss" => (Transport::WebSocketTls, 443),
        _ => return Err(Problem::new("not a scheme for a broker", REMEDY)),
    };
    let web = matches!(transport, Transport::WebSocket | Transport::WebSocketTls);
    let path = match (web, url.path()) {
        (false, "" | "/") => "",
        (false, _) => {
            return Err(Problem::new(
                "a path",
                "leave it out; only ws:// and wss:// have one",
            ));
        }
        (true, "" | "/") => "/mqtt",
        (true, path) => path,
    };
    Ok(Broker::Remote {
        transport,
        host: url::host(&url, REMEDY)?,
        port: url.port().unwrap_or(default_port),
        path: path.to_owned(),
    })
}

/// Fills in `embedded.*`; refuses them for another broker.
pub(super) fn read_embedded(keys: &Section<'_>, broker: Option<Broker>) -> Option<Broker> {
    let listen = keys.read("listen", |text| text.parse().ok())?;
    let websocket = keys.read("websocket", parse::listen_or_off).flatten();
    let broker = broker?;
    if matches!(broker, Broker::Embedded { .. }) {
        check_embedded(keys, listen, websocket);
        return Some(Broker::Embedded { listen, websocket });
    }
    for key in ["listen", "websocket"].into_iter().filter(|key| keys.has(key)) {
        let what = "only for the broker in this process, and mqtt.url names another";
        keys.refuse(
            key,
            Problem::new(what, r#"leave it out, or write url = "embedded""#),
        );
    }
    Some(broker)
}

fn check_embedded(keys: &Section<'_>, listen: SocketAddr, websocket: Option<SocketAddr>) {
    if listen.port() != 0 && websocket == Some(listen) {
        let what = "the address of embedded.listen";
        keys.refuse("websocket", Problem::new(what, "write another port"));
    }
    for (key, address) in [("listen", Some(listen)), ("websocket", websocket)] {
        if address.is_some_and(|address| !address.ip().is_loopback()) {
            let what = "whoever reaches this address can read and change all state";
            let remedy = "listen at 127.0.0.1, or use a broker that asks for a password";
            keys.warn(key, Problem::new(what, remedy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Option<(Transport, String, u16, String)> {
        match read(text).ok()? {
            Broker::Remote {
                transport,
                host,
                port,
                path,
            } => Some((transport, host, port, path)),
            Broker::Embedded { .. } => None,
        }
    }

    #[test]
    fn a_broker_url_has_defaults() {
        let is = |text, transport, host: &str, port, path: &str| {
            assert_eq!(
                remote(text),
                Some((transport, host.to_owned(), port, path.to_owned())),
                "{text}"
            );
        };
        is("mqtt://h", Transport::Tcp, "h", 1883, "");
        is("mqtts://h/", Transport::Tls, "h", 8883, "");
        is("mqtt://[fd00::1]:1884", Transport::Tcp, "fd00::1", 1884, "");
        is("ws://h", Transport::WebSocket, "h", 80, "/mqtt");
        is("wss://[::1]:444/a/b", Transport::WebSocketTls, "::1", 444, "/a/b");
        for bad in [
            "",
            "h",
            "h:1883",
            "tcp://h",
            "mqtt:h",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://h:0",
            "mqtt://h:70000",
            "mqtt://u@h",
            "mqtt://:p@h",
            "mqtt://h/a",
            "ws://h/?a",
            "mqtt://h#a",
            "mqtt:///a",
            "Embedded",
        ] {
            assert_eq!(remote(bad), None, "{bad}");
        }
    }
}
