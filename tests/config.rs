//! What the configuration promises: golden cases, the shipped example, secrets kept, no panic on any input.
//!
//! A case is a folder of `tests/config`: `config.toml`, perhaps `env` and files that the configuration names,
//! and `expected.txt`. With `UPDATE_EXPECTED=1` the latter is written again.

#![expect(
    clippy::unwrap_used,
    reason = "helpers outside #[test] functions; a panic is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lantime2mqtt::config::{
    self, Broker, Config, ConfigError, DeadLetters, Http, HttpSessionsConfig, Layout, Loaded, MqttVersion,
    Proxy, SnmpAccess,
};
use lantime2mqtt::model::derive::Slots;
use lantime2mqtt::tls::Trust;
use proptest::prelude::*;
use tempfile::TempDir;

/// Part of every secret in every case.
const SENTINEL: &str = "5ecret";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load(path: &Path, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment = environment.iter();
    config::load(
        path,
        environment.map(|(name, value)| (OsString::from(name), OsString::from(value))),
    )
}

fn load_text(text: impl AsRef<[u8]>, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("config.toml");
    fs::write(&path, text).unwrap();
    load(&path, environment)
}

/// The files of a case with the modes that its checks look at, and certificates that need not be kept.
fn copied(case: &Path, certificates: &[(&str, String)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    copy(case, directory.path());
    for (name, pem) in certificates {
        fs::write(directory.path().join(name), pem).unwrap();
    }
    directory
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
            continue;
        }
        fs::copy(&from, &to).unwrap();
        let mode = if to.extension().is_some_and(|end| end == "world-readable") {
            0o644
        } else {
            0o600
        };
        fs::set_permissions(&to, Permissions::from_mode(mode)).unwrap();
    }
}

fn certificates() -> Vec<(&'static str, String)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    vec![
        ("ca.pem", certificate.clone()),
        ("client.pem", certificate),
        ("client.key", key),
    ]
}

fn outcome(directory: &Path) -> String {
    let environment = fs::read_to_string(directory.join("env")).unwrap_or_default();
    let environment: Vec<_> = environment
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    let text = match load(&directory.join("config.toml"), &environment) {
        Ok(loaded) => {
            let debug = format!("{loaded:?}\n{}", loaded.print());
            assert!(!debug.contains(SENTINEL), "{debug}");
            let warnings = loaded.warnings.iter().map(|warning| format!("  {warning}\n"));
            format!("accepted\n{}", warnings.collect::<String>())
        }
        Err(error) => format!("{error}\n"),
    };
    text.replace(directory.to_str().unwrap(), "{dir}")
}

