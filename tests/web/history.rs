//! The history, as the API and the command line show it: beside a bridge that runs, and without one.

use lantime2mqtt::simulator::{Action, Clock};
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::http::{ask, get};
use crate::support::program::run;
use crate::support::site::Entry;
use crate::support::wait;

const RELAY: &str = "/api/history?device=sim-1&slot=io3&relay=a";

/// Old and new value, and the cause.
fn values(page: &Value) -> Vec<Value> {
    let entries = page["entries"].as_array().expect("entries").iter();
    entries
        .map(|entry| json!([entry["old"], entry["new"], entry["cause"]]))
        .collect()
}

/// A relay that has fallen and risen again.
async fn scene() -> Scene {
    let scene = Scene::start(1).await;
    for (action, count) in [
        (Action::LoseSync(Clock::Clk1), 1),
        (Action::RegainSync(Clock::Clk1), 2),
    ] {
        scene.device(1).apply(&action).expect("it has that clock");
        wait::until("the change", async || {
            values(&scene.json(RELAY).await).len() == count
        })
        .await;
    }
    scene
}

async fn csv(scene: &Scene, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: text/csv\r\n\r\n");
    let answer = ask(scene.http(), request).await.expect("it answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.head.contains("content-type: text/csv; charset=utf-8"),
        "{answer:?}"
    );
    answer.body
}

#[tokio::test]
async fn a_fault_is_found_with_its_cause_and_length() {
    let scene = scene().await;
    let page = scene.json(RELAY).await;
    assert_eq!(
        values(&page),
        [json!(["NC", "NO", null]), json!(["NO", "NC", "clock-not-sync"])]
    );
    let [newest, fault] = &page["entries"].as_array().unwrap()[..] else {
        panic!("{page}");
    };
    assert_eq!((&newest["until"], &fault["until"]), (&Value::Null, &newest["at"]));
    assert!(fault["duration_s"].as_f64().unwrap() > 0.0, "{fault}");
    assert!(page["next"].is_null() && page["kept_since"].is_string());
    // By pages.
    let first = scene.json(&format!("{RELAY}&limit=1")).await;
    assert_eq!(first["entries"][0], *newest);
    let next = first["next"].as_str().unwrap();
    let second = scene.json(&format!("{RELAY}&limit=1&cursor={next}")).await;
    assert_eq!((&second["entries"][0], &second["next"]), (fault, &Value::Null));
    // All of the device: since when it is watched, too.
    let all = scene.json("/api/history?device=sim-1&limit=1000").await;
    let first = all["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(
        json!([first["old"], first["new"], first["slot"]]),
        json!(["unknown", "online", null])
    );
    let text = csv(&scene, RELAY).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("id,at,device,slot,relay,"), "{text}");
    assert!(lines[2].contains(",NO,NC,clock-not-sync,"), "{text}");
}

