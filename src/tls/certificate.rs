//! What matters of a server's certificate, whatever its version: webpki reads version 3 only.

use std::fmt;

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag};

/// Object identifiers of keys, from RFC 3279, RFC 5480 and RFC 8410; of an elliptic curve, the curve's.
const RSA: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
const RSA_PSS: &[u64] = &[1, 2, 840, 113_549, 1, 1, 10];
const EC: &[u64] = &[1, 2, 840, 10_045, 2, 1];
const P256: &[u64] = &[1, 2, 840, 10_045, 3, 1, 7];
const P384: &[u64] = &[1, 3, 132, 0, 34];
const P521: &[u64] = &[1, 3, 132, 0, 35];
const ED25519: &[u64] = &[1, 3, 101, 112];
const ED448: &[u64] = &[1, 3, 101, 113];

/// RSA keys, in bits, that ring takes for every signature.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The parts of an X.509 certificate that decide what can be done with it.
#[derive(Debug)]
pub(super) struct Certificate {
    /// 1, 2 or 3.
    pub(super) version: u8,
    /// Whether issuer and subject are the same.
    pub(super) is_self_issued: bool,
    /// The public key with its algorithm.
    pub(super) public_key: SubjectPublicKeyInfoDer<'static>,
    /// What kind of key that is.
    pub(super) key: Key,
    /// The key alone, in the form of its algorithm.
    pub(super) key_bits: Vec<u8>,
}

/// A kind of public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// With the length of its modulus.
    Rsa { bits: usize },
    /// By its algorithm or curve.
    Other(ObjectIdentifier),
}

impl Certificate {
    /// `None` where it is malformed.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        yasna::parse_der(der, |reader| {
            reader.read_sequence(|parts| {
                let certificate = parts.next().read_sequence(read_signed_part)?;
                skip_rest(parts)?;
                Ok(certificate)
            })
        })
        .ok()
    }
}

/// RFC 5280, 4.1: `TBSCertificate`.
fn read_signed_part(parts: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Certificate> {
    let version =
        parts.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_u8()))?;
    let _serial_number = parts.next().read_der()?;
    let _signature = parts.next().read_der()?;
    let issuer = parts.next().read_der()?;
    let _validity = parts.next().read_der()?;
    let subject = parts.next().read_der()?;
    let public_key = parts.next().read_der()?;
    skip_rest(parts)?;
    let (key, key_bits) = yasna::parse_der(&public_key, read_key)?;
    Ok(Certificate {
        version: version.unwrap_or(0).saturating_add(1),
        is_self_issued: issuer == subject,
        public_key: public_key.into(),
        key,
        key_bits,
    })
}

fn skip_rest(parts: &mut BERReaderSeq<'_, '_>) -> ASN1Result<()> {
    while parts.read_optional(|reader| reader.read_der())?.is_some() {}
    Ok(())
}

/// RFC 5280, 4.1: `SubjectPublicKeyInfo`.
fn read_key(reader: BERReader<'_, '_>) -> ASN1Result<(Key, Vec<u8>)> {
    reader.read_sequence(|parts| {
        let (algorithm, curve) = parts.next().read_sequence(|parts| {
            let algorithm = parts.next().read_oid()?;
            let parameters = parts.read_optional(|reader| reader.read_der())?;
            let curve = parameters.and_then(|der| yasna::parse_der(&der, |reader| reader.read_oid()).ok());
            Ok((algorithm, curve))
        })?;
        let (bits, _unused) = parts.next().read_bitvec_bytes()?;
        let key = match algorithm.components().as_slice() {
            RSA => Key::Rsa {
                bits: yasna::parse_der(&bits, read_modulus_bits)?,
            },
            EC => Key::Other(curve.unwrap_or(algorithm)),
            _ => Key::Other(algorithm),
        };
        Ok((key, bits))
    })
}

/// RFC 8017, A.1.1: `RSAPublicKey`.
fn read_modulus_bits(reader: BERReader<'_, '_>) -> ASN1Result<usize> {
    reader.read_sequence(|parts| {
        let (modulus, _) = parts.next().read_bigint_bytes()?;
        skip_rest(parts)?;
        let first = modulus.iter().position(|byte| *byte != 0);
        Ok(first.map_or(0, |first| {
            8 * (modulus.len() - first) - modulus[first].leading_zeros() as usize
        }))
    })
}

impl Key {
    /// Whether the TLS stack can check its signatures.
    pub(super) fn is_supported(&self) -> bool {
        match self {
            Key::Rsa { bits } => RSA_BITS.contains(bits),
            Key::Other(oid) => [P256, P384, ED25519].contains(&oid.components().as_slice()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let oid = match self {
            Key::Rsa { bits } => return write!(f, "RSA of {bits} bits"),
            Key::Other(oid) => oid,
        };
        match oid.components().as_slice() {
            RSA_PSS => f.write_str("RSASSA-PSS"),
            P256 => f.write_str("ECDSA P-256"),
            P384 => f.write_str("ECDSA P-384"),
            P521 => f.write_str("ECDSA P-521"),
            ED25519 => f.write_str("Ed25519"),
            ED448 => f.write_str("Ed448"),
            _ => write!(f, "of type {oid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> CertificateDer<'static> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["device.example".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_of_version_3_is_read() {
        for (algorithm, name) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "ECDSA P-256"),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA P-384"),
            (&rcgen::PKCS_ED25519, "Ed25519"),
        ] {
            let read = Certificate::read(&certificate(algorithm)).unwrap();
            assert_eq!((read.version, read.is_self_issued), (3, true));
            assert_eq!(read.key.to_string(), name);
            assert!(read.key.is_supported());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Certificate::read(&bytes.into());
        }

        #[test]
        fn no_changed_byte_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut der = certificate(&rcgen::PKCS_ECDSA_P256_SHA256).to_vec();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = Certificate::read(&der.into());
        }
    }
}
