//! The log of HTTP sessions: off until somebody wants it, bounded, and never with what was sent. Statistics always.

use jiff::Timestamp;
use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use lantime2mqtt::simulator::{Fault, FleetOptions, SimulatedDevice};
use serde_json::{Value, json};

use crate::scene::{Scene, Seen};
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;

const SET: &str = "sim-1/http/sessions/set";
const TOPIC: &str = "sim-1/http/sessions";
const KEYS: [&str; 10] = [
    "id",
    "method",
    "path",
    "status",
    "started_at",
    "request_ms",
    "response_ms",
    "rtt_ms",
    "bytes",
    "error",
];

fn sessions(seen: Seen<'_>) -> Vec<Value> {
    seen.json(TOPIC)["sessions"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// The sessions as they are now: any command for them has them published at once.
async fn latest(scene: &mut Scene) -> Vec<Value> {
    let published = scene.look(|seen| seen.at(TOPIC).count());
    assert_eq!(scene.send(SET, r#"{"enabled":true}"#).await["ok"], true);
    scene
        .until("the sessions", |seen| seen.at(TOPIC).count() > published)
        .await;
    scene.look(sessions)
}

/// Waits until the device has been polled so many times more.
async fn polls(device: &SimulatedDevice, more: u64) {
    let enough = device.counters().documents + more;
    wait::until("polls", async || device.counters().documents >= enough).await;
}

fn number(session: &Value, key: &str) -> f64 {
    session[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} of {session}"))
}

/// Checks what holds for each session, and gives when it began and how long it took.
fn check(session: &Value, device: &SimulatedDevice) -> (Timestamp, f64) {
    let keys = session.as_object().unwrap().keys();
    assert!(keys.clone().all(|key| KEYS.contains(&key.as_str())), "{session}");
    let paths = [
        "/api/status",
        "/api/config/notification",
        "/api/config/apply",
        "/api/get-token",
    ];
    assert!(paths.contains(&session["path"].as_str().unwrap()), "{session}");
    assert!(
        ["GET", "PUT"].contains(&session["method"].as_str().unwrap()),
        "{session}"
    );
    let [request, response, whole] = ["request_ms", "response_ms", "rtt_ms"].map(|key| number(session, key));
    assert!((0.0..60_000.0).contains(&request) && response >= 0.0, "{session}");
    assert!((request + response - whole).abs() < 0.1, "{session}");
    if session["path"] == "/api/status" && session["status"] == 200 {
        let length = device.document().len() as f64;
        // Some numbers of the document have more or fewer digits over time.
        assert!(
            (number(session, "bytes") - length).abs() < 200.0,
            "{session}: {length}"
        );
    }
    (session["started_at"].as_str().unwrap().parse().unwrap(), whole)
}

#[tokio::test]
async fn off_at_first_then_switched_and_resized_by_commands() {
    let mut scene = Scene::start(&[V20]).await;
    scene.until("the topic", |seen| !seen.json(TOPIC).is_null()).await;
    let off = json!({ "enabled": false, "max_count": 100, "sessions": [] });
    assert_eq!(scene.look(|seen| seen.json(TOPIC)), off);
    let began = Timestamp::now();
    let reply = scene
        .send(SET, r#"{"enabled":true,"max_count":5,"id":"on"}"#)
        .await;
    let result = json!({ "enabled": true, "max_count": 5 });
    let expected = json!({ "id": "on", "ok": true, "command": "http-sessions", "result": result });
    assert_eq!(reply, expected);
    polls(scene.device(1), 7).await;
    let ring = latest(&mut scene).await;
    assert_eq!(ring.len(), 5);
    let mut before = (0, began);
    for session in ring {
        assert_eq!(session["status"], 200);
        let (started_at, _) = check(&session, scene.device(1));
        let id = session["id"].as_u64().unwrap();
        assert!(id > before.0 && started_at >= before.1, "oldest first");
        before = (id, started_at);
    }
    let reply = scene.send(SET, r#"{"max_count":2}"#).await;
    assert_eq!(reply["result"], json!({ "enabled": true, "max_count": 2 }));
    scene
        .until("a smaller ring", |seen| {
            seen.json(TOPIC)["max_count"] == 2 && sessions(seen).len() == 2
        })
        .await;
    let reply = scene.send(SET, r#"{"max_count":1000}"#).await;
    assert_eq!(reply["result"]["max_count"], 1000);
    polls(scene.device(1), 10).await;
    assert!(latest(&mut scene).await.len() > 10);
    // Off: and what was kept goes.
    assert_eq!(
        scene.send(SET, r#"{"enabled":false}"#).await["result"]["enabled"],
        false
    );
    let off = json!({ "enabled": false, "max_count": 1000, "sessions": [] });
    scene.until("off", |seen| seen.json(TOPIC) == off).await;
    let messages = scene.look(|seen| seen.at(TOPIC).cloned().collect::<Vec<_>>());
    assert!(messages.iter().all(|message| message.retained));
}

#[tokio::test]
async fn on_by_configuration_until_that_changes() {
    let entry = |device: &SimulatedDevice| {
        Entry::writable(device)
            .with("http_sessions.enabled", true)
            .with("http_sessions.max_count", 3)
    };
    let mut scene = Scene::of(Setup::redundant(&[V10]).entries(entry)).await;
    scene
        .until("a full ring", |seen| {
            seen.json(TOPIC)["max_count"] == 3 && sessions(seen).len() == 3
        })
        .await;
    // A write has its sessions too.
    let reply = scene
        .send("sim-1/io4/relay/a/events/set", r#"{"replace":[]}"#)
        .await;
    assert_eq!(reply["ok"], true);
    assert_eq!(scene.send(SET, r#"{"max_count":50}"#).await["ok"], true);
    let entry = entry(scene.device(1)).with("http_sessions.max_count", 7);
    scene.site = scene.site.devices(&[entry]);
    scene.bridge.signal("HUP");
    scene
        .until("the new size", |seen| seen.json(TOPIC)["max_count"] == 7)
        .await;
    let entry = Entry::writable(scene.device(1));
    scene.site = scene.site.devices(&[entry]);
    scene.bridge.signal("HUP");
    scene
        .until("off", |seen| seen.json(TOPIC)["enabled"] == false)
        .await;
}

#[tokio::test]
async fn a_command_shows_which_requests_it_makes() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V10]).entries(entry)).await;
    assert_eq!(scene.send(SET, r#"{"enabled":true}"#).await["ok"], true);
    let reply = scene
        .send("sim-1/io4/relay/a/events/set", r#"{"replace":[]}"#)
        .await;
    assert_eq!(reply["ok"], true);
    let word = |session: &Value, key: &str| session[key].as_str().unwrap_or_default().to_owned();
    let asked = latest(&mut scene).await.into_iter();
    let asked: Vec<_> = asked
        .map(|session| format!("{} {}", word(&session, "method"), word(&session, "path")))
        .collect();
    let expected = [
        "GET /api/status",
        "GET /api/config/notification",
        "PUT /api/config/notification",
        "PUT /api/config/apply",
        "GET /api/config/notification",
    ];
    assert_eq!(asked[..5], expected);
}

#[tokio::test]
async fn a_request_that_fails_is_kept_with_its_error() {
    let entry = |device: &SimulatedDevice| {
        Entry::of(device)
            .with("timeout", "300ms")
            .with("http_sessions.enabled", true)
    };
    let mut scene = Scene::of(Setup::redundant(&[V10]).entries(entry)).await;
    let cases = [
        (Fault::Hang, json!("timeout"), Value::Null),
        (Fault::ServerError, json!("http-status"), json!(500)),
    ];
    for (fault, error, status) in cases {
        scene.device(1).set_fault(Some(fault));
        let requests = scene.device(1).counters().requests;
        // Two of them, so that the first is over.
        wait::until("requests", async || {
            scene.device(1).counters().requests >= requests + 2
        })
        .await;
        let mut all = latest(&mut scene).await.into_iter();
        let session = all.find(|session| session["error"] == error).unwrap();
        assert_eq!(session["status"], status);
        let (_, whole) = check(&session, scene.device(1));
        assert!(
            error != "timeout" || (250.0..5_000.0).contains(&whole),
            "{session}"
        );
        scene.device(1).set_fault(None);
        scene.send("sim-1/refresh", "").await;
    }
}

#[tokio::test]
async fn statistics_are_always_there() {
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(Entry::of)).await;
    let failing = scene.device(1).counters().requests + 2;
    scene.device(1).set_fault(Some(Fault::ServerError));
    wait::until("failures", async || {
        scene.device(1).counters().requests >= failing
    })
    .await;
    scene.device(1).set_fault(None);
    scene
        .until("failures", |seen| {
            seen.json("sim-1/http/stats")["failures"].as_u64() > Some(0)
        })
        .await;
    let stats = scene.look(|seen| seen.json("sim-1/http/stats"));
    let times = &stats["rtt_ms"];
    let [p50, p95, p99, max] = ["p50", "p95", "p99", "max"].map(|key| number(times, key));
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99 && p99 <= max, "{stats}");
    assert!(
        (0.0..=max).contains(&number(times, "last")) && number(times, "mean") <= max,
        "{stats}"
    );
    assert!(stats["polls"].as_u64() > stats["failures"].as_u64(), "{stats}");
    assert!(
        stats["last_success"]
            .as_str()
            .unwrap()
            .parse::<Timestamp>()
            .is_ok()
    );
}

#[tokio::test]
async fn neither_a_header_nor_a_body_nor_a_password_is_kept() {
    const PASSWORD: &str = "sentinel-of-the-device";
    let options = |options| FleetOptions {
        password: PASSWORD.to_owned(),
        ..options
    };
    let entry = |device: &SimulatedDevice| {
        Entry::writable(device)
            .with("password", PASSWORD)
            .with("http_sessions.enabled", true)
            .with("http_sessions.max_count", 1000)
    };
    let mut scene = Scene::of(Setup::redundant(&[V20]).options(options).entries(entry)).await;
    let reply = scene
        .send("sim-1/io4/relay/a/events/set", r#"{"replace":["ntp-stopped"]}"#)
        .await;
    assert_eq!(reply["ok"], true);
    let all = latest(&mut scene).await;
    for (method, path) in [("PUT", "/api/get-token"), ("PUT", "/api/config/notification")] {
        let is_it = |session: &Value| session["method"] == method && session["path"] == path;
        assert!(all.iter().any(is_it), "{path}");
    }
    let text = scene.look(|seen| seen.text(TOPIC).to_lowercase());
    for word in [
        "sentinel",
        "basic ",
        "bearer",
        "authorization",
        "ntp-stopped",
        "aw5mbzp",
        "system-information",
        "token\":",
    ] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    for session in all {
        check(&session, scene.device(1));
    }
}
