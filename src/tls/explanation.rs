//! What failed in TLS and what to do about it, in the words of a device's settings or of the broker's.

/// Keys of certificates that work, for remedies.
pub(super) const KEYS: &str = "RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519";

/// What failed, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What failed.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// Whose certificate it is: settings have other names for each, and remedies name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// A device.
    Device,
    /// The broker.
    Broker {
        /// Whether it is shown a certificate of ours.
        is_shown_certificate: bool,
    },
}

impl Server {
    /// What is said for a device, or for the broker.
    pub(super) fn either<T>(self, device: T, broker: T) -> T {
        match self {
            Server::Device => device,
            Server::Broker { .. } => broker,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.either("device", "broker")
    }

    pub(super) fn url(self) -> &'static str {
        self.either("the device's url", "mqtt.url")
    }

    pub(super) fn ca(self) -> &'static str {
        self.either("tls.ca", "mqtt.ca")
    }

    pub(super) fn fingerprint(self) -> &'static str {
        self.either("tls.fingerprint", "mqtt.tls.fingerprint")
    }
}

impl Explanation {
    pub(super) fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Explanation {
        Explanation {
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }
}
