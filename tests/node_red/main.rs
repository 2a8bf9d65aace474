//! A real Node-RED runs the shipped flow: lamps, the alarm, the form that sets events, and dead letters.
//! What its page does in a browser is in the scripts beside this file.

#![allow(clippy::unwrap_used)]

#[path = "../web/browser.rs"]
mod browser;
mod notifications;
mod red;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use lantime2mqtt::simulator::{Action, ApiGeneration, Clock, Fault, SimulatedDevice};
use serde_json::{Value, json};

use browser::Script;
use red::Red;
use support::clients::{Clients, Message, Subscriber};
use support::mosquitto::Options;
use support::scene::{self, Setup};
use support::site::Entry;
use support::wait;

const ALARM: &str = "lantime-alarm/sim-1/io3/a";

/// The nodes that come with Node-RED and that the flow may use, beside tabs and groups.
const CORE: [&str; 13] = [
    "comment",
    "debug",
    "function",
    "http in",
    "http response",
    "mqtt in",
    "mqtt out",
    "mqtt-broker",
    "rbe",
    "status",
    "switch",
    "template",
    "group",
];

type Scene = scene::Scene<Clientele>;

struct Clientele {
    red: Red,
    subscriber: Subscriber,
}

impl Scene {
    async fn start() -> Scene {
        Scene::of(ApiGeneration::V20).await
    }

    async fn of(api: ApiGeneration) -> Scene {
        let stage = Setup::redundant(&[api]).stage().await;
        let broker = stage.broker.address();
        let clientele = Clientele {
            red: Red::start(broker),
            subscriber: Clients::of(broker).subscribe(&["#"]).await,
        };
        let mut scene = stage.with(clientele).start();
        scene
            .shows("all relays", |state| {
                let relays = state["relays"].as_object().unwrap();
                let is_selected = state["chosen"]["sim-1/io4/a"].is_array();
                relays.len() == 6 && is_selected && state["relays"]["sim-1/io3/a"]["position"] == "NO"
            })
            .await;
        scene
    }

    /// Waits until what the page shows fulfils `condition`; the page asks again and again, too.
    async fn shows(&mut self, what: &str, condition: impl Fn(&Value) -> bool) {
        shows(&self.client.red, what, condition).await;
    }

    /// Waits for an alarm with that payload, but for the time.
    async fn alarm(&mut self, expected: &Value) {
        let is_so = |message: &Message| {
            let mut payload = message.json();
            let is_dated = payload.as_object_mut().and_then(|p| p.remove("since")).is_some();
            message.topic == ALARM && message.retained && is_dated && payload == *expected
        };
        self.client
            .subscriber
            .until("the alarm", |messages| messages.last_at(ALARM).is_some_and(is_so))
            .await;
    }

    fn apply(&self, action: &Action) {
        self.device(1).apply(action).unwrap();
    }

    /// Publishes retained what a bridge could have.
    async fn retain(&self, topic: &str, payload: &Value) {
        let clients = Clients::of(self.broker.address());
        clients.publish(topic, payload.to_string(), &["-r"]).await;
    }
}

/// Waits until what the page shows fulfils `condition`; the page asks again and again, too.
async fn shows(red: &Red, what: &str, condition: impl Fn(&Value) -> bool) {
    wait::for_value(what, async || {
        let state = red.state().await;
        if condition(&state) { Ok(()) } else { Err(state) }
    })
    .await;
}

trait LastAt {
    fn last_at(&self, topic: &str) -> Option<&Message>;
}

impl LastAt for [Message] {
    fn last_at(&self, topic: &str) -> Option<&Message> {
        self.iter().rev().find(|message| message.topic == topic)
    }
}

#[tokio::test]
async fn a_relay_that_falls_raises_an_alarm_once_and_its_return_ends_it() {
    let mut scene = Scene::start().await;
    scene.alarm(&json!({ "alarm": false })).await;
    scene.apply(&Action::LoseSync(Clock::Clk1));
    scene
        .alarm(&json!({ "alarm": true, "cause": "clock-not-sync" }))
        .await;
    scene
        .shows("the lamp", |state| {
            state["relays"]["sim-1/io3/a"]["position"] == "NC"
        })
        .await;
    scene.apply(&Action::RegainSync(Clock::Clk1));
    scene.alarm(&json!({ "alarm": false })).await;
    scene.bridge.signal("KILL");
    scene
        .shows("that the bridge has ended", |state| {
            state["bridges"]["test"] == "offline"
        })
        .await;
    let messages = scene.client.subscriber.now();
    let alarms: Vec<_> = messages
        .iter()
        .filter(|message| message.topic == ALARM)
        .map(|message| message.json()["alarm"].clone())
        .collect();
    assert_eq!(alarms, [false, true, false]);
    let page = scene.client.red.page().await;
    assert!(page.contains("<title>LANTIME relays</title>"), "{page}");
}

