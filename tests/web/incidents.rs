//! Open incidents, as the API, the metrics and the page show them.

use lantime2mqtt::simulator::Fault;
use serde_json::{Value, json};

use crate::browser::Script;
use crate::scene::Scene;
use crate::support::http::get;
use crate::support::site::Entry;
use crate::support::wait;

/// The open incidents.
async fn open(scene: &Scene) -> Vec<Value> {
    let open = scene.json("/api/incidents").await;
    open.as_array().expect("a list").clone()
}

/// Waits until that device has one, and gives it.
async fn of_device(scene: &Scene, device: &str) -> Value {
    let mut found = Value::Null;
    wait::until("an incident", async || {
        let of_device = |incident: &Value| incident["device"] == device;
        found = open(scene).await.into_iter().find(of_device).unwrap_or_default();
        !found.is_null()
    })
    .await;
    found
}

#[tokio::test]
async fn a_device_that_fails_is_one_incident_over_a_kill_until_it_leaves_the_configuration() {
    let mut scene = Scene::start(2).await;
    assert_eq!(open(&scene).await, Vec::<Value>::new());
    scene.device(1).set_fault(Some(Fault::ServerError));
    let incident = of_device(&scene, "sim-1").await;
    assert_eq!(incident["kind"], "poll");
    assert_eq!(incident["error"]["kind"], "http-status");
    assert_eq!(
        (&incident["count"], &incident["subject"]),
        (&json!(1), &Value::Null)
    );
    let dead_letters = scene.json("/api/dead-letters").await;
    assert_eq!(dead_letters.as_array().map(Vec::len), Some(1));
    assert_eq!(dead_letters[0]["id"], incident["id"]);
    let metrics = get(scene.http(), "/metrics").await.expect("it answers").body;
    for line in [
        r#"lantime2mqtt_incidents{kind="poll"} 1"#,
        r#"lantime2mqtt_incidents{kind="trap"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line}");
    }

    scene.bridge.signal("KILL");
    scene.bridge = scene.site.start();
    scene.site.ready().await;
    assert_eq!(open(&scene).await, std::slice::from_ref(&incident));
    wait::until("the device is offline, for the same reason", async || {
        let device = scene.json("/api/devices/sim-1").await;
        device["state"] == "offline" && device["error"]["id"] == incident["id"]
    })
    .await;
    assert_eq!(
        scene.json("/api/dead-letters").await,
        dead_letters,
        "it is no new one"
    );

    let device = &scene.device(2).clone();
    let others = [Entry::of(device).listed(device).with("poll", "100ms")];
    scene.reload(&others);
    wait::until("it is closed with its device", async || {
        open(&scene).await.is_empty()
    })
    .await;
    let dead_letters_then = scene.json("/api/dead-letters").await;
    assert_eq!(dead_letters_then, dead_letters, "that is no failure");
}

#[tokio::test]
async fn the_page_lists_what_is_open() {
    let scene = Scene::start(2).await;
    let mut script = Script::start("incidents.mjs", &scene.url());
    script.says("none").await;
    scene.device(1).set_fault(Some(Fault::ServerError));
    script.says("done").await;
}
