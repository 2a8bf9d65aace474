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
    let open = get(client, "/api/incidents").await;
    if let Some(health) = get(client, "/healthz").await {
        let links = get(client, "/api/bridge").await.unwrap_or_default();
        findings.extend(broker(&health, &links, open.as_ref().unwrap_or(&Value::Null)));
    }
    if let Some(ready) = get(client, "/readyz").await {
        findings.push(store(&ready));
    }
    findings.extend(open.iter().flat_map(incidents));
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

/// Why it has no broker, or no commands: nothing where it has both. `links` is `/api/bridge`, `open` the incidents.
fn broker(health: &Value, links: &Value, open: &Value) -> Option<Finding> {
    let mut open = list(open).iter();
    if let Some(conflict) = open.find(|incident| is_conflict(incident)) {
        let error = &conflict["error"];
        return Some(Finding::fail(
            BRIDGE,
            text(error, "message"),
            text(error, "remedy"),
        ));
    }
    if health["broker"] != "connected" {
        let message = "the bridge is not connected to its broker";
        let error = links["broker"]["last_error"].as_str();
        return Some(match error {
            Some(error) => {
                let (cause, remedy) = cause(error);
                Finding::fail(BRIDGE, format!("{message}: {cause}"), remedy)
            }
            None => Finding::fail(BRIDGE, message, "see what is said of the broker"),
        });
    }
    (health["commands"] == "waiting").then(|| commands(&links["commands"]))
}

/// Why commands do not come, of `commands` of `/api/bridge`.
fn commands(commands: &Value) -> Finding {
    const RIGHTS: &str =
        "let the bridge's user subscribe to them: docs/operations.md, the broker's access rules";
    if let Some(reason) = commands["failing"].as_str() {
        let message = format!("commands cannot be stored: {reason}");
        return Finding::warn(BRIDGE, message, "check the disk of state.directory");
    }
    if let [first, ..] = list(&commands["refused"]) {
        let (filter, reason) = (text(first, "filter"), text(first, "reason"));
        let message = format!("the broker does not grant the subscriptions of commands ({filter}: {reason})");
        return Finding::warn(BRIDGE, message, RIGHTS);
    }
    let message = "the broker has not granted the subscriptions of commands";
    match commands["last_error"].as_str() {
        // It may end for another reason than rights.
        Some(error) => {
            let (cause, remedy) = cause(error);
            let message = format!("{message}; the connection before ended: {cause}");
            Finding::warn(BRIDGE, message, remedy)
        }
        None => Finding::warn(BRIDGE, message, RIGHTS),
    }
}

/// What failed and what to do, of the text of an error.
fn cause(error: &str) -> (&str, &str) {
    error.split_once("; ").unwrap_or((error, "see the broker's log"))
}

/// Whether another client probably has the bridge's client id.
fn is_conflict(incident: &Value) -> bool {
    incident["kind"] == "connection"
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn store(ready: &Value) -> Finding {
    match ready["store"].as_str() {
        Some("ok") | None => Finding::ok("store", "the bridge reads and writes it"),
        Some(failing) => Finding::fail("store", failing, "check the disk of state.directory"),
    }
}

/// All that are open, but for what [`broker`] has said.
fn incidents(open: &Value) -> Vec<Finding> {
    let open = list(open);
    if open.is_empty() {
        return vec![Finding::ok(INCIDENTS, "none is open")];
    }
    let finding = |incident: &Value| {
        let error = &incident["error"];
        let whose = incident["device"].as_str().unwrap_or("bridge");
        // The error is that of the report: what is found now may be another one.
        let message = format!(
            "{whose}: {} (since {}; as reported at {})",
            text(error, "message"),
            text(incident, "since"),
            text(incident, "reported_at")
        );
        Finding::warn(INCIDENTS, message, text(error, "remedy"))
    };
    let others = open.iter().filter(|incident| !is_conflict(incident));
    others.map(finding).collect()
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
        let connected = json!({"broker": "connected", "commands": "taken"});
        assert_eq!(broker(&connected, &Value::Null, &Value::Null), None);
        let (lost, waiting) = (
            json!({"broker": "disconnected", "commands": "waiting"}),
            json!({"broker": "connected", "commands": "waiting"}),
        );
        let judged = |health: &Value, links: &Value, open: &Value| {
            let finding = broker(health, links, open).expect("a finding");
            (finding.level, finding.remedy.unwrap_or_default())
        };
        let links = json!({"broker": {"last_error": "b: lost; use another id"}});
        assert_eq!(
            judged(&lost, &links, &Value::Null),
            (Level::Fail, "use another id".into())
        );
        let (level, remedy) = judged(&waiting, &Value::Null, &Value::Null);
        assert!(
            level == Level::Warn && remedy.contains("access rules"),
            "{remedy}"
        );
        let links = json!({"commands": {"refused": [], "last_error": "b: lost; use another id"}});
        assert_eq!(
            judged(&waiting, &links, &Value::Null),
            (Level::Warn, "use another id".into())
        );
        let conflict =
            json!([{"kind": "connection", "error": {"message": "twice", "remedy": "set bridge.id"}}]);
        for health in [&connected, &lost, &waiting] {
            assert_eq!(
                judged(health, &links, &conflict),
                (Level::Fail, "set bridge.id".into())
            );
        }
        assert!(incidents(&conflict).is_empty(), "it is said already");
        assert_eq!(store(&json!({"store": "disk full"})).level, Level::Fail);
        assert_eq!(dead_letters(&json!([{}])).level, Level::Warn);
        let other = version(&json!({"info": {"version": "0.0.0"}}));
        assert!(other.level == Level::Warn && other.message.contains("0.0.0"));
    }
}