#[test]
fn golden_cases() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let certificates = certificates();
    let mut cases: Vec<_> = fs::read_dir(project("tests/config"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() > 20, "only {} cases found", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let found = outcome(copied(&case, &certificates).path());
        assert!(!found.contains(SENTINEL), "{}:\n{found}", case.display());
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &found).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            wrong.push(format!(
                "{}\nexpected:\n{expected}\nfound:\n{found}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The example with its options un-commented, all but those that the filter leaves out.
fn uncommented(wanted: impl Fn(&str) -> bool) -> String {
    let example = fs::read_to_string(project("config/lantime2mqtt.toml")).unwrap();
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(option) if wanted(option) => format!("{option}\n"),
        _ => format!("{line}\n"),
    };
    example.lines().map(line).collect()
}

#[test]
fn the_example_loads_as_it_is() {
    let Loaded { config, warnings, .. } = load(&project("config/lantime2mqtt.toml"), &[]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.devices.len(), 2);
    let Slots::Listed(slots) = &config.devices[1].slots else {
        panic!("{config:?}")
    };
    assert!(slots[0].1.is_some() && slots[1].1.is_none());
}

#[test]
fn the_trial_of_snmp_loads_as_it_is() {
    let Loaded { config, warnings, .. } = load(&project("config/snmp.toml"), &[]).unwrap();
    assert_eq!(warnings, []);
    assert!(config.snmp.traps.is_some() && config.snmp.agent.is_some());
}

#[test]
fn the_example_shows_the_defaults() {
    let loaded = |text: String| {
        let Loaded { config, warnings, .. } = load_text(text, &[]).unwrap();
        (config, warnings)
    };
    let as_it_is = loaded(uncommented(|_| false));
    let with_defaults = uncommented(|option| !option.starts_with("embedded."));
    assert_eq!(loaded(with_defaults), as_it_is);

    let remote = "url = \"mqtt://localhost:1883\"";
    let embedded = |text: String| loaded(text.replace(remote, "url = \"embedded\""));
    let (config, warnings) = embedded(uncommented(|_| true));
    assert!(matches!(config.mqtt.broker, Broker::Embedded { .. }));
    assert_eq!((config, warnings), embedded(uncommented(|_| false)));
}

/// The keys that each table knows, as the refusal of an unknown one lists them.
fn known_keys() -> Vec<String> {
    let text = r#"
        zzzzzz = 1
        bridge.zzzzzz = 1
        mqtt = { zzzzzz = 1, tls.zzzzzz = 1, embedded.zzzzzz = 1 }
        http.zzzzzz = 1
        snmp = { zzzzzz = 1, traps.zzzzzz = 1, users = [{ zzzzzz = 1 }], agent = { zzzzzz = 1, users = [{ zzzzzz = 1 }], sinks = [{ zzzzzz = 1, user.zzzzzz = 1 }] } }
        homeassistant.zzzzzz = 1
        sparkplug.zzzzzz = 1
        cluster.zzzzzz = 1
        dead_letter.zzzzzz = 1
        history.zzzzzz = 1
        state.zzzzzz = 1
        log.zzzzzz = 1
        [[devices]]
        zzzzzz = 1
        snmp = { zzzzzz = 1, user.zzzzzz = 1 }
        http_sessions.zzzzzz = 1
        tls.zzzzzz = 1
        slots = [{ zzzzzz = 1, relays.zzzzzz = 1 }]
    "#;
    let problems = load_text(text, &[]).unwrap_err().problems;
    let tables = problems.iter().filter_map(|problem| {
        let keys = problem.remedy.strip_prefix("known here: ")?;
        Some((problem.key.strip_suffix("zzzzzz")?, keys))
    });
    tables
        .flat_map(|(table, keys)| keys.split(", ").map(move |key| format!("{table}{key}")))
        .collect()
}

/// Where the refusal of a key in a wrong table says that it belongs.
fn places_in_error(table: &str, key: &str) -> Option<BTreeSet<String>> {
    let text = if table.is_empty() {
        format!("{key} = 1")
    } else {
        format!("{table}.{key} = 1")
    };
    let problems = load_text(text, &[]).unwrap_err().problems;
    let refused = problems
        .iter()
        .find(|problem| problem.key.ends_with(key) && problem.what == "unknown key");
    let places = refused?.remedy.strip_prefix("it belongs in ")?;
    Some(places.split(" or ").map(str::to_owned).collect())
}

#[test]
fn a_key_in_a_wrong_table_is_reported_with_where_it_belongs() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in known_keys() {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let plain = table.replace("[0]", "");
        let place = match plain.as_str() {
            "" => "the top level".to_owned(),
            "devices.slots" => "slots of [[devices]]".to_owned(),
            plain if table.ends_with("[0]") => format!("[[{plain}]]"),
            plain => format!("[{plain}]"),
        };
        let (table, path) = (plain.as_str(), path.replace("[0]", ""));
        // Ids are everywhere, single dead letters mean nothing elsewhere, and these words anything.
        let is_vague = ["name", "user", "version"].contains(&key);
        if table != "devices.slots.relays" && path != "devices.slots.id" && !is_vague {
            places.entry(key.to_owned()).or_default().insert(place);
        }
    }
    for (key, places) in &places {
        // Whichever of these does not know it, and is in no section that does.
        let found = ["state", "bridge", "http"].map(|table| places_in_error(table, key));
        let found = found.into_iter().flatten().next();
        assert_eq!(found.as_ref(), Some(places), "{key}");
    }
    let near = |table, key| Vec::from_iter(places_in_error(table, key).unwrap());
    assert_eq!(near("", "poll"), ["[[devices]]"]);
    assert_eq!(near("mqtt", "poll"), ["[[devices]]"]);
    assert_eq!(near("mqtt", "fingerprint"), ["[mqtt.tls]"]);
}

#[test]
fn every_example_of_a_duration_is_one_for_that_key() {
    let keys = [
        "mqtt.keep_alive",
        "mqtt.session_expiry",
        "dead_letter.repeat",
        "devices.poll",
        "devices.jitter",
        "devices.timeout",
        "devices.connect_timeout",
        "devices.command_timeout",
    ];
    for key in keys {
        let (table, name) = key.rsplit_once('.').unwrap();
        let refused = |value: &str| {
            let text = match table {
                "devices" => format!("[[devices]]\n{name} = {value}\n"),
                table => format!("[{table}]\n{name} = {value}\n"),
            };
            let problems = load_text(text, &[]).unwrap_err().problems;
            let found = problems.into_iter().find(|problem| problem.key.ends_with(name));
            found.map(|problem| problem.remedy)
        };
        for wrong in ["5", "\"5\"", "\"soon\""] {
            let remedy = refused(wrong).unwrap();
            let examples: Vec<_> = remedy.split('"').skip(1).step_by(2).collect();
            assert_eq!(examples.len(), 2, "{key}: {remedy}");
            for example in examples {
                let again = refused(&format!("{example:?}"));
                // Less than poll, which no range of its own says.
                let is_jitter = name == "jitter"
                    && again
                        .as_ref()
                        .is_some_and(|problem| problem.contains("less than"));
                assert!(again.is_none() || is_jitter, "{key} = {example:?}: {again:?}");
            }
        }
    }
}

const MINIMAL: &str = r#"
    [mqtt]
    url = "mqtt://localhost"
    [[devices]]
    id = "a"
    url = "http://localhost"
    username = "info"
    password = "5ecret"
"#;

/// Stands before the first table.
const CLUSTER: &str = r#"cluster = { endpoints = ["http://localhost:2379/"], name = "plant-a" }"#;

fn minimal(environment: &[(&str, &str)]) -> Config {
    load_text(MINIMAL, environment).unwrap().config
}

#[test]
fn defaults() {
    let config = minimal(&[("LANTIME2MQTT_BRIDGE__ID", "site-1")]);
    let mqtt = &config.mqtt;
    assert_eq!((mqtt.version, mqtt.layout), (MqttVersion::V5, Layout::Json));
    assert_eq!(
        (mqtt.prefix.as_str(), mqtt.client_id.as_str()),
        ("lantime", "lantime2mqtt-site-1")
    );
    assert_eq!(
        (mqtt.keep_alive, &mqtt.credentials),
        (Duration::from_secs(30), &None)
    );
    assert_eq!(
        config.http,
        Http {
            listen: Some("127.0.0.1:8080".parse().unwrap()),
            token: None,
            hosts: Vec::new(),
        }
    );
    assert_eq!(config.state.directory, Path::new("/var/lib/lantime2mqtt"));
    assert_eq!(mqtt.session_expiry, Duration::from_secs(24 * 3600));
    assert_eq!(
        config.dead_letter,
        DeadLetters {
            repeat: Duration::from_secs(15 * 60),
            keep: 1000
        }
    );
    let device = &config.devices[0];
    assert_eq!(
        device.http_sessions,
        HttpSessionsConfig {
            enabled: false,
            max_count: 100
        }
    );
    assert_eq!(
        (device.allow_unverified_writes, device.command_timeout.as_secs()),
        (false, 30)
    );
    assert_eq!(
        (&device.proxy, &device.slots, &device.tls.trust),
        (&Proxy::Bypass, &Slots::Auto, &Trust::System)
    );
    let times = [device.poll, device.jitter, device.timeout, device.connect_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [1, 0, 5, 3]);
    assert_eq!(
        (device.url.as_str(), device.offline_after),
        ("http://localhost", 3)
    );
}

#[test]
fn a_cluster_is_there_only_if_it_is_configured() {
    assert_eq!(minimal(&[]).cluster, None);
    let cluster = load_text(format!("{CLUSTER}{MINIMAL}"), &[])
        .unwrap()
        .config
        .cluster
        .unwrap();
    assert_eq!(cluster.endpoints, ["http://localhost:2379"]);
    assert_eq!(
        (cluster.name.as_str(), cluster.shards, cluster.ttl.as_secs()),
        ("plant-a", 1, 5)
    );
    assert_eq!(
        (&cluster.tls.trust, cluster.user, cluster.url),
        (&Trust::System, None, None)
    );
    let error = load_text(MINIMAL, &[("LANTIME2MQTT_CLUSTER__NAME", "plant-a")]).unwrap_err();
    assert_eq!(error.problems[0].key, "cluster.endpoints");
}

#[test]
fn all_bridges_of_a_cluster_are_the_same_edge_nodes() {
    let edge_node = |before: &str, key: &str| {
        let text = format!("{before}\nsparkplug = {{ enabled = true{key} }}\nbridge.id = \"b1\"\n{MINIMAL}");
        load_text(text, &[]).unwrap().config.sparkplug.unwrap().edge_node
    };
    assert_eq!(edge_node("", ""), "b1");
    assert_eq!(edge_node(CLUSTER, ""), "plant-a");
    assert_eq!(edge_node(CLUSTER, ", edge_node = \"site\""), "site");
}

/// Without the section, as ever.
#[test]
fn a_device_may_be_named_shard_where_there_is_no_cluster() {
    let config = load_text(MINIMAL.replace("\"a\"", "\"shard\""), &[])
        .unwrap()
        .config;
    assert_eq!(config.devices[0].id.as_str(), "shard");
}

#[test]
fn the_bridge_is_named_after_its_host() {
    let name = gethostname::gethostname().to_string_lossy().to_lowercase();
    assert_eq!(minimal(&[]).bridge.id.as_str().len(), name.chars().count());
}

#[test]
fn a_variable_wins_and_its_key_gives_the_type() {
    let config = minimal(&[
        ("LANTIME2MQTT_MQTT__URL", "mqtt://[fd00::1]"),
        ("LANTIME2MQTT_MQTT__USERNAME", "007"),
        ("LANTIME2MQTT_MQTT__PASSWORD", "00123"),
        ("LANTIME2MQTT_MQTT__CLIENT_ID", "true"),
        ("LANTIME2MQTT_MQTT__TLS__INSECURE", "false"),
        ("LANTIME2MQTT_MQTT__KEEP_ALIVE", "1m"),
    ]);
    let Broker::Remote { host, port, .. } = config.mqtt.broker else {
        panic!("{:?}", config.mqtt)
    };
    assert_eq!((host.as_str(), port), ("fd00::1", 1883));
    let credentials = config.mqtt.credentials.unwrap();
    assert_eq!(credentials.username, "007");
    assert_eq!(credentials.password.unwrap().expose(), "00123");
    assert_eq!(
        (config.mqtt.client_id.as_str(), config.mqtt.keep_alive.as_secs()),
        ("true", 60)
    );
}

#[test]
fn a_password_file_loses_one_newline() {
    let directory = TempDir::new().unwrap();
    for (content, password) in [("x", "x"), ("x\n", "x"), ("x\r\n", "x"), (" x \n\n", " x \n")] {
        let file = directory.path().join("password");
        fs::write(&file, content).unwrap();
        let config = minimal(&[
            ("LANTIME2MQTT_MQTT__USERNAME", "u"),
            ("LANTIME2MQTT_MQTT__PASSWORD_FILE", file.to_str().unwrap()),
        ]);
        assert_eq!(
            config.mqtt.credentials.unwrap().password.unwrap().expose(),
            password
        );
    }
}

/// A device of ours, as its file has it.
fn device(number: usize, keys: &str) -> String {
    format!("[[devices]]\nid = \"m-{number}\"\nurl = \"https://10.0.0.{number}\"\n{keys}")
}

#[test]
fn each_of_five_typos_among_40_devices_is_found_with_its_place() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    fs::create_dir(directory.path().join("devices.d")).unwrap();
    let devices =
        |numbers: std::ops::Range<usize>| numbers.map(|number| device(number, "")).collect::<String>();
    let head = r#"include = ["devices.d/*.toml"]
[mqtt]
url = "embedded"
[dead_leter]
[device_defaults]
username = "info"
password = "5ecret"
pol = "1s"
"#;
    let slot = device(
        39,
        "slots = [\n  { id = \"io3\" },\n  { id = \"io4\", relay = {} },\n]\n",
    );
    let text = [
        head,
        &devices(0..19),
        &device(19, "tls.fingreprint = \"5ecret\"\n"),
        &devices(20..30),
    ]
    .concat();
    fs::write(&file, text).unwrap();
    fs::write(directory.path().join("devices.d/b.toml"), devices(31..39) + &slot).unwrap();
    fs::write(
        directory.path().join("devices.d/a.toml"),
        device(30, "  proxi = \"system\"\n"),
    )
    .unwrap();
    fs::write(directory.path().join("devices.d/.a.toml"), "left by an editor").unwrap();
    let error = load(&file, &[]).unwrap_err();
    let found = error.to_string().replace(directory.path().to_str().unwrap(), "");
    assert_eq!(
        found,
        r#"/config.toml: 5 problems
  /config.toml:4:2: dead_leter: unknown key; did you mean dead_letter?
  /config.toml:8:1: device_defaults.pol: unknown key; did you mean poll?
  /config.toml:69:5: devices[19] ("m-19").tls.fingreprint: unknown key; did you mean fingerprint?
  /devices.d/a.toml:4:3: devices[30] ("m-30").proxi: unknown key; did you mean proxy?
  /devices.d/b.toml:30:17: devices[39] ("m-39").slots[1].relay: unknown key; did you mean relays?"#
    );
}

