//! How the store was made that the test opens: by the program itself, which is stopped while there is no broker.
//!
//! It is not made again with the golden files, since what it shows is that a store of before is understood. Where a new
//! format is to be kept beside it, `UPDATE_STORE=1 cargo test --test golden a_store` makes one of the program as it is. A
//! minute later, when the failure in it is to be repeated, `UPDATE_EXPECTED=1` writes its golden files.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lantime2mqtt::simulator::{Action, ApiGeneration, Chassis, Clock, Fault, SimulatedDevice};
use redb::Database;
use serde_json::Value;

use crate::support::clients::Clients;
use crate::support::requester::{Properties, Requester};
use crate::support::scene::{Scene, Setup, Stage};
use crate::support::site::Entry;
use crate::support::{Seen, Watcher, http, wait};

pub(crate) const FILE: &str = "lantime2mqtt.redb";
/// Answered before the end.
pub(crate) const ANSWERED: (&str, &str) = (
    "lantime/sim-1/io4/relay/a/events/set",
    r#"{"id":"answered","add":["antenna-faulty"]}"#,
);
/// In the inbox at the end.
pub(crate) const WAITING: (&str, &str) = (
    "lantime/sim-1/io4/relay/c/events/set",
    r#"{"id":"waiting","replace":["network-link-down"]}"#,
);
/// Where the reply to the one that waits is to go, and with what.
pub(crate) const REPLIES: (&str, &str) = ("my/replies", "to-be-given-back");

/// The state directory as it was kept.
pub(crate) fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store")
}

/// Devices `sim-1` with relays on notification, `sim-2`, and `sim-3`, which does not let us in.
pub(crate) async fn stage() -> Stage {
    let kinds = [Chassis::M3000, Chassis::M500, Chassis::M500];
    let setup = Setup::of(&kinds.map(|chassis| (chassis, ApiGeneration::V20))).entries(entry);
    let stage = setup
        .site(|site| site.with("dead_letter.repeat", "1m"))
        .stage()
        .await;
    stage.fleet.devices()[2].set_fault(Some(Fault::Forbidden));
    stage
}

fn entry(device: &SimulatedDevice) -> Entry {
    // A hanging device is none that fails.
    Entry::writable(device).with("timeout", "1m")
}

/// Makes it.
pub(crate) async fn make() {
    let mut making = start().await;
    making.fill_archive_and_answers().await;
    making.fill_inbox().await;
    making.fill_outbox().await;
    let end = making.bridge.stop("TERM").await;
    assert_eq!(end.code, Some(0), "{end:?}");
    keep(&making.site.state());
}

type Making = Scene<Watcher>;

/// With a device that is not configured any more when the store is opened.
async fn start() -> Making {
    let mut stage = stage().await;
    let removed = Entry::new("gone", stage.fleet.devices()[1].url());
    let entries = stage.fleet.devices().iter().map(|device| entry(device));
    let entries: Vec<_> = entries.chain([removed]).collect();
    stage.site = stage.site.with_http().devices(&entries);
    let watcher = Watcher::connect(stage.broker.address()).await;
    let mut making = stage.with(watcher).start();
    for device in ["sim-1", "sim-2", "gone"] {
        making.client.until(device, |seen| seen.is_online(device)).await;
    }
    making
}

impl Making {
    /// A failure that stands, two refused commands, and one that was carried out.
    async fn fill_archive_and_answers(&mut self) {
        let stands = |seen: &Seen| seen.last("lantime/dead-letter/sim-3").is_some();
        self.client.until("sim-3 refuses", stands).await;
        let relay_b = ANSWERED.0.replace("/a/", "/b/");
        for (topic, payload) in [
            (relay_b.as_str(), r#"{"add":["ntp-sync"]}"#),
            ("lantime/sim-2/http/sessions/set", "?"),
            ANSWERED,
        ] {
            Clients::of(self.broker.address())
                .publish(topic, payload, &[])
                .await;
            let reply = format!("{topic}/reply");
            self.client
                .until(&reply, |seen| seen.last(&reply).is_some())
                .await;
        }
    }

    /// A command for a device that hangs.
    async fn fill_inbox(&mut self) {
        self.fleet.devices()[0].set_fault(Some(Fault::Hang));
        let mut requester = Requester::connect(self.broker.address(), &[REPLIES.0]).await;
        let respond = Some((REPLIES.0.to_owned(), Bytes::from_static(REPLIES.1.as_bytes())));
        let properties = Properties {
            respond,
            ..Properties::default()
        };
        requester.send_with(WAITING.0, WAITING.1, properties).await;
        until(self.site.http(), "/store/commands", |commands| commands == 1).await;
    }

    /// What changes while there is no broker: at each step four events, a signal and a relay, for both names of the device.
    async fn fill_outbox(&mut self) {
        self.broker.kill9();
        until(self.site.http(), "/broker/connected", |connected| {
            connected == false
        })
        .await;
        for action in [Action::LoseSync(Clock::Clk1), Action::RegainSync(Clock::Clk1)] {
            let before = get(self.site.http()).await["store"]["records"].as_u64().unwrap();
            self.fleet.devices()[1].apply(&action).unwrap();
            until(self.site.http(), "/store/records", |records| {
                records.as_u64() >= Some(before + 12)
            })
            .await;
        }
    }
}

fn keep(state: &Path) {
    fs::create_dir_all(kept()).unwrap();
    let file = kept().join(FILE);
    fs::copy(state.join(FILE), &file).unwrap();
    Database::open(&file).unwrap().compact().unwrap();
}

async fn get(http: SocketAddr) -> Value {
    let answer = http::get(http, "/api/bridge").await;
    answer.expect("it answers").json()
}

/// Waits until a value of `/api/bridge` is as wanted.
async fn until(http: SocketAddr, pointer: &str, is_wanted: impl Fn(&Value) -> bool) {
    wait::until(pointer, async || {
        get(http).await.pointer(pointer).is_some_and(&is_wanted)
    })
    .await;
}
