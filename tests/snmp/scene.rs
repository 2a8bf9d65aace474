//! A bridge that takes traps, and what net-snmp's tools need to send it some.

use lantime2mqtt::simulator::{ApiGeneration, SimulatedDevice};
use serde_json::Value;

use crate::support::net_snmp::free_address;
use crate::support::scene::{self, Setup};
use crate::support::site::Entry;
use crate::support::{Seen, Watcher, wait};
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
pub(crate) type Scene = scene::Scene<Watcher>;

impl Scene {
    pub(crate) async fn start() -> Scene {
        Scene::start_with(ApiGeneration::V20).await
    }

    /// With a device of that API.
    pub(crate) async fn start_with(api: ApiGeneration) -> Scene {
        Scene::start_as(api, |entry| entry).await
    }

    /// The same, with more settings of the device.
    pub(crate) async fn start_as(api: ApiGeneration, settings: impl Fn(Entry) -> Entry) -> Scene {
        let entry = |device: &SimulatedDevice| settings(Entry::of(device).listed(device).with("poll", "1h"));
        let communities = ["public", "meinberg"].map(str::to_owned);
        let setup = Setup::redundant(&[api]).entries(entry).site(|site| {
            site.with("snmp.traps.listen", free_address().to_string())
                .with("snmp.communities", communities.to_vec())
                .with("snmp.users", users())
        });
        let mut scene = setup.start().await;
        scene.until("online", |seen| seen.is_online("sim-1")).await;
        scene
    }

    /// Where it takes traps.
    pub(crate) fn receiver(&self) -> String {
        self.site.address("snmp.traps.listen").to_string()
    }

    /// Sends with one of net-snmp's tools, and waits for its record.
    pub(crate) async fn sends(&mut self, tool: &str, arguments: &[&str]) -> Value {
        let before = trap_records(&self.client.now()).len();
        succeeds(self.site.directory(), tool, arguments).await;
        let seen = self
            .until("its record", |seen| trap_records(seen).len() > before)
            .await;
        trap_records(&seen).remove(before)
    }

    /// The device says that NTP is synchronous: that it is not stands no longer.
    pub(crate) async fn clears(&mut self) {
        let to = self.receiver();
        let trap = ["-v", "2c", "-c", "public", to.as_str(), "", SYNC];
        let record = self.sends("snmptrap", &trap).await;
        assert_eq!(record["event"], "ntp-sync");
    }

    /// Waits until the device has answered so many polls.
    pub(crate) async fn until_polled(&self, polls: u64) {
        wait::until("the device is polled", async || self.polls() >= polls).await;
    }

    pub(crate) fn polls(&self) -> u64 {
        self.device(1).counters().documents
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

/// The records of the device's traps, oldest first. A poll that finds that the event of a trap does not stand makes
/// records of its own.
pub(crate) fn records(seen: &Seen) -> Vec<Value> {
    let mut records = seen.records("sim-1/events");
    records.retain(|record| record["source"] == "snmp");
    records
}

/// Those of traps and informs themselves, without the ends of what they clear.
pub(crate) fn trap_records(seen: &Seen) -> Vec<Value> {
    let mut records = records(seen);
    records.retain(|record| !record["version"].is_null());
    records
}

pub(crate) fn dead_letters(seen: &Seen) -> Vec<Value> {
    seen.records("dead-letter/bridge")
}
