//! Traps and informs of every version, as `snmptrap` and `snmpinform` send them to a running bridge.

use std::net::UdpSocket;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::mosquitto::Mosquitto;
use crate::common::program::Program;
use crate::common::site::{Entry, Site};
use crate::common::{PATIENCE, Seen, Watcher};
use crate::tools::{run, succeeds};

const NOT_SYNC: &str = "1.3.6.1.4.1.5597.30.3.0.1";
const MESSAGE: &str = "1.3.6.1.4.1.5597.30.3.0.100";
const ENGINE: &str = "0x8000000001020304";
/// The users of the site, by their name, as net-snmp's tools take them.
const USERS: [(&str, &str, &str); 4] = [
    ("sha1-aes128", "SHA", "AES"),
    ("sha256-aes128", "SHA-256", "AES"),
    ("sha256-aes256", "SHA-256", "AES-256"),
    ("sha512-aes256", "SHA-512", "AES-256"),
];

/// A bridge that takes traps, with one device that is polled once an hour.
struct Scene {
    tools: TempDir,
    fleet: Fleet,
    _broker: Mosquitto,
    watcher: Watcher,
    bridge: Program,
    receiver: String,
    site: Site,
}

/// A UDP port that nobody uses.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

impl Scene {
    async fn start() -> Scene {
        let options = FleetOptions {
            devices: 1,
            kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20)],
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(options).await.expect("free ports on the loopback");
        let broker = Mosquitto::start();
        let watcher = Watcher::connect(broker.address()).await;
        let port = free_port();
        let device = &fleet.devices()[0];
        let site = Site::new(
            broker.address(),
            &[Entry::of(device).listed(device).with("poll", "1h")],
        )
        .with("snmp.traps.listen", format!("127.0.0.1:{port}"))
        .with(
            "snmp.communities",
            vec!["public".to_owned(), "meinberg".to_owned()],
        )
        .with("snmp.users", users());
        let bridge = site.start();
        let mut scene = Scene {
            tools: TempDir::new().expect("a temporary directory"),
            fleet,
            _broker: broker,
            watcher,
            bridge,
            receiver: format!("127.0.0.1:{port}"),
            site,
        };
        scene.until(|seen| seen.is("lantime/sim-1/state", "online")).await;
        scene
    }

    async fn until(&mut self, condition: impl FnMut(&Seen) -> bool) -> Seen {
        self.watcher.until("what was expected", condition).await
    }

    /// Sends with one of net-snmp's tools, and waits for its record.
    async fn sends(&mut self, tool: &str, arguments: &[&str]) -> Value {
        let before = records(&self.watcher.now()).len();
        succeeds(self.tools.path(), tool, arguments).await;
        let seen = self.until(|seen| records(seen).len() > before).await;
        records(&seen).remove(before)
    }

    fn polls(&self) -> u64 {
        self.fleet.devices()[0].counters().documents
    }
}

fn users() -> toml::Value {
    let user = |(name, auth, privacy): &(&str, &str, &str)| {
        let words = [
            ("name", *name),
            (
                "auth_protocol",
                &auth.to_lowercase().replace('-', "").replace("sha", "sha"),
            ),
            (
                "priv_protocol",
                if *privacy == "AES" { "aes128" } else { "aes256" },
            ),
            ("auth_password", "a secret to sign"),
            ("priv_password", "a secret to hide"),
        ];
        let words = words.map(|(key, word)| (key.to_owned(), word.to_owned().into()));
        toml::Value::Table(words.into_iter().collect())
    };
    let mut users: Vec<_> = USERS.iter().map(user).collect();
    users[0]["auth_protocol"] = "sha1".into();
    toml::Value::Array(users)
}

/// The arguments of a v3 user.
fn v3<'a>((name, auth, privacy): (&'a str, &'a str, &'a str)) -> Vec<&'a str> {
    vec![
        "-v",
        "3",
        "-u",
        name,
        "-l",
        "authPriv",
        "-a",
        auth,
        "-A",
        "a secret to sign",
        "-x",
        privacy,
        "-X",
        "a secret to hide",
    ]
}

