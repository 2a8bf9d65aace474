//! `init`: from options, or from answers, to a bridge that publishes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lantime2mqtt::simulator::{Fleet, FleetOptions};
use tempfile::TempDir;

use crate::support::http::free_address;
use crate::support::mosquitto::{Mosquitto, Options};
use crate::support::program::{End, Program, run};
use crate::support::{PATIENCE, Watcher};
use crate::terminal::Terminal;

pub(crate) const USER: &str = "bridge";
pub(crate) const BROKER_PASSWORD: &str = "sentinel-of-the-broker";
pub(crate) const DEVICE_PASSWORD: &str = "sentinel-of-the-device";

pub(crate) async fn devices(number: usize) -> Fleet {
    let options = FleetOptions {
        devices: number,
        https: true,
        password: DEVICE_PASSWORD.to_owned(),
        ..FleetOptions::default()
    };
    Fleet::start(options).await.expect("free ports on the loopback")
}

pub(crate) fn broker(tls: bool) -> Mosquitto {
    Mosquitto::start_with(Options {
        tls,
        login: Some((USER, BROKER_PASSWORD)),
        ..Options::default()
    })
}

/// A directory that does not exist yet, in one that does.
pub(crate) fn nowhere() -> (TempDir, String) {
    let parent = TempDir::new().expect("a temporary directory");
    let directory = parent.path().join("bridge").display().to_string();
    (parent, directory)
}

pub(crate) async fn init(arguments: &[&str], passwords: (&str, &str)) -> End {
    let variables = [
        ("LANTIME2MQTT_INIT_BROKER_PASSWORD", passwords.0),
        ("LANTIME2MQTT_INIT_DEVICE_PASSWORD", passwords.1),
    ];
    let users = ["init", "--broker-username", USER, "--device-username", USER];
    Program::start_with(&[&users, arguments].concat(), &variables)
        .end(PATIENCE)
        .await
}

pub(crate) const RIGHT: (&str, &str) = (BROKER_PASSWORD, DEVICE_PASSWORD);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is written").permissions().mode() & 0o777
}

/// What is in the directory: a bridge that runs.
async fn assert_it_publishes(directory: &str, broker: &Mosquitto, devices: usize) {
    let config = format!("{directory}/lantime2mqtt.toml");
    let mut watcher = Watcher::connect_as(broker.address(), Some((USER, BROKER_PASSWORD))).await;
    let _bridge = Program::start(&["run", "--config", &config]);
    watcher
        .until("every device is online", |seen| {
            let topics = seen.topics.iter();
            let online = topics.filter(|(topic, payload)| {
                topic.split('/').count() == 3 && topic.ends_with("/state") && *payload == "online"
            });
            online.count() == devices
        })
        .await;
}

