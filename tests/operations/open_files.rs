//! The limit of open files: raised as far as it goes, and what happens where it is too low all the same.

use lantime2mqtt::simulator::{FleetOptions, SimulatedDevice};

use crate::scene::{metrics, setup, value};
use crate::support::http::get;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::scene::Stage;
use crate::support::site::Entry;
use crate::support::tls_front::Authority;

const DEVICES: usize = 60;
/// What the bridge says that so many devices need.
const NEEDED: &str = "allow 248 or more";

/// How many devices are up (1), or offline (0).
fn devices(metrics: &str, up: &str) -> usize {
    let samples = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("lantime2mqtt_device_up{"));
    samples
        .filter(|sample| sample.rsplit_once(' ').is_some_and(|(_, value)| value == up))
        .count()
}

/// Over https, where each device has a connection that is kept.
async fn stage() -> Stage {
    let setup = setup(DEVICES).options(|options| FleetOptions {
        https: true,
        ..options
    });
    let entry = |device: &SimulatedDevice| Entry::of(device).with("poll", "5s").with("tls.insecure", true);
    setup.entries(entry).stage().await
}

#[tokio::test]
async fn the_soft_limit_is_raised_to_the_hard_one() {
    let stage = stage().await;
    let bridge = stage.site.start_limited("--nofile=64:1024");
    let metrics = metrics(&stage.site, "all devices", |text| devices(text, "1") == DEVICES).await;
    assert_eq!(value(&metrics, "process_max_fds"), Some("1024"));
    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0));
    assert!(!end.output.stderr.contains(NEEDED), "{}", end.output.stderr);
    stage.fleet.stop().await;
}

#[tokio::test]
async fn where_descriptors_run_out_the_broker_and_those_who_ask_for_health_are_served() {
    let stage = stage().await;
    let bridge = stage.site.start_limited("--nofile=64:64");
    let connected = "lantime2mqtt_broker_connected{connection=\"state\"}";
    let metrics = metrics(&stage.site, "what there is room for", |text| {
        let some = devices(text, "1") > 0 && devices(text, "0") > 0;
        some && devices(text, "1") + devices(text, "0") == DEVICES && value(text, connected) == Some("1")
    })
    .await;
    assert!(devices(&metrics, "1") < 64);
    for _ in 0..20 {
        let answer = get(stage.site.http(), "/healthz").await;
        assert_eq!(answer.expect("it is answered").status, 200);
    }
    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0), "{}", end.output.stderr);
    assert!(end.output.stderr.contains(NEEDED), "{}", end.output.stderr);
    stage.fleet.stop().await;
}

#[tokio::test]
async fn where_descriptors_run_out_a_broker_with_a_name_is_found_again() {
    let (broker, authority) = (Mosquitto::start(), Authority::new());
    let front = authority.front("localhost", broker.address()).await;
    for (scheme, target) in [("mqtt", broker.address()), ("mqtts", front.address())] {
        let proxy = Proxy::start(target).await;
        let url = format!("{scheme}://localhost:{}", proxy.address().port());
        let mut stage = stage().await;
        stage.site = stage.site.with("mqtt.url", url);
        if scheme == "mqtts" {
            let ca = stage.site.file("ca.pem", &authority.pem());
            stage.site = stage.site.with("mqtt.ca", ca);
        }
        let bridge = stage.site.start_limited("--nofile=64:64");
        let connected = "lantime2mqtt_broker_connected{connection=\"state\"}";
        let text = metrics(&stage.site, "a broker, and too few devices", |text| {
            let all = devices(text, "1") + devices(text, "0") == DEVICES;
            all && devices(text, "0") > 0 && value(text, connected) == Some("1")
        })
        .await;
        let up = devices(&text, "1");
        proxy.refuse(true);
        metrics(&stage.site, "what the broker had, devices have", |text| {
            devices(text, "1") > up && value(text, connected) == Some("0")
        })
        .await;
        proxy.refuse(false);
        metrics(&stage.site, &format!("{scheme}: the broker again"), |text| {
            value(text, connected) == Some("1")
        })
        .await;
        let end = bridge.stop("TERM").await;
        assert_eq!(end.code, Some(0), "{}", end.output.stderr);
        stage.fleet.stop().await;
    }
}
