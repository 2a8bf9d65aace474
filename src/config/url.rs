//! The URLs of the configuration: broker, device, proxy. Owns which forms are taken; user info is in none
//! of them but a proxy's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reqwest::Url;

use super::device::proxy::Proxy;
use super::mqtt::broker::{Broker, Transport};
use super::problem::{Complaint, complaint};

/// Where the embedded broker listens.
const DEFAULT_EMBEDDED_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1883);

const BROKER_REMEDY: &str = r#"write "mqtt://HOST:PORT", "mqtts://", "ws://", "wss://", or "embedded""#;
const DEVICE_REMEDY: &str = r#"write "https://HOST" or "http://HOST", with :PORT where it is another"#;
const PROXY_REMEDY: &str = r#"write "bypass", "system", or "http://HOST:PORT""#;

/// `mqtt.url`
pub(super) fn broker(text: &str) -> Result<Broker, Complaint> {
    if text == "embedded" {
        return Ok(Broker::Embedded {
            listen: DEFAULT_EMBEDDED_LISTEN,
            websocket: None,
        });
    }
    let url = parse_plain(text, BROKER_REMEDY)?;
    let (transport, default_port) = match url.scheme() {
        "mqtt" => (Transport::Tcp, 1883),
        "mqtts" => (Transport::Tls, 8883),
        "ws" => (Transport::WebSocket, 80),
        "wss" => (Transport::WebSocketTls, 443),
        _ => return Err(complaint("not a scheme for a broker", BROKER_REMEDY)),
    };
    let web = matches!(transport, Transport::WebSocket | Transport::WebSocketTls);
    let path = match (web, url.path()) {
        (false, "" | "/") => "",
        (false, _) => {
            return Err(complaint(
                "a path",
                "leave it out; only ws:// and wss:// have one",
            ));
        }
        (true, "" | "/") => "/mqtt",
        (true, path) => path,
    };
    Ok(Broker::Remote {
        transport,
        host: host(&url, BROKER_REMEDY)?,
        port: url.port().unwrap_or(default_port),
        path: path.to_owned(),
    })
}

/// A device's `url`, as scheme, host and port.
pub(super) fn device(text: &str) -> Result<Url, Complaint> {
    let url = parse_plain(text, DEVICE_REMEDY)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(complaint("not a scheme for a device", DEVICE_REMEDY));
    }
    host(&url, DEVICE_REMEDY)?;
    if url.path() != "/" {
        return Err(complaint(
            "a path",
            "leave it out; the profile knows the device's paths",
        ));
    }
    Ok(url)
}

/// A device's `proxy`.
pub(super) fn proxy(text: &str) -> Result<Proxy, Complaint> {
    match text {
        "bypass" => return Ok(Proxy::Bypass),
        "system" => return Ok(Proxy::System),
        _ => {}
    }
    let url = parse(text, PROXY_REMEDY)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(complaint("not a scheme for a proxy", PROXY_REMEDY));
    }
    host(&url, PROXY_REMEDY)?;
    Ok(Proxy::Url(url.to_string()))
}

/// Whether what is sent to that host stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn parse(text: &str, remedy: &str) -> Result<Url, Complaint> {
    let url = Url::parse(text).map_err(|error| match text.contains("://") {
        true => complaint(format!("not a URL: {error}"), remedy),
        false => complaint("not a URL", remedy),
    })?;
    match url.port() {
        Some(0) => Err(complaint("port 0", "write the port at which it listens")),
        _ => Ok(url),
    }
}

/// An IPv6 address comes without its brackets.
fn host(url: &Url, remedy: &str) -> Result<String, Complaint> {
    let host = url.host_str().unwrap_or("");
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host {
        "" => Err(complaint("no host", remedy)),
        _ => Ok(host.to_owned()),
    }
}

/// A URL without user info, query and fragment.
fn parse_plain(text: &str, remedy: &str) -> Result<Url, Complaint> {
    let parsed = parse(text, remedy);
    let has_user = match &parsed {
        Ok(url) => !url.username().is_empty() || url.password().is_some(),
        // A password with a slash in it ends the host too early, and the rest is no port.
        Err(_) => text.contains('@'),
    };
    if has_user {
        let remedy = "take them out of the URL and write username and password_file";
        return Err(complaint("a user name or password in a URL", remedy));
    }
    let url = parsed?;
    match (url.query(), url.fragment()) {
        (None, None) => Ok(url),
        _ => Err(complaint(
            "a query or fragment",
            "leave out what begins with ? or #",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Option<(Transport, String, u16, String)> {
        match broker(text).ok()? {
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

    #[test]
    fn a_device_url_is_host_and_port() {
        for good in ["https://h", "http://10.0.0.7:8080/", "https://[fd00::1]"] {
            assert!(device(good).is_ok(), "{good}");
        }
        for bad in [
            "ftp://h",
            "https://",
            "https://h/api",
            "https://h?x",
            "https://u:p@h",
            "10.0.0.7",
            "h:80",
        ] {
            assert!(device(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_network() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.7", "localhost.example", "0.0.0.0", "::"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
