//! A server that shows a certificate of which it does not hold the key: whom the bridge talks to follows from the signature
//! over the handshake alone where the form of a certificate does not matter.

use std::sync::Arc;

use lantime2mqtt::tls::{ClientTls, Fingerprint, Trust};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::openssl::{Certificates, Issued, NAMES, P256, RSA, RSA_1024};

/// A server that shows the certificate of one and signs with the key of another.
fn server(shown: &Issued, signs: &Issued, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_file(&signs.key).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate(shown)], key));
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver))
}

fn certificate(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&issued.certificate).unwrap()
}

/// How the handshake ends for a client with that setting.
async fn handshake(trust: Trust, server: ServerConfig) -> Result<(), Error> {
    let tls = ClientTls {
        trust,
        identity: None,
    };
    let connector = TlsConnector::from(Arc::new(tls.client_config().unwrap()));
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from("localhost").unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (end, _) = tokio::join!(connector.connect(name, ours), acceptor.accept(theirs));
    let error = |error: std::io::Error| error.downcast::<Error>().expect("an error of TLS");
    end.map(drop).map_err(error)
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_whatever_the_setting() {
    let certificates = Certificates::new();
    let issue = |name, key, extensions| certificates.issue(name, key, extensions);
    let names = Some(NAMES);
    let rsa = [issue("rsa", RSA, names), issue("rsa-other", RSA, names)];
    let ec = [issue("ec", P256, names), issue("ec-other", P256, names)];
    let old = [
        issue("old", RSA, None),
        issue("old-ec", P256, None),
        issue("short", RSA_1024, names),
    ];
    assert_eq!((old[0].version(), old[1].version()), (1, 1));
    let both = &[&TLS12, &TLS13][..];
    let cases = [
        ("RSA 2048", &rsa[0], &rsa[1], both, true),
        ("P-256", &ec[0], &ec[1], both, true),
        ("RSA 2048, version 1", &old[0], &rsa[1], both, false),
        ("P-256, version 1", &old[1], &ec[1], both, false),
        ("RSA 1024", &old[2], &rsa[1], &[&TLS12], false),
    ];
    let mut wrong = Vec::new();
    for (kind, shown, other, versions, by_ca) in cases {
        let mut settings = vec![
            Trust::Insecure,
            Trust::Fingerprint(Fingerprint::of(&certificate(shown))),
        ];
        if by_ca {
            settings.push(Trust::Ca(certificates.ca().into()));
        }
        for version in versions {
            for trust in &settings {
                let case = format!("{kind}, {:?}, {trust:?}", version.version);
                let refused = handshake(trust.clone(), server(shown, other, version)).await;
                let is_refused = match kind {
                    // That its key is short is the other reason then.
                    "RSA 1024" => matches!(refused, Err(Error::InvalidCertificate(_))),
                    _ => refused == Err(CertificateError::BadSignature.into()),
                };
                if !is_refused {
                    wrong.push(format!("{case}: {refused:?}"));
                }
                // rustls signs with no short key; that one is understood where it signs, the tests of devices show.
                if kind != "RSA 1024" {
                    let taken = handshake(trust.clone(), server(shown, shown, version)).await;
                    assert_eq!(taken, Ok(()), "{case}, with its own key");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