/// The records of the device's traps, oldest first. A poll that finds that the event of a trap does not stand tells
/// so, in records of its own.
fn records(seen: &Seen) -> Vec<Value> {
    let log = seen
        .log
        .iter()
        .filter(|(topic, _)| topic == "lantime/sim-1/events");
    log.map(|(_, payload)| serde_json::from_str(payload).expect("a record is JSON"))
        .filter(|record: &Value| record["source"] == "snmp")
        .collect()
}

fn letters(seen: &Seen) -> Vec<Value> {
    let log = seen
        .log
        .iter()
        .filter(|(topic, _)| topic == "lantime/dead-letter/bridge");
    log.map(|(_, payload)| serde_json::from_str(payload).expect("a record is JSON"))
        .collect()
}

#[tokio::test]
async fn traps_of_every_version_give_a_record_and_a_poll() {
    let mut scene = Scene::start().await;
    let to = scene.receiver.clone();
    let to = to.as_str();
    let polls = scene.polls();
    let v1 = [
        "-v",
        "1",
        "-c",
        "public",
        to,
        "1.3.6.1.4.1.5597.30.3",
        "127.0.0.1",
        "6",
        "1",
        "",
    ];
    let v1 = [&v1[..], &[MESSAGE, "s", "NTP not synchronized"]].concat();
    let record = scene.sends("snmptrap", &v1).await;
    assert_eq!(record["event"], "ntp-not-sync");
    assert_eq!(
        (&record["source"], &record["version"]),
        (&"snmp".into(), &"1".into())
    );
    assert_eq!(record["message"], "NTP not synchronized");
    assert_eq!(record["oid"], NOT_SYNC);

    let what = [to, "", NOT_SYNC, MESSAGE, "s", "NTP not synchronized"];
    let v2c = [&["-v", "2c", "-c", "meinberg"], &what[..]].concat();
    let record = scene.sends("snmptrap", &v2c).await;
    assert_eq!(
        (&record["version"], &record["confirmed"]),
        (&"2c".into(), &false.into())
    );
    assert_eq!(record["varbinds"][0]["oid"], MESSAGE);
    assert_eq!(record["varbinds"][0]["type"], "OCTET STRING");
    let record = scene.sends("snmpinform", &v2c).await;
    assert_eq!(
        (&record["version"], &record["confirmed"]),
        (&"2c".into(), &true.into())
    );

    for user in USERS {
        let trap = [&v3(user), &["-e", ENGINE][..], &what].concat();
        let record = scene.sends("snmptrap", &trap).await;
        assert_eq!(
            (&record["version"], &record["confirmed"]),
            (&"3".into(), &false.into())
        );
        let inform = [&v3(user), &what[..]].concat();
        let record = scene.sends("snmpinform", &inform).await;
        assert_eq!(
            (&record["version"], &record["confirmed"]),
            (&"3".into(), &true.into())
        );
        assert_eq!(record["event"], "ntp-not-sync");
    }
    assert!(scene.polls() > polls, "it was polled once an hour");
    assert_eq!(letters(&scene.watcher.now()), Vec::<Value>::new());
}

#[tokio::test]
async fn what_the_vendors_mib_does_not_know_is_passed_on_as_it_is() {
    let mut scene = Scene::start().await;
    let to = scene.receiver.clone();
    let to = to.as_str();
    let trap = [
        "-v",
        "2c",
        "-c",
        "public",
        to,
        "",
        "1.3.6.1.6.3.1.1.5.3",
        "1.3.6.1.2.1.2.2.1.1.2",
        "i",
        "2",
    ];
    let record = scene.sends("snmptrap", &trap).await;
    assert_eq!(record["event"], Value::Null);
    assert_eq!(record["oid"], "1.3.6.1.6.3.1.1.5.3");
    let varbind = serde_json::json!({"oid": "1.3.6.1.2.1.2.2.1.1.2", "type": "Integer32", "value": 2});
    assert_eq!(record["varbinds"][0], varbind);
    // Numbers that make no OID.
    let odd = [
        "-v",
        "1",
        "-c",
        "public",
        to,
        "1.3.6.1.4.1.5597.30.3",
        "127.0.0.1",
        "6",
        "-1",
        "",
    ];
    let record = scene.sends("snmptrap", &odd).await;
    assert_eq!(record["oid"], Value::Null);
    assert_eq!(record["version"], "1");
}

