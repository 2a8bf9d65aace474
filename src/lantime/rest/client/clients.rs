//! The HTTP clients: one for each way of connecting, shared by all devices that are reached in that way.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use crate::config::{Device, Proxy};
use crate::tls::{ClientTls, TlsError, Trust};

/// Why there can be no HTTP client with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS settings do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy's URL, or the machine, does not allow a client.
    #[error("cannot make an HTTP client: {0}")]
    Build(String),
}

/// One HTTP client per way of connecting, shared by all devices that are reached in the same way: a client
/// of its own for each of 1,000 devices would take 110 MB.
#[derive(Debug, Default)]
pub struct HttpClients {
    clients: HashMap<Way, reqwest::Client>,
}

/// A way of connecting.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way {
    /// `None` over http: a machine without any CA file must still reach devices so.
    tls: Option<ClientTls>,
    proxy: Proxy,
    connect_timeout: Duration,
    keeps_connection: bool,
}

impl HttpClients {
    /// The client for this device.
    ///
    /// # Errors
    /// When a CA file cannot be read, or the proxy's URL is not one.
    pub fn for_device(&mut self, device: &Device) -> Result<reqwest::Client, ClientError> {
        let way = Way::of(device);
        if let Some(client) = self.clients.get(&way) {
            return Ok(client.clone());
        }
        let client = build(&way)?;
        self.clients.insert(way, client.clone());
        Ok(client)
    }
}

impl Way {
    fn of(device: &Device) -> Way {
        Way {
            tls: device.url.starts_with("https:").then(|| device.tls.clone()),
            proxy: device.proxy.clone(),
            connect_timeout: device.connect_timeout,
            keeps_connection: keeps_connection(device),
        }
    }
}

/// Whether a connection to that device is kept for the next request. It costs 60 KB, nearly all of it buffers of the HTTP
/// library: that is worth a handshake of TLS, and not one of TCP, unless all devices share the ports of one proxy.
pub(super) fn keeps_connection(device: &Device) -> bool {
    device.url.starts_with("https:") || matches!(device.proxy, Proxy::Url(_))
}

fn build(way: &Way) -> Result<reqwest::Client, ClientError> {
    let Way {
        tls,
        proxy,
        connect_timeout,
        keeps_connection,
    } = way;
    let tls = tls.clone().unwrap_or(ClientTls {
        trust: Trust::None,
        identity: None,
    });
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.client_config()?)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        // A write must not be sent twice. What remains is the connection pool's: it takes another connection for a
        // request of which not a byte has been sent.
        .retry(reqwest::retry::never())
        // What embedded web servers answer, and every browser takes.
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        // As browsers and curl write them: some servers compare names with their case.
        .http1_title_case_headers()
        // Without it a server may compress as it likes.
        .default_headers(HeaderMap::from_iter([(
            ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        )]))
        .connect_timeout(*connect_timeout)
        .pool_max_idle_per_host(usize::from(*keeps_connection))
        .user_agent(concat!("lantime2mqtt/", env!("CARGO_PKG_VERSION")));
    let builder = match keeps_connection {
        true => builder,
        // The time-out of the request is enough.
        false => builder
            .tcp_keepalive(None)
            .tcp_keepalive_interval(None)
            .tcp_keepalive_retries(None)
            .tcp_user_timeout(None),
    };
    let builder = match proxy {
        Proxy::Bypass => builder.no_proxy(),
        Proxy::System => builder,
        Proxy::Url(url) => {
            builder.proxy(reqwest::Proxy::all(url).map_err(|error| build_error(error.without_url()))?)
        }
    };
    builder.build().map_err(build_error)
}

fn build_error(error: reqwest::Error) -> ClientError {
    ClientError::Build(error.to_string())
}
