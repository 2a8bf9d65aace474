//! `proxy` of a device: what a choice is. Which URLs are taken is in `url`.

use std::fmt;

use super::super::problem;

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