#[tokio::test]
async fn from_options_to_a_bridge_that_publishes() {
    let (fleet, broker) = (devices(1).await, broker(true));
    let fingerprints = [
        broker.fingerprint().to_string(),
        fleet.certificate().unwrap().fingerprint(),
    ];
    let (_parent, directory) = nowhere();
    // As the certificate has it.
    let broker_url = format!("mqtts://localhost:{}", broker.address().port());
    let http = free_address().to_string();
    let given = [
        "--broker",
        &broker_url,
        "--device",
        fleet.devices()[0].url(),
        "--directory",
        &directory,
        "--http-listen",
        &http,
    ];
    let end = init(&given, RIGHT).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    assert!(end.output.stdout.contains(&fingerprints[0]), "{:?}", end.output);
    let remedy = "no password was sent: compare the fingerprints";
    assert!(end.output.stderr.contains(remedy), "{:?}", end.output);
    let end = init(&[&given[..], &["--accept-fingerprints"]].concat(), RIGHT).await;
    assert_eq!(end.code, Some(64), "{:?}", end.output);
    assert!(end.output.stderr.contains("give --yes"), "{:?}", end.output);
    assert!(!Path::new(&directory).exists(), "nothing is written so far");

    let end = init(&[&given[..], &["--yes"]].concat(), RIGHT).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let out = &end.output.stdout;
    for shown in [
        &fingerprints[0],
        &fingerprints[1],
        "Accepted by --yes",
        "M3000",
        "relay module in io3",
        "lantime2mqtt run --config",
    ] {
        assert!(out.contains(shown), "{shown} is not in {out}");
    }
    let at = |name: &str| Path::new(&directory).join(name);
    let text = fs::read_to_string(at("lantime2mqtt.toml")).unwrap();
    for pin in &fingerprints {
        assert!(text.contains(&format!("tls.fingerprint = \"{pin}\"")), "{text}");
    }
    for secret in [BROKER_PASSWORD, DEVICE_PASSWORD] {
        assert!(!format!("{text}{:?}", end.output).contains(secret), "{text}");
    }
    let modes = ["secrets", "secrets/mqtt.password", "secrets/page.token"].map(|name| mode(&at(name)));
    assert_eq!(modes, [0o700, 0o600, 0o600]);
    assert_eq!(mode(&at("lantime2mqtt.toml")) & 0o007, 0);

    let again = init(&[&given[..], &["--yes"]].concat(), RIGHT).await;
    assert_eq!(again.code, Some(1), "{:?}", again.output);
    assert!(again.output.stderr.contains("--force"), "{:?}", again.output);
    assert_eq!(fs::read_to_string(at("lantime2mqtt.toml")).unwrap(), text);
    let forced = init(&[&given[..], &["--yes", "--force"]].concat(), RIGHT).await;
    assert_eq!(forced.code, Some(0), "{:?}", forced.output);
    drop(fleet);
}

