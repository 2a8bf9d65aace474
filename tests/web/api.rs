//! What the API promises: the objects of MQTT, and the commands of MQTT.

use std::net::TcpListener;

use serde_json::{Value, json};

use lantime2mqtt::simulator::{Action, Clock};

use crate::scene::{Scene, TOKEN, setup};
use crate::support::clients::Clients;
use crate::support::http::get;
use crate::support::site::Entry;
use crate::support::{Watcher, wait};

#[tokio::test]
async fn everything_is_shown_as_it_is_retained() {
    let scene = Scene::start(1).await;
    scene
        .device(1)
        .apply(&Action::LoseSync(Clock::Clk1))
        .expect("it has that clock");
    let mut watcher = Watcher::connect(scene.broker.address()).await;
    let seen = watcher
        .until("the fault, and all that comes with it", |seen| {
            let has = |topic: &str, word: &str| {
                let payload = seen.topics.get(&format!("lantime/sim-1/{topic}"));
                payload.is_some_and(|payload| payload.contains(word))
            };
            has("io3/relay/a", "NC")
                && has("io3/signal/clk1", "fail")
                && has("io4/relay/a/events", "confirmed\":true")
        })
        .await;
    let retained = |topic: &str| -> Value {
        let payload = seen.topics.get(&format!("lantime/{topic}"));
        serde_json::from_str(payload.unwrap_or_else(|| panic!("nothing at {topic}"))).expect("JSON")
    };
    let device = scene.json("/api/devices/sim-1").await;
    assert_eq!(device["state"], "online");
    assert_eq!(device["info"], retained("sim-1/info"));
    assert_eq!(device["slots"]["io3"]["info"], retained("sim-1/io3/info"));
    for relay in ["a", "b", "c"] {
        assert_eq!(
            device["slots"]["io3"]["relays"][relay],
            retained(&format!("sim-1/io3/relay/{relay}"))
        );
    }
    assert_eq!(
        device["slots"]["io4"]["relay_events"]["a"],
        retained("sim-1/io4/relay/a/events")
    );
    assert_eq!(
        device["slots"]["io3"]["signals"]["clk1"],
        retained("sim-1/io3/signal/clk1")
    );
    assert_eq!(
        device["events"]["ntp-not-sync"],
        retained("sim-1/event/ntp-not-sync")
    );
    let bridge = scene.json("/api/bridge").await;
    assert_eq!(bridge["info"], retained("bridge/test/info"));
    assert_eq!(
        (&bridge["id"], &bridge["changeable"]),
        (&json!("test"), &json!(true))
    );
    assert_eq!(bridge["broker"]["connected"], true);
    let summary = &scene.json("/api/devices").await[0];
    assert_eq!(
        (&summary["id"], &summary["relays"]["io3"]["a"]),
        (&json!("sim-1"), &json!("NC"))
    );
    assert_eq!(scene.json("/healthz").await["status"], "ok");
}