/// 40 lines of id and url, and what they share.
fn site(device_defaults: &str, own: &str) -> Config {
    let devices = (1..=40).map(|number| device(number, if number == 40 { own } else { "" }));
    let text = format!(
        "[mqtt]\nurl = \"embedded\"\n[device_defaults]\nusername = \"info\"\n{device_defaults}\n{}",
        devices.collect::<String>()
    );
    load_text(text, &[]).unwrap().config
}

#[test]
fn a_devices_own_key_wins_over_the_defaults() {
    let config = site(
        "password = \"5ecret\"\npoll = \"5s\"\nsnmp = { community = \"5ecret\", timeout = \"5s\" }",
        "poll = \"2s\"\npassword = \"0wn\"\nsnmp.retries = 7\n",
    );
    let [first, .., last] = &config.devices[..] else {
        panic!()
    };
    assert_eq!((config.devices.len(), first.username.as_str()), (40, "info"));
    assert_eq!((first.poll.as_secs(), first.password.expose()), (5, "5ecret"));
    assert_eq!((last.poll.as_secs(), last.password.expose()), (2, "0wn"));
    // Tables key by key.
    assert_eq!((first.snmp.retries, first.snmp.timeout.as_secs()), (2, 5));
    assert_eq!((last.snmp.retries, last.snmp.timeout.as_secs()), (7, 5));
    assert_eq!(first.snmp.access, last.snmp.access);
}

