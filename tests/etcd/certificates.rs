//! The certificates that `deploy/etcd/certificates` makes: with them a bridge gets in where etcd asks for certificate and user.

use std::path::{Path, PathBuf};
use std::process::Command;

use lantime2mqtt::cluster::etcd::{Client, Login};
use lantime2mqtt::config::Secret;
use lantime2mqtt::tls::{ClientTls, Identity, Trust};
use tempfile::TempDir;

use super::support::etcd::{Etcd, Options, Tls};
use super::support::openssl::Issued;
use super::{settings, value, write};

const NODE: &str = "127.0.0.1";
const PASSWORD: &str = "correct-horse";

/// The directory in which the script has made them.
fn made() -> TempDir {
    let directory = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/etcd/certificates");
    let output = Command::new("bash")
        .arg(script)
        .arg(directory.path())
        .arg(NODE)
        .output();
    let output = output.expect("this test needs bash and openssl");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    directory
}

fn issued(directory: &TempDir, name: &str) -> Issued {
    let file = |ending: &str| directory.path().join(format!("{name}.{ending}"));
    Issued {
        certificate: file("pem"),
        key: file("key"),
    }
}

fn ca(directory: &TempDir) -> PathBuf {
    directory.path().join("ca.pem")
}

/// etcd with the certificate of its node, which asks clients for theirs.
fn start(directory: &TempDir) -> Etcd {
    let tls = Tls {
        server: issued(directory, NODE),
        clients: Some(ca(directory)),
    };
    let options = Options {
        tls: Some(tls),
        ..Options::default()
    };
    Etcd::start_with(1, options)
}

/// A bridge with its certificate, and perhaps as a user.
fn bridge(directory: &TempDir, etcd: &Etcd, username: Option<&str>) -> Client {
    let mut settings = settings(etcd.endpoints());
    let Issued { certificate, key } = issued(directory, "bridge");
    settings.tls = ClientTls {
        trust: Trust::Ca(ca(directory)),
        identity: Some(Identity { certificate, key }),
    };
    settings.login = username.map(|username| Login {
        username: username.to_owned(),
        password: Secret::new(PASSWORD),
    });
    Client::new(&settings).unwrap()
}

#[tokio::test]
async fn a_bridge_gets_in_with_its_certificate() {
    let directory = made();
    let etcd = start(&directory);
    let bridge = bridge(&directory, &etcd, None);
    write(&bridge, "a", "1").await.unwrap();
    assert_eq!(value(&bridge, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_bridge_gets_in_with_its_certificate_and_as_a_user() {
    let directory = made();
    let etcd = start(&directory);
    etcd.require_login(PASSWORD);
    let bridge = bridge(&directory, &etcd, Some("root"));
    write(&bridge, "a", "1").await.unwrap();
    assert_eq!(value(&bridge, "a").await.as_deref(), Some("1"));
}
