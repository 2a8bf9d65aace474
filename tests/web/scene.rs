//! A bridge with an HTTP server that has a token.

use std::net::SocketAddr;

use lantime2mqtt::simulator::ApiGeneration::V20;
use serde_json::Value;

use crate::support::http::{Answer, ask, get};
use crate::support::scene::{self, Setup};
use crate::support::site::Site;

pub(crate) const TOKEN: &str = "a-token-for-these-tests";

pub(crate) type Scene = scene::Scene<()>;

/// So many redundant devices of the newest kind, polled ten times a second.
pub(crate) fn setup(devices: usize) -> Setup<'static> {
    Setup::redundant(&vec![V20; devices]).site(with_server)
}

pub(crate) fn with_server(site: Site) -> Site {
    site.with_http().with("http.token", TOKEN)
}

impl Scene {
    /// So many devices, all of them polled once.
    pub(crate) async fn start(devices: usize) -> Scene {
        Scene::of(setup(devices)).await
    }

    /// The same, with 1,024 descriptors: a quarter of them is for live clients.
    pub(crate) async fn limited(devices: usize) -> Scene {
        let stage = setup(devices).stage().await;
        let scene = Scene {
            bridge: stage.site.start_limited("--nofile=1024:1024"),
            client: (),
            site: stage.site,
            fleet: stage.fleet,
            broker: stage.broker,
        };
        scene.site.ready().await;
        scene
    }

    pub(crate) async fn of(setup: Setup<'_>) -> Scene {
        let scene = setup.stage().await.start();
        scene.site.ready().await;
        scene
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.site.http()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http())
    }

    /// What the API says at `path`.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = get(self.http(), path).await.expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Asks at `path` with these lines in the head.
    pub(crate) async fn get_with(&self, path: &str, head: &str) -> Answer {
        let host = self.http();
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
        let host = self.http();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}"
        );
        ask(host, request).await.expect("it answers")
    }
}
