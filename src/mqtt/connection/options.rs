//! Settings of the configuration -> options of the client library, as far as both protocol versions agree.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use rumqttc::{NetworkOptions, TlsConfiguration, Transport as Wire};

use super::{CONNECT_TIMEOUT, Cause};
use crate::config::{Broker, Mqtt, Transport};
use crate::open_files;

/// The request that a websocket begins with.
type WebSocketRequest = axum::http::Request<()>;

/// What is wrong with a subscription that the broker grants with QoS 0.
pub(in crate::mqtt) const ONLY_QOS_0: &str = "granted with QoS 0 only: commands may get lost";

/// Shortest keep-alive: MQTT counts seconds, and the client library takes no less with MQTT 5.
const MIN_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The broker's address as messages name it: a URL, never with credentials.
pub fn address(broker: &Broker) -> String {
    match broker {
        Broker::Remote {
            transport,
            host,
            port,
            path,
        } => {
            let scheme = match transport {
                Transport::Tcp => "mqtt",
                Transport::Tls => "mqtts",
                Transport::WebSocket => "ws",
                Transport::WebSocketTls => "wss",
            };
            format!("{scheme}://{}:{port}{path}", bracketed(host))
        }
        Broker::Embedded { listen, .. } => format!("mqtt://{listen}"),
    }
}

/// Host and port for the client library, which wants the whole URL for a websocket.
pub(super) fn host_and_port(broker: &Broker) -> (String, u16) {
    match broker {
        Broker::Remote {
            transport,
            host,
            port,
            ..
        } => match transport {
            Transport::Tcp | Transport::Tls => (unbracketed(host).to_owned(), *port),
            Transport::WebSocket | Transport::WebSocketTls => (address(broker), *port),
        },
        Broker::Embedded { listen, .. } => (listen.ip().to_string(), listen.port()),
    }
}

/// Reads certificates and keys again for each connection, so that renewed ones need no restart.
pub(super) async fn transport(settings: &Mqtt) -> Result<Wire, Cause> {
    let (Broker::Remote { transport, .. }, tls) = (&settings.broker, settings.tls.clone()) else {
        return Ok(Wire::Tcp);
    };
    if matches!(transport, Transport::Tcp | Transport::WebSocket) {
        return Ok(match transport {
            Transport::WebSocket => Wire::Ws,
            _ => Wire::Tcp,
        });
    }
    let config = match open_files::has_reserve() {
        true => open_files::with_reserve(async { tls.client_config() }).await,
        // Files are read: not on a thread that others wait for.
        false => tokio::task::spawn_blocking(move || tls.client_config())
            .await
            .map_err(|error| Cause::TlsSettings(error.to_string()))?,
    };
    let config = config.map_err(|error| Cause::TlsSettings(error.to_string()))?;
    let config = TlsConfiguration::Rustls(Arc::new(config));
    Ok(match transport {
        Transport::WebSocketTls => Wire::Wss(config),
        _ => Wire::Tls(config),
    })
}

pub(super) fn network() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    // Small packets that are waited for.
    network.set_tcp_nodelay(true);
    network
}

/// Has a websocket's request ask for the broker by its name, wherever the connection goes.
pub(super) fn request_for(
    broker: &Broker,
) -> impl Fn(WebSocketRequest) -> Ready<WebSocketRequest> + Send + Sync + 'static {
    let url = address(broker);
    move |mut request| {
        if let Ok(uri) = url.parse::<Uri>() {
            let host = uri.authority().and_then(|host| host.as_str().parse().ok());
            if let Some(host) = host {
                request.headers_mut().insert("Host", host);
            }
            *request.uri_mut() = uri;
        }
        ready(request)
    }
}

pub(super) fn keep_alive(settings: &Mqtt) -> Duration {
    let longest = Duration::from_secs(u64::from(u16::MAX));
    settings.keep_alive.clamp(MIN_KEEP_ALIVE, longest)
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn bracketed(host: &str) -> String {
    let host = unbracketed(host);
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(transport: Transport, host: &str, path: &str) -> Broker {
        let (host, path) = (host.to_owned(), path.to_owned());
        Broker::Remote {
            transport,
            host,
            port: 1883,
            path,
        }
    }

    #[test]
    fn an_ipv6_address_is_written_as_each_place_wants_it() {
        for host in ["::1", "[::1]"] {
            let tcp = remote(Transport::Tcp, host, "");
            assert_eq!(address(&tcp), "mqtt://[::1]:1883");
            assert_eq!(host_and_port(&tcp).0, "::1");
            let websocket = remote(Transport::WebSocketTls, host, "/mqtt");
            assert_eq!(host_and_port(&websocket).0, "wss://[::1]:1883/mqtt");
        }
    }
}
