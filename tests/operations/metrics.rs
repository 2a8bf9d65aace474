//! `/metrics` as Prometheus reads it, and the dashboard and rules that use it.

use std::collections::BTreeSet;
use std::fs;

use lantime2mqtt::simulator::Fault;

use crate::scene::{metrics, setup, value};
use crate::support::clients::Clients;
use crate::support::etcd::Etcd;
use crate::support::http;
use crate::support::scene::Scene;
use crate::support::site::Entry;
use crate::support::web_server::{WebServer, answer};
use crate::{project, tool, words};

/// What a device of a hostile humour says of itself.
const WEIRD: &str = "M\"30\\00\n{x=\"1\"} 7 é \u{202e}";

fn assert_clean(text: &str) {
    let checked = tool("prometheus", "promtool", &["check", "metrics"], text);
    assert!(
        checked.status.success() && words(&checked).is_empty(),
        "{}\n{text}",
        words(&checked)
    );
}

/// A bridge with a simulated device, and one that is it in other words; the latter ends on drop.
async fn start() -> (Scene<()>, WebServer) {
    let mut stage = setup(1).stage().await;
    let device = &stage.fleet.devices()[0];
    let mut document: serde_json::Value = serde_json::from_slice(&device.document()).expect("JSON");
    document["system-information"]["model"] = WEIRD.into();
    let weird = WebServer::start(move |_| answer(200, document.to_string())).await;
    let devices = [Entry::of(device), Entry::new("weird", &weird.url())];
    stage.site = stage
        .site
        .with("snmp.traps.listen", "127.0.0.1:0")
        .with("snmp.communities", vec!["public".to_owned()])
        .with("sparkplug.enabled", true)
        .devices(&devices);
    let scene = stage.start();
    metrics(&scene.site, "both devices, and the edge node", |text| {
        let up = |id: &str| value(text, &format!("lantime2mqtt_device_up{{device=\"{id}\"}}"));
        up("sim-1") == Some("1")
            && up("weird") == Some("1")
            && value(text, "lantime2mqtt_sparkplug_born") == Some("1")
    })
    .await;
    (scene, weird)
}

#[tokio::test]
async fn promtool_takes_what_is_published_of_devices_in_normal_operation_and_in_trouble() {
    let (scene, _weird) = start().await;
    let site = &scene.site;
    let in_order = "lantime2mqtt_relay_fault{device=\"sim-1\",slot=\"io1\",relay=\"a\"}";
    let text = metrics(site, "a healthy relay", |text| value(text, in_order) == Some("0")).await;
    assert_clean(&text);
    assert_eq!(value(&text, "lantime2mqtt_devices"), Some("2"));
    for connection in ["state", "commands", "sparkplug"] {
        let connected = format!("lantime2mqtt_broker_connected{{connection=\"{connection}\"}}");
        assert_eq!(value(&text, &connected), Some("1"), "{connection}");
    }
    assert!(text.contains("model=\"M\\\"30\\\\00"), "{text}");
    let count = "lantime2mqtt_device_round_trip_seconds_count{device=\"sim-1\"}";
    let all = "lantime2mqtt_device_round_trip_seconds_bucket{device=\"sim-1\",le=\"+Inf\"}";
    assert!(
        value(&text, count).is_some() && value(&text, count) == value(&text, all),
        "{text}"
    );
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(
            value(&text, name).is_some_and(|value| value.parse::<f64>().is_ok_and(|value| value > 0.0)),
            "{name}"
        );
    }

    let commands = Clients::of(scene.broker.address());
    commands
        .request("lantime/sim-1/refresh", "answers", "{}", &[])
        .await;
    commands
        .request(
            "lantime/sim-1/io1/relay/b/events/set",
            "answers",
            r#"{"add":["ntp-not-sync"]}"#,
            &[],
        )
        .await;
    scene.device(1).set_fault(Some(Fault::ServerError));
    let up = "lantime2mqtt_device_up{device=\"sim-1\"}";
    let failures = "lantime2mqtt_device_poll_failures_total{device=\"sim-1\",kind=\"http-status\"}";
    let text = metrics(site, "the device is unreachable", |text| {
        value(text, up) == Some("0") && value(text, failures).is_some()
    })
    .await;
    assert_clean(&text);
    assert_eq!(value(&text, in_order), None, "what is not known is not published");
    let unknown =
        "lantime2mqtt_relay_position{device=\"sim-1\",slot=\"io1\",relay=\"a\",position=\"unknown\"}";
    assert_eq!(value(&text, unknown), Some("1"));
    let reason = "lantime2mqtt_relay_unknown{device=\"sim-1\",slot=\"io1\",relay=\"a\",reason=\"offline\"}";
    assert_eq!(value(&text, reason), Some("1"));
    assert_eq!(
        value(
            &text,
            "lantime2mqtt_device_error{device=\"sim-1\",kind=\"http-status\"}"
        ),
        Some("1")
    );
    assert_eq!(value(&text, "lantime2mqtt_commands_carried_out_total"), Some("1"));
    assert_eq!(
        value(&text, "lantime2mqtt_commands_refused_total{kind=\"rejected\"}"),
        Some("1")
    );
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}