#[test]
fn a_devices_own_key_drops_the_default_that_would_contradict_it() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "0wn-password").unwrap();
    let user = format!(r#"{{ name = "u", auth_password_file = {file:?}, priv_password_file = {file:?} }}"#);
    let config = site(
        "password = \"5ecret\"\ntls.insecure = true\nsnmp.community = \"5ecret\"\nsnmp.write_community = \"5ecret\"",
        &format!(
            "password_file = {file:?}\ntls.fingerprint = \"sha256:{}\"\nsnmp.user = {user}\n",
            "00".repeat(32)
        ),
    );
    let [first, .., last] = &config.devices[..] else {
        panic!()
    };
    assert_eq!(first.tls.trust, Trust::Insecure);
    assert!(matches!(last.tls.trust, Trust::Fingerprint(_)));
    assert_eq!(last.password.expose(), "0wn-password");
    assert!(matches!(
        first.snmp.access.as_deref(),
        Some(SnmpAccess::Community { .. })
    ));
    assert!(matches!(last.snmp.access.as_deref(), Some(SnmpAccess::User(_))));
}

#[test]
fn a_device_without_tls_takes_none_of_its_defaults() {
    let text = format!(
        "[mqtt]\nurl = \"embedded\"\n[device_defaults]\nusername = \"info\"\npassword = \"5ecret\"\ntls.insecure = true\n\
         {}[[devices]]\nid = \"plain\"\nurl = \"HTTP://10.0.0.2\"\n",
        device(1, "")
    );
    let devices = load_text(text, &[]).unwrap().config.devices;
    let trust: Vec<_> = devices.iter().map(|device| &device.tls.trust).collect();
    assert_eq!(trust, [&Trust::Insecure, &Trust::System]);
}

