//! Two bridges at one broker: with one id they end each other's connections, and that is named before and after.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::doctor::Installation;
use crate::init::{BROKER_PASSWORD, RIGHT, USER, init, nowhere};
use crate::support::http::get_at;
use crate::support::program::{Program, run};
use crate::support::{PATIENCE, Watcher, wait};
use crate::terminal::Terminal;

/// The same configuration in a directory of its own, as a copied machine has it; gives its file.
fn copy(site: &Installation) -> String {
    let copy = site.at("copy");
    fs::create_dir_all(copy.join("secrets")).expect("the directory is ours");
    for secret in ["mqtt.password", "devices.password", "page.token"] {
        let name = format!("secrets/{secret}");
        fs::copy(site.at(&name), copy.join(&name)).expect("it is written");
    }
    let mut table: toml::Table = site.read("lantime2mqtt.toml").parse().expect("TOML");
    table["http"]["listen"] = "off".into();
    let config = copy.join("lantime2mqtt.toml");
    fs::write(&config, table.to_string()).expect("the directory is ours");
    config.display().to_string()
}

/// Waits until the broker has the bridge and its devices as online.
async fn published(site: &Installation) {
    let login = Some((USER, BROKER_PASSWORD));
    let mut watcher = Watcher::connect_as(site.broker.address(), login).await;
    watcher
        .until("bridge and devices are online", |seen| {
            let states = seen.topics.iter().filter(|(topic, _)| topic.ends_with("/state"));
            let online = states.filter(|(_, payload)| *payload == "online");
            let (bridges, others): (Vec<_>, Vec<_>) =
                online.partition(|(topic, _)| topic.starts_with("lantime/bridge/"));
            let devices = others.iter().filter(|(topic, _)| topic.split('/').count() == 3);
            (bridges.len(), devices.count()) == (1, 2)
        })
        .await;
}

#[tokio::test]
async fn ids_of_a_bridge_that_is_online_are_refused() {
    let site = Installation::new().await;
    let _bridge = site.start().await;
    published(&site).await;
    let end = run(&["doctor", "--config", &copy(&site)]).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let found = "another one has the same id; set another bridge.id";
    assert!(end.output.stdout.contains(found), "{:?}", end.output);

    let (_parent, directory) = nowhere();
    let broker = format!("mqtt://{}", site.broker.address());
    let given = [
        "--broker",
        &broker,
        "--device",
        site.fleet.devices()[0].url(),
        "--directory",
        &directory,
        "--http-listen",
        "off",
        "--yes",
    ];
    let init = async |more: &[&str]| init(&[&given[..], more].concat(), RIGHT).await;
    for (more, code, remedy) in [
        (&[][..], 1, "--bridge-id"),
        (&["--bridge-id", "second"], 1, "--new-ids"),
        (
            &["--bridge-id", "Second Bridge"],
            64,
            "--bridge-id = \"Second Bridge\"",
        ),
    ] {
        let end = init(more).await;
        assert_eq!(end.code, Some(code), "{more:?}: {:?}", end.output);
        assert!(end.output.stderr.contains(remedy), "{more:?}: {:?}", end.output);
        assert!(!Path::new(&directory).exists(), "{more:?}");
    }
    let end = init(&["--bridge-id", "second", "--new-ids"]).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let read = |text: String| -> toml::Table { text.parse().expect("TOML") };
    let first = read(site.read("lantime2mqtt.toml"));
    let second = read(fs::read_to_string(format!("{directory}/lantime2mqtt.toml")).expect("it is written"));
    assert_eq!(second["bridge"]["id"].as_str(), Some("second"));
    let first = first["devices"][0]["id"].as_str().expect("an id");
    let second = second["devices"][0]["id"].as_str().expect("an id");
    assert!(first != second && second.starts_with(first), "{first}, {second}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_other_ids_are_asked_for() {
    let site = Installation::new().await;
    let _bridge = site.start().await;
    published(&site).await;
    let (_parent, directory) = nowhere();
    let file = |name: &str| site.at(name).display().to_string();
    let broker = format!("mqtt://{}", site.broker.address());
    let [broker_password, device_password] = ["secrets/mqtt.password", "secrets/devices.password"].map(file);
    let mut terminal = Terminal::start(&[
        "init",
        "--broker",
        &broker,
        "--broker-username",
        USER,
        "--broker-password-file",
        &broker_password,
        "--device",
        site.fleet.devices()[0].url(),
        "--device-username",
        USER,
        "--device-password-file",
        &device_password,
        "--directory",
        &directory,
        "--http-listen",
        "off",
    ]);
    terminal.answer("Id of this bridge [", "Not An Id");
    terminal.answer("Id of this bridge [", "");
    terminal.answer("Are these the fingerprints", "y");
    terminal.answer("Are these other devices", "y");
    terminal.answer("Write these files?", "");
    let (status, shown) = tokio::task::spawn_blocking(|| terminal.end()).await.unwrap();
    assert!(status.success(), "{shown}");
    let table = |text: String| -> toml::Table { text.parse().expect("TOML") };
    let first = table(site.read("lantime2mqtt.toml"));
    let second = table(fs::read_to_string(format!("{directory}/lantime2mqtt.toml")).expect("it is written"));
    for id in [
        |of: &toml::Table| of["bridge"]["id"].to_string(),
        |of: &toml::Table| of["devices"][0]["id"].to_string(),
    ] {
        let (first, second) = (id(&first), id(&second));
        assert_eq!(second, format!("{}-2\"", first.trim_end_matches('"')), "{shown}");
    }
}

#[tokio::test]
async fn two_bridges_with_one_id_are_named_by_doctor() {
    for version in ["5", "3.1.1"] {
        let site = Installation::new().await;
        site.change_config("[mqtt]\n", &format!("[mqtt]\nversion = \"{version}\"\n"));
        let config = copy(&site);
        let _first = Program::start(&["run", "--config", &site.config()]);
        let _second = Program::start(&["run", "--config", &config]);
        let places = [
            (site.at("state/control.sock"), site.config()),
            (site.at("copy/state/control.sock"), config.clone()),
        ];
        // Some connections, with pauses that grow.
        let found = wait::within(6 * PATIENCE, "the conflict is an incident", async || {
            for (socket, config) in &places {
                let open = get_at(socket, "/api/incidents").await.map(|answer| answer.json());
                let open = open.and_then(|open| open.as_array().cloned()).unwrap_or_default();
                if open.iter().any(|incident| incident["kind"] == "connection") {
                    return Ok(config.clone());
                }
            }
            Err("no incident")
        })
        .await;
        let end = run(&["doctor", "--format", "json", "--config", &found]).await;
        let report: Value = serde_json::from_str(&end.output.stdout).expect("JSON alone");
        let checks = report["checks"].as_array().expect("a list");
        let failed = checks
            .iter()
            .find(|check| check["check"] == "bridge" && check["level"] == "fail");
        let remedy = failed
            .and_then(|check| check["remedy"].as_str())
            .unwrap_or_default();
        assert!(remedy.contains("its own bridge.id"), "{version}: {report:#}");
    }
}
