//! A host application of its own: `host.js` in Node.js, which decodes by an independent library.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// What the host knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Whether it is subscribed.
    is_ready: bool,
    /// What was against the specification.
    pub(crate) wrong: Vec<String>,
    /// Messages by kind.
    pub(crate) counts: BTreeMap<String, usize>,
    /// The devices that live, and the edge node (`""`): the last value of each metric.
    pub(crate) alive: BTreeMap<String, BTreeMap<String, Value>>,
    /// Sessions in which the edge node was born, in order.
    pub(crate) births: Vec<i64>,
    /// Sessions that ended.
    pub(crate) deaths: Vec<i64>,
    /// How often each metric came with data, by `device metric`.
    pub(crate) updates: BTreeMap<String, usize>,
}

impl Seen {
    /// The value of a metric; null also where there is none.
    pub(crate) fn value(&self, device: &str, metric: &str) -> Value {
        self.metric(device, metric)["value"].clone()
    }

    /// Value, type and quality of a metric.
    pub(crate) fn metric(&self, device: &str, metric: &str) -> Value {
        let found = self.alive.get(device).and_then(|metrics| metrics.get(metric));
        found.cloned().unwrap_or_default()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.counts.get(kind).copied().unwrap_or_default()
    }

    pub(crate) fn updates(&self, device: &str, metric: &str) -> usize {
        let key = format!("{device} {metric}");
        self.updates.get(&key).copied().unwrap_or_default()
    }

    fn take(&mut self, line: &Value) {
        if line["ready"] == true {
            self.is_ready = true;
            return;
        }
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let (kind, device) = (text("kind"), text("device"));
        let wrong = line["wrong"].as_array().into_iter().flatten();
        let place = format!("{kind} {device} after {:?}", self.counts);
        self.wrong.extend(wrong.map(|wrong| format!("{place}: {wrong}")));
        *self.counts.entry(kind.clone()).or_default() += 1;
        let metrics: BTreeMap<String, Value> =
            serde_json::from_value(line["metrics"].clone()).unwrap_or_default();
        let session = metrics.get("bdSeq").and_then(|metric| metric["value"].as_i64());
        match kind.as_str() {
            "NBIRTH" => {
                self.births.extend(session);
                self.alive = BTreeMap::from([(device, metrics)]);
            }
            "DBIRTH" => drop(self.alive.insert(device, metrics)),
            "NDATA" | "DDATA" => {
                for name in metrics.keys() {
                    *self.updates.entry(format!("{device} {name}")).or_default() += 1;
                }
                self.alive.entry(device).or_default().extend(metrics);
            }
            "DDEATH" => drop(self.alive.remove(&device)),
            "NDEATH" => {
                self.deaths.extend(session);
                if line["isOfSession"] == true {
                    self.alive.clear();
                }
            }
            _ => {}
        }
    }
}

/// A running host; killed on drop.
pub(crate) struct Host {
    child: Child,
    stdin: ChildStdin,
    seen: watch::Receiver<Seen>,
}

impl Host {
    /// Starts one at that broker; it is subscribed when this returns.
    pub(crate) async fn start(broker: SocketAddr) -> Host {
        Host::start_with(broker, &[]).await
    }

    /// Starts one that may come in the midst of births.
    pub(crate) async fn start_late(broker: SocketAddr) -> Host {
        Host::start_with(broker, &["late"]).await
    }

    async fn start_with(broker: SocketAddr, arguments: &[&str]) -> Host {
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sparkplug/host.js"))
            .arg(format!("mqtt://{broker}"))
            .args(arguments)
            .env("NODE_PATH", node_modules())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("these tests need Node.js (Debian: apt-get install nodejs npm): {error}")
            });
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, seen) = watch::channel(Seen::default());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "wrong": [line] }));
                sender.send_modify(|seen| seen.take(&line));
            }
        });
        let mut host = Host { child, stdin, seen };
        host.until("the host is subscribed", |seen| seen.is_ready).await;
        host
    }

    /// Waits until `condition` holds; panics with `what` when it never does, or when something was wrong.
    pub(crate) async fn until(&mut self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        self.until_within(PATIENCE, what, condition).await
    }

    /// Waits until a metric has that value.
    pub(crate) async fn until_is(&mut self, device: &str, metric: &str, value: impl Into<Value>) -> Seen {
        let (what, value) = (format!("{metric} of {device:?}"), value.into());
        self.until(&what, |seen| seen.value(device, metric) == value)
            .await
    }

    /// Waits until a metric has come as data so many times more than in `before`.
    pub(crate) async fn until_updated(
        &mut self,
        before: &Seen,
        more: usize,
        device: &str,
        metric: &str,
    ) -> Seen {
        let (what, updates) = (
            format!("{metric} of {device:?} again"),
            before.updates(device, metric),
        );
        self.until(&what, |seen| seen.updates(device, metric) >= updates + more)
            .await
    }

    pub(crate) async fn until_within(
        &mut self,
        patience: Duration,
        what: &str,
        mut condition: impl FnMut(&Seen) -> bool,
    ) -> Seen {
        let found = self
            .seen
            .wait_for(|seen| !seen.wrong.is_empty() || condition(seen));
        if let Ok(Ok(seen)) = timeout(patience, found).await {
            assert!(seen.wrong.is_empty(), "{what}: {:#?}", seen.wrong);
            return seen.clone();
        }
        panic!("{what}: never seen; {:#?}", self.now());
    }

    /// What it knows so far.
    pub(crate) fn now(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Writes metrics of a device, or of the edge node (`""`).
    pub(crate) fn write(&mut self, device: &str, metrics: &[(&str, Value)]) {
        let metric = |(name, value): &(&str, Value)| match value {
            Value::Bool(_) => json!({ "name": name, "type": "Boolean", "value": value }),
            _ => json!({ "name": name, "type": "String", "value": value }),
        };
        let metrics: Vec<_> = metrics.iter().map(metric).collect();
        self.publish(&json!({ "topic": command(device), "metrics": metrics }));
    }

    /// Asks for all births again.
    pub(crate) fn ask_births(&mut self) {
        self.write("", &[("Node Control/Rebirth", Value::Bool(true))]);
    }

    /// Sends bytes to a device as a command.
    pub(crate) fn write_raw(&mut self, device: &str, hex: &str) {
        self.publish(&json!({ "topic": command(device), "hex": hex }));
    }

    /// Says that the host application `scada` is there, or not.
    pub(crate) fn publish_state(&mut self, online: bool, timestamp: i64) {
        let text = json!({ "online": online, "timestamp": timestamp }).to_string();
        self.publish(&json!({ "topic": "spBv1.0/STATE/scada", "text": text, "retain": true }));
    }

    fn publish(&mut self, line: &Value) {
        writeln!(self.stdin, "{line}").unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(device: &str) -> String {
    match device {
        "" => "spBv1.0/lantime/NCMD/test".to_owned(),
        device => format!("spBv1.0/lantime/DCMD/test/{device}"),
    }
}

/// Where `tests/run` has installed what `tests/npm/package.json` lists.
fn node_modules() -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules");
    assert!(
        modules.join("sparkplug-payload").exists(),
        "these tests need sparkplug-payload and mqtt of npm: tests/run installs them; or copy tests/npm/*.json to \
         target/npm, and run there: npm ci --ignore-scripts"
    );
    modules
}
