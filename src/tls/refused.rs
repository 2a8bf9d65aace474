//! A server's certificate that is refused: why, and what to do about it.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error, OtherError};

use super::certificate::Certificate;
use super::explanation::{Explanation, KEYS, Server};
use super::{Fingerprint, Trust};

/// Most names of a certificate, and characters of all of them, that an error quotes.
const MAX_NAMES: usize = 5;
const MAX_QUOTED: usize = 200;

/// It travels inside an error of rustls.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the certificate {found} is refused: {reason:?}")]
pub(super) struct Refused {
    trust: Trust,
    found: Fingerprint,
    reason: Reason,
}

/// Why a certificate is refused.
#[derive(Debug, Clone)]
pub(super) enum Reason {
    /// It is not the one with this fingerprint.
    Fingerprint(Fingerprint),
    /// Its X.509 version, which is not 3.
    Version(u8),
    /// It has signed itself, and is not among the trusted ones.
    SelfSigned,
    /// None of the trusted CAs has signed it.
    UnknownIssuer,
    /// A trusted CA has the issuer's name, but not its key.
    OtherIssuer,
    /// It is a CA's own certificate.
    CaAsOwn,
    /// It has these names, and not the one that was expected.
    Name { expected: String, names: Vec<String> },
    /// It was good until then.
    Expired(Option<UnixTime>),
    /// It is good from then on.
    NotYet(Option<UnixTime>),
    /// It is not meant for servers.
    Purpose,
    /// It, or a CA's above it, was signed in a way that cannot be checked.
    SignedWith,
    /// Its key, of that kind, cannot be used.
    Key(String),
    /// It cannot be read.
    Malformed,
    /// Something else.
    Other(String),
}