#[test]
fn a_wrong_default_is_one_problem() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    let devices = (1..=40).map(|number| device(number, "")).collect::<String>();
    let head = "[mqtt]\nurl = \"embedded\"\n[device_defaults]\nusername = \"info\"\npassword = \"5ecret\"\nid = \"a\"\npoll = \"1\"\n";
    fs::write(&file, format!("{head}{devices}")).unwrap();
    let error = load(&file, &[]).unwrap_err();
    assert_eq!(
        error.to_string().replace(directory.path().to_str().unwrap(), ""),
        r#"/config.toml: 2 problems
  /config.toml:6:1: device_defaults.id: unknown key; it belongs in [bridge] or [[devices]]
  /config.toml:7:1: device_defaults.poll (of devices[0] ("m-1")) = "1": a number without a unit; write a number and a unit, such as "1s" or "500ms""#
    );
}

#[test]
fn what_is_wrong_with_an_included_file_is_said_with_its_place() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(
        &file,
        "include = [\"a.toml\", \"b.toml\", \"c.toml\", \"missing/*.toml\"]\n[mqtt]\nurl = \"embedded\"\n",
    )
    .unwrap();
    fs::write(directory.path().join("a.toml"), "[mqtt]\nurl = \"embedded\"\n").unwrap();
    fs::write(directory.path().join("b.toml"), "[[devices]\n").unwrap();
    fs::write(directory.path().join("c.toml"), "\n[devices]\nid = \"c\"\n").unwrap();
    let error = load(&file, &[]).unwrap_err();
    let places = error.problems.iter().map(|problem| {
        let place = problem.place.as_ref().unwrap();
        let name = place.file.file_name().unwrap().to_str().unwrap();
        (name, place.line, place.column, problem.key.as_str())
    });
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            ("config.toml", 1, 1, "include"),
            ("a.toml", 1, 2, "mqtt"),
            ("b.toml", 1, 11, ""),
            ("c.toml", 2, 2, "devices")
        ]
    );
    assert!(error.to_string().contains("write [[devices]]"), "{error}");
}

