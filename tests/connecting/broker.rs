//! mosquitto with certificates of version 1, and what is said of one that cannot be connected to.

use lantime2mqtt::config::{Broker, Layout, Mqtt, MqttVersion, Transport};
use lantime2mqtt::mqtt::connection::{Cause, Event, Purpose, connect};
use lantime2mqtt::tls::{ClientTls, Fingerprint, Identity, Trust};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::openssl::{Certificates, Issued, NAMES, P256, RSA};

/// A broker that shows this certificate, with more lines of its configuration.
fn broker(issued: &Issued, lines: &[String]) -> Mosquitto {
    let mut all = vec![
        format!("certfile {}", issued.certificate.display()),
        format!("keyfile {}", issued.key.display()),
    ];
    all.extend_from_slice(lines);
    Mosquitto::start_with(Options {
        lines: all,
        ..Options::default()
    })
}

fn settings(address: SocketAddr, version: MqttVersion, trust: Trust) -> Mqtt {
    Mqtt {
        broker: Broker::Remote {
            transport: Transport::Tls,
            host: address.ip().to_string(),
            port: address.port(),
            path: String::new(),
        },
        version,
        prefix: "lantime".to_owned(),
        layout: Layout::Json,
        client_id: "bridge".to_owned(),
        credentials: None,
        tls: ClientTls {
            trust,
            identity: None,
        },
        keep_alive: Duration::from_secs(5),
        session_expiry: Duration::from_secs(3600),
    }
}

/// What comes of one connection: nothing where the broker has accepted us.
async fn failure(settings: &Mqtt) -> Option<Cause> {
    let (_client, mut events) = connect(settings, &Purpose::Commands, 0);
    match timeout(PATIENCE, events.recv()).await.unwrap().unwrap() {
        Event::Connected(_) => None,
        Event::Closed(Err(error)) => Some(error.cause().clone()),
        other => panic!("{other:?}"),
    }
}

fn pin(issued: &Issued) -> Trust {
    Trust::Fingerprint(Fingerprint::parse(&issued.fingerprint()).unwrap())
}

#[tokio::test]
async fn a_certificate_of_version_1_works_where_it_is_pinned_and_is_named_where_it_is_not() {
    let certificates = Certificates::new();
    for key in [RSA, P256] {
        let issued = certificates.issue("old-form", key, None);
        assert_eq!(issued.version(), 1);
        for tls in ["tlsv1.2", "tlsv1.3"] {
            let broker = broker(&issued, &[format!("tls_version {tls}")]);
            for version in [MqttVersion::V5, MqttVersion::V311] {
                for trust in [pin(&issued), Trust::Insecure] {
                    let settings = settings(broker.address(), version, trust);
                    assert_eq!(failure(&settings).await, None, "{tls} {version:?}");
                }
                let trust = Trust::Ca(certificates.ca().into());
                let cause = failure(&settings(broker.address(), version, trust)).await;
                let text = cause.expect("no CA vouches for it").to_string();
                assert!(text.contains("X.509 version 1"), "{text}");
                assert!(
                    text.contains("mqtt.tls.fingerprint instead of mqtt.ca to sha256:"),
                    "{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_ours_is_asked_for_only_where_there_is_none() {
    let certificates = Certificates::new();
    let other = Certificates::new();
    let issued = certificates.issue("server", RSA, Some(NAMES));
    let lines = [
        "require_certificate true".to_owned(),
        format!("cafile {}", certificates.ca()),
        "tls_version tlsv1.3".to_owned(),
    ];
    let broker = broker(&issued, &lines);
    let without = settings(broker.address(), MqttVersion::V5, pin(&issued));
    let text = failure(&without).await.expect("it asks for one").to_string();
    assert!(text.contains("set mqtt.certificate and mqtt.key"), "{text}");

    let wrong = other.issue("client", RSA, Some(NAMES));
    let with_wrong = Mqtt {
        tls: ClientTls {
            trust: pin(&issued),
            identity: Some(Identity {
                certificate: wrong.certificate.clone(),
                key: wrong.key.clone(),
            }),
        },
        ..without
    };
    let text = failure(&with_wrong).await.expect("another CA's").to_string();
    assert!(
        text.contains("does not take the certificate") && !text.contains("set mqtt."),
        "{text}"
    );
}
