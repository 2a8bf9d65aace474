//! A user chooses the events that switch relays A and C: the reply, the retained topic, and the relay itself.

use std::collections::BTreeSet;

use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use lantime2mqtt::simulator::{Action, Position, Relay, SimulatedDevice};
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::scene::Setup;
use crate::support::site::Entry;

const A: &str = "sim-1/io4/relay/a";
const C: &str = "sim-1/io4/relay/c";

fn set(relay: &str) -> String {
    format!("{relay}/events/set")
}

/// The reply to a command that was carried out.
fn success(id: &str, relay: &str, events: &[&str], applies_to: &[&str]) -> Value {
    let place = |relay: &&str| json!({ "slot": "io4", "relay": relay });
    let applies_to: Vec<_> = applies_to.iter().map(place).collect();
    let mut result = json!({
        "slot": "io4", "relay": relay, "events": events, "changed": true, "applies_to": applies_to, "via": "rest",
    });
    if events.is_empty() {
        result["warnings"] = json!(["no event is selected: nothing switches the relay now"]);
    }
    json!({ "id": id, "ok": true, "command": "relay-events", "result": result })
}

impl Scene {
    /// Waits until these events are retained for a relay.
    async fn retained(&mut self, relay: &str, events: &[&str]) {
        let topic = format!("{relay}/events");
        let wanted = json!(events);
        self.until(&topic, |seen| {
            let selected = seen.json(&topic);
            selected["events"] == wanted && selected["confirmed"] == true && selected["via"] == "rest"
        })
        .await;
        assert!(self.look(|seen| seen.at(&topic).all(|message| message.retained)));
    }

    /// Waits until an event stands or does not, and both relays where they are to be, for everybody who looks.
    async fn moves(&mut self, action: Action, positions: [&str; 2]) {
        self.device(1).apply(&action).unwrap();
        // Another poll, so that what must not move has had its time.
        assert_eq!(self.send("sim-1/refresh", "").await["ok"], true);
        self.until(&format!("{action:?}: {positions:?}"), |seen| {
            [A, C].map(|relay| seen.json(relay)["position"].clone()) == positions
        })
        .await;
        let world = self.device(1).world();
        let really = [Relay::A, Relay::C].map(|relay| match world.relay("io4", relay) {
            Some(Position::No) => "NO",
            Some(Position::Nc) => "NC",
            None => "",
        });
        assert_eq!(really, positions, "{action:?}");
    }
}

fn fire(event: &str) -> Action {
    Action::FireEvent(event.to_owned())
}

fn clear(event: &str) -> Action {
    Action::ClearEvent(event.to_owned())
}

/// What an event does by the configuration of the device.
async fn actions(device: &SimulatedDevice, event: &str) -> BTreeSet<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/config/notification", device.url());
    let request = http.get(url).basic_auth("bridge", Some("simulated"));
    let body = request.send().await.unwrap().bytes().await.unwrap();
    let config: Value = serde_json::from_slice(&body).unwrap();
    let events = config["data"]["events"].as_array().unwrap();
    let found = events.iter().find(|entry| entry["object-id"] == event).unwrap();
    serde_json::from_value(found["actions"].clone()).unwrap()
}

