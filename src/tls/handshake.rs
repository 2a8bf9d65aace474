//! Why a TLS handshake failed, and what to do about it: one place for devices, brokers and etcd.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use super::explanation::{Explanation, KEYS, Server};
use super::refused::Refused;
use crate::http_failure::{Failure, all, find};

/// Whether a request over HTTP has failed since the server does not accept the certificate of this client. In TLS 1.3 the client
/// hears of that after its own side of the handshake, but a server reads no request before.
pub(crate) fn is_certificate_refused(error: &reqwest::Error) -> bool {
    let tls = find::<Error>(error);
    tls.is_some_and(|tls| matches!(tls, Error::AlertReceived(alert) if is_about_certificate(*alert)))
}

impl Explanation {
    /// Of an error of a socket to that server, during the handshake; `None` where it has nothing to do with TLS.
    pub fn of_io(error: &io::Error, server: Server) -> Option<Explanation> {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match (inner, error.kind()) {
            (Some(tls), _) => Some(Explanation::of(tls, server)),
            (
                None,
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe,
            ) => {
                let cause = "the connection ended during the TLS handshake";
                Some(Explanation::new(cause, not_tls_remedy(server)))
            }
            _ => None,
        }
    }

    /// Of a request over HTTP to that server that has failed; `None` where TLS has nothing to do with it.
    pub(crate) fn of_request(error: &reqwest::Error, is_https: bool, server: Server) -> Option<Explanation> {
        if matches!(
            Failure::of(error),
            Failure::Timeout | Failure::SlowBody | Failure::NoMoreFiles
        ) {
            return None;
        }
        if let Some(tls) = find::<Error>(error) {
            return Some(Explanation::of(tls, server));
        }
        all::<io::Error>(error)
            .find_map(|io| Explanation::of_io(io, server))
            .filter(|_| error.is_connect() && is_https)
    }

    /// Of an error of the TLS stack towards that server.
    pub fn of(error: &Error, server: Server) -> Explanation {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
                match inner.downcast_ref::<Refused>() {
                    Some(refused) => refused.explain(server),
                    None => other(error, server),
                }
            }
            Error::InvalidCertificate(CertificateError::BadSignature) => Explanation::new(
                "the server does not hold the private key of the certificate that it shows",
                format!(
                    "check the certificate and key of the {}, and what is between here and there",
                    server.name()
                ),
            ),
            Error::InvalidMessage(_) => {
                Explanation::new("what answers there is not TLS", not_tls_remedy(server))
            }
            Error::PeerIncompatible(reason) => explain_incompatible(reason, server),
            Error::AlertReceived(alert) => explain_alert(*alert, server),
            _ => other(error, server),
        }
    }
}

fn other(error: &Error, server: Server) -> Explanation {
    let remedy = format!(
        "check the TLS settings of the {}; its log may say more",
        server.name()
    );
    Explanation::new(error.to_string(), remedy)
}

fn not_tls_remedy(server: Server) -> String {
    let http = "http or https";
    let schemes = server.either(http, "mqtt or mqtts, ws or wss", http);
    format!(
        "check that {} has the port at which TLS is spoken, and the right scheme ({schemes})",
        server.url()
    )
}

fn explain_incompatible(reason: &PeerIncompatible, server: Server) -> Explanation {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => old_version(server),
        reason => nothing_in_common(&format!("{reason:?}"), server),
    }
}

fn explain_alert(alert: AlertDescription, server: Server) -> Explanation {
    use AlertDescription as Alert;
    match alert {
        Alert::ProtocolVersion => old_version(server),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            nothing_in_common(&format!("alert {alert:?}"), server)
        }
        Alert::UnrecognisedName => Explanation::new(
            "the server has no certificate for the host name that it is asked for",
            format!("write the host name that the server knows into {}", server.url()),
        ),
        alert if is_about_certificate(alert) => explain_own_certificate(alert, server),
        alert => Explanation::new(
            format!("the server ended the handshake with the alert {alert:?}"),
            format!("see the log of the {} for its reason", server.name()),
        ),
    }
}

/// Whether a server sends that alert while it checks the certificate of a client, or misses one.
fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

fn old_version(server: Server) -> Explanation {
    let remedy = server.either(
        "switch TLS 1.2 or 1.3 on in the device's settings for HTTPS, or update its firmware; without either, \
         use http in its url, in a network where nobody can listen",
        "switch TLS 1.2 or 1.3 on in the broker",
        "update etcd",
    );
    Explanation::new("the server speaks only TLS older than 1.2", remedy)
}

fn nothing_in_common(reason: &str, server: Server) -> Explanation {
    Explanation::new(
        format!(
            "the server has no cipher suite, or no kind of key, in common with the bridge ({reason}): it may have a key of \
             ECDSA P-521 alone, or ciphers without ECDHE"
        ),
        format!(
            "switch TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20, on in the {}, and give it a certificate with a key that is \
             {KEYS}{}",
            server.name(),
            match server {
                Server::Broker {
                    is_shown_certificate: false,
                } => "; if it asks clients for a certificate, set mqtt.certificate and mqtt.key",
                Server::Etcd {
                    is_shown_certificate: false,
                } => "; if it asks clients for a certificate, set cluster.certificate and cluster.key",
                _ => "",
            }
        ),
    )
}

/// The server says something about the certificate that it was shown, or not shown.
fn explain_own_certificate(alert: AlertDescription, server: Server) -> Explanation {
    match server {
        Server::Device => Explanation::new(
            format!(
                "the device asks for a certificate of the bridge, which has none for devices (alert {alert:?})"
            ),
            "switch the check of client certificates off in the device",
        ),
        Server::Broker {
            is_shown_certificate: true,
        } => Explanation::new(
            format!("the broker does not take the certificate of the bridge (alert {alert:?})"),
            "have the certificate in mqtt.certificate issued by a CA that the broker trusts, for clients, and check its dates",
        ),
        Server::Broker {
            is_shown_certificate: false,
        } => Explanation::new(
            format!("the broker asks for a certificate of the bridge (alert {alert:?})"),
            "set mqtt.certificate and mqtt.key to one that the broker's CA has issued",
        ),
        Server::Etcd {
            is_shown_certificate: true,
        } => Explanation::new(
            format!("etcd does not take the certificate of the bridge (alert {alert:?})"),
            "have the certificate in cluster.certificate issued by the CA in etcd's --trusted-ca-file, for clients, and check \
             its dates",
        ),
        Server::Etcd {
            is_shown_certificate: false,
        } => Explanation::new(
            format!("etcd asks for a certificate of the bridge (alert {alert:?})"),
            "set cluster.certificate and cluster.key to one that the CA in etcd's --trusted-ca-file has issued",
        ),
    }
}