#[test]
fn what_is_wrong_with_all_devices_is_said_of_where_they_begin() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    let own = |number| {
        let keys = "username = \"info\"\npassword = \"5ecret\"\nsnmp.engine_id = \"80001f8880aabbccdd\"\n";
        device(number, keys)
    };
    let head = "include = [\"a.inc\", \"b.inc\"]\n[mqtt]\nurl = \"embedded\"\n";
    fs::write(&file, head.to_owned() + &own(1)).unwrap();
    for (name, number) in [("a.inc", 2), ("b.inc", 3)] {
        fs::write(directory.path().join(name), own(number)).unwrap();
    }
    let problems = load(&file, &[]).unwrap_err().problems;
    for problem in &problems {
        assert_eq!(problem.place.as_ref().unwrap().file, file, "{problem}");
    }
    assert_eq!(problems.len(), 2);
}

#[test]
fn a_star_that_stands_for_nothing_is_refused() {
    for pattern in ["*-*.toml", "*/a.toml", "*/*.toml"] {
        let text = format!("include = [{pattern:?}]\n[mqtt]\nurl = \"embedded\"\n");
        let error = load_text(text, &[]).unwrap_err().to_string();
        assert!(
            error.ends_with("write one *, in the last part of the path"),
            "{error}"
        );
    }
}

