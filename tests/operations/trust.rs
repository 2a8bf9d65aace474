//! A machine without any CA certificate, as the container image is.

use lantime2mqtt::simulator::FleetOptions;

use crate::scene::{metrics, setup, value};
use crate::support::PATIENCE;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::program::Program;
use crate::support::site::{Entry, Site};

/// Where the libraries would look.
const NO_CAS: [(&str, &str); 2] = [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("SSL_CERT_DIR", "/nowhere")];

#[tokio::test]
async fn without_ca_files_what_is_pinned_or_configured_works_and_all_else_is_refused_with_the_remedy() {
    let options = Options {
        tls: true,
        ..Options::default()
    };
    let https = |options| FleetOptions {
        https: true,
        ..options
    };
    let stage = setup(1).options(https).broker(options).stage().await;
    let (device, broker) = (&stage.fleet.devices()[0], &stage.broker);
    let fingerprint = lantime2mqtt::tls::peer_fingerprint(device.url(), PATIENCE)
        .await
        .expect("it has a certificate");
    let secure = format!("mqtts://{}", broker.address());
    let pinned = Entry::of(device).with("tls.fingerprint", fingerprint.to_string());
    let site = stage
        .site
        .with("mqtt.url", secure)
        .with("mqtt.ca", broker.ca().display().to_string())
        .devices(&[pinned]);
    let bridge = site.start_with(&[], &NO_CAS);
    metrics(&site, "broker and device", |text| {
        let connected = value(text, "lantime2mqtt_broker_connected{connection=\"state\"}");
        let up = value(text, "lantime2mqtt_device_up{device=\"sim-1\"}");
        [connected, up] == [Some("1"); 2]
    })
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
    let stage = setup(1).watched().await;
    let mut scene = stage.start_with(&[], &NO_CAS);
    scene.until("the device", |seen| seen.is_online("sim-1")).await;
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn a_health_check_without_any_other_program_shows_whether_the_bridge_answers() {
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
    let bridge = site.start();
    site.ready().await;
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