#[tokio::test]
async fn the_alarm_of_a_relay_that_goes_is_cleared_and_raised_again_when_it_is_back() {
    let mut scene = Scene::start().await;
    let raised = json!({ "alarm": true, "cause": "clock-not-sync" });
    scene.apply(&Action::LoseSync(Clock::Clk1));
    scene.alarm(&raised).await;
    let without_it = Entry::of(scene.device(1)).slot("io4", ["notification", "pps", "10mhz"]);
    scene.reload(&[without_it]);
    scene
        .client
        .subscriber
        .until("no alarm", |messages| {
            let last = messages.last_at(ALARM);
            last.is_some_and(|message| message.payload.is_empty() && message.retained)
        })
        .await;
    scene.reload(&[Entry::writable(scene.device(1))]);
    scene.alarm(&raised).await;
}

#[tokio::test]
async fn what_was_cleared_while_there_was_no_connection_is_not_shown_any_more() {
    let mut scene = Scene::start().await;
    let relay = json!({ "position": "NO", "fault": false });
    scene.retain("lantime/removed-1/io3/relay/a", &relay).await;
    scene
        .retain(
            "lantime/removed-1/event/ntp-not-sync",
            &json!({ "triggered": false }),
        )
        .await;
    scene
        .shows("the other device", |state| {
            state["relays"]["removed-1/io3/a"] == relay && state["events"]["removed-1"].is_object()
        })
        .await;
    scene
        .retain("lantime/removed-2/event/x", &json!({ "triggered": true }))
        .await;
    scene
        .shows("its event", |state| state["events"]["removed-2"].is_object())
        .await;
    let clients = Clients::of(scene.broker.address());
    clients.publish("lantime/removed-2/event/x", "", &["-r"]).await;
    scene
        .shows("that it is cleared", |state| {
            state["events"].get("removed-2").is_none()
        })
        .await;
    // It keeps nothing: afterwards there is only what somebody publishes again.
    scene.broker.restart();
    scene
        .shows("what there is now", |state| {
            let relays = state["relays"].as_object().unwrap();
            state["isConnected"] == true
                && relays.len() == 6
                && relays.keys().all(|name| name.starts_with("sim-1/"))
                && state["events"].as_object().unwrap().len() == 1
                && state["chosen"].as_object().unwrap().len() == 2
                && state["bridges"] == json!({ "test": "online" })
        })
        .await;
}

/// A stock mosquitto keeps 1,000 messages and 20 in flight for a subscriber with QoS 1, and drops the rest without a word.
#[tokio::test]
async fn the_flow_sees_all_of_sixty_devices_at_a_stock_broker() {
    const DEVICES: usize = 60;
    let options = Options {
        lines: vec!["max_queued_messages 1000".to_owned()],
        ..Options::default()
    };
    let entry = |device: &SimulatedDevice| Entry::of(device).listed(device).with("poll", "5s");
    let setup = Setup::redundant(&[ApiGeneration::V20; DEVICES]).entries(entry);
    let setup = setup.broker(options);
    let stage = setup.stage().await;
    let broker = stage.broker.address();
    let states = Clients::of(broker).subscribe(&["lantime/+/state"]).await;
    let mut scene = stage.with(states).start();
    scene
        .client
        .until("all devices", |messages| {
            let online = messages.iter().filter(|message| message.payload == "online");
            online
                .map(|message| &message.topic)
                .collect::<BTreeSet<_>>()
                .len()
                == DEVICES
        })
        .await;
    // A bridge that stops in good order has sent everything before: from here on all is retained.
    scene.bridge.stop("TERM").await;
    let red = Red::start(broker);
    let is_whole = |state: &Value| {
        let counted = |key: &str| state[key].as_object().map_or(0, serde_json::Map::len);
        let events = state["events"].as_object().into_iter().flatten();
        let of_each: BTreeSet<_> = events
            .map(|(_, events)| events.as_object().map_or(0, serde_json::Map::len))
            .collect();
        let is_more_than_the_queue = of_each.iter().all(|events| DEVICES * events > 1020);
        counted("relays") == 6 * DEVICES
            && counted("chosen") == 2 * DEVICES
            && counted("events") == DEVICES
            && of_each.len() == 1
            && is_more_than_the_queue
    };
    shows(&red, "all of it", is_whole).await;
}

