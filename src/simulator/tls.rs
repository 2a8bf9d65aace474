//! The one certificate of a fleet, made at its start and signed by itself, as LANTIMEs have them.

use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A certificate that clients may pin or trust.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
}

impl Certificate {
    /// The certificate as it goes over the wire: what a pin is computed from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as a CA file of its own.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its SHA-256 as the bridge's `tls.fingerprint` takes it: `sha256:` and 64 hex digits.
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        digest
            .as_ref()
            .iter()
            .fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

/// Makes a certificate for `localhost`, the loopback addresses and `listen`.
pub(crate) fn self_signed(
    listen: IpAddr,
) -> Result<(Certificate, TlsAcceptor), Box<dyn std::error::Error + Send + Sync>> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.is_unspecified() && !listen.is_loopback() {
        names.push(listen.to_string());
    }
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names)?;
    let key: PrivateKeyDer<'static> = PrivateKeyDer::try_from(KeyPair::serialize_der(&signing_key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let certificate = Certificate {
        der: cert.der().clone(),
        pem: cert.pem(),
    };
    Ok((certificate, TlsAcceptor::from(Arc::new(config))))
}
