//! Passwords, certificates and schemes.

use lantime2mqtt::config::{Credentials, Mqtt, MqttVersion, Secret, Transport};
use lantime2mqtt::tls::{ClientTls, Fingerprint, Trust};

use crate::bridge::Bridge;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::{memory_store, remote, settings};

#[tokio::test]
async fn a_wrong_password_is_said_and_tried_again() {
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let options = Options {
            login: Some(("bridge", "right")),
            ..Options::default()
        };
        let broker = Mosquitto::start_with(options);
        let login = |password: &str| {
            let password = Some(Secret::new(password));
            Some(Credentials {
                username: "bridge".to_owned(),
                password,
            })
        };
        let mqtt = Mqtt {
            version,
            credentials: login("wrong-sentinel"),
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
        let status = bridge
            .until("refused", |status| status.link.last_error.is_some())
            .await;
        let error = status.link.last_error.unwrap();
        let address = broker.address().to_string();
        assert!(
            error.contains("mqtt.password") && error.contains(&address),
            "{error}"
        );
        assert!(!error.contains("wrong-sentinel"), "{error}");
        assert!(!status.link.connected);
        bridge.crash().await;

        let mqtt = Mqtt {
            version,
            credentials: login("right"),
            ..settings(broker.address())
        };
        let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
        bridge
            .until("let in", |status| status.link.connected && status.pending == 0)
            .await;
        bridge.stop().await;
    }
}

#[tokio::test]
async fn tls_trusts_a_ca_or_a_fingerprint_and_nothing_else() {
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let with = |trust| Mqtt {
        broker: remote(Transport::Tls, broker.address(), ""),
        tls: ClientTls {
            trust,
            identity: None,
        },
        ..settings(broker.address())
    };
    for version in [MqttVersion::V5, MqttVersion::V311] {
        for trust in [Trust::Ca(broker.ca()), Trust::Fingerprint(broker.fingerprint())] {
            let mqtt = Mqtt {
                version,
                ..with(trust)
            };
            let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
            bridge
                .until("trusted", |status| status.link.connected && status.pending == 0)
                .await;
            bridge.stop().await;
        }
        let other = Fingerprint::parse(&"ab".repeat(32)).unwrap();
        for (trust, word) in [
            (Trust::Fingerprint(other), "fingerprint"),
            (Trust::System, "mqtt.ca"),
        ] {
            let mqtt = Mqtt {
                version,
                ..with(trust)
            };
            let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
            let status = bridge
                .until("refused", |status| status.link.last_error.is_some())
                .await;
            let error = status.link.last_error.unwrap();
            assert!(error.contains(word) && !status.link.connected, "{error}");
            bridge.crash().await;
        }
    }
}

#[tokio::test]
async fn a_missing_ca_file_is_an_ordinary_failure() {
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let mqtt = Mqtt {
        broker: remote(Transport::Tls, broker.address(), ""),
        tls: ClientTls {
            trust: Trust::Ca("/nowhere/ca.pem".into()),
            identity: None,
        },
        ..settings(broker.address())
    };
    let mut bridge = Bridge::start(mqtt, "b1", &[], &memory_store()).await;
    let status = bridge
        .until("it fails", |status| status.link.last_error.is_some())
        .await;
    assert!(status.link.last_error.unwrap().contains("/nowhere/ca.pem"));
    bridge.crash().await;
}

#[tokio::test]
async fn the_wrong_scheme_has_its_own_message() {
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let mut bridge = Bridge::start(settings(broker.address()), "b1", &[], &memory_store()).await;
    let status = bridge
        .until("it fails", |status| status.link.last_error.is_some())
        .await;
    let error = status.link.last_error.unwrap();
    assert!(error.contains("scheme"), "{error}");
    bridge.crash().await;
}
