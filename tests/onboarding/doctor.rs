//! `doctor`: an installation that works, one that does not, and what it says of each.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lantime2mqtt::simulator::Fleet;
use serde_json::Value;
use tempfile::TempDir;

use crate::init::{BROKER_PASSWORD, DEVICE_PASSWORD, RIGHT, broker, devices, init, nowhere};
use crate::support::http::{free_address, get_at};
use crate::support::mosquitto::Mosquitto;
use crate::support::program::{End, Program, run};
use crate::support::wait;

/// What `init` has written, with what it was written for.
pub(crate) struct Installation {
    _parent: TempDir,
    directory: PathBuf,
    pub(crate) fleet: Fleet,
    pub(crate) broker: Mosquitto,
}

impl Installation {
    pub(crate) async fn new() -> Installation {
        let (fleet, broker) = (devices(2).await, broker(false));
        let (parent, directory) = nowhere();
        let broker_url = format!("mqtt://{}", broker.address());
        let [first, second] = [0, 1].map(|index| fleet.devices()[index].url());
        let http = free_address().to_string();
        let given = [
            "--broker",
            &broker_url,
            "--device",
            first,
            "--device",
            second,
            "--directory",
            &directory,
            "--http-listen",
            &http,
            "--yes",
        ];
        let end = init(&given, RIGHT).await;
        assert_eq!(end.code, Some(0), "{:?}", end.output);
        Installation {
            _parent: parent,
            directory: directory.into(),
            fleet,
            broker,
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn config(&self) -> String {
        self.at("lantime2mqtt.toml").display().to_string()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).expect("it is written")
    }

    pub(crate) fn change_config(&self, from: &str, to: &str) {
        let text = self.read("lantime2mqtt.toml");
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(self.config(), text.replace(from, to)).expect("the directory is ours");
    }

    async fn doctor(&self, arguments: &[&str]) -> End {
        run(&[&["doctor", "--config", &self.config()], arguments].concat()).await
    }

    /// A bridge that polls and publishes.
    pub(crate) async fn start(&self) -> Program {
        let bridge = Program::start(&["run", "--config", &self.config()]);
        let socket = self.at("state/control.sock");
        wait::until("the bridge works", async || {
            let health = get_at(&socket, "/healthz").await;
            let ready = get_at(&socket, "/readyz").await;
            health.is_some_and(|answer| answer.json()["commands"] == "taken")
                && ready.is_some_and(|answer| answer.status == 200)
        })
        .await;
        bridge
    }
}

fn failed(end: &End) -> Vec<&str> {
    let lines = end.output.stdout.lines();
    lines.filter(|line| line.starts_with("fail ")).collect()
}

#[tokio::test]
async fn an_installation_that_works_has_no_failure() {
    let site = Installation::new().await;
    let end = site.doctor(&[]).await;
    assert_eq!((end.code, failed(&end)), (Some(0), vec![]), "{:?}", end.output);
    let config = site.config();
    for part in [
        &format!("{config}: no errors, 2 devices"),
        "does not run",
        "is made by the bridge when it starts",
        "none yet: the bridge makes it",
        "3 files that no other user can read",
        "takes user bridge, MQTT 5",
        "2 of 2 answer",
        "answers: M3000",
        "the usual one is assumed for",
        "(http.listen) is free",
    ] {
        assert!(end.output.stdout.contains(part), "{part}: {:?}", end.output);
    }

    let bridge = site.start().await;
    let end = site.doctor(&["--format", "json"]).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let report: Value = serde_json::from_str(&end.output.stdout).expect("JSON alone");
    assert_eq!(report["ok"], true);
    let found = |check: &str, text: &str| {
        let checks = report["checks"].as_array().expect("a list");
        checks.iter().any(|finding| {
            let message = finding["message"].as_str().unwrap_or_default();
            finding["check"] == check && finding["level"] == "ok" && message.contains(text)
        })
    };
    for (check, text) in [
        ("bridge", "runs, version "),
        ("store", "the bridge reads and writes it"),
        ("incidents", "none is open"),
        ("port", "(http.listen) is the bridge's"),
    ] {
        assert!(found(check, text), "{check}: {report:#}");
    }

    bridge.stop("TERM").await;
    let end = site.doctor(&[]).await;
    assert_eq!((end.code, failed(&end)), (Some(0), vec![]), "{:?}", end.output);
    assert!(
        end.output.stdout.contains("redb can be opened"),
        "{:?}",
        end.output
    );
}

#[tokio::test]
async fn each_fault_is_named_alone() {
    let site = Installation::new().await;
    let password = site.at("secrets/mqtt.password");
    fs::write(&password, "mistaken\n").expect("the directory is ours");
    assert_fails(
        &site,
        "broker",
        "it refused the login",
        "check mqtt.username, mqtt.password",
    )
    .await;
    fs::write(&password, BROKER_PASSWORD).expect("the directory is ours");

    fs::set_permissions(&password, Permissions::from_mode(0o604)).expect("it is ours");
    assert_fails(
        &site,
        "secrets",
        "mqtt.password can be read by every user",
        "run chmod o= ",
    )
    .await;
    fs::set_permissions(&password, Permissions::from_mode(0o600)).expect("it is ours");

    let url = site.fleet.devices()[1].url();
    site.change_config(url, "https://127.0.0.1:1");
    assert_fails(
        &site,
        "device",
        "at https://127.0.0.1:1: 127.0.0.1:1: connection refused",
        "check",
    )
    .await;
    site.change_config("https://127.0.0.1:1", url);

    let fingerprint = site.fleet.certificate().expect("https").fingerprint();
    site.change_config(
        &format!("url = \"{url}\"\ntls.fingerprint = \"{fingerprint}\""),
        &format!(
            "url = \"{url}\"\ntls.fingerprint = \"sha256:{}\"",
            "00".repeat(32)
        ),
    );
    assert_fails(
        &site,
        "device",
        &format!("certificate's fingerprint is {fingerprint}"),
        "change tls.fingerprint",
    )
    .await;
    site.change_config(&format!("sha256:{}", "00".repeat(32)), &fingerprint);

    let text: toml::Table = site.read("lantime2mqtt.toml").parse().expect("TOML");
    let listen = text["http"]["listen"].as_str().expect("an address");
    let taken = TcpListener::bind(listen).expect("it is free");
    assert_fails(&site, "port", "(http.listen) is in use", "ss -ltnp").await;
    drop(taken);

    fs::write(site.at("state"), "").expect("the directory is ours");
    let end = site.doctor(&[]).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    assert!(
        failed(&end)
            .iter()
            .any(|line| line.contains("is no directory; set another state.directory")),
        "{:?}",
        end.output
    );
    fs::remove_file(site.at("state")).expect("it is ours");

    site.change_config("[http]", "[http]\ncolour = \"red\"");
    let end = site.doctor(&[]).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    assert!(
        failed(&end)
            .iter()
            .any(|line| line.contains("configuration") && line.contains("http.colour")),
        "{:?}",
        end.output
    );
}

/// It is the only thing that fails.
async fn assert_fails(site: &Installation, check: &str, message: &str, remedy: &str) {
    let end = site.doctor(&[]).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    let [line] = failed(&end)[..] else {
        panic!("one failure of {check}: {:?}", end.output);
    };
    for part in [check, message, remedy] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn a_bridge_without_its_broker_is_named() {
    let mut site = Installation::new().await;
    let _bridge = site.start().await;
    site.broker.kill9();
    let socket = site.at("state/control.sock");
    wait::until("the bridge has lost its broker", async || {
        let health = get_at(&socket, "/healthz").await;
        health.is_some_and(|answer| answer.json()["broker"] == "disconnected")
    })
    .await;
    let end = site.doctor(&[]).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    let failed = failed(&end).join("\n");
    for part in ["the bridge is not connected to its broker", "cannot connect"] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
}

#[tokio::test]
async fn an_open_incident_has_its_time() {
    let site = Installation::new().await;
    site.change_config(site.fleet.devices()[1].url(), "https://127.0.0.1:1");
    let _bridge = site.start().await;
    let socket = site.at("state/control.sock");
    let incidents = wait::for_value("an open incident", async || {
        let answer = get_at(&socket, "/api/incidents").await;
        let open = answer.map(|answer| answer.json()).unwrap_or_default();
        open[0]["since"].as_str().map(str::to_owned).ok_or(open)
    });
    let since = incidents.await;
    let end = site.doctor(&[]).await;
    let mut lines = end.output.stdout.lines();
    let line = lines.find(|line| line.starts_with("warn  incidents"));
    assert!(
        line.is_some_and(|line| line.contains(&format!("(since {since};"))),
        "{since}: {:?}",
        end.output
    );
    assert!(end.output.stdout.contains("1 of 2 answer"), "{:?}", end.output);
}

#[tokio::test]
async fn a_bundle_has_all_but_secrets() {
    let site = Installation::new().await;
    let _bridge = site.start().await;
    let token = site.read("secrets/page.token");
    let bundle = site.at("report");
    let archive = site.at("packed.tgz").display().to_string();
    for path in [&bundle.display().to_string(), &archive] {
        let end = site.doctor(&["--bundle", path]).await;
        assert_eq!(end.code, Some(0), "{:?}", end.output);
        assert!(end.output.stderr.contains(path), "{:?}", end.output);
        let again = site.doctor(&["--bundle", path]).await;
        assert_eq!(again.code, Some(1), "it is there already: {:?}", again.output);
    }
    let unpacked = site.at("unpacked");
    fs::create_dir(&unpacked).expect("the directory is ours");
    let tar = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&unpacked)
        .status();
    assert!(tar.expect("tar is there").success());
    for bundle in [bundle, unpacked.join("packed")] {
        let files = texts(&bundle);
        for name in [
            "version.txt",
            "doctor.txt",
            "doctor.json",
            "configuration.toml",
            "metrics.txt",
            "bridge.json",
            "devices.json",
            "incidents.json",
            "dead-letters.json",
        ] {
            let file = files.iter().find(|(file, _)| file == name);
            assert!(file.is_some_and(|(_, text)| !text.is_empty()), "{name}");
        }
        for (name, text) in files {
            for secret in [BROKER_PASSWORD, DEVICE_PASSWORD, token.trim()] {
                assert!(!text.contains(secret), "{secret} is in {name}");
            }
        }
    }
    assert!(!site.at("packed").exists(), "the archive is all that stays");
}

fn texts(directory: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(directory).expect("it is written");
    let read = |file: std::io::Result<fs::DirEntry>| {
        let file = file.expect("it is ours");
        let name = file.file_name().to_string_lossy().into_owned();
        (name, fs::read_to_string(file.path()).expect("text"))
    };
    files.map(read).collect()
}
