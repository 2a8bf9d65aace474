//! A broker as sites run it: TLS, a password, client certificates; killed, restarted and frozen.

use std::net::SocketAddr;
use std::process::Output;

use lantime2mqtt::mqtt::embedded::EmbeddedBroker;
use lantime2mqtt::simulator::ApiGeneration::V20;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::is_healthy;
use crate::support::http::get_at;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::scene::{Setup, Stage};
use crate::support::site::{Entry, Site};
use crate::support::tls_front::Authority;
use crate::support::{PATIENCE, Watcher, wait};

const LOGIN: (&str, &str) = ("bridge", "00123");

/// Debian's own client, with everything that this broker asks for.
async fn mosquitto_sub(broker: &Mosquitto, arguments: &[&str]) -> Output {
    let (certificate, key) = broker.client();
    let mut client = Command::new("mosquitto_sub");
    client.args([
        "-h",
        "localhost",
        "-p",
        &broker.address().port().to_string(),
        "-u",
        LOGIN.0,
        "-P",
        LOGIN.1,
    ]);
    client.arg("--cafile").arg(broker.ca());
    client.arg("--cert").arg(certificate).arg("--key").arg(key);
    client
        .args(["-t", "lantime/#", "-v"])
        // Records are no state.
        .args(["-T", "lantime/+/changes", "-T", "lantime/+/+/changes"])
        .args(arguments)
        .kill_on_drop(true);
    client.output().await.expect("mosquitto-clients is installed")
}

/// What is retained, as lines of topic and payload; waits for `count` of them.
async fn retained(broker: &Mosquitto, count: usize) -> Vec<String> {
    let seconds = PATIENCE.as_secs().to_string();
    let output = mosquitto_sub(broker, &["-C", &count.to_string(), "-W", &seconds]).await;
    assert!(output.status.success(), "{count} topics never came: {output:?}");
    let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    // Changes with every poll.
    lines.retain(|line| !line.contains("/http/stats "));
    lines.sort();
    lines
}

#[tokio::test]
async fn with_tls_password_and_certificate_all_is_back_after_a_kill_and_a_freeze() {
    let options = Options {
        tls: true,
        client_certificates: true,
        login: Some(LOGIN),
        ..Options::default()
    };
    let Stage {
        site,
        fleet,
        mut broker,
        ..
    } = Setup::single(&[V20, V20]).broker(options).stage().await;
    let (certificate, key) = broker.client();
    let path = |path: std::path::PathBuf| path.display().to_string();
    let url = format!("mqtts://localhost:{}", broker.address().port());
    let site = site
        .with("mqtt.url", url)
        .with("mqtt.username", LOGIN.0)
        .with("mqtt.password", LOGIN.1)
        .with("mqtt.ca", path(broker.ca()))
        .with("mqtt.certificate", path(certificate))
        .with("mqtt.key", path(key));
    let bridge = site.start();
    // Of the bridge: state and info. Of each device: state, info, events, statistics, sessions, and of its slot
    // state, info, relays and signals.
    let events = fleet.devices()[0].document();
    let events = String::from_utf8_lossy(&events).matches("last-triggered").count();
    let count = 2 + 2 * (2 + events + 2 + 2 + 3 + 3);
    let before = retained(&broker, count).await;

    broker.kill9();
    broker.restart();
    assert!(retained(&broker, count).await == before, "all as it was");

    broker.freeze();
    wait::until("the bridge gives the connection up", async || {
        let health = get_at(&site.socket(), "/healthz").await;
        health.is_some_and(|health| health.json()["broker"] == "disconnected")
    })
    .await;
    broker.thaw();
    // At first the last will of the connection that was given up stands there.
    let is_as_before = async || retained(&broker, count).await == before;
    wait::until("all as it was", is_as_before).await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn websockets_over_tls_are_trusted_by_their_ca() {
    let fleet = Setup::single(&[V20]).fleet().await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let broker = EmbeddedBroker::bind(any, Some(any))
        .await
        .expect("free ports on the loopback");
    let (address, websocket) = (broker.address(), broker.websocket_address().expect("asked for"));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(broker.run(stop.clone()));
    let authority = Authority::new();
    let front = authority.front("localhost", websocket).await;
    let site = Site::new(address, &[Entry::of(&fleet.devices()[0])]);
    let ca = site.file("ca.pem", &authority.pem());
    let site = site
        .with(
            "mqtt.url",
            front.url().replace("https://127.0.0.1", "wss://localhost") + "/mqtt",
        )
        .with("mqtt.ca", ca);
    let _bridge = site.start();
    let mut watcher = Watcher::connect(address).await;
    let seen = watcher
        .until("normal operation", |seen| is_healthy(seen, "sim-1"))
        .await;
    assert_eq!(seen.text("bridge/test/state"), "online");
    stop.cancel();
    let _ = serving.await;
}