impl Refused {
    pub(super) fn new(trust: Trust, found: Fingerprint, reason: Reason) -> Refused {
        Refused { trust, found, reason }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

impl Reason {
    /// Why the check against CAs has failed.
    pub(super) fn of(error: &CertificateError, certificate: Option<&Certificate>) -> Reason {
        use CertificateError as E;
        let Some(certificate) = certificate else {
            return Reason::Malformed;
        };
        if certificate.version != 3 {
            return Reason::Version(certificate.version);
        }
        match error {
            E::UnknownIssuer if certificate.is_self_issued => Reason::SelfSigned,
            E::UnknownIssuer => Reason::UnknownIssuer,
            E::BadSignature => Reason::OtherIssuer,
            E::NotValidForNameContext { expected, presented } => Reason::Name {
                expected: expected.to_str().into_owned(),
                names: presented.clone(),
            },
            E::Expired => Reason::Expired(None),
            E::ExpiredContext { not_after, .. } => Reason::Expired(Some(*not_after)),
            E::NotValidYet => Reason::NotYet(None),
            E::NotValidYetContext { not_before, .. } => Reason::NotYet(Some(*not_before)),
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Reason::Purpose,
            E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Reason::SignedWith,
            E::BadEncoding => Reason::Malformed,
            E::Other(other) if is_ca(other) => Reason::CaAsOwn,
            other => Reason::Other(other.to_string()),
        }
    }
}

fn is_ca(error: &OtherError) -> bool {
    error.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

impl Refused {
    /// Why a connection to that server failed by it.
    pub(super) fn explain(&self, server: Server) -> Explanation {
        let name = server.name();
        let (cause, remedy) = match &self.reason {
            Reason::Fingerprint(pin) => (
                format!("the certificate's fingerprint is {}, the configured one is {pin}", self.found),
                format!(
                    "if the certificate was replaced on purpose, change {} to the new fingerprint; if not, somebody may be in \
                     between",
                    server.fingerprint().unwrap_or("the setting")
                ),
            ),
            Reason::Version(version) => (
                format!("the certificate is of X.509 version {version}, which no CA can vouch for here"),
                self.renew_or_pin("one of version 3 (openssl x509 -req with -extfile, or openssl req -x509)", server),
            ),
            Reason::SelfSigned => self.explain_unknown("the certificate is self-signed", server),
            Reason::UnknownIssuer => self.explain_unknown("the certificate is signed by a CA that is not trusted", server),
            Reason::OtherIssuer => self.explain_unknown(
                "the certificate's signature is not that of the trusted CA with its issuer's name (a CA that was made again \
                 has another key)",
                server,
            ),
            Reason::CaAsOwn => (
                format!("the {name} shows a CA's certificate (CA:TRUE) as its own"),
                self.renew_or_pin("one of its own, which is not a CA's", server),
            ),
            Reason::Name { expected, names } => (
                format!("the certificate is not for {expected:?}, but for {}", listed(names)),
                format!("use a name that the certificate has in {}{}", server.url(), self.or_pin(server)),
            ),
            Reason::Expired(until) => (
                format!("the certificate has expired{}", moment(*until)),
                format!("renew it, or check this machine's clock{}", self.or_pin(server)),
            ),
            Reason::NotYet(from) => (
                format!("the certificate is not valid yet{}", moment(*from)),
                format!("check the clocks of this machine and of the {name}{}", self.or_pin(server)),
            ),
            Reason::Purpose => (
                "the certificate is not meant for servers".to_owned(),
                self.renew_or_pin("one whose extendedKeyUsage has serverAuth, or that has none", server),
            ),
            Reason::SignedWith => (
                "the certificate, or a CA's above it, is signed with an algorithm that cannot be checked (such as SHA-1, or a \
                 key of P-521)"
                    .to_owned(),
                self.renew_or_pin(&format!("one whose CA signs with SHA-256 or longer and a key that is {KEYS}"), server),
            ),
            Reason::Key(kind) => (
                format!("the certificate's key cannot be used: it is {kind}"),
                format!("give the {name} a certificate with a key that is {KEYS}"),
            ),
            Reason::Malformed => (
                "the certificate is malformed".to_owned(),
                format!("give the {name} another certificate"),
            ),
            Reason::Other(reason) => (
                format!("the certificate is refused: {reason}"),
                self.renew_or_pin("another certificate", server),
            ),
        };
        Explanation::new(cause, remedy)
    }

    fn explain_unknown(&self, cause: &str, server: Server) -> (String, String) {
        let ca = match &self.trust {
            Trust::Ca(path) => format!(
                "put the certificate of the CA that has signed it into {} ({})",
                server.ca(),
                path.display()
            ),
            _ => format!(
                "set {} to the certificate of the CA that has signed it",
                server.ca()
            ),
        };
        (cause.to_owned(), format!("{ca}{}", self.or_pin(server)))
    }

    fn renew_or_pin(&self, wanted: &str, server: Server) -> String {
        format!("give the {} {wanted}{}", server.name(), self.or_pin(server))
    }

    /// Where CAs are trusted, which is where this is asked for, one certificate can be trusted instead, if there is a
    /// setting for that.
    fn or_pin(&self, server: Server) -> String {
        let Some(setting) = server.fingerprint() else {
            return String::new();
        };
        let instead = match &self.trust {
            Trust::Ca(_) => format!(" instead of {}", server.ca()),
            _ => String::new(),
        };
        format!(
            ", or set {setting}{instead} to {} if that is the {}'s own certificate",
            self.found,
            server.name()
        )
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no name at all (subjectAltName is missing)".to_owned(),
        names => {
            // They come as `DnsName("lantime.example")`.
            let names = names.iter().take(MAX_NAMES);
            let names = names.map(|name| name.split('"').nth(1).unwrap_or(name));
            let names = names.collect::<Vec<_>>().join(", ");
            format!("{:?}", names.chars().take(MAX_QUOTED).collect::<String>())
        }
    }
}

fn moment(time: Option<UnixTime>) -> String {
    let seconds = time.and_then(|time| i64::try_from(time.as_secs()).ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or(String::new(), |time| format!(" ({time})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Vec<Reason> {
        let found = Fingerprint::of(&vec![1].into());
        vec![
            Reason::Fingerprint(found),
            Reason::Version(1),
            Reason::SelfSigned,
            Reason::UnknownIssuer,
            Reason::OtherIssuer,
            Reason::CaAsOwn,
            Reason::Name {
                expected: "10.0.0.7".to_owned(),
                names: vec!["lantime.example".to_owned()],
            },
            Reason::Expired(Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
                1,
            )))),
            Reason::NotYet(None),
            Reason::Purpose,
            Reason::SignedWith,
            Reason::Key("ECDSA P-521".to_owned()),
            Reason::Malformed,
            Reason::Other("whatever".to_owned()),
        ]
    }

    #[test]
    fn a_remedy_names_no_setting_that_is_there_already() {
        let broker = Server::Broker {
            is_shown_certificate: true,
        };
        let etcd = Server::Etcd {
            is_shown_certificate: true,
        };
        for server in [Server::Device, broker, etcd] {
            for reason in reasons() {
                let explain = |trust| {
                    let refused = Refused::new(trust, Fingerprint::of(&vec![2].into()), reason.clone());
                    Explanation::of(&refused.into(), server)
                };
                let by_file = explain(Trust::Ca("/etc/ca.pem".into()));
                let names_it = format!("set {} to", server.ca());
                assert!(!by_file.remedy.contains(&names_it), "{by_file:?}");
                let by_machine = explain(Trust::System);
                assert!(!by_machine.remedy.contains("instead of"), "{by_machine:?}");
                assert_eq!(by_file.cause, by_machine.cause);
                let settings = ["cluster.", "mqtt.", " tls."];
                let own = server.either(" tls.", "mqtt.", "cluster.");
                for elsewhere in settings.iter().filter(|setting| **setting != own) {
                    assert!(!by_machine.remedy.contains(elsewhere), "{by_machine:?}");
                }
            }
        }
    }

    #[test]
    fn every_reason_has_a_cause_of_its_own() {
        let explain = |reason| {
            let refused = Refused::new(Trust::System, Fingerprint::of(&vec![2].into()), reason);
            Explanation::of(&refused.into(), Server::Device).cause
        };
        let causes: std::collections::BTreeSet<_> = reasons().into_iter().map(explain).collect();
        assert_eq!(causes.len(), reasons().len(), "{causes:#?}");
    }
}
