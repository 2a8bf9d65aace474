//! Simulated devices, a broker, and a bridge with an HTTP server that has a token.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice};
use serde_json::Value;
use tokio::time::timeout;

use crate::http::{Answer, ask};
use crate::support::PATIENCE;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::site::{Entry, Site};

pub(crate) const TOKEN: &str = "a-token-for-these-tests";

pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) broker: Mosquitto,
    pub(crate) site: Site,
    pub(crate) bridge: Program,
    pub(crate) http: SocketAddr,
}

impl Scene {
    /// So many redundant devices of the newest kind, polled ten times a second.
    pub(crate) async fn start(devices: usize) -> Scene {
        Scene::start_with(devices, "100ms", |site| site).await
    }

    /// The same, polled at that interval, with another configuration.
    pub(crate) async fn start_with(devices: usize, poll: &str, change: impl FnOnce(Site) -> Site) -> Scene {
        let kinds = vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20); devices];
        Scene::of(kinds, |entry| entry.with("poll", poll), change).await
    }

    /// Devices of these kinds, each with more in its entry, and with another configuration.
    pub(crate) async fn of(
        kinds: Vec<DeviceKind>,
        more: impl Fn(Entry) -> Entry,
        change: impl FnOnce(Site) -> Site,
    ) -> Scene {
        let options = FleetOptions {
            devices: kinds.len(),
            kinds,
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(options).await.expect("free ports on the loopback");
        let broker = Mosquitto::start();
        let entry = |device: &Arc<SimulatedDevice>| {
            let entry = Entry::of(device).listed(device);
            more(entry.with("allow_unverified_writes", true))
        };
        let entries: Vec<_> = fleet.devices().iter().map(entry).collect();
        let http = free_address();
        let site = Site::new(broker.address(), &entries)
            .with("http.listen", http.to_string())
            .with("http.token", TOKEN);
        let site = change(site);
        let bridge = site.start();
        let scene = Scene {
            fleet,
            broker,
            site,
            bridge,
            http,
        };
        scene.ready().await;
        scene
    }

    /// Waits until every device has been polled.
    pub(crate) async fn ready(&self) {
        eventually("readiness", async || {
            get(self.http, "/readyz")
                .await
                .is_some_and(|answer| answer.status == 200)
        })
        .await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn device(&self) -> &SimulatedDevice {
        &self.fleet.devices()[0]
    }

    /// What the API says at `path`.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = get(self.http, path).await.expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Asks at `path` with these lines in the head.
    pub(crate) async fn get_with(&self, path: &str, head: &str) -> Answer {
        let host = self.http;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n");
        ask(host, request).await.expect("it answers")
    }

    /// Sends a command with the token.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let token = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        self.post_with(path, &token, body).await
    }

    /// Sends a command with these lines in its head.
    pub(crate) async fn post_with(&self, path: &str, head: &str, body: &str) -> Answer {
        let host = self.http;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}"
        );
        ask(host, request).await.expect("it answers")
    }
}

/// What comes of a GET; `None` where nobody answers.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    ask(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    )
    .await
}

/// Waits until something holds that nobody tells of.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(PATIENCE, holds).await.is_err() {
        panic!("{what}: never");
    }
}

/// An address that was free a moment ago, and that a restarted bridge can have again.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}
