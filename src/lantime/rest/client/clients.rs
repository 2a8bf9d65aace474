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
    clients: HashMap<(ClientTls, Proxy, Duration), reqwest::Client>,
}

impl HttpClients {
    /// The client for this device.
    ///
    /// # Errors
    /// When a CA file cannot be read, or the proxy's URL is not one.
    pub fn for_device(&mut self, device: &Device) -> Result<reqwest::Client, ClientError> {
        // A machine without any CA file must still reach devices by http.
        let https = device.url.starts_with("https:");
        let tls = if https {
            device.tls.clone()
        } else {
            ClientTls {
                trust: Trust::None,
                identity: None,
            }
        };
        let key = (tls, device.proxy.clone(), device.connect_timeout);
        if let Some(client) = self.clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key.0, &key.1, key.2)?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(tls: &ClientTls, proxy: &Proxy, connect_timeout: Duration) -> Result<reqwest::Client, ClientError> {
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
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("lantime2mqtt/", env!("CARGO_PKG_VERSION")));
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
