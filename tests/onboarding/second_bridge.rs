//! Two bridges at one broker: with one id they end each other's connections, and that is named before and after.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::doctor::Installation;
use crate::init::{RIGHT, init, nowhere};
use crate::support::http::get_at;
use crate::support::program::{Program, run};
use crate::support::{PATIENCE, wait};

#[tokio::test]
async fn ids_of_a_bridge_that_is_online_are_refused() {
    let site = Installation::new().await;
    let _bridge = site.start().await;
    let socket = site.at("state/control.sock");
    wait::until("the state is published", async || {
        let answer = get_at(&socket, "/api/bridge").await;
        answer.is_some_and(|answer| {
            let broker = &answer.json()["broker"];
            broker["topics"].as_u64() > Some(0) && broker["pending"] == 0
        })
    })
    .await;
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

#[tokio::test]
async fn two_bridges_with_one_id_are_named_by_doctor() {
    for version in ["5", "3.1.1"] {
        let site = Installation::new().await;
        site.change_config("[mqtt]\n", &format!("[mqtt]\nversion = \"{version}\"\n"));
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

        let _first = Program::start(&["run", "--config", &site.config()]);
        let _second = Program::start(&["run", "--config", &config.display().to_string()]);
        let places = [
            (site.at("state/control.sock"), site.config()),
            (copy.join("state/control.sock"), config.display().to_string()),
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
