//! Users of etcd: a token for name and password, renewed once it is refused. No secret is in an error.

use lantime2mqtt::cluster::etcd::{Client, Keys, Login, Settings};
use lantime2mqtt::config::Secret;

use super::support::etcd::Etcd;
use super::{put, settings, value, write};

const PASSWORD: &str = "correct-horse";

fn settings_of(etcd: &Etcd, username: &str, password: &str) -> Settings {
    let mut settings = settings(etcd.endpoints());
    settings.login = Some(Login {
        username: username.to_owned(),
        password: Secret::new(password),
    });
    settings
}

fn client_of(etcd: &Etcd, username: &str, password: &str) -> Client {
    Client::new(&settings_of(etcd, username, password)).unwrap()
}

#[tokio::test]
async fn a_user_is_let_in_and_others_are_not() {
    let etcd = Etcd::start();
    etcd.require_login(PASSWORD);
    let root = client_of(&etcd, "root", PASSWORD);
    write(&root, "a", "1").await.unwrap();
    assert_eq!(value(&root, "a").await.as_deref(), Some("1"));

    for (client, kind) in [
        (client_of(&etcd, "root", "wrong-horse"), "authentication"),
        (client_of(&etcd, "nobody", PASSWORD), "authentication"),
        (super::client(etcd.endpoints()), "authentication"),
        (client_of(&etcd, "guest", PASSWORD), "permission-denied"),
    ] {
        let error = write(&client, "a", "2").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (kind, false),
            "{error}"
        );
        assert!(
            !format!("{error} {error:?} {client:?}").contains("horse"),
            "{error}"
        );
        let error = client.range(&Keys::one("a"), None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let error = client.watch(&Keys::one("a"), 0).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(value(&root, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_token_that_etcd_has_forgotten_is_renewed() {
    let mut etcd = Etcd::start();
    etcd.require_login(PASSWORD);
    let client = client_of(&etcd, "root", PASSWORD);
    let lease = client.grant(std::time::Duration::from_secs(60)).await.unwrap();
    let written = client.transact(&[], &[put("a", "1", Some(lease.id))], &[]).await;
    let revision = written.unwrap().revision;
    client.watch(&Keys::one("a"), 0).await.unwrap();
    // Tokens are in its memory only.
    etcd.restart(0);
    assert_eq!(value(&client, "a").await.as_deref(), Some("1"));
    write(&client, "b", "2").await.unwrap();
    let mut watch = client.watch(&Keys::one("a"), revision).await.unwrap();
    assert_eq!(watch.next().await.unwrap().len(), 1);
    assert_eq!(client.keep_alive(lease.id).await.unwrap(), Some(lease.ttl));
}

#[tokio::test]
async fn a_user_where_none_is_asked_for_is_an_error() {
    let etcd = Etcd::start();
    let error = write(&client_of(&etcd, "root", PASSWORD), "a", "1")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "authentication");
    assert!(
        error.to_string().contains("authentication is not enabled"),
        "{error}"
    );
}
