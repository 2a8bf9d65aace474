//! A machine without any CA certificate, as the container image is.

use lantime2mqtt::simulator::{Fleet, FleetOptions};

use crate::scene::fleet;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::program::Program;
use crate::support::site::{Entry, Site};
use crate::support::{PATIENCE, Watcher};

/// Where the libraries would look.
const NO_CAS: [(&str, &str); 2] = [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("SSL_CERT_DIR", "/nowhere")];

#[tokio::test]
async fn without_ca_files_what_is_pinned_or_configured_works_and_all_else_is_refused_with_the_remedy() {
    let options = FleetOptions {
        devices: 1,
        https: true,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(options).await.expect("free ports");
    let device = &fleet.devices()[0];
    let fingerprint = lantime2mqtt::tls::peer_fingerprint(device.url(), PATIENCE)
        .await
        .expect("it has a certificate");
    let broker = Mosquitto::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let secure = format!("mqtts://{}", broker.address());
    let pinned = Entry::of(device).with("tls.fingerprint", fingerprint.to_string());
    let site = Site::new(broker.address(), &[pinned])
        .with("mqtt.url", secure)
        .with("mqtt.ca", broker.ca().display().to_string());
    let mut bridge = site.start_with(&[], &NO_CAS);
    let working = |text: &str| text.contains("connected to the broker") && text.contains("sim-1");
    bridge
        .until("broker and device", |output| working(&output.stderr))
        .await;
    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0));

    let site = site.devices(&[Entry::of(device)]);
    let config = site.config().display().to_string();
    let end = Program::start_with(&["check-config", "--config", &config], &NO_CAS)
        .end(PATIENCE)
        .await;
    assert_eq!(end.code, Some(78));
    for part in ["devices[0]", "no CA certificates", "tls.fingerprint"] {
        assert!(end.output.stderr.contains(part), "{}", end.output.stderr);
    }
}

#[tokio::test]
async fn without_ca_files_plain_http_needs_none() {
    let fleet = fleet().await;
    let broker = Mosquitto::start();
    let site = Site::new(broker.address(), &[Entry::of(&fleet.devices()[0])]);
    let bridge = site.start_with(&[], &NO_CAS);
    let mut watcher = Watcher::connect(broker.address()).await;
    watcher
        .until("the device", |seen| seen.is("lantime/sim-1/state", "online"))
        .await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn a_health_check_without_any_other_program_tells_whether_the_bridge_answers() {
    let broker = Mosquitto::start();
    let site = Site::new(broker.address(), &[]);
    let config = site.config().display().to_string();
    let check = async || {
        let arguments = ["healthcheck", "--config", &config];
        Program::start_with(&arguments, &NO_CAS).end(PATIENCE).await
    };
    let end = check().await;
    assert_eq!(end.code, Some(1));
    for part in ["no bridge runs", "control.sock", "--config"] {
        assert!(end.output.stderr.contains(part), "{part}: {:?}", end.output);
    }

    // Whether there is an HTTP server does not matter.
    let mut bridge = site.start();
    bridge
        .until("the start", |output| output.stderr.contains("running"))
        .await;
    let end = check().await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    assert!(
        end.output.stdout.starts_with("{\"status\":\"ok\""),
        "{:?}",
        end.output
    );

    // One that hangs does not answer, though its socket takes connections.
    bridge.signal("STOP");
    let end = check().await;
    assert_eq!(end.code, Some(1));
    assert!(end.output.stderr.contains("within 4 s"), "{:?}", end.output);
    bridge.signal("CONT");
    assert_eq!(bridge.stop("TERM").await.code, Some(0));

    site.overwrite("[state]\ndirectory = 5\n");
    assert_eq!(check().await.code, Some(78));
}
