//! A real Node-RED without its editor open: the flow as it is shipped, and HTTP to its page.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;

/// How long it may take to start; usually a few seconds.
const START: Duration = Duration::from_secs(90);

/// A Node-RED; killed on drop.
pub(crate) struct Red {
    _directory: TempDir,
    child: Child,
    http: Client,
    url: String,
}

impl Red {
    /// Starts one with the shipped flow of lamps and form, and that broker; the flow runs when this returns.
    pub(crate) fn start(broker: SocketAddr) -> Red {
        Red::with_flow("flows.json", broker, &[])
    }

    /// The same with that shipped flow, and that in its environment.
    pub(crate) fn with_flow(name: &str, broker: SocketAddr, environment: &[(&str, &str)]) -> Red {
        let directory = TempDir::new().unwrap();
        let flows = directory.path().join("flows.json");
        fs::copy(project("deploy/node-red").join(name), &flows).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut child = Command::new("node")
            .arg(program())
            .arg("--userDir")
            .arg(directory.path())
            .args(["--port", &port.to_string(), "-D", "uiHost=127.0.0.1"])
            .arg(&flows)
            .env("MQTT_HOST", broker.ip().to_string())
            .env("MQTT_PORT", broker.port().to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("this test needs node (Debian: apt-get install nodejs)");
        let log = BufReader::new(child.stdout.take().expect("piped"));
        let (lines, written) = mpsc::channel();
        // Reads on to the end, so that a full pipe never stops it.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let red = Red {
            _directory: directory,
            child,
            http: Client::builder().no_proxy().build().unwrap(),
            url: format!("http://127.0.0.1:{port}/lantime"),
        };
        let mut seen = Vec::new();
        while !seen.iter().any(|line: &String| line.ends_with("Started flows")) {
            match written.recv_timeout(START) {
                Ok(line) => seen.push(line),
                Err(_) => panic!("Node-RED does not start: {seen:#?}"),
            }
        }
        red
    }

    /// Where its page is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The page.
    pub(crate) async fn page(&self) -> String {
        self.get("").await.text().await.unwrap()
    }

    /// What the page shows.
    pub(crate) async fn state(&self) -> Value {
        json(self.get("/state").await).await
    }

    async fn get(&self, path: &str) -> Response {
        let asked = self.http.get(format!("{}{path}", self.url)).send();
        asked.await.expect("Node-RED answers")
    }

    /// Sends the form: the status, and the reply that the page shows.
    pub(crate) async fn send_form(&self, form: &Value) -> (u16, Value) {
        self.post("application/json", form.to_string()).await
    }

    /// Sends anything to where the form goes.
    pub(crate) async fn post(&self, kind: &str, body: String) -> (u16, Value) {
        let request = self.http.post(format!("{}/events", self.url));
        let sent = request.header("content-type", kind).body(body).send();
        let answer = sent.await.expect("Node-RED answers");
        (answer.status().as_u16(), json(answer).await)
    }
}

impl Drop for Red {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn json(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn program() -> PathBuf {
    let installed = project("target/npm/node_modules/node-red/red.js");
    assert!(
        installed.exists(),
        "this test needs Node-RED in {}: tests/run installs it (npm ci with tests/npm)",
        installed.display()
    );
    installed
}
