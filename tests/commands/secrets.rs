//! The password of a device is in no reply, no dead letter, no session, no answer of the command line, and in no log.

use axum::body::Body;
use axum::http::Response;
use axum::http::request::Parts;
use lantime2mqtt::simulator::ApiGeneration::V10;
use lantime2mqtt::simulator::{Fault, FleetOptions, SimulatedDevice};
use serde_json::Value;
use serde_json::json;

use crate::scene::Scene;
use crate::support::program::run;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;
use crate::support::web_server::{WebServer, answer, authorization};

const PASSWORD: &str = "sentinel-of-the-device";

/// As it is, as HTTP Basic sends it, and as bytes in a `Debug` of a buffer.
const FORBIDDEN: [&str; 3] = [
    "sentinel",
    "YnJpZGdlOnNlbnRpbmVsLW9mLXRoZS1kZXZpY2U",
    "115, 101, 110, 116, 105, 110, 101, 108",
];

fn assert_clean(text: &str, whose: &str) {
    for line in text.lines() {
        for secret in FORBIDDEN {
            assert!(!line.contains(secret), "{whose}: {secret} in {line}");
        }
    }
}

/// A device that repeats every request that changes something, with its login, in its refusal.
async fn echo(status: Vec<u8>) -> WebServer {
    let config = json!({
        "data": { "revision": 1, "events": [
            { "object-id": "ntp-not-sync", "actions": ["relais"] }, { "object-id": "antenna-faulty", "actions": [] },
        ]},
        "changes": { "pending-changes": 0 },
    });
    let respond = move |request: &Parts| -> Response<Body> {
        match (request.method.as_str(), request.uri.path()) {
            ("GET", "/api/status") => answer(200, status.clone()),
            ("GET", "/api/config/notification") => answer(200, config.to_string()),
            _ => answer(422, format!("your login was {}", authorization(request))),
        }
    };
    WebServer::start(respond).await
}

#[tokio::test]
async fn the_password_of_a_device_stays_between_the_bridge_and_the_device() {
    let options = |options| FleetOptions {
        password: PASSWORD.to_owned(),
        ..options
    };
    let entry = |device: &SimulatedDevice| {
        Entry::writable(device)
            .with("password", PASSWORD)
            .with("timeout", "300ms")
            .with("command_timeout", "1s")
            .with("http_sessions.enabled", true)
    };
    let mut scene = Scene::of(Setup::redundant(&[V10]).options(options).entries(entry)).await;
    let echo = echo(scene.device(1).document().to_vec()).await;
    let repeats = Entry::new("echo", &echo.url())
        .with("password", PASSWORD)
        .with("allow_unverified_writes", true)
        .with("http_sessions.enabled", true)
        .slot("io4", ["notification", "clk2", "notification"]);
    let nowhere = Entry::new("nowhere", "http://127.0.0.1:1").with("password", PASSWORD);
    let wrong = entry(scene.device(1))
        .with("id", "wrong")
        .with("password", "sentinel-that-is-refused");
    scene.stop().await;
    let well = entry(scene.device(1));
    scene.site = scene.site.devices(&[well, repeats, nowhere, wrong]);
    scene.bridge = scene.site.start_with(&["--log-level", "trace"], &[]);
    scene.site.takes_commands().await;
    for (device, state) in [
        ("sim-1", "online"),
        ("echo", "online"),
        ("nowhere", "offline"),
        ("wrong", "offline"),
    ] {
        let topic = format!("{device}/state");
        scene.until(&topic, |seen| seen.text(&topic) == state).await;
    }

    let set = |device: &str| format!("{device}/io4/relay/a/events/set");
    let replace = r#"{"replace":["antenna-faulty"]}"#;
    assert_eq!(scene.send(&set("sim-1"), replace).await["ok"], true);
    let dead_letter = scene.refused(&set("echo"), replace, "rejected").await;
    let body = dead_letter["error"]["body"].as_str().unwrap();
    assert!(body.contains("left out"), "{body}");
    scene.refused(&set("wrong"), replace, "unauthorized").await;
    scene.device(1).set_fault(Some(Fault::Hang));
    let lost = scene.refused(&set("sim-1"), r#"{"replace":[]}"#, "timeout").await;
    scene.device(1).set_fault(None);
    let id = lost["id"].as_str().unwrap();
    let replay = json!({ "id": id }).to_string();
    assert_eq!(
        scene.send("bridge/test/dead-letters/replay", &replay).await["ok"],
        true
    );
    for device in ["sim-1", "echo"] {
        scene.catch_up(device).await;
        let topic = format!("{device}/http/sessions");
        scene
            .until(&topic, |seen| {
                seen.json(&topic)["sessions"] != json!([]) && seen.json(&topic) != Value::Null
            })
            .await;
    }

    let config = scene.site.config().display().to_string();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", id],
        &["replay", id],
        &["drop", "--all"],
    ] {
        let arguments = [
            &["dead-letters"],
            arguments,
            &["--config", &config, "--log-level", "trace"],
        ]
        .concat();
        let end = run(&arguments).await;
        assert_eq!(end.code, Some(0), "{arguments:?}: {:?}", end.output);
        assert_clean(&end.output.stdout, "the command line");
        assert_clean(&end.output.stderr, "the command line");
    }
    // It did travel.
    let logins = echo.requests();
    assert!(
        logins
            .iter()
            .any(|request| authorization(request).contains(FORBIDDEN[1]))
    );
    wait::until("a refused login", async || {
        scene.device(1).counters().failed_logins > 0
    })
    .await;

    scene.stop().await;
    let log = scene.bridge.output().stderr;
    assert!(log.len() > 10_000, "at trace it says a lot");
    assert_clean(&log, "the log");
    for message in scene.client.now() {
        assert_clean(&message.payload, &message.topic);
        assert_clean(&message.topic, "a topic");
        assert_clean(&message.correlation, &message.topic);
    }
    // Nor on disk.
    let state = scene.site.config().with_file_name("state");
    for file in std::fs::read_dir(state).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert_clean(&String::from_utf8_lossy(&bytes), &path.display().to_string());
        }
    }
}