#[tokio::test]
async fn commands_are_those_of_mqtt() {
    let scene = Scene::start(1).await;
    let events = "/api/devices/sim-1/io4/relay/a/events";
    let answer = scene
        .post(events, r#"{"replace":["antenna-faulty"],"id":"7"}"#)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let reply = answer.json();
    assert_eq!(
        (&reply["id"], &reply["ok"], &reply["command"]),
        (&json!("7"), &json!(true), &json!("relay-events"))
    );
    assert_eq!(reply["result"]["events"], json!(["antenna-faulty"]));
    wait::until("the choice is shown", async || {
        scene.json("/api/devices/sim-1").await["slots"]["io4"]["relay_events"]["a"]["events"]
            == json!(["antenna-faulty"])
    })
    .await;

    let answer = scene.post("/api/devices/sim-1/refresh", "").await;
    assert_eq!(
        (answer.status, &answer.json()["command"]),
        (200, &json!("refresh"))
    );
    let answer = scene
        .post("/api/devices/sim-1/http/sessions", r#"{"enabled":true}"#)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    wait::until("a session is shown", async || {
        let log = scene.json("/api/devices/sim-1/http/sessions").await;
        log["sessions"][0]["path"].is_string()
    })
    .await;

    for (path, body, status, kind) in [
        (
            "/api/devices/sim-1/io4/relay/b/events",
            r#"{"add":["ntp-not-sync"]}"#,
            422,
            "rejected",
        ),
        (
            "/api/devices/sim-1/io3/relay/a/events",
            r#"{"add":["ntp-not-sync"]}"#,
            422,
            "rejected",
        ),
        (events, r#"{"add":["no-such-event"]}"#, 422, "rejected"),
        (events, "{", 400, "decode"),
        ("/api/devices/nobody/refresh", "", 404, "not-found"),
        (
            "/api/dead-letters/0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59/replay",
            "",
            404,
            "not-found",
        ),
        ("/api/dead-letters/x/replay", "", 404, "not-found"),
    ] {
        let answer = scene.post(path, body).await;
        let (found, found_kind) = (answer.status, answer.kind());
        assert_eq!((found, found_kind.as_str()), (status, kind), "{path}: {answer:?}");
    }

    let dead_letters = scene.json("/api/dead-letters?limit=50").await;
    let dead_letters = dead_letters.as_array().expect("a list");
    let dead_letter = dead_letters
        .iter()
        .find(|dead_letter| {
            dead_letter["message"]
                .as_str()
                .is_some_and(|text| text.contains("no-such-event"))
        })
        .expect("a refused command is a dead letter");
    let id = dead_letter["id"].as_str().expect("an id");
    let whole = scene.json(&format!("/api/dead-letters/{id}")).await;
    assert_eq!(whole["origin"]["payload"], r#"{"add":["no-such-event"]}"#);
    let again = scene.post(&format!("/api/dead-letters/{id}/replay"), "").await;
    assert_eq!(
        (again.status, again.json()["command"].clone()),
        (422, json!("replay"))
    );
}

#[tokio::test]
async fn without_a_broker_the_page_works_and_is_ready() {
    let scene = Scene::of(setup(1).site(|site| site.with("mqtt.url", "mqtt://127.0.0.1:1"))).await;
    assert_eq!(scene.json("/api/bridge").await["broker"]["connected"], false);
    assert_eq!(scene.json("/readyz").await["status"], "ready");
    assert_eq!(scene.json("/healthz").await["broker"], "disconnected");
    let answer = scene.post("/api/devices/sim-1/refresh", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn an_edge_node_that_waits_for_its_host_is_not_born() {
    let scene = Scene::of(setup(1).site(|site| {
        site.with("sparkplug.enabled", true)
            .with("sparkplug.primary_host", "scada")
    }))
    .await;
    let is_born = async |born: bool| {
        let edge_node = scene.json("/api/bridge").await["sparkplug"].clone();
        edge_node["connected"] == true && edge_node["born"] == born
    };
    wait::until("the edge node is connected", async || is_born(false).await).await;
    assert_eq!(scene.json("/healthz").await["sparkplug"], "waiting");
    let online = r#"{"online":true,"timestamp":1000}"#;
    Clients::of(scene.broker.address())
        .publish("spBv1.0/STATE/scada", online, &["-r"])
        .await;
    wait::until("its birth", async || is_born(true).await).await;
    assert_eq!(scene.json("/healthz").await["sparkplug"], "born");
}

#[tokio::test]
async fn a_device_that_never_answered_is_not_waited_for_and_the_token_is_nowhere() {
    let unreachable = [Entry::new("unreachable", "http://127.0.0.1:1")];
    let scene = Scene::of(setup(1).site(|site| site.devices(&unreachable))).await;
    let device = scene.json("/api/devices/unreachable").await;
    assert_eq!(device["error"]["error"]["kind"], "connect");
    let mut shown = String::new();
    for path in [
        "/",
        "/api/bridge",
        "/api/devices",
        "/api/dead-letters",
        "/healthz",
        "/readyz",
    ] {
        let answer = get(scene.http(), path).await.expect("it answers");
        shown.push_str(&answer.head);
        shown.push_str(&answer.body);
    }
    let refused = scene
        .post_with(
            "/api/devices/unreachable/refresh",
            "Authorization: Bearer wrong\r\n",
            "",
        )
        .await;
    shown.push_str(&refused.body);
    let end = scene.bridge.stop("TERM").await;
    shown.push_str(&end.output.stderr);
    assert!(!shown.contains(TOKEN));
    assert_eq!(end.code, Some(0));
}

#[tokio::test]
async fn a_device_that_a_reload_adds_is_there_before_it_has_answered() {
    let mut scene = Scene::start(1).await;
    let http = scene.http();
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("it listens"));
    let silent = Entry::new("silent", &url).with("timeout", "60s");
    scene.reload(&[Entry::of(scene.device(1)), silent]);
    wait::until("the reload", async || {
        let answer = get(http, "/api/devices/silent").await;
        answer.is_some_and(|answer| answer.status == 200)
    })
    .await;
    let ready = get(http, "/readyz").await.expect("it answers");
    assert_eq!(
        (ready.status, &ready.json()["waiting"]),
        (503, &json!(["silent"]))
    );
    let bridge = get(http, "/api/bridge").await.expect("it answers").json();
    assert_eq!(bridge["info"]["devices"], 2, "{bridge}");
}