/// The words of a text that are names of metrics.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = text.split(|char| !is_part(char));
    // A package's file has a name that begins likewise, and then a version.
    let is_metric = |word: &&str| {
        let prefixes = ["lantime2mqtt_", "process_"];
        let rest = prefixes.iter().find_map(|prefix| word.strip_prefix(prefix));
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The names of the metrics that a bridge publishes.
fn families(text: &str) -> BTreeSet<String> {
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// A bridge with a simulated device, the only one of its cluster.
async fn in_cluster(etcd: &Etcd) -> Scene<()> {
    let stage = setup(1).site(|site| {
        site.with("mqtt.version", "5")
            .with("cluster.name", "test")
            .with("cluster.endpoints", etcd.endpoints())
            .with("cluster.shards", 2)
            .with("snmp.traps.listen", "127.0.0.1:0")
            .with("snmp.communities", vec!["public".to_owned()])
            .with("sparkplug.enabled", true)
    });
    stage.stage().await.start()
}

#[tokio::test]
async fn a_bridge_of_a_cluster_counts_what_its_shards_do() {
    let etcd = Etcd::start();
    let scene = in_cluster(&etcd).await;
    let is_one = |text: &str, name: &str| value(text, name) == Some("1");
    let connected = |shard: &str, end: &str| {
        format!("lantime2mqtt_broker_connected{{connection=\"shard-{shard}{end}\"}}")
    };
    let text = metrics(&scene.site, "both shards are owned and connected", |text| {
        let shards = ["00", "01"].into_iter();
        let names = shards.flat_map(|shard| {
            let ends = ["", "-commands", "-sparkplug"];
            ends.map(|end| connected(shard, end))
        });
        let mut names = names.chain(["lantime2mqtt_sparkplug_born".to_owned()]);
        names.all(|name| is_one(text, &name)) && is_one(text, "lantime2mqtt_commands_subscribed")
    })
    .await;
    assert_clean(&text);
    assert_eq!(value(&text, "lantime2mqtt_shard_owned{shard=\"00\"}"), Some("1"));
    assert_eq!(value(&text, "lantime2mqtt_shard_owned{shard=\"01\"}"), Some("1"));
    assert_eq!(value(&text, "lantime2mqtt_shard_takeovers_total"), Some("2"));
    assert_eq!(value(&text, "lantime2mqtt_cluster_connected"), Some("1"));
    let up = "lantime2mqtt_device_up{device=\"sim-1\"}";
    let is_published = |text: &str| {
        let topics = value(text, "lantime2mqtt_broker_topics").and_then(|topics| topics.parse().ok());
        is_one(text, up) && topics.is_some_and(|topics: u32| topics > 20)
    };
    metrics(&scene.site, "the device's topics", is_published).await;
    let commands = Clients::of(scene.broker.address());
    commands
        .request("lantime/sim-1/refresh", "answers", "{}", &[])
        .await;
    let carried_out = "lantime2mqtt_commands_carried_out_total";
    metrics(&scene.site, "the command", |text| is_one(text, carried_out)).await;
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test]
async fn dashboard_rules_and_manual_name_metrics_that_exist() {
    let (scene, _weird) = start().await;
    let answer = http::get(scene.site.http(), "/metrics")
        .await
        .expect("it answers");
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(answer.head.contains(kind), "{}", answer.head);
    let etcd = Etcd::start();
    let member = in_cluster(&etcd).await;
    let text = metrics(&member.site, "a member", |text| text.contains("_cluster_")).await;
    let mut families = families(&answer.body);
    families.extend(self::families(&text));
    for file in [
        "deploy/grafana/lantime2mqtt.json",
        "deploy/prometheus/alerts.yml",
        "docs/operations.md",
    ] {
        let used = names(&fs::read_to_string(project(file)).expect("it is part of the project"));
        assert!(used.len() >= 8, "{file}: {used:?}");
        let base = |name: &String| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).map(str::to_owned))
        };
        let unknown: Vec<_> = used
            .iter()
            .filter(|name| {
                !families.contains(*name) && !base(name).is_some_and(|base| families.contains(&base))
            })
            .collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let manual =
        names(&fs::read_to_string(project("docs/operations.md")).expect("it is part of the project"));
    let undocumented: Vec<_> = families.difference(&manual).collect();
    assert!(undocumented.is_empty(), "not in the manual: {undocumented:?}");
    let dashboard =
        fs::read_to_string(project("deploy/grafana/lantime2mqtt.json")).expect("it is part of the project");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(
        dashboard["panels"]
            .as_array()
            .is_some_and(|panels| panels.len() >= 8)
    );
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}

#[test]
fn promtool_takes_the_alert_rules_and_their_own_tests() {
    let promtool = |arguments: &[&str]| {
        let checked = tool("prometheus", "promtool", arguments, "");
        assert!(checked.status.success(), "{}", words(&checked));
        words(&checked)
    };
    let checked = promtool(&["check", "rules", "deploy/prometheus/alerts.yml"]);
    assert!(checked.contains("SUCCESS"), "{checked}");
    let tested = promtool(&["test", "rules", "tests/operations/alerts.test.yml"]);
    assert!(tested.contains("SUCCESS"), "{tested}");
}
