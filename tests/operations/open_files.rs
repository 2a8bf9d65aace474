//! The limit of open files: raised as far as it goes, and what happens where it is too low all the same.

use crate::metrics::{until, value};
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;
use crate::support::site::{Entry, Site};
use crate::support::tls_front::Authority;
use crate::{free_address, scene};

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

#[tokio::test]
async fn the_soft_limit_is_raised_to_the_hard_one() {
    let (broker, http) = (Mosquitto::start(), free_address());
    let fleet = scene::fleet_of(DEVICES).await;
    let entries: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| Entry::of(device).with("poll", "5s"))
        .collect();
    let site = Site::new(broker.address(), &entries).with("http.listen", http.clone());
    let bridge = site.start_limited("--nofile=64:1024");
    let metrics = until(&http, "all devices", |text| devices(text, "1") == DEVICES).await;
    assert_eq!(value(&metrics, "process_max_fds"), Some("1024"));
    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0));
    assert!(!end.output.stderr.contains(NEEDED), "{}", end.output.stderr);
    fleet.stop().await;
}

#[tokio::test]
async fn where_descriptors_run_out_the_broker_and_those_who_ask_for_health_are_served() {
    let (broker, http) = (Mosquitto::start(), free_address());
    let fleet = scene::fleet_of(DEVICES).await;
    let entries: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| Entry::of(device).with("poll", "5s"))
        .collect();
    let site = Site::new(broker.address(), &entries).with("http.listen", http.clone());
    let bridge = site.start_limited("--nofile=64:64");
    let connected = "lantime2mqtt_broker_connected{connection=\"state\"}";
    let metrics = until(&http, "what there is room for", |text| {
        let some = devices(text, "1") > 0 && devices(text, "0") > 0;
        some && devices(text, "1") + devices(text, "0") == DEVICES && value(text, connected) == Some("1")
    })
    .await;
    assert!(devices(&metrics, "1") < 64);
    for _ in 0..20 {
        let asked = scene::client().get(format!("http://{http}/healthz")).send().await;
        assert_eq!(asked.expect("it is answered").status(), 200);
    }
    let end = bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0), "{}", end.output.stderr);
    assert!(end.output.stderr.contains(NEEDED), "{}", end.output.stderr);
    fleet.stop().await;
}

#[tokio::test]
async fn where_descriptors_run_out_a_broker_with_a_name_is_found_again() {
    let (broker, authority) = (Mosquitto::start(), Authority::new());
    let front = authority.front("localhost", broker.address()).await;
    for (scheme, target) in [("mqtt", broker.address()), ("mqtts", front.address())] {
        let (proxy, http) = (Proxy::start(target).await, free_address());
        let fleet = scene::fleet_of(DEVICES).await;
        let entries: Vec<_> = fleet
            .devices()
            .iter()
            .map(|device| Entry::of(device).with("poll", "5s"))
            .collect();
        let url = format!("{scheme}://localhost:{}", proxy.address().port());
        let mut site = Site::new(broker.address(), &entries)
            .with("http.listen", http.clone())
            .with("mqtt.url", url);
        if scheme == "mqtts" {
            let ca = site.file("ca.pem", &authority.pem());
            site = site.with("mqtt.ca", ca);
        }
        let bridge = site.start_limited("--nofile=64:64");
        let connected = "lantime2mqtt_broker_connected{connection=\"state\"}";
        let metrics = until(&http, "a broker, and too few devices", |text| {
            let all = devices(text, "1") + devices(text, "0") == DEVICES;
            all && devices(text, "0") > 0 && value(text, connected) == Some("1")
        })
        .await;
        let up = devices(&metrics, "1");
        proxy.refuse(true);
        until(&http, "what the broker had, devices have", |text| {
            devices(text, "1") > up && value(text, connected) == Some("0")
        })
        .await;
        proxy.refuse(false);
        until(&http, &format!("{scheme}: the broker again"), |text| {
            value(text, connected) == Some("1")
        })
        .await;
        let end = bridge.stop("TERM").await;
        assert_eq!(end.code, Some(0), "{}", end.output.stderr);
        fleet.stop().await;
    }
}
