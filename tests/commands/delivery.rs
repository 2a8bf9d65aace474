//! Each command is carried out once, in order, and by the bridge that it is for.

use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use lantime2mqtt::simulator::{Action, Fault, Relay, SimulatedDevice};
use serde_json::{Value, json};

use crate::scene::{Scene, Seen, assert_says};
use crate::support::scene::Setup;
use crate::support::site::{Entry, Site};
use crate::support::wait;

const A: &str = "sim-1/io4/relay/a/events/set";
const TOPIC: &str = "lantime/sim-1/io4/relay/a/events/set";

#[tokio::test]
async fn the_same_command_again_gets_the_first_answer_and_is_not_carried_out() {
    let mut scene = Scene::start(&[V20]).await;
    let payload = r#"{"add":["ntp-stopped"],"id":"once"}"#;
    let first = scene.send(A, payload).await;
    assert_eq!(first["result"]["changed"], true);
    // If it ran again, it would change this back.
    let other = Action::RelayEvents {
        slot: "io4".to_owned(),
        relay: Relay::A,
        events: Vec::new(),
    };
    scene.device(1).apply(&other).unwrap();
    assert_eq!(scene.send(A, payload).await, first);
    let correlation = ["-D", "publish", "correlation-data", "second"];
    let reply = scene
        .clients()
        .request(TOPIC, "my/replies", payload, &correlation)
        .await;
    assert_eq!(
        (reply.json(), reply.correlation.as_str()),
        (first.clone(), "second")
    );
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
    assert!(scene.device(1).world().relay_events("io4", Relay::A).is_empty());

    // So it is for a refusal of its words, after a restart, and while the device could not be asked.
    let refusal = r#"{"add":"coffee-empty","id":"once"}"#;
    let refused = scene.send(A, refusal).await;
    assert_eq!(scene.send(A, refusal).await, refused);
    scene.stop().await;
    scene.start_again().await;
    assert_eq!(scene.send(A, payload).await, first);
    assert_eq!(scene.send(A, refusal).await, refused);
    scene.catch_up("sim-1").await;
    let dead_letters = scene.look(|seen| seen.refusals("sim-1").len());
    assert_eq!(dead_letters, 1, "reported once");
    scene.device(1).set_fault(Some(Fault::Unauthorized));
    scene
        .until("offline", |seen| seen.text("sim-1/state") == "offline")
        .await;
    assert_eq!(scene.send(A, payload).await, first);
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
}

