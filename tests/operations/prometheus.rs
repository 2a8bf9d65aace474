//! A real Prometheus that scrapes the bridge and evaluates the alert rules.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use lantime2mqtt::simulator::{Action, Clock};
use serde_json::Value;
use tempfile::TempDir;

use crate::project;
use crate::scene::setup;
use crate::support::http::{self, free_address};

/// The server; killed on drop.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    /// Scrapes that address once a second, with the rules of the project.
    fn start(target: SocketAddr) -> Prometheus {
        let directory = TempDir::new().expect("a temporary directory");
        let file = directory.path().join("prometheus.yml");
        let rules = project("deploy/prometheus/alerts.yml").display().to_string();
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
             scrape_configs: [{{ job_name: lantime2mqtt, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n"
        );
        std::fs::write(&file, text).expect("the directory is ours");
        let address = free_address();
        let argument = |name: &str, value: &str| format!("--{name}={value}");
        let child = Command::new("prometheus")
            .arg(argument("config.file", &file.display().to_string()))
            .arg(argument(
                "storage.tsdb.path",
                &directory.path().join("data").display().to_string(),
            ))
            .arg(argument("web.listen-address", &address.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("this test needs prometheus (Debian: apt-get install --no-install-recommends prometheus): {error}")
        });
        Prometheus {
            child,
            address,
            _directory: directory,
        }
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, what: &str, path: &str, is: impl Fn(&Value) -> bool) {
        http::until(self.address, path, what, |answer| {
            serde_json::from_str(&answer.body).is_ok_and(|json| is(&json))
        })
        .await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn prometheus_sees_a_relay_fall_and_raises_the_alert() {
    let scene = setup(1).stage().await.start();
    let prometheus = Prometheus::start(scene.site.http());
    let mut fault = reqwest::Url::parse("http://prometheus/api/v1/query").expect("a URL");
    let query = r#"lantime2mqtt_relay_fault{device="sim-1",slot="io1",relay="a"}"#;
    fault.query_pairs_mut().append_pair("query", query);
    let fault = fault.as_str().replace("http://prometheus", "");
    let is = |value: &'static str| move |answer: &Value| answer["data"]["result"][0]["value"][1] == value;
    prometheus.until("a relay in order", &fault, is("0")).await;
    scene
        .device(1)
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has a clock");
    prometheus.until("its fall", &fault, is("1")).await;
    prometheus
        .until("the alert", "/api/v1/alerts", |answer| {
            let alerts = answer["data"]["alerts"].as_array();
            alerts.is_some_and(|alerts| {
                alerts.iter().any(|alert| {
                    alert["labels"]["alertname"] == "LantimeRelayFault" && alert["state"] == "firing"
                })
            })
        })
        .await;
    assert_eq!(scene.bridge.stop("TERM").await.code, Some(0));
}