#[tokio::test]
async fn a_relay_of_its_own_follows_what_was_selected_for_it() {
    for version in ["5", "3.1.1"] {
        let mut scene =
            Scene::of(Setup::redundant(&[V20]).site(|site| site.with("mqtt.version", version))).await;
        scene
            .retained(A, &["ntp-not-sync", "refclock-1-not-sync", "refclock-2-not-sync"])
            .await;
        scene.retained(C, &["antenna-faulty"]).await;

        let payload =
            r#"{"replace":["network-link-down","antenna-faulty","network-link-down"],"id":"first"}"#;
        let reply = scene.send(&set(A), payload).await;
        assert_eq!(
            reply,
            success("first", "a", &["antenna-faulty", "network-link-down"], &["a"])
        );
        scene.retained(A, &["antenna-faulty", "network-link-down"]).await;
        scene.retained(C, &["antenna-faulty"]).await;
        scene.moves(fire("network-link-down"), ["NC", "NO"]).await;
        assert_eq!(scene.look(|seen| seen.json(A))["cause"], "network-link-down");
        scene.moves(fire("ntp-not-sync"), ["NC", "NO"]).await;
        scene.moves(clear("network-link-down"), ["NO", "NO"]).await;

        let payload = r#"{"add":["ntp-not-sync","antenna-faulty"],"remove":["network-link-down","system-reboot"],"id":"2"}"#;
        let reply = scene.send(&set(A), payload).await;
        assert_eq!(
            reply,
            success("2", "a", &["antenna-faulty", "ntp-not-sync"], &["a"])
        );
        // It stands already.
        scene.moves(fire("network-link-down"), ["NC", "NO"]).await;
        scene.moves(clear("ntp-not-sync"), ["NO", "NO"]).await;
        scene.moves(fire("antenna-faulty"), ["NC", "NC"]).await;

        let reply = scene
            .send(&set(C), r#"{"remove":["antenna-faulty"],"id":"3"}"#)
            .await;
        assert_eq!(reply, success("3", "c", &[], &["c"]));
        scene.retained(C, &[]).await;
        scene.retained(A, &["antenna-faulty", "ntp-not-sync"]).await;
        scene.moves(fire("network-link-down"), ["NC", "NO"]).await;
        scene.send(&set(A), r#"{"replace":[]}"#).await;
        scene.moves(fire("ntp-not-sync"), ["NO", "NO"]).await;

        let device = scene.device(1);
        assert_eq!(
            actions(device, "antenna-faulty").await,
            ["snmp".to_owned()].into()
        );
        let mailed = ["email", "snmp"].map(str::to_owned);
        assert_eq!(actions(device, "ntp-not-sync").await, mailed.into());
        assert_eq!(device.world().pending_changes(), 0);
        assert_eq!(scene.look(|seen| seen.dead_letters("sim-1")), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_relay_that_is_released_by_a_command_never_stands_without_a_cause() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    scene.retained(C, &["antenna-faulty"]).await;
    for _ in 0..3 {
        scene.moves(fire("antenna-faulty"), ["NO", "NC"]).await;
        scene.send(&set(C), r#"{"remove":["antenna-faulty"]}"#).await;
        // By the poll that follows the command: none other is due for an hour.
        scene
            .until("C is released", |seen| seen.json(C)["position"] == "NO")
            .await;
        scene.moves(clear("antenna-faulty"), ["NO", "NO"]).await;
        scene.send(&set(C), r#"{"add":["antenna-faulty"]}"#).await;
    }
    let shown = scene.look(|seen| {
        let states = seen.at(C).map(|message| message.json());
        states.filter(|state| state["cause"] == "unknown").count()
    });
    assert_eq!(shown, 0);
}

#[tokio::test]
async fn where_the_device_cannot_distinguish_relays_the_reply_names_all_and_all_follow() {
    let mut scene = Scene::start(&[V10]).await;
    let before = [
        "antenna-faulty",
        "ntp-not-sync",
        "refclock-1-not-sync",
        "refclock-2-not-sync",
    ];
    scene.retained(A, &before).await;
    scene.retained(C, &before).await;
    // The bridge's name and the device's own one.
    for spelling in ["faillock-user-banned", "faillock:-user-banned"] {
        let payload = json!({ "replace": [spelling, "antenna-faulty"], "id": spelling }).to_string();
        let reply = scene.send(&set(C), &payload).await;
        let mut expected = success(
            spelling,
            "c",
            &["antenna-faulty", "faillock-user-banned"],
            &["a", "c"],
        );
        // The second time nothing is to be done.
        expected["result"]["changed"] = json!(spelling == "faillock-user-banned");
        assert_eq!(reply, expected);
    }
    for relay in [A, C] {
        scene
            .retained(relay, &["antenna-faulty", "faillock-user-banned"])
            .await;
    }
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
    scene.moves(fire("faillock-user-banned"), ["NC", "NC"]).await;
    scene.moves(clear("faillock-user-banned"), ["NO", "NO"]).await;
    scene.moves(fire("ntp-not-sync"), ["NO", "NO"]).await;
    let reply = scene.send(&set(A), r#"{"add":["ntp-not-sync"],"id":"x"}"#).await;
    let all = ["antenna-faulty", "faillock-user-banned", "ntp-not-sync"];
    assert_eq!(reply, success("x", "a", &all, &["a", "c"]));
    for relay in [A, C] {
        scene.retained(relay, &all).await;
    }
    scene.moves(fire("network-link-down"), ["NC", "NC"]).await;
    let words = ["email", "relais", "snmp"].map(str::to_owned);
    assert_eq!(actions(scene.device(1), "ntp-not-sync").await, words.into());
}

#[tokio::test]
async fn with_mqtt_5_the_reply_comes_where_its_sender_wants_it() {
    let mut scene = Scene::start(&[V20]).await;
    let topic = format!("lantime/{}", set(A));
    let payload = r#"{"replace":["antenna-faulty"]}"#;
    let correlation = ["-D", "publish", "correlation-data", "my 4711"];
    let clients = scene.clients();
    let reply = clients.request(&topic, "my/replies", payload, &correlation).await;
    assert_eq!((reply.correlation.as_str(), reply.retained), ("my 4711", false));
    let reply = reply.json();
    let id = reply["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(reply, success(id, "a", &["antenna-faulty"], &["a"]));
    let refused = clients
        .request(&topic, "my/other", r#"{"add":["coffee-empty"]}"#, &[])
        .await;
    assert_eq!(
        (refused.json()["ok"].clone(), refused.correlation.as_str()),
        (json!(false), "")
    );
    scene.catch_up("sim-1").await;
    scene.look(|seen| {
        assert!(seen.replies(&set(A)).is_empty());
        assert_eq!(seen.dead_letters("sim-1").len(), 1);
    });
    // A reply must not pass for state.
    let as_state = [
        "-V",
        "5",
        "-D",
        "publish",
        "response-topic",
        "lantime/sim-1/state",
    ];
    clients.publish(&topic, payload, &as_state).await;
    let reply = scene.reply(&set(A), 0).await;
    assert_eq!(reply["ok"], true);
    assert_eq!(scene.look(|seen| seen.text("sim-1/state").to_owned()), "online");
    // MQTT 3.1.1 does not know of it.
    scene.stop().await;
    scene.site = scene.site.with("mqtt.version", "3.1.1");
    scene.start_again().await;
    let arguments = ["-V", "5", "-D", "publish", "response-topic", "my/replies"];
    clients.publish(&topic, r#"{"replace":[]}"#, &arguments).await;
    let reply = scene.reply(&set(A), 1).await;
    assert_eq!(reply["result"]["events"], json!([]));
}