#[test]
fn what_is_printed_can_be_loaded_again() {
    let directory = TempDir::new().unwrap();
    let (file, secret) = (
        directory.path().join("config.toml"),
        directory.path().join("secret"),
    );
    fs::write(&secret, "5ecret-5ecret-5ecret").unwrap();
    let text = format!(
        r#"
        [mqtt]
        url = "mqtt://localhost"
        [cluster]
        endpoints = ["http://localhost:2379", "http://127.0.0.1:2380"]
        name = "plant-a"
        username = "u"
        password_file = {secret:?}
        url = "http://localhost:8080/page"
        [http]
        token_file = {secret:?}
        [snmp]
        communities_file = {secret:?}
        traps.listen = "127.0.0.1:0"
        [[snmp.users]]
        name = "trap"
        auth_password_file = {secret:?}
        priv_password_file = {secret:?}
        [snmp.agent]
        listen = "127.0.0.1:0"
        [[snmp.agent.sinks]]
        address = "127.0.0.1"
        community_file = {secret:?}
        [device_defaults]
        username = "info"
        password_file = "secret"
        snmp = {{ community_file = "secret", read = "always" }}
        {}
        slots = [{{ id = "io3", relays = {{ a = "clk1", b = "clk2", c = "rsc" }} }}, {{ id = "io4" }}]
        {}
        "#,
        device(1, "poll = \"2s\"\nusername = \"info@site\""),
        device(2, "")
    );
    fs::write(&file, text).unwrap();
    let environment = [
        ("LANTIME2MQTT_HOMEASSISTANT__ENABLED", "true"),
        ("LANTIME2MQTT_DEAD_LETTER__KEEP", "7"),
        ("LANTIME2MQTT_MQTT__KEEP_ALIVE", "1m"),
    ];
    let loaded = load(&file, &environment).unwrap();
    let printed = loaded.print();
    let again = load_text(&printed, &[]).unwrap();
    assert_eq!(again.config, loaded.config, "{printed}");
    for line in [
        "keep = 7  # LANTIME2MQTT_DEAD_LETTER__KEEP",
        "# repeat = \"15m\"",
        "# shards = 1",
        &format!("username = \"info\"  # {}:25", file.display()),
    ] {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
}

#[test]
fn a_reload_names_the_sections_that_need_a_restart() {
    let old = minimal(&[]);
    let with_cluster = load_text(format!("{CLUSTER}{MINIMAL}"), &[]).unwrap().config;
    let mut new = old.clone();
    new.devices.clear();
    assert!(old.changed_outside_devices(&new).is_empty());
    new.mqtt.prefix.push('x');
    new.http.listen = None;
    new.dead_letter.keep = 1;
    new.cluster = with_cluster.cluster;
    let changed = ["mqtt", "http", "cluster", "dead_letter"];
    assert_eq!(old.changed_outside_devices(&new), changed);
}

#[test]
fn a_file_that_is_not_there_is_one_problem() {
    let error = load(Path::new("/nowhere/lantime2mqtt.toml"), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nowhere/lantime2mqtt.toml: 1 problem\n  cannot be read: No such file or directory (os error 2); \
         name the file with --config, and let the user of this process read it"
    );
    let error = load_text(b"a = 1\nb = \"\xff\"", &[]).unwrap_err();
    let place = error.problems[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (2, 6));
}

#[test]
fn endless_nesting_is_refused() {
    for text in [
        "a.".repeat(100_000),
        "a = [".repeat(100_000),
        "a = {".repeat(100_000),
        "[[a.".repeat(100_000),
    ] {
        assert!(load_text(text, &[]).is_err());
    }
}

/// Keys that exist, so that random values land where something is made of them.
fn any_key() -> impl Strategy<Value = String> {
    let mut keys: Vec<String> = known_keys()
        .iter()
        .filter_map(|key| Some(key.rsplit('.').next()?.to_owned()))
        .collect();
    keys.extend(["zzz", "", "a b", "é\n"].map(str::to_owned));
    proptest::sample::select(keys)
}

fn any_value() -> impl Strategy<Value = toml::Value> {
    let texts = [
        "embedded",
        "auto",
        "1s",
        "mqtts://h",
        "https://h",
        "http://h",
        "5",
        "off",
        "sha256:00",
        "x.toml",
    ];
    let leaf = prop_oneof![
        proptest::sample::select(texts.to_vec()).prop_map(toml::Value::from),
        ".*".prop_map(toml::Value::from),
        any::<i64>().prop_map(toml::Value::from),
        any::<f64>().prop_map(toml::Value::from),
        any::<bool>().prop_map(toml::Value::from),
        Just(toml::Value::Datetime("1979-05-27".parse().unwrap())),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::from),
            table(inner).prop_map(toml::Value::from),
        ]
    })
}

