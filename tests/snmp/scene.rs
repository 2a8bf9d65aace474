//! A bridge that takes traps, and what net-snmp's tools need to send it some.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::site::{Entry, Site};
use crate::support::{PATIENCE, Seen, Watcher};
use crate::tools::succeeds;

pub(crate) const NOT_SYNC: &str = "1.3.6.1.4.1.5597.30.3.0.1";
/// It clears the other.
pub(crate) const SYNC: &str = "1.3.6.1.4.1.5597.30.3.0.36";
/// Somebody has changed the device's configuration: no error that stands, so each trap of it is an event.
pub(crate) const CHANGED: &str = "1.3.6.1.4.1.5597.30.3.0.8";
pub(crate) const MESSAGE: &str = "1.3.6.1.4.1.5597.30.3.0.100";
pub(crate) const ENGINE: &str = "0x8000000001020304";
/// The users of the site, by their name, as net-snmp's tools take them.
pub(crate) const USERS: [(&str, &str, &str); 4] = [
    ("sha1-aes128", "SHA", "AES"),
    ("sha256-aes128", "SHA-256", "AES"),
    ("sha256-aes256", "SHA-256", "AES-256"),
    ("sha512-aes256", "SHA-512", "AES-256"),
];

/// A bridge that takes traps, with one device that is polled once an hour.
pub(crate) struct Scene {
    pub(crate) tools: TempDir,
    pub(crate) fleet: Fleet,
    pub(crate) broker: Mosquitto,
    pub(crate) watcher: Watcher,
    pub(crate) bridge: Program,
    /// Where it takes traps.
    pub(crate) receiver: String,
    /// Where its HTTP server is.
    pub(crate) http: String,
    pub(crate) site: Site,
}

/// A UDP port that nobody uses.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

impl Scene {
    pub(crate) async fn start() -> Scene {
        Scene::start_with(ApiGeneration::V20).await
    }

    /// With a device of that API.
    pub(crate) async fn start_with(api: ApiGeneration) -> Scene {
        Scene::start_as(api, |entry| entry).await
    }

    /// The same, with more settings of the device.
    pub(crate) async fn start_as(api: ApiGeneration, settings: impl FnOnce(Entry) -> Entry) -> Scene {
        let options = FleetOptions {
            devices: 1,
            kinds: vec![DeviceKind::new(Chassis::M3000, api)],
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(options).await.expect("free ports on the loopback");
        let broker = Mosquitto::start();
        let watcher = Watcher::connect(broker.address()).await;
        let port = free_port();
        let http = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let http = http.expect("a free port").to_string();
        let device = &fleet.devices()[0];
        let site = Site::new(
            broker.address(),
            &[settings(Entry::of(device).listed(device).with("poll", "1h"))],
        )
        .with("snmp.traps.listen", format!("127.0.0.1:{port}"))
        .with(
            "snmp.communities",
            vec!["public".to_owned(), "meinberg".to_owned()],
        )
        .with("snmp.users", users())
        .with("http.listen", http.clone());
        let bridge = site.start();
        let mut scene = Scene {
            tools: TempDir::new().expect("a temporary directory"),
            fleet,
            broker,
            watcher,
            bridge,
            receiver: format!("127.0.0.1:{port}"),
            http,
            site,
        };
        scene.until(|seen| seen.is("lantime/sim-1/state", "online")).await;
        scene
    }

    pub(crate) async fn until(&mut self, condition: impl FnMut(&Seen) -> bool) -> Seen {
        self.watcher.until("what was expected", condition).await
    }

    /// Sends with one of net-snmp's tools, and waits for its record.
    pub(crate) async fn sends(&mut self, tool: &str, arguments: &[&str]) -> Value {
        let before = trap_records(&self.watcher.now()).len();
        succeeds(self.tools.path(), tool, arguments).await;
        let seen = self.until(|seen| trap_records(seen).len() > before).await;
        trap_records(&seen).remove(before)
    }

    /// The device says that NTP is synchronous: that it is not stands no longer.
    pub(crate) async fn clears(&mut self) {
        let to = self.receiver.clone();
        let trap = ["-v", "2c", "-c", "public", to.as_str(), "", SYNC];
        let record = self.sends("snmptrap", &trap).await;
        assert_eq!(record["event"], "ntp-sync");
    }

    /// Waits until the device has answered so many polls.
    pub(crate) async fn until_polled(&self, polls: u64) {
        let answered = async {
            while self.polls() < polls {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, answered).await;
        waited.expect("the device is polled");
    }

    pub(crate) fn polls(&self) -> u64 {
        self.fleet.devices()[0].counters().documents
    }
}

fn users() -> toml::Value {
    let user = |(name, auth, privacy): &(&str, &str, &str)| {
        let words = [
            ("name", *name),
            ("auth_protocol", &auth.to_lowercase().replace('-', "")),
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
pub(crate) fn v3<'a>((name, auth, privacy): (&'a str, &'a str, &'a str)) -> Vec<&'a str> {
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
pub(crate) fn records(seen: &Seen) -> Vec<Value> {
    let log = seen
        .log
        .iter()
        .filter(|(topic, _)| topic == "lantime/sim-1/events");
    log.map(|(_, payload)| serde_json::from_str(payload).expect("a record is JSON"))
        .filter(|record: &Value| record["source"] == "snmp")
        .collect()
}

/// Those of traps and informs themselves, without the ends of what they clear.
pub(crate) fn trap_records(seen: &Seen) -> Vec<Value> {
    let mut records = records(seen);
    records.retain(|record| !record["version"].is_null());
    records
}

pub(crate) fn letters(seen: &Seen) -> Vec<Value> {
    let log = seen
        .log
        .iter()
        .filter(|(topic, _)| topic == "lantime/dead-letter/bridge");
    log.map(|(_, payload)| serde_json::from_str(payload).expect("a record is JSON"))
        .collect()
}