#[tokio::test]
async fn spans_and_figures_follow_from_the_history() {
    let scene = scene().await;
    let timeline = scene.json("/api/timeline?device=sim-1&from=1h").await;
    let spans = |of: &Value| {
        let spans = of.as_array().unwrap().iter();
        spans
            .map(|span| span["value"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(spans(&timeline["device"]), ["not-kept", "online"]);
    let relays = &timeline["slots"]["io3"]["relays"];
    assert_eq!(spans(&relays["a"]), ["not-kept", "NO", "NC", "NO"]);
    assert_eq!(relays["a"][2]["cause"], "clock-not-sync");
    assert_eq!(relays["a"][0]["at"], timeline["from"]);
    assert_eq!(relays["a"][3]["until"], timeline["to"]);
    let figures = scene.json("/api/availability?device=sim-1&from=1h").await;
    let relay = &figures["slots"]["io3"]["relays"]["a"];
    assert_eq!(relay["faults"], 1);
    assert!(
        relay["availability"]
            .as_f64()
            .is_some_and(|part| part > 0.0 && part < 1.0)
    );
    assert_eq!(relay["longest_fault"]["at"], relays["a"][2]["at"]);
    for (path, part) in [
        ("/api/timeline", "no device is named"),
        ("/api/history?from=yesterday", "no time"),
    ] {
        let refused = get(scene.http(), path).await.unwrap().json();
        assert!(
            refused["error"]["message"].as_str().unwrap().contains(part),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_faults_of_all_devices_are_found_with_what_is_known_of_them() {
    let scene = Scene::start(2).await;
    let faults = async |query: &str| {
        let found = scene.json(&format!("/api/faults{query}")).await;
        let rows = found["faults"].as_array().expect("faults").iter();
        rows.filter(|row| row["slot"] == "io3" && row["relay"] == "a")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(faults("").await, [] as [Value; 0]);
    for (device, action) in [
        (1, Action::LoseSync(Clock::Clk1)),
        (1, Action::RegainSync(Clock::Clk1)),
        (2, Action::LoseSync(Clock::Clk1)),
    ] {
        scene.device(device).apply(&action).expect("it has that clock");
        let position = if action == Action::LoseSync(Clock::Clk1) {
            "NC"
        } else {
            "NO"
        };
        wait::until("the change", async || {
            let device = scene.json(&format!("/api/devices/sim-{device}")).await;
            device["slots"]["io3"]["relays"]["a"]["position"] == position
        })
        .await;
    }
    let all = faults("").await;
    let [lasting, over] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(
        (&lasting["device"], &over["device"]),
        (&json!("sim-2"), &json!("sim-1"))
    );
    let newest = scene.json("/api/history?device=sim-2&slot=io3&relay=a").await["entries"][0].clone();
    assert_eq!((&lasting["at"], &lasting["until"]), (&newest["at"], &Value::Null));
    let history = scene.json(RELAY).await;
    let [rose, fell] = &history["entries"].as_array().unwrap()[..] else {
        panic!("{history}");
    };
    assert_eq!((&over["at"], &over["until"]), (&fell["at"], &rose["at"]));
    assert_eq!(over["duration_s"], fell["duration_s"]);
    assert_eq!(over["causes"], json!(["clock-not-sync"]));
    assert_eq!(over["provenance"], fell["provenance"]);
    assert_eq!(faults("?device=sim-1").await, std::slice::from_ref(over));
    let before = fell["at"].as_str().unwrap();
    assert_eq!(faults(&format!("?to={before}")).await, [] as [Value; 0]);
    let first = scene.json("/api/faults?limit=1").await;
    assert_eq!(first["has_more"], true, "{first}");
    let text = csv(&scene, "/api/faults?device=sim-1").await;
    let line = format!("sim-1,io3,a,NC,{before},{},", rose["at"].as_str().unwrap());
    assert!(
        text.starts_with("device,slot,relay,value,at,") && text.contains(&line),
        "{text}"
    );
    let refused = get(scene.http(), "/api/faults?relay=a").await.unwrap().json();
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("cannot be asked for"), "{refused}");
    let request = "GET /api/faults?limit=1 HTTP/1.0\r\nHost: localhost\r\nAccept: text/csv\r\n\r\n";
    let cut = ask(scene.http(), request.to_owned()).await.expect("it answers");
    assert_eq!(
        cut.status, 400,
        "a table that is not whole would be taken for whole: {cut:?}"
    );
}

#[tokio::test]
async fn a_device_that_is_neither_configured_nor_in_the_history_is_refused() {
    const PATHS: [&str; 4] = ["history", "timeline", "availability", "faults"];
    let mut scene = scene().await;
    for path in PATHS {
        let asked = format!("/api/{path}?device=nobody");
        let refused = get(scene.http(), &asked).await.unwrap();
        assert_eq!(refused.status, 404, "{asked}: {refused:?}");
        let error = &refused.json()["error"];
        assert_eq!(error["message"], r#"no device "nobody""#, "{asked}");
    }
    let config = scene.site.config().display().to_string();
    let entries = async |device: &str| {
        run(&[
            "history", "--format", "csv", "--device", device, "--config", &config,
        ])
        .await
    };
    assert!(
        entries("nobody")
            .await
            .output
            .stderr
            .contains(r#"no device "nobody""#)
    );
    let running = entries("sim-1").await.output.stdout;
    assert!(running.contains(",sim-1,io3,a,"), "{running}");
    // One that has left the configuration has its history.
    let entry = |id: &str| Entry::of(scene.device(1)).with("id", id);
    let (renamed, later) = (entry("renamed"), entry("later"));
    scene.site.set_devices(std::slice::from_ref(&renamed));
    scene.bridge.stop("TERM").await;
    scene.bridge = scene.site.start();
    scene.site.ready().await;
    for path in PATHS {
        scene.json(&format!("/api/{path}?device=sim-1")).await;
    }
    // And without a bridge.
    scene.bridge.stop("KILL").await;
    scene.site.set_devices(&[renamed, later]);
    assert!(entries("sim-1").await.output.stdout.contains(",sim-1,io3,a,"));
    assert_eq!(entries("later").await.code, Some(0), "it is configured");
    let refused = entries("nobody").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.output.stderr.contains(r#"no device "nobody""#),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_command_line_shows_it_with_a_bridge_and_without_one() {
    let scene = scene().await;
    let config = scene.site.config().display().to_string();
    let of_relay = [
        "--device", "sim-1", "--slot", "io3", "--relay", "a", "--config", &config,
    ];
    let shown = async |arguments: &[&str]| {
        let end = run(&[&["history"], arguments, &of_relay[..]].concat()).await;
        assert_eq!(end.code, Some(0), "{end:?}");
        end.output.stdout
    };
    let running = shown(&["--utc"]).await;
    let lines: Vec<_> = running.lines().collect();
    assert_eq!(lines.len(), 3, "{running}");
    assert!(
        lines[0].starts_with("TIME") && lines[0].ends_with("CAUSE"),
        "{running}"
    );
    assert!(lines[1].contains("NC -> NO  still"), "{running}");
    assert!(
        lines[2].contains("NO -> NC") && lines[2].ends_with("clock-not-sync"),
        "{running}"
    );
    let csv = shown(&["--format", "csv"]).await;
    let json = shown(&["--format", "json"]).await;
    let nothing = shown(&["--until", "2h", "--since", "3h"]).await;
    assert!(
        nothing.starts_with("no changes; the history begins at "),
        "{nothing}"
    );
    for option in ["--since", "--until"] {
        let refused = run(&["history", option, "yesterday", "--config", &config]).await;
        assert_eq!(refused.code, Some(1));
        let expected = format!(r#"{option} "yesterday" is no time; write a time in RFC 3339"#);
        assert!(refused.output.stderr.contains(&expected), "{refused:?}");
    }

    scene.bridge.stop("KILL").await;
    assert_eq!(shown(&["--utc"]).await, running, "what was shown is on disk");
    assert_eq!(shown(&["--format", "csv"]).await, csv);
    assert_eq!(shown(&["--format", "json"]).await, json);
    assert_eq!(csv.lines().count(), 3);
    let newest: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(newest["new"], "NO");
}