fn table(value: impl Strategy<Value = toml::Value>) -> impl Strategy<Value = toml::Table> {
    prop::collection::vec((any_key(), value), 0..8).prop_map(|entries| entries.into_iter().collect())
}

fn root() -> impl Strategy<Value = toml::Table> {
    let devices = prop::collection::vec(table(any_value()), 0..3);
    (table(any_value()), table(any_value()), devices).prop_map(|(mut root, mqtt, devices)| {
        root.entry("mqtt").or_insert(mqtt.into());
        root.entry("devices").or_insert(devices.into());
        root
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_table_panics(root in root()) {
        let text = toml::to_string(&root).unwrap();
        match load_text(text, &[]) {
            Ok(_) => {}
            Err(error) => prop_assert!(!error.problems.is_empty()),
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_text(bytes, &[]);
    }

    #[test]
    fn no_text_panics(text in "([a-z.]{1,9} = )?[\\[\\]{}\"'=.,#0-9a-z\n -]{0,80}") {
        let _ = load_text(text, &[]);
    }

    #[test]
    fn no_variable_panics(name in "(LANTIME2MQTT_|lantime2mqtt_)?[A-Z_]{0,20}(__[A-Z_é]{0,9}){0,3}", value in ".*") {
        let _ = load_text(MINIMAL, &[(&name, &value)]);
    }

    #[test]
    fn a_broken_line_does_not_show_its_password(cut in 0..MINIMAL.len(), insert in "[\\[\\]{}\"'=.,#\\\\\n]{1,3}") {
        let broken = format!("{}{insert}{}", &MINIMAL[..cut], &MINIMAL[cut..]);
        // Where the password itself is cut in two, or is in another key's text, there is no sentinel to look for.
        if let Err(error) = load_text(broken, &[]) {
            prop_assert!(!error.to_string().contains(SENTINEL), "{error}");
        }
    }
}
