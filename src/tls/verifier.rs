//! Decides on a server's certificate by the trust setting, and checks that the server holds its key.

use std::sync::Arc;

use ring::signature::{self, RsaParameters, UnparsedPublicKey};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use webpki::RawPublicKeyEntity;

use super::certificate::{Certificate, Key};
use super::refused::{Reason, Refused};
use super::{Fingerprint, Trust};

/// Which certificates are accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    /// Every one, whatever its form.
    Any,
    /// The one with this fingerprint, whatever its form.
    Pinned(Fingerprint),
    /// Those that a CA vouches for, with the right name and in their time.
    ByCa(Arc<WebPkiServerVerifier>),
}

impl Accepted {
    /// Those that one of these CAs, of which there is at least one, vouches for.
    pub(super) fn by(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Accepted {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Accepted::ByCa(
            builder
                .build()
                .expect("there is a CA, and no list of revoked certificates"),
        )
    }
}

#[derive(Debug)]
pub(super) struct Verifier {
    accepted: Accepted,
    /// The setting that this comes from, for errors.
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(accepted: Accepted, trust: Trust, algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier {
            accepted,
            trust,
            algorithms,
        }
    }

    /// Whether a certificate's form matters: not where it was named, or any will do.
    fn is_form_checked(&self) -> bool {
        matches!(self.accepted, Accepted::ByCa(_))
    }

    fn refused(&self, found: &CertificateDer<'_>, reason: Reason) -> Error {
        Refused::new(self.trust.clone(), Fingerprint::of(found), reason).into()
    }

    /// Checks the signature over the handshake by `check`, which is given the certificate's key.
    fn check_signature(
        &self,
        certificate: &CertificateDer<'_>,
        check: impl FnOnce(&Certificate) -> Result<(), Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(read) = Certificate::read(certificate) else {
            return Err(self.refused(certificate, Reason::Malformed));
        };
        match check(&read) {
            Ok(()) => Ok(HandshakeSignatureValid::assertion()),
            Err(_) if !read.key.is_supported() => {
                Err(self.refused(certificate, Reason::Key(read.key.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    fn check_tls12(
        &self,
        certificate: &Certificate,
        message: &[u8],
        signed: &DigitallySignedStruct,
    ) -> Result<(), Error> {
        if !self.is_form_checked() && is_short_rsa(&certificate.key) {
            return check_short_rsa(certificate, message, signed);
        }
        let entity = RawPublicKeyEntity::try_from(&certificate.public_key).map_err(|_| bad_signature())?;
        let mapping = self.algorithms.mapping.iter();
        let mut algorithms = mapping
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| *algorithms);
        // In TLS 1.2 a scheme leaves the curve open: the first one that fits the key decides.
        let is_valid = algorithms.any(|algorithm| {
            entity
                .verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        });
        if is_valid { Ok(()) } else { Err(bad_signature()) }
    }
}

fn bad_signature() -> Error {
    CertificateError::BadSignature.into()
}

/// Shorter than any RSA key that webpki takes; ring takes down to 1024 bits, with PKCS #1 alone.
fn is_short_rsa(key: &Key) -> bool {
    matches!(key, Key::Rsa { bits: 1024..2048 })
}

fn check_short_rsa(
    certificate: &Certificate,
    message: &[u8],
    signed: &DigitallySignedStruct,
) -> Result<(), Error> {
    let parameters: &'static RsaParameters = match signed.scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SignatureScheme::RSA_PKCS1_SHA512 => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        _ => return Err(bad_signature()),
    };
    UnparsedPublicKey::new(parameters, &certificate.key_bits)
        .verify(message, signed.signature())
        .map_err(|_| bad_signature())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = match &self.accepted {
            Accepted::Pinned(pin) if *pin != Fingerprint::of(end_entity) => {
                return Err(self.refused(end_entity, Reason::Fingerprint(*pin)));
            }
            Accepted::Pinned(_) | Accepted::Any => return Ok(ServerCertVerified::assertion()),
            Accepted::ByCa(chain) => chain,
        };
        let checked = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        checked.map_err(|error| match error {
            Error::InvalidCertificate(error) => {
                let reason = Reason::of(&error, Certificate::read(end_entity).as_ref());
                self.refused(end_entity, reason)
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(certificate, |read| self.check_tls12(read, message, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(certificate, |read| {
            verify_tls13_signature_with_raw_key(message, &read.public_key, signed, &self.algorithms).map(drop)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if !self.is_form_checked() {
            // TLS 1.2 takes the first that fits the key's type, and a short RSA key works with these alone.
            schemes.sort_by_key(is_pss);
        }
        schemes
    }
}

fn is_pss(scheme: &SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PSS_SHA256 | SignatureScheme::RSA_PSS_SHA384 | SignatureScheme::RSA_PSS_SHA512
    )
}