#[tokio::test]
async fn nobody_can_select_events_before_the_selection_is_known() {
    let scene = Scene::start().await;
    let topic = "lantime/other-1/io3/relay/a/events";
    let selected =
        |events: Value| json!({ "events": events, "confirmed": false, "since": "2026-02-10T09:45:48.000Z" });
    let event = "lantime/other-1/event/ntp-not-sync";
    scene.retain(event, &json!({ "triggered": false })).await;
    scene.retain(topic, &selected(json!("unknown"))).await;
    let mut script = Script::start("../node_red/form.mjs", scene.client.red.url());
    script.says("not known").await;
    scene.retain(topic, &selected(json!(["ntp-not-sync"]))).await;
    script.go_on();
    script.says("selected").await;
    scene.retain(topic, &selected(json!("unknown"))).await;
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn what_nobody_knows_now_is_shown_as_it_was_and_cannot_be_set() {
    let mut scene = Scene::start().await;
    let mut script = Script::start("../node_red/unreachable.mjs", scene.client.red.url());
    script.says("runs").await;
    scene.bridge.signal("KILL");
    script.go_on();
    script.says("does not run").await;
    scene.bridge = scene.site.start();
    script.go_on();
    script.says("runs again").await;
    scene.device(1).set_fault(Some(Fault::Unavailable));
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn the_form_says_whom_a_choice_reached_where_relays_cannot_be_distinguished() {
    let scene = Scene::of(ApiGeneration::V10).await;
    let mut script = Script::start("../node_red/together.mjs", scene.client.red.url());
    script.says("done").await;
}

#[tokio::test]
async fn the_end_of_a_failure_is_not_shown_as_a_failure() {
    let scene = Scene::start().await;
    let mut script = Script::start("../node_red/dead_letters.mjs", scene.client.red.url());
    script.says("there").await;
    for (id, more) in [
        ("1", json!({})),
        ("2", json!({ "repeats": 41 })),
        ("3", json!({ "repeats": 1, "recovered": true })),
    ] {
        let mut dead_letter = json!({
            "id": id,
            "at": "2026-02-10T09:45:48.000Z",
            "device": "sim-1",
            "operation": "poll",
            "error": { "kind": "timeout", "message": "too slow", "remedy": "look" },
        });
        let more = more.as_object().unwrap().clone();
        dead_letter.as_object_mut().unwrap().extend(more);
        let clients = Clients::of(scene.broker.address());
        clients
            .publish("lantime/dead-letter/sim-1", dead_letter.to_string(), &[])
            .await;
    }
    script.go_on();
    script.says("done").await;
}

#[tokio::test]
async fn a_command_is_kept_no_longer_than_somebody_waits_for_it() {
    let mut scene = Scene::start().await;
    let form = json!({ "device": "sim-1", "slot": "io4", "relay": "a", "events": [] });
    scene.client.red.send_form(&form).await;
    let topic = "lantime/sim-1/io4/relay/a/events/set";
    let is_command = |message: &Message| message.topic == topic && message.expiry == "45";
    scene
        .client
        .subscriber
        .until("the command", |messages| messages.iter().any(is_command))
        .await;
}

#[tokio::test]
async fn the_form_sets_the_events_of_a_relay_and_shows_what_is_refused() {
    let mut scene = Scene::start().await;
    let form =
        |slot, events: &[&str]| json!({ "device": "sim-1", "slot": slot, "relay": "a", "events": events });
    let selected = ["antenna-faulty", "ntp-not-sync"];
    let (status, reply) = scene.client.red.send_form(&form("io4", &selected)).await;
    assert_eq!((status, &reply["ok"]), (200, &json!(true)), "{reply}");
    assert_eq!(reply["result"]["events"], json!(selected));
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
    scene
        .shows("what was selected", |state| {
            state["chosen"]["sim-1/io4/a"] == json!(selected)
        })
        .await;

    let (status, reply) = scene.client.red.send_form(&form("io3", &selected)).await;
    assert_eq!((status, &reply["ok"]), (422, &json!(false)), "{reply}");
    let refusal = reply["error"]["message"].as_str().unwrap();
    assert!(refusal.contains("jumper"), "{refusal}");
    scene
        .shows("the dead letter", |state| {
            state["letters"][0]["id"] == reply["dead_letter"]
        })
        .await;

    let (status, _) = scene.client.red.send_form(&form("io4/relay/c", &selected)).await;
    assert_eq!(status, 400, "no level of a topic");
    let simple = form("io4", &[]).to_string();
    let (status, _) = scene.client.red.post("text/plain", simple).await;
    assert_eq!(status, 400, "what any site may have a browser send");
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
}

#[test]
fn the_flow_needs_nothing_but_node_red() {
    let nodes: Vec<Value> = serde_json::from_str(include_str!("../../deploy/node-red/flows.json")).unwrap();
    let used: BTreeSet<_> = nodes.iter().map(|node| node["type"].as_str().unwrap()).collect();
    let core = BTreeSet::from_iter(CORE.into_iter().chain(["tab"]));
    assert_eq!(used, core);
    let ids: BTreeSet<_> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), nodes.len(), "two nodes have one id");
    for node in nodes.iter().filter(|node| node["type"] == "mqtt in") {
        // What is retained must not go through a queue that is cut at the broker; what is not must not get lost.
        let name = node["name"].as_str().unwrap();
        let qos = if ["Replies", "Dead letters"].contains(&name) {
            "1"
        } else {
            "0"
        };
        assert_eq!(node["qos"], qos, "{name}");
    }
    for wire in nodes.iter().flat_map(|node| wires(&node["wires"])) {
        assert!(ids.contains(wire), "a wire leads nowhere: {wire}");
    }
}

fn wires(outputs: &Value) -> Vec<&str> {
    let outputs = outputs.as_array().into_iter().flatten();
    let targets = outputs.flat_map(|output| output.as_array().into_iter().flatten());
    targets.map(|target| target.as_str().unwrap()).collect()
}
