//! What failed in TLS and what to do about it, in the words of the settings of a device, of the broker or of etcd.

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
    /// A node of etcd.
    Etcd {
        /// Whether it is shown a certificate of ours.
        is_shown_certificate: bool,
    },
}

impl Server {
    /// What is said for a device, for the broker, or for etcd.
    pub(super) fn either<T>(self, device: T, broker: T, etcd: T) -> T {
        match self {
            Server::Device => device,
            Server::Broker { .. } => broker,
            Server::Etcd { .. } => etcd,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.either("device", "broker", "etcd node")
    }

    pub(super) fn url(self) -> &'static str {
        self.either("the device's url", "mqtt.url", "cluster.endpoints")
    }

    pub(super) fn ca(self) -> &'static str {
        self.either("tls.ca", "mqtt.ca", "cluster.ca")
    }

    /// The setting that trusts one certificate. The nodes of etcd have one each.
    pub(super) fn fingerprint(self) -> Option<&'static str> {
        self.either(Some("tls.fingerprint"), Some("mqtt.tls.fingerprint"), None)
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