#[tokio::test]
async fn another_payload_or_topic_is_another_command() {
    let mut scene = Scene::start(&[V20]).await;
    assert_eq!(
        scene.send(A, r#"{"add":["ntp-stopped"],"id":"once"}"#).await["ok"],
        true
    );
    let payload = r#"{"replace":["ntp-stopped","antenna-faulty"],"id":"once"}"#;
    let events = |reply: &Value| reply["result"]["events"].clone();
    assert_eq!(
        events(&scene.send(A, payload).await),
        json!(["antenna-faulty", "ntp-stopped"])
    );
    let reply = scene.send("sim-1/io4/relay/c/events/set", payload).await;
    assert_eq!(
        (&reply["result"]["relay"], events(&reply)),
        (&json!("c"), json!(["antenna-faulty", "ntp-stopped"]))
    );
    // Without an id each is a command of its own.
    for changed in [true, false] {
        let reply = scene.send(A, r#"{"replace":["ntp-stopped"]}"#).await;
        assert_eq!(reply["result"]["changed"], changed);
    }
}

#[tokio::test]
async fn a_command_that_was_refused_is_tried_again() {
    // Tried with each poll: none is in flight at the deadline.
    let entry = |device: &SimulatedDevice| {
        let entry = Entry::writable(device).with("poll", "2s");
        entry.with("command_timeout", "5s")
    };
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    let payload = r#"{"replace":[],"id":"again"}"#;
    scene.device(1).set_fault(Some(Fault::BusyConfiguration));
    scene.refused(A, payload, "busy").await;
    scene.device(1).set_fault(Some(Fault::ReadOnly));
    for _ in 0..2 {
        scene.refused(A, payload, "forbidden").await;
    }
    // As the refusal advises, the user gets the right to write.
    scene.device(1).set_fault(None);
    assert_eq!(scene.send(A, payload).await["result"]["changed"], true);
    scene.catch_up("sim-1").await;
    assert_eq!(scene.look(|seen| seen.refusals("sim-1").len()), 3);
}

#[tokio::test]
async fn commands_for_one_device_are_carried_out_in_order() {
    let mut scene = Scene::start(&[V20]).await;
    let changes = [
        json!({ "replace": ["ntp-stopped"] }),
        json!({ "add": ["antenna-faulty"] }),
        json!({ "remove": ["ntp-stopped"] }),
        json!({ "add": ["network-link-down", "ntp-stopped"] }),
        json!({ "replace": [] }),
        json!({ "add": ["ntp-not-sync"] }),
        json!({ "remove": ["ntp-stopped"], "add": ["system-reboot"] }),
    ];
    // Each line is a message.
    let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
    scene.clients().publish_lines(TOPIC, &lines).await;
    let count = changes.len();
    scene
        .until("all replies", |seen| seen.replies(A).len() == count)
        .await;
    let events = scene.look(|seen| {
        let replies = seen.replies(A).into_iter();
        Value::from_iter(replies.map(|reply| reply["result"]["events"].clone()))
    });
    let expected = json!([
        ["ntp-stopped"],
        ["antenna-faulty", "ntp-stopped"],
        ["antenna-faulty"],
        ["antenna-faulty", "network-link-down", "ntp-stopped"],
        [],
        ["ntp-not-sync"],
        ["ntp-not-sync", "system-reboot"],
    ]);
    assert_eq!(events, expected);
    let selected = scene.device(1).world().relay_events("io4", Relay::A);
    assert_eq!(Vec::from_iter(selected), ["ntp-not-sync", "system-reboot"]);
}

#[tokio::test]
async fn refresh_polls_at_once() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V10]).entries(entry)).await;
    let payloads = ["", "now", r#"{"id":"third"}"#];
    for (event, payload) in ["network-link-down", "ntp-stopped", "system-reboot"]
        .into_iter()
        .zip(payloads)
    {
        let documents = scene.device(1).counters().documents;
        scene
            .device(1)
            .apply(&Action::FireEvent(event.to_owned()))
            .unwrap();
        let reply = scene.send("sim-1/refresh", payload).await;
        assert_eq!(
            (&reply["ok"], &reply["command"]),
            (&json!(true), &json!("refresh"))
        );
        let polled_at = reply["result"]["polled_at"].as_str().unwrap();
        assert!(polled_at.parse::<jiff::Timestamp>().is_ok(), "{polled_at}");
        assert_eq!(reply["id"] == "third", event == "system-reboot");
        assert_eq!(scene.device(1).counters().documents, documents + 1);
        let topic = format!("sim-1/event/{event}");
        scene
            .until(event, |seen| seen.json(&topic)["triggered"] == true)
            .await;
    }
}

#[tokio::test]
async fn what_is_sent_while_no_bridge_runs_is_carried_out_when_it_is_back() {
    for version in ["5", "3.1.1"] {
        let mut scene =
            Scene::of(Setup::redundant(&[V20]).site(|site| site.with("mqtt.version", version))).await;
        for (number, signal) in ["TERM", "KILL"].into_iter().enumerate() {
            scene.end(signal).await;
            let payload = json!({ "replace": [if number == 0 { "ntp-stopped" } else { "antenna-faulty" }] });
            scene.clients().publish(TOPIC, payload.to_string(), &[]).await;
            scene.start_again().await;
            // After a kill a record may come twice, as the same record.
            let replies = |seen: Seen<'_>| {
                let mut replies = seen.replies(A);
                replies.dedup();
                replies
            };
            scene
                .until("its reply", |seen| replies(seen).len() > number)
                .await;
            let reply = scene.look(|seen| replies(seen)[number].clone());
            assert_eq!(
                reply["result"]["events"], payload["replace"],
                "{version}, {signal}: {reply}"
            );
            scene.catch_up("sim-1").await;
            assert_eq!(scene.look(|seen| replies(seen).len()), number + 1);
        }
    }
}

