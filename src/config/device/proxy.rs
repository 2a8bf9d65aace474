//! `proxy` of a device.

use std::fmt;

use crate::config::problem::{self, Problem};
use crate::config::url;

const REMEDY: &str = r#"write "bypass", "system", or "http://HOST:PORT""#;

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

/// A device's `proxy`.
pub(super) fn read(text: &str) -> Result<Proxy, Problem> {
    match text {
        "bypass" => return Ok(Proxy::Bypass),
        "system" => return Ok(Proxy::System),
        _ => {}
    }
    let url = url::parse(text, REMEDY)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new("not a scheme for a proxy", REMEDY));
    }
    url::host(&url, REMEDY)?;
    Ok(Proxy::Url(url.to_string()))
}
