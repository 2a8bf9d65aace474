//! A real Prometheus that scrapes the bridge and evaluates the alert rules.

use std::process::{Child, Command, Stdio};

use lantime2mqtt::simulator::{Action, Clock};
use serde_json::Value;
use tempfile::TempDir;

use crate::scene::{self, client};
use crate::support::mosquitto::Mosquitto;
use crate::support::site::{Entry, Site};
use crate::{free_address, project};

/// The server; killed on drop.
struct Prometheus {
    child: Child,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    /// Scrapes that address once a second, with the rules of the project.
    fn start(target: &str) -> Prometheus {
        let directory = TempDir::new().expect("a temporary directory");
        let file = directory.path().join("prometheus.yml");
        let rules = project("deploy/prometheus/alerts.yml").display().to_string();
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
             scrape_configs: [{{ job_name: lantime2mqtt, static_configs: [{{ targets: [{target:?}] }}] }}]\n"
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
            .arg(argument("web.listen-address", &address))
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

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut url = reqwest::Url::parse(&format!("http://{}{path}", self.address)).expect("a URL");
        url.query_pairs_mut().extend_pairs(query);
        let text = client().get(url).send().await.ok()?.text().await.ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, what: &str, path: &str, query: &[(&str, &str)], is: impl Fn(&Value) -> bool) {
        scene::until(what, async || self.get(path, query).await, is).await;
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
    let fleet = scene::fleet().await;
    let broker = Mosquitto::start();
    let http = free_address();
    let site =
        Site::new(broker.address(), &[Entry::of(&fleet.devices()[0])]).with("http.listen", http.clone());
    let bridge = site.start();
    let prometheus = Prometheus::start(&http);
    let fault = [(
        "query",
        r#"lantime2mqtt_relay_fault{device="sim-1",slot="io1",relay="a"}"#,
    )];
    let is = |value: &'static str| move |answer: &Value| answer["data"]["result"][0]["value"][1] == value;
    prometheus
        .until("a relay in order", "/api/v1/query", &fault, is("0"))
        .await;
    fleet.devices()[0]
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has a clock");
    prometheus
        .until("its fall", "/api/v1/query", &fault, is("1"))
        .await;
    prometheus
        .until("the alert", "/api/v1/alerts", &[], |answer| {
            let alerts = answer["data"]["alerts"].as_array();
            alerts.is_some_and(|alerts| {
                alerts.iter().any(|alert| {
                    alert["labels"]["alertname"] == "LantimeRelayFault" && alert["state"] == "firing"
                })
            })
        })
        .await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}
