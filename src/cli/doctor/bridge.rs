//! The bridge that runs with this configuration: whether there is one, and what it says of itself.

use std::time::Duration;

use serde_json::Value;

use super::finding::Finding;
use crate::cli::client::{Client, ClientError};
use crate::config::StoreConfig;
use crate::wording::count;

const BRIDGE: &str = "bridge";
const INCIDENTS: &str = "incidents";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether one runs.
pub(super) enum Bridge {
    Runs(Client),
    Stopped,
    /// It cannot be asked, so that it is not known.
    Unknown,
}

impl Bridge {
    pub(super) fn runs(&self) -> bool {
        matches!(self, Bridge::Runs(_))
    }
}

/// Looks for it.
pub(super) async fn find(config: &StoreConfig) -> (Bridge, Finding) {
    let client = match Client::new(&config.state.directory, PATIENCE) {
        Ok(client) => client,
        Err(error) => {
            let finding = Finding::fail(BRIDGE, error.to_string(), "set a shorter state.directory");
            return (Bridge::Unknown, finding);
        }
    };
    match client.get("/api/bridge").await {
        Ok(answer) => {
            let finding = version(&json(&answer.json));
            (Bridge::Runs(client), finding)
        }
        Err(ClientError::NoBridge(path)) => {
            let message = format!("does not run: nothing listens at {}", path.display());
            (Bridge::Stopped, Finding::ok(BRIDGE, message))
        }
        Err(error) => {
            let error = error.to_string();
            let (message, remedy) = error.rsplit_once("; ").unwrap_or((&error, "see its log"));
            (Bridge::Unknown, Finding::fail(BRIDGE, message, remedy))
        }
    }
}

fn version(bridge: &Value) -> Finding {
    let running = bridge["info"]["version"].as_str().unwrap_or("unknown");
    let own = env!("CARGO_PKG_VERSION");
    match running == own {
        true => Finding::ok(BRIDGE, format!("runs, version {running}")),
        false => {
            let message = format!("runs with version {running}, and this program is version {own}");
            Finding::warn(BRIDGE, message, "restart the bridge")
        }
    }
}

/// What it says of its broker and its store, its open incidents, and its dead letters.
pub(super) async fn ask(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(health) = get(client, "/healthz").await {
        findings.extend(broker(&health));
    }
    if let Some(ready) = get(client, "/readyz").await {
        findings.push(store(&ready));
    }
    if let Some(open) = get(client, "/api/incidents").await {
        findings.extend(incidents(&open));
    }
    if let Some(dead_letters) = get(client, "/api/dead-letters?limit=1000").await {
        findings.push(self::dead_letters(&dead_letters));
    }
    findings
}

/// Also of a refusal: `/readyz` answers so.
async fn get(client: &Client, path: &str) -> Option<Value> {
    client.get(path).await.ok().map(|answer| json(&answer.json))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn broker(health: &Value) -> Option<Finding> {
    if health["broker"] != "connected" {
        let message = "the bridge is not connected to its broker";
        return Some(Finding::fail(BRIDGE, message, "see what is said of the broker"));
    }
    (health["commands"] == "waiting").then(|| {
        let message = "the broker has not granted the subscriptions of commands";
        let remedy = "let the bridge's user subscribe to them: docs/operations.md, the broker's access rules";
        Finding::warn(BRIDGE, message, remedy)
    })
}

fn store(ready: &Value) -> Finding {
    match ready["store"].as_str() {
        Some("ok") | None => Finding::ok("store", "the bridge reads and writes it"),
        Some(failing) => Finding::fail("store", failing, "check the disk of state.directory"),
    }
}

fn incidents(open: &Value) -> Vec<Finding> {
    let open = open.as_array().map(Vec::as_slice).unwrap_or_default();
    if open.is_empty() {
        return vec![Finding::ok(INCIDENTS, "none is open")];
    }
    let text = |incident: &Value, key: &str| incident[key].as_str().unwrap_or_default().to_owned();
    let finding = |incident: &Value| {
        let error = &incident["error"];
        let whose = incident["device"].as_str().unwrap_or("bridge");
        let message = format!(
            "{whose}: {} since {}",
            text(error, "message"),
            text(incident, "first_at")
        );
        Finding::warn(INCIDENTS, message, text(error, "remedy"))
    };
    open.iter().map(finding).collect()
}

fn dead_letters(archive: &Value) -> Finding {
    let check = "dead letters";
    match archive.as_array().map_or(0, Vec::len) {
        0 => Finding::ok(check, "none in the archive"),
        number => {
            let message = format!("{} in the archive", count(number, "dead letter"));
            let remedy = "see them with lantime2mqtt dead-letters list, and drop what is settled";
            Finding::warn(check, message, remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn what_the_bridge_says_of_itself_is_judged() {
        assert_eq!(broker(&json!({"broker": "connected", "commands": "taken"})), None);
        let level = |finding: Option<Finding>| finding.map(|finding| finding.level);
        let lost = json!({"broker": "disconnected", "commands": "waiting"});
        assert_eq!(level(broker(&lost)), Some(Level::Fail));
        let refused = json!({"broker": "connected", "commands": "waiting"});
        assert_eq!(level(broker(&refused)), Some(Level::Warn));
        assert_eq!(store(&json!({"store": "disk full"})).level, Level::Fail);
        assert_eq!(dead_letters(&json!([{}])).level, Level::Warn);
        let other = version(&json!({"info": {"version": "0.0.0"}}));
        assert!(other.level == Level::Warn && other.message.contains("0.0.0"));
    }
}
