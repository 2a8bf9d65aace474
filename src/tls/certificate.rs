//! What matters of a server's certificate, whatever its version: webpki reads version 3 only.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// Object identifiers of keys as DER encodes them, from RFC 3279, RFC 5480 and RFC 8410; of an elliptic curve, the
/// curve's.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0, 34];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0, 35];
const ED25519: &[u8] = &[0x2b, 0x65, 112];
const ED448: &[u8] = &[0x2b, 0x65, 113];

/// Tags of DER.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

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
    /// Until when it is valid; `None` where that is malformed.
    pub(super) expires_at: Option<Timestamp>,
}

/// A kind of public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// With the length of its modulus.
    Rsa { bits: usize },
    /// By the object identifier of its algorithm or curve.
    Other(Vec<u8>),
}

impl Certificate {
    /// `None` where it is malformed, as far as it is read: extensions and the signature are not.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        let mut rest = Der(der);
        let mut certificate = rest.contents(SEQUENCE)?;
        if !rest.0.is_empty() {
            return None;
        }
        read_signed_part(certificate.contents(SEQUENCE)?)
    }
}

/// RFC 5280, 4.1: `TBSCertificate`.
fn read_signed_part(mut parts: Der<'_>) -> Option<Certificate> {
    let version = match parts.0.first() {
        Some(&VERSION) => match parts.contents(VERSION)?.contents(INTEGER)?.0 {
            [version] => version.saturating_add(1),
            _ => return None,
        },
        _ => 1,
    };
    let _serial_number = parts.element()?;
    let _signature = parts.element()?;
    let issuer = parts.element()?;
    let validity = parts.element()?;
    let subject = parts.element()?;
    let public_key = parts.element()?;
    let (key, key_bits) = read_key(public_key.contents)?;
    Some(Certificate {
        version,
        is_self_issued: issuer.whole == subject.whole,
        public_key: public_key.whole.to_vec().into(),
        key,
        key_bits,
        expires_at: read_end(validity.contents),
    })
}

/// RFC 5280, 4.1.2.5: the second of the two times of `Validity`. Both kinds are in UTC, with seconds.
fn read_end(mut validity: Der<'_>) -> Option<Timestamp> {
    let _begin = validity.element()?;
    let end = validity.element()?;
    let digits = std::str::from_utf8(end.contents.0).ok()?.strip_suffix('Z')?;
    let digits = match end.tag {
        // Years from 1950 to 2049.
        UTC_TIME if digits.get(..2)? < "50" => format!("20{digits}"),
        UTC_TIME => format!("19{digits}"),
        GENERALIZED_TIME => digits.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

/// RFC 5280, 4.1: `SubjectPublicKeyInfo`.
fn read_key(mut parts: Der<'_>) -> Option<(Key, Vec<u8>)> {
    let mut algorithm = parts.contents(SEQUENCE)?;
    let identifier = algorithm.contents(OBJECT_IDENTIFIER)?.0;
    // The first octet counts the bits at the end that are unused; keys have none.
    let (&0, bits) = parts.contents(BIT_STRING)?.0.split_first()? else {
        return None;
    };
    let key = match identifier {
        RSA => Key::Rsa {
            bits: modulus_bits(Der(bits))?,
        },
        EC => {
            let curve = algorithm.contents(OBJECT_IDENTIFIER);
            Key::Other(curve.map_or(identifier, |curve| curve.0).to_vec())
        }
        _ => Key::Other(identifier.to_vec()),
    };
    Some((key, bits.to_vec()))
}

/// RFC 8017, A.1.1: `RSAPublicKey`.
fn modulus_bits(mut key: Der<'_>) -> Option<usize> {
    let modulus = key.contents(SEQUENCE)?.contents(INTEGER)?.0;
    let first = modulus.iter().position(|byte| *byte != 0);
    Some(first.map_or(0, |first| {
        8 * (modulus.len() - first) - modulus[first].leading_zeros() as usize
    }))
}

/// What is left to read of some DER. These bytes come before the server is authenticated: whoever answers chooses them.
struct Der<'a>(&'a [u8]);

struct Element<'a> {
    tag: u8,
    contents: Der<'a>,
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// The next element. `None` where it is cut off, or its length indefinite or of more than four octets.
    fn element(&mut self) -> Option<Element<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                let length = octets
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet));
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Element {
            tag,
            contents: Der(contents),
            whole,
        })
    }

    /// What is in the next element, which is to have this tag.
    fn contents(&mut self, tag: u8) -> Option<Der<'a>> {
        self.element()
            .filter(|element| element.tag == tag)
            .map(|element| element.contents)
    }
}