#[tokio::test]
async fn forty_devices_of_a_file_are_published() {
    let (fleet, broker) = (devices(40).await, broker(false));
    let (parent, directory) = nowhere();
    let list = parent.path().join("devices.txt");
    let lines = fleet.devices().iter().enumerate();
    let lines = lines.map(|(index, device)| format!("{} Rack {index}\n", device.url()));
    fs::write(&list, String::from_iter(lines)).unwrap();
    let end = init(
        &[
            "--broker",
            &format!("mqtt://{}", broker.address()),
            "--devices-from",
            &list.display().to_string(),
            "--directory",
            &directory,
            "--http-listen",
            "off",
            "--yes",
        ],
        RIGHT,
    )
    .await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let text = fs::read_to_string(format!("{directory}/lantime2mqtt.toml")).unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    let listed = table["devices"].as_array().unwrap();
    let labels: Vec<_> = listed
        .iter()
        .map(|device| device["label"].as_str().unwrap())
        .collect();
    assert_eq!((labels.len(), labels[39]), (40, "Rack 39"));
    assert_it_publishes(&directory, &broker, 40).await;
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_written() {
    let (fleet, broker) = (devices(1).await, broker(false));
    let (_parent, directory) = nowhere();
    let (url, device) = (format!("mqtt://{}", broker.address()), fleet.devices()[0].url());
    let wrong_broker = ("mistaken", DEVICE_PASSWORD);
    let wrong_device = (BROKER_PASSWORD, "mistaken");
    // (broker, device, passwords, exit code, what it says)
    let cases = [
        (
            url.as_str(),
            device,
            wrong_broker,
            1,
            "check --broker-username, --broker-password-file",
        ),
        (
            &url,
            device,
            wrong_device,
            1,
            "check --device-username and the password",
        ),
        (
            "mqtt://127.0.0.1:1",
            device,
            RIGHT,
            1,
            "mqtt://127.0.0.1:1: cannot connect",
        ),
        (
            &url,
            "https://127.0.0.1:1",
            RIGHT,
            1,
            "https://127.0.0.1:1: 127.0.0.1:1: connection refused",
        ),
        ("http://127.0.0.1", device, RIGHT, 64, "not a scheme for a broker"),
        (&url, "ftp://127.0.0.1", RIGHT, 64, "not a scheme"),
        (&url, device, (BROKER_PASSWORD, ""), 64, "the password is empty"),
    ];
    for (broker, device, passwords, code, text) in cases {
        let given = [
            "--broker",
            broker,
            "--device",
            device,
            "--directory",
            &directory,
            "--yes",
        ];
        let end = init(&given, passwords).await;
        assert_eq!(end.code, Some(code), "{text}: {:?}", end.output);
        assert!(end.output.stderr.contains(text), "{text}: {:?}", end.output);
        for foreign in ["mqtt.url", "mqtt.username", "devices[0]"] {
            assert!(!end.output.stderr.contains(foreign), "{:?}", end.output);
        }
    }
    let given = [
        "--broker",
        &url,
        "--device",
        device,
        "--directory",
        &directory,
        "--yes",
    ];
    let end = init(&[&given[..], &["--http-listen", "nowhere"]].concat(), RIGHT).await;
    assert_eq!(end.code, Some(64), "{:?}", end.output);
    assert!(
        end.output.stderr.contains("--http-listen = \"nowhere\""),
        "{:?}",
        end.output
    );
    assert!(!Path::new(&directory).exists());

    let given = [
        "--broker",
        "mqtt://127.0.0.1:1",
        "--device",
        "https://127.0.0.1:1",
    ];
    let end = init(
        &[&given[..], &["--directory", &directory, "--yes", "--offline"]].concat(),
        RIGHT,
    )
    .await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    let text = fs::read_to_string(format!("{directory}/lantime2mqtt.toml")).unwrap();
    assert!(!text.contains("insecure"), "{text}");
}

#[tokio::test]
async fn without_a_terminal_a_missing_answer_names_its_option() {
    let broker = ["--broker", "embedded"];
    for (given, option) in [
        (&[][..], "--broker"),
        (&broker[..], "--device or --devices-from"),
        (
            &["--broker", "embedded", "--device", "https://10.0.0.7"],
            "--device-password-file, or set LANTIME2MQTT_INIT_DEVICE_PASSWORD",
        ),
    ] {
        let (_parent, directory) = nowhere();
        let end = run(&[&["init", "--directory", &directory], given].concat()).await;
        assert_eq!(end.code, Some(64), "{:?}", end.output);
        assert!(
            end.output.stderr.contains(&format!("give {option}")),
            "{:?}",
            end.output
        );
        assert!(!Path::new(&directory).exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_it_asks_and_shows_no_password() {
    let (fleet, broker) = (devices(2).await, broker(false));
    let (_parent, directory) = nowhere();
    let mut terminal = Terminal::start(&["init", "--directory", &directory, "--http-listen", "off"]);
    terminal.answer("Broker: ", &format!("http://{}", broker.address()));
    terminal.answer("Broker: ", &format!("mqtt://{}", broker.address()));
    terminal.answer("User name at the broker", USER);
    terminal.answer("(not shown): ", "sentinel-that-is-wrong");
    terminal.answer("Enter the broker again? [Y/n] ", "");
    terminal.answer("Broker: ", &format!("mqtt://{}", broker.address()));
    terminal.answer("User name at the broker", USER);
    terminal.answer("(not shown): ", BROKER_PASSWORD);
    terminal.answer("First device", fleet.devices()[0].url());
    terminal.answer("User name at the device [info]: ", USER);
    terminal.answer("(not shown): ", DEVICE_PASSWORD);
    terminal.answer("Another device", "y");
    terminal.answer("Write a URL or a host", fleet.devices()[1].url());
    terminal.answer("Another device", "");
    terminal.answer("Are these the fingerprints", "y");
    terminal.answer("Write these files?", "");
    let (status, shown) = tokio::task::spawn_blocking(|| terminal.end()).await.unwrap();
    assert!(status.success(), "{shown}");
    for part in [
        "not a scheme for a broker",
        "it refused the login",
        &fleet.certificate().unwrap().fingerprint(),
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains("sentinel"), "{shown}");
    assert_it_publishes(&directory, &broker, 2).await;
}