#[tokio::test]
async fn who_is_not_configured_is_told_of_once_and_learns_nothing() {
    let mut scene = Scene::start().await;
    let to = scene.receiver.clone();
    let to = to.as_str();
    let what = [to, "", NOT_SYNC];
    for _ in 0..3 {
        let wrong = [&["-v", "2c", "-c", "guessed", "-r", "0", "-t", "0.3"], &what[..]].concat();
        let output = run(scene.tools.path(), "snmpinform", &wrong).await;
        assert!(!output.status.success(), "an inform is not acknowledged");
    }
    let seen = scene.until(|seen| !letters(seen).is_empty()).await;
    let letter = &letters(&seen)[0];
    assert_eq!(letter["operation"], "trap");
    assert_eq!(letter["error"]["kind"], "unauthorized");
    let text = letter.to_string();
    assert!(
        !text.contains("guessed") && !text.contains("public") && !text.contains("secret"),
        "{text}"
    );
    let mut wrong = v3(USERS[1]);
    wrong[9] = "not the right password";
    let wrong = [&wrong, &["-r", "0", "-t", "0.3"][..], &what].concat();
    assert!(
        !run(scene.tools.path(), "snmpinform", &wrong)
            .await
            .status
            .success()
    );
    let unprotected = ["-v", "3", "-u", "sha1-aes128", "-l", "noAuthNoPriv", "-e", ENGINE];
    succeeds(
        scene.tools.path(),
        "snmptrap",
        &[&unprotected, &what[..]].concat(),
    )
    .await;
    // A good one comes through still, and is the only one.
    let good = [&["-v", "2c", "-c", "public"], &what[..]].concat();
    scene.sends("snmptrap", &good).await;
    let seen = scene.watcher.now();
    assert_eq!((records(&seen).len(), letters(&seen).len()), (1, 1));
}

#[tokio::test]
async fn a_stranger_is_not_acknowledged_and_told_of() {
    let mut scene = Scene::start().await;
    let port = scene.receiver.rsplit(':').next().expect("a port").to_owned();
    let what = ["-v", "2c", "-c", "public", "-r", "0", "-t", "0.3"];
    let from = ["--clientaddr=127.0.0.77"];
    let to = format!("127.0.0.1:{port}");
    let inform = [&what[..], &from, &[to.as_str(), "", NOT_SYNC]].concat();
    assert!(
        !run(scene.tools.path(), "snmpinform", &inform)
            .await
            .status
            .success()
    );
    let seen = scene.until(|seen| !letters(seen).is_empty()).await;
    let letter = &letters(&seen)[0];
    let message = letter["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("127.0.0.77"), "{message}");
    assert_eq!(records(&seen), Vec::<Value>::new());
}

#[tokio::test]
async fn an_inform_is_acknowledged_only_when_its_record_is_on_disk() {
    let mut scene = Scene::start().await;
    let to = scene.receiver.clone();
    let inform = ["-v", "2c", "-c", "public", to.as_str(), "", NOT_SYNC];
    scene.sends("snmpinform", &inform).await;
    let Scene { bridge, site, .. } = scene;
    let output = bridge.stop("TERM").await;
    assert_eq!(output.code, Some(0), "{}", output.output.stderr);
    drop(site);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let broker = Mosquitto::start();
    let site = Site::new(broker.address(), &[])
        .with("snmp.traps.listen", format!("127.0.0.1:{port}"))
        .with("snmp.communities", vec!["public".to_owned()]);
    let end = site.start().end(PATIENCE).await;
    assert_eq!(end.code, Some(1));
    let text = &end.output.stderr;
    assert!(
        text.contains(&format!("UDP 127.0.0.1:{port}")) && text.contains("snmp.traps.listen"),
        "{text}"
    );
}
