//! TLS towards devices, brokers and etcd: one rustls configuration per trust setting, ring as the only provider.

mod certificate;
mod explanation;
mod handshake;
mod refused;
mod verifier;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use certificate::Certificate;
pub use explanation::{Explanation, Server};
pub(crate) use handshake::is_certificate_refused;
use verifier::{Accepted, Verifier};

/// Whom to trust, and who we are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ClientTls {
    /// Whom to trust.
    pub trust: Trust,
    /// Our own certificate, where the server wants one.
    pub identity: Option<Identity>,
}

/// Whose certificate is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Trust {
    /// One that a CA of this machine has signed.
    #[default]
    System,
    /// One that a CA in this PEM file has signed.
    Ca(PathBuf),
    /// This very certificate, whatever its name and dates: its SHA-256.
    Fingerprint(Fingerprint),
    /// Any.
    Insecure,
    /// None at all: for connections that are never TLS.
    None,
}

/// A certificate and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// SHA-256 of a certificate's DER form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of that certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Fingerprint {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let bytes = digest.as_ref().try_into().expect("a SHA-256 digest has 32 bytes");
        Fingerprint(bytes)
    }

    /// Reads `sha256:` and 64 hexadecimal digits, with or without colons between the bytes, as browsers
    /// and openssl print them. `None` for anything else.
    pub fn parse(text: &str) -> Option<Fingerprint> {
        let digits: String = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "");
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read or holds nothing of use.
    #[error("cannot read {what} from {path}: {reason}")]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No CA is known on this machine.
    #[error(
        "this machine has no CA certificates; install the package ca-certificates, or set ca (mqtt.ca, tls.ca) or tls.fingerprint"
    )]
    NoSystemCa,
    /// The certificate and key do not fit.
    #[error("client certificate {certificate}: {reason}")]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Makes ring the provider of the whole process. Call it first: two libraries' defaults would clash.
pub fn install_provider() {
    // An error only says that a provider is there already, as in tests that share a process.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A certificate that a server has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Until when it is valid; `None` where that cannot be read.
    pub expires_at: Option<jiff::Timestamp>,
}

/// The fingerprint of the certificate that an `https` server shows. Nothing but the handshake is done:
/// no request, and so no password, goes there.
///
/// # Errors
/// When there is no connection, or no TLS on it.
pub async fn peer_fingerprint(url: &str, timeout: Duration) -> io::Result<Fingerprint> {
    let certificate = peer_certificate(url, timeout).await?;
    Ok(certificate.fingerprint)
}

/// The same, with all that is read of the certificate.
///
/// # Errors
/// When there is no connection, or no TLS on it.
pub async fn peer_certificate(url: &str, timeout: Duration) -> io::Result<PeerCertificate> {
    let config = trusting(Trust::Insecure).map_err(|error| invalid(&error.to_string()))?;
    let certificate = handshake(url, config, timeout).await?;
    Ok(PeerCertificate {
        fingerprint: Fingerprint::of(&certificate),
        expires_at: Certificate::read(&certificate).and_then(|read| read.expires_at),
    })
}

/// Whether a CA of this machine vouches for the certificate that an `https` server shows. Nothing but the handshake is
/// done.
pub async fn is_trusted_by_system(url: &str, timeout: Duration) -> bool {
    match trusting(Trust::System) {
        Ok(config) => handshake(url, config, timeout).await.is_ok(),
        // This machine knows no CA.
        Err(_) => false,
    }
}

fn trusting(trust: Trust) -> Result<ClientConfig, TlsError> {
    let identity = None;
    ClientTls { trust, identity }.client_config()
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned())
}

/// The server's own certificate.
async fn handshake(
    url: &str,
    config: ClientConfig,
    timeout: Duration,
) -> io::Result<CertificateDer<'static>> {
    let url = reqwest::Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
    let port = url.port_or_known_default().ok_or_else(|| invalid("no port"))?;
    let host = url
        .host_str()
        .ok_or_else(|| invalid("no host"))?
        .trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| invalid(&error.to_string()))?;
    let connected = async {
        let addresses = crate::net::addresses(host, port, 0, timeout).await?;
        let tcp = crate::net::connect(&addresses, timeout).await?;
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    };
    let tls = tokio::time::timeout(timeout, connected).await??;
    let certificates = tls.get_ref().1.peer_certificates().unwrap_or_default();
    let first = certificates.first();
    let first = first.ok_or_else(|| invalid("the server shows no certificate"))?;
    Ok(first.clone().into_owned())
}

impl ClientTls {
    /// The rustls configuration for this setting.
    ///
    /// # Errors
    /// When a file cannot be read or holds no certificate or key.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3");
        let accepted = match &self.trust {
            Trust::None => None,
            Trust::System => Some(Accepted::by(system_roots()?, &provider)),
            Trust::Ca(path) => Some(Accepted::by(roots_of(path)?, &provider)),
            Trust::Fingerprint(pin) => Some(Accepted::Pinned(*pin)),
            Trust::Insecure => Some(Accepted::Any),
        };
        let builder = match accepted {
            None => builder.with_root_certificates(RootCertStore::empty()),
            Some(accepted) => {
                let algorithms = provider.signature_verification_algorithms;
                let verifier = Verifier::new(accepted, self.trust.clone(), algorithms);
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(Identity { certificate, key }) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
                    what: "a private key",
                    path: key.clone(),
                    reason: error.to_string(),
                })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| TlsError::Identity {
                        certificate: certificate.clone(),
                        reason: error.to_string(),
                    })
            }
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |reason: String| TlsError::File {
        what: "a certificate",
        path: path.to_owned(),
        reason,
    };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(error.to_string()))?;
    if found.is_empty() {
        Err(fail("no certificate in it".to_owned()))
    } else {
        Ok(found)
    }
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File {
            what: "a CA certificate",
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Single files that cannot be read are no reason to refuse the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(TlsError::NoSystemCa)
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_tools_print_it() {
        let printed = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3])).to_string();
        let with_colons: Vec<_> = printed.as_bytes()["sha256:".len()..]
            .chunks(2)
            .map(|c| String::from_utf8_lossy(c).to_uppercase())
            .collect();
        assert_eq!(
            Fingerprint::parse(&printed),
            Fingerprint::parse(&with_colons.join(":"))
        );
        assert!(Fingerprint::parse(&printed).is_some());
        for bad in ["", "sha256:", "sha1:00", &printed[..70], &format!("{printed}00")] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
    }
}