impl Key {
    /// Whether the TLS stack can check its signatures.
    pub(super) fn is_supported(&self) -> bool {
        match self {
            Key::Rsa { bits } => RSA_BITS.contains(bits),
            Key::Other(oid) => [P256, P384, ED25519].contains(&oid.as_slice()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let oid = match self {
            Key::Rsa { bits } => return write!(f, "RSA of {bits} bits"),
            Key::Other(oid) => oid,
        };
        match oid.as_slice() {
            RSA_PSS => f.write_str("RSASSA-PSS"),
            P256 => f.write_str("ECDSA P-256"),
            P384 => f.write_str("ECDSA P-384"),
            P521 => f.write_str("ECDSA P-521"),
            ED25519 => f.write_str("Ed25519"),
            ED448 => f.write_str("Ed448"),
            oid => write!(f, "of type {}", dotted(oid)),
        }
    }
}

/// An object identifier as people write it.
fn dotted(oid: &[u8]) -> String {
    // Longer ones do not fit into the number, and name no key.
    if oid.len() > 18 {
        return "unknown".to_owned();
    }
    let mut text = String::new();
    let mut number: u128 = 0;
    for octet in oid {
        number = number << 7 | u128::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if text.is_empty() {
            // The first two components are one number.
            let first = (number / 40).min(2);
            text = format!("{first}.{}", number - 40 * first);
        } else {
            text += &format!(".{number}");
        }
        number = 0;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData};

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

    /// An element of DER that is shorter than 256 bytes.
    fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let length = u8::try_from(contents.len()).unwrap();
        let head = if length < 0x80 {
            vec![tag, length]
        } else {
            vec![tag, 0x81, length]
        };
        [head, contents].concat()
    }

    /// A certificate of version 1 with this serial number, and this after what is signed.
    fn with(serial_number: &[u8], after: &[u8]) -> CertificateDer<'static> {
        let public_key = KeyPair::generate().unwrap().subject_public_key_info();
        let empty = element(SEQUENCE, &[]);
        let signed = element(
            SEQUENCE,
            &[serial_number, &empty, &empty, &empty, &empty, &public_key],
        );
        element(SEQUENCE, &[&signed, after]).into()
    }

    #[test]
    fn a_length_that_is_none_ends_the_reading() {
        const SERIAL_NUMBER: &[u8] = &[INTEGER, 1, 7];
        // From its end on, these lead to the beginning again, or before it.
        let back = [0x04, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf6];
        let before = [0x04, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf5];
        let read = Certificate::read(&with(SERIAL_NUMBER, &back)).unwrap();
        assert_eq!((read.version, read.is_self_issued), (1, true));
        assert_eq!(read.key.to_string(), "ECDSA P-256");
        for length in [
            &back[..],
            &before,
            &[0x04, 0x80],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Certificate::read(&with(length, &[])).is_none(), "{length:x?}");
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, end) in [(2049, "2049-12-31T00:00:00Z"), (2050, "2050-12-31T00:00:00Z")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["device.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 12, 31);
            let der = params.self_signed(&key).unwrap().der().clone();
            let read = Certificate::read(&der).unwrap();
            assert_eq!(read.expires_at, end.parse().ok());
        }
        let times = [element(UTC_TIME, &[]), element(UTC_TIME, &[b"991231235959Z"])].concat();
        assert_eq!(read_end(Der(&times)), "1999-12-31T23:59:59Z".parse().ok());
        let without_zone = [element(INTEGER, &[]), element(UTC_TIME, &[b"991231235959"])].concat();
        assert_eq!(read_end(Der(&without_zone)), None);
    }

    #[test]
    fn an_object_identifier_is_written_with_dots() {
        for (oid, text) in [
            (EC, "1.2.840.10045.2.1"),
            (P521, "1.3.132.0.35"),
            (&[0x88, 0x37, 3], "2.999.3"),
            (&[0xff; 18], ""),
            (&[1; 19], "unknown"),
        ] {
            assert_eq!(dotted(oid), text);
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
