//! TLS: a CA, a client certificate, and errors that name what is wrong with one.

use std::path::PathBuf;

use lantime2mqtt::cluster::etcd::{Client, Error};
use lantime2mqtt::tls::{ClientTls, Identity, Trust};

use super::support::etcd::{Etcd, Options, Tls};
use super::support::openssl::{Certificates, Issued, NAMES, P256};
use super::{settings, value, write};

/// etcd with that certificate.
fn start(certificates: &Certificates, server: Issued, asks_clients: bool) -> Etcd {
    let clients = asks_clients.then(|| PathBuf::from(certificates.ca()));
    let options = Options {
        tls: Some(Tls { server, clients }),
        ..Options::default()
    };
    Etcd::start_with(1, options)
}

fn client(endpoints: Vec<String>, ca: String, identity: Option<&Issued>) -> Client {
    let mut settings = settings(endpoints);
    settings.tls = ClientTls {
        trust: Trust::Ca(ca.into()),
        identity: identity.map(|issued| Identity {
            certificate: issued.certificate.clone(),
            key: issued.key.clone(),
        }),
    };
    Client::new(&settings).unwrap()
}

async fn refused(client: &Client) -> Error {
    let error = write(client, "a", "2").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        ("tls", false),
        "{error}"
    );
    error
}

#[tokio::test]
async fn a_ca_and_a_client_certificate_let_the_client_in() {
    let certificates = Certificates::new();
    let server = certificates.issue("server", P256, Some(NAMES));
    let bridge = certificates.issue("bridge", P256, Some("extendedKeyUsage = clientAuth\n"));
    let etcd = start(&certificates, server, true);
    let known = client(etcd.endpoints(), certificates.ca(), Some(&bridge));
    write(&known, "a", "1").await.unwrap();
    assert_eq!(value(&known, "a").await.as_deref(), Some("1"));

    let error = refused(&client(etcd.endpoints(), certificates.ca(), None)).await;
    assert!(
        error
            .to_string()
            .contains("set cluster.certificate and cluster.key"),
        "{error}"
    );

    let others = Certificates::new();
    let unknown = others.issue("bridge", P256, Some("extendedKeyUsage = clientAuth\n"));
    let error = refused(&client(etcd.endpoints(), certificates.ca(), Some(&unknown))).await;
    assert!(
        error.to_string().contains("etcd does not take the certificate"),
        "{error}"
    );
    assert_eq!(value(&known, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused() {
    let certificates = Certificates::new();
    let server = certificates.issue("server", P256, Some(NAMES));
    let etcd = start(&certificates, server, false);
    let others = Certificates::new();
    let error = refused(&client(etcd.endpoints(), others.ca(), None))
        .await
        .to_string();
    assert!(error.contains("cluster.ca"), "{error}");
    assert!(!error.contains("fingerprint"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_keeps_etcds_own_gateway_out_is_named() {
    let certificates = Certificates::new();
    let extensions = format!("{NAMES}extendedKeyUsage = serverAuth\n");
    let server = certificates.issue("server", P256, Some(&extensions));
    let bridge = certificates.issue("bridge", P256, Some("extendedKeyUsage = clientAuth\n"));
    let etcd = start(&certificates, server, true);
    let client = client(etcd.endpoints(), certificates.ca(), Some(&bridge));
    let error = write(&client, "a", "1").await.unwrap_err();
    assert_eq!(error.kind(), "unavailable", "{error}");
    assert!(error.to_string().contains("serverAuth and clientAuth"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_is_named() {
    let certificates = Certificates::new();
    let server = certificates.issue_for_days("server", P256, Some(NAMES), -1);
    let etcd = start(&certificates, server, false);
    let error = refused(&client(etcd.endpoints(), certificates.ca(), None)).await;
    assert!(
        error.to_string().contains("the certificate has expired"),
        "{error}"
    );
}

#[tokio::test]
async fn the_wrong_scheme_is_named() {
    let certificates = Certificates::new();
    let server = certificates.issue("server", P256, Some(NAMES));
    let etcd = start(&certificates, server, false);
    let plain = etcd.endpoint(0).replace("https:", "http:");
    let error = write(&client(vec![plain], certificates.ca(), None), "a", "1")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("scheme"), "{error}");

    let etcd = Etcd::start();
    let encrypted = etcd.endpoint(0).replace("http:", "https:");
    let error = refused(&client(vec![encrypted], certificates.ca(), None)).await;
    assert!(
        error.to_string().contains("the right scheme (http or https)"),
        "{error}"
    );
}