#[tokio::test]
async fn a_device_that_leaves_takes_its_commands_with_it() {
    let mut scene = Scene::start(&[V20, V20]).await;
    scene.device(1).set_fault(Some(Fault::Hang));
    let requests = scene.device(1).counters().requests;
    for id in ["begun", "waiting"] {
        let payload = json!({ "replace": [], "id": id }).to_string();
        scene.clients().publish(TOPIC, payload, &[]).await;
    }
    wait::until("a request", async || {
        scene.device(1).counters().requests > requests
    })
    .await;
    // All devices' commands come in order, so these are on disk.
    scene.catch_up("sim-2").await;
    let stays = Entry::writable(scene.device(2));
    scene.site = scene.site.devices(&[stays]);
    scene.bridge.signal("HUP");
    scene
        .until("both refusals", |seen| seen.refusals("sim-1").len() == 2)
        .await;
    for dead_letter in scene.look(|seen| seen.refusals("sim-1")) {
        assert_eq!(dead_letter["error"]["kind"], "not-found");
        assert_says(&dead_letter, &["this bridge has no device sim-1"]);
    }
    assert_eq!(scene.look(|seen| seen.replies(A).len()), 2);
    scene
        .until("cleared", |seen| seen.text("sim-1/state").is_empty())
        .await;
    // From now on nobody takes them.
    scene.clients().publish(TOPIC, r#"{"replace":[]}"#, &[]).await;
    scene.catch_up("sim-2").await;
    let seen = scene.look(|seen| (seen.replies(A).len(), seen.refusals("sim-1").len()));
    assert_eq!(seen, (2, 2));
    assert_eq!(scene.device(1).counters().configuration_writes, 0);
    // And when it is back they are, again.
    scene.device(1).set_fault(None);
    scene.site = scene
        .site
        .devices(&[1, 2].map(|number| Entry::writable(&scene.fleet.devices()[number - 1])));
    scene.bridge.signal("HUP");
    scene
        .until("back", |seen| seen.text("sim-1/state") == "online")
        .await;
    assert_eq!(scene.send(A, r#"{"replace":[]}"#).await["ok"], true);
}

#[tokio::test]
async fn two_bridges_under_one_prefix_take_their_own() {
    let mut scene = Scene::start(&[V20]).await;
    let others = Setup::redundant(&[V20, V20]).fleet().await;
    // Both number their devices from 1.
    let entry = Entry::writable(&others.devices()[1]);
    let site = Site::new(scene.broker.address(), &[entry]).with("bridge.id", "other");
    let other = site.start();
    site.takes_commands().await;
    scene
        .until("the other one", |seen| seen.text("sim-2/state") == "online")
        .await;
    let theirs = "sim-2/io4/relay/a/events/set";
    for (topic, mine, their) in [(A, 1, 0), (theirs, 1, 1)] {
        let reply = scene.send(topic, r#"{"replace":[]}"#).await;
        assert_eq!(reply["ok"], true, "{reply}");
        let writes = |device: &SimulatedDevice| device.counters().configuration_writes;
        assert_eq!(
            [writes(scene.device(1)), writes(&others.devices()[1])],
            [mine, their]
        );
    }
    // A dead letter of one is not replayed by the other.
    let dead_letter = scene
        .refused(A, r#"{"replace":["coffee-empty"]}"#, "rejected")
        .await;
    let payload = json!({ "id": dead_letter["id"] }).to_string();
    let replay = "bridge/other/dead-letters/replay";
    let reply = scene.send(replay, &payload).await;
    assert_eq!(reply["error"]["kind"], "not-found", "{reply}");
    scene.catch_up("sim-1").await;
    scene.catch_up("sim-2").await;
    scene.look(|seen| {
        assert_eq!(
            (
                seen.replies(A).len(),
                seen.replies(theirs).len(),
                seen.replies(replay).len()
            ),
            (2, 1, 1)
        );
        let dead_letters = seen.dead_letters("bridge");
        assert_eq!(
            (dead_letters.len(), &dead_letters[0]["bridge"]),
            (1, &json!("other"))
        );
    });
    assert_eq!(other.stop("TERM").await.code, Some(0));
}
