//! What goes wrong is reported once, kept, and can be run again: over MQTT, and from the command line.

use lantime2mqtt::simulator::ApiGeneration::{V10, V20};
use lantime2mqtt::simulator::{Action, Fault, Relay, SimulatedDevice};
use serde_json::{Value, json};

use crate::scene::{Scene, assert_says};
use crate::support::clients::Message;
use crate::support::program::{End, run};
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;

const A: &str = "sim-1/io4/relay/a/events/set";
const REPLAY: &str = "bridge/test/dead-letters/replay";
const REPLACE: &str = r#"{"replace":["antenna-faulty"]}"#;

/// Gives a command up after a second.
fn hasty(device: &SimulatedDevice) -> Entry {
    Entry::writable(device)
        .with("command_timeout", "1s")
        .with("timeout", "300ms")
}

fn of(dead_letter: &Value) -> String {
    json!({ "id": dead_letter["id"] }).to_string()
}

impl Scene {
    /// Somebody else lets no event switch relay A.
    fn undo(&self) {
        let nothing = Action::RelayEvents {
            slot: "io4".to_owned(),
            relay: Relay::A,
            events: Vec::new(),
        };
        self.device(1).apply(&nothing).unwrap();
    }

    fn has_antenna(&self) -> bool {
        let selected = self.device(1).world().relay_events("io4", Relay::A);
        Vec::from_iter(selected) == ["antenna-faulty"]
    }

    /// Sends a command while the device hangs, and lets the device go on. Gives the dead letter.
    async fn lost_to_a_hanging_device(&mut self) -> Value {
        self.device(1).set_fault(Some(Fault::Hang));
        let dead_letter = self.refused(A, REPLACE, "timeout").await;
        self.device(1).set_fault(None);
        self.until("back", |seen| {
            seen.text("sim-1/state") == "online" && seen.text("sim-1/error").is_empty()
        })
        .await;
        dead_letter
    }

    async fn command_line(&self, arguments: &[&str]) -> End {
        let config = self.site.config().display().to_string();
        run(&[&["dead-letters"], arguments, &["--config", &config]].concat()).await
    }

    /// What the command line prints when it succeeds.
    async fn printed(&self, arguments: &[&str]) -> String {
        let end = self.command_line(arguments).await;
        assert_eq!(end.code, Some(0), "{arguments:?}: {:?}", end.output);
        end.output.stdout
    }
}

#[tokio::test]
async fn a_command_that_was_refused_for_a_passing_reason_is_run_again_over_mqtt() {
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(hasty)).await;
    let dead_letter = scene.lost_to_a_hanging_device().await;
    let reply = scene.send(REPLAY, &of(&dead_letter)).await;
    let result = json!({
        "dead_letter": dead_letter["id"],
        "topic": format!("lantime/{A}"),
        "command": "relay-events",
        "result": {
            "slot": "io4", "relay": "a", "events": ["antenna-faulty"], "changed": true,
            "applies_to": [{ "slot": "io4", "relay": "a" }], "via": "rest",
        },
    });
    assert_eq!(
        reply,
        json!({ "id": dead_letter["id"], "ok": true, "command": "replay", "result": result })
    );
    assert!(scene.has_antenna());
    // It runs again each time.
    scene.undo();
    let topic = format!("lantime/{REPLAY}");
    let reply = scene
        .clients()
        .request(&topic, "my/replies", &of(&dead_letter), &[])
        .await;
    assert_eq!(reply.json()["result"]["result"]["changed"], true, "{reply:?}");
    assert!(scene.has_antenna());
    // The command's own reply was the refusal, and there is no other dead letter.
    scene.catch_up("sim-1").await;
    let seen = scene.look(|seen| {
        (
            seen.replies(A).len(),
            seen.refusals("sim-1").len(),
            seen.dead_letters("bridge").len(),
        )
    });
    assert_eq!(seen, (1, 1, 0));
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::NotFound));
    scene
        .until("a failed poll", |seen| !seen.dead_letters("sim-1").is_empty())
        .await;
    scene.device(1).set_fault(None);
    let poll = scene.look(|seen| seen.dead_letters("sim-1")[0].clone());
    let unknown = json!({ "id": "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59" });
    let cases = [
        (
            of(&poll),
            "rejected",
            &["about no command", "that have an origin"][..],
        ),
        (
            unknown.to_string(),
            "not-found",
            &[
                "no dead letter",
                "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a59",
                "dead-letters list",
            ],
        ),
        (
            r#"{"id":"last"}"#.to_owned(),
            "rejected",
            &["\"last\" is not the id", "dead-letters list"],
        ),
        ("{}".to_owned(), "decode", &["does not name a dead letter"]),
        (String::new(), "decode", &["empty"]),
    ];
    for (payload, kind, parts) in &cases {
        let dead_letter = scene.refused(REPLAY, payload, kind).await;
        assert_says(&dead_letter, parts);
        assert!(dead_letter.get("device").is_none());
    }
    let replay = scene.look(|seen| seen.dead_letters("bridge")[0].clone());
    let reply = scene.send(REPLAY, &of(&replay)).await;
    assert_says(&reply, &["itself a replay"]);

    // A replay that fails again leaves a dead letter that can be replayed as well as the first.
    let first = scene
        .refused("sim-1/io4/relay/b/events/set", REPLACE, "rejected")
        .await;
    let reply = scene.send(REPLAY, &of(&first)).await;
    assert_eq!(
        (&reply["ok"], &reply["command"], &reply["id"]),
        (&json!(false), &json!("replay"), &first["id"])
    );
    assert_eq!(reply["error"], first["error"]);
    scene
        .until("the second dead letter", |seen| seen.refusals("sim-1").len() == 2)
        .await;
    let second = scene.look(|seen| seen.refusals("sim-1")[1].clone());
    assert_eq!(
        (&second["origin"], &second["operation"]),
        (&first["origin"], &json!("relay-events"))
    );
    assert_ne!(second["id"], first["id"]);
    scene.catch_up("sim-1").await;
    let seen = scene.look(|seen| {
        (
            seen.replies(REPLAY).len(),
            seen.dead_letters("bridge").len(),
            seen.refusals("sim-1").len(),
        )
    });
    assert_eq!(seen, (cases.len() + 2, cases.len() + 1, 2));
    assert_eq!(scene.device(1).counters().configuration_writes, 0);
}

#[tokio::test]
async fn the_command_line_finds_them_while_the_bridge_runs_and_after() {
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(hasty)).await;
    let dead_letter = scene.lost_to_a_hanging_device().await;
    let id = dead_letter["id"].as_str().unwrap().to_owned();
    let json = |text: &str| serde_json::from_str::<Value>(text.trim_end()).unwrap();
    let finds = async |scene: &Scene| {
        let list = scene.printed(&["list", "--json"]).await;
        let line = list
            .lines()
            .map(json)
            .find(|line| line["id"] == dead_letter["id"])
            .unwrap();
        assert_eq!(
            (&line["kind"], &line["topic"]),
            (&json!("timeout"), &dead_letter["origin"]["topic"])
        );
        assert_eq!(json(&scene.printed(&["show", &id, "--json"]).await), dead_letter);
    };
    finds(&scene).await;
    assert!(scene.printed(&["replay", &id]).await.starts_with("carried out"));
    assert!(scene.has_antenna());
    scene.stop().await;
    finds(&scene).await;

    scene.undo();
    assert!(scene.printed(&["replay", &id]).await.contains("next start"));
    let end = scene.command_line(&["drop", "--all"]).await;
    assert!(
        end.code == Some(1) && end.output.stderr.contains(&id),
        "{:?}",
        end.output
    );
    scene.start_again().await;
    wait::until("the replay", async || scene.has_antenna()).await;
    scene.catch_up("sim-1").await;
    let seen = scene.look(|seen| (seen.replies(REPLAY).len(), seen.replies(A).len()));
    assert_eq!(seen, (0, 1), "who asks on this machine gets no reply over MQTT");

    let dropped = scene.printed(&["drop", &id, "--json"]).await;
    assert_eq!(json(&dropped), json!({ "dropped": 1 }));
    scene.refused(REPLAY, &of(&dead_letter), "not-found").await;
    scene.stop().await;
    assert_eq!(scene.command_line(&["show", &id]).await.code, Some(1));
}

#[tokio::test]
async fn a_device_that_dies_is_reported_once() {
    let mut scene = Scene::start(&[V10, V20]).await;
    let mut ids = Vec::new();
    for fault in [Fault::Unavailable, Fault::WrongJson] {
        let device = scene.device(1);
        let enough = device.counters().requests + 6;
        device.set_fault(Some(fault));
        wait::until("failed polls", async || device.counters().requests >= enough).await;
        scene
            .until("offline", |seen| seen.text("sim-1/state") == "offline")
            .await;
        ids.push(scene.look(|seen| seen.json("sim-1/error")["id"].clone()));
        scene.device(1).set_fault(None);
        scene
            .until("back", |seen| {
                seen.text("sim-1/state") == "online" && seen.text("sim-1/error").is_empty()
            })
            .await;
    }
    scene.catch_up("sim-1").await;
    let dead_letters = scene.look(|seen| seen.dead_letters("sim-1"));
    assert_eq!(
        dead_letters.len(),
        1,
        "a flapping device neither: {dead_letters:#?}"
    );
    let dead_letter = &dead_letters[0];
    assert_eq!(ids, [dead_letter["id"].clone(), dead_letter["id"].clone()]);
    assert_eq!(
        (
            &dead_letter["operation"],
            &dead_letter["error"]["kind"],
            &dead_letter["error"]["http_status"]
        ),
        (&json!("poll"), &json!("http-status"), &json!(503))
    );
    assert_says(dead_letter, &["503", "the device is busy"]);
    assert_eq!(
        (
            &dead_letter["device"],
            &dead_letter["bridge"],
            &dead_letter["attempts"]
        ),
        (&json!("sim-1"), &json!("test"), &json!(1))
    );
    assert!(dead_letter.get("origin").is_none() && dead_letter.get("repeats").is_none());
    assert!(
        scene.look(|seen| seen.dead_letters("sim-2")).is_empty(),
        "the other one is well"
    );
}

#[tokio::test]
async fn a_device_that_stays_dead_is_not_reported_again_by_each_start_of_the_bridge() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::Unavailable));
    let stands = |message: &&Message| !message.payload.is_empty();
    let errors = |scene: &Scene| {
        scene.look(|seen| {
            let messages = seen.at("sim-1/error").filter(stands);
            messages.map(Message::json).collect::<Vec<_>>()
        })
    };
    scene
        .until("reported", |seen| {
            seen.text("sim-1/state") == "offline" && !seen.dead_letters("sim-1").is_empty()
        })
        .await;
    for signal in ["KILL", "TERM"] {
        scene.end(signal).await;
        let before = errors(&scene).len();
        let enough = scene.device(1).counters().requests + 4;
        scene.bridge = scene.site.start();
        let device = scene.device(1);
        wait::until("failed polls", async || device.counters().requests >= enough).await;
        scene
            .until("the error of the new run", |seen| {
                seen.at("sim-1/error").filter(stands).count() > before
            })
            .await;
    }
    // Records go out in order: what was reported before this reply is there.
    scene.send(REPLAY, "{}").await;
    // After a kill a record may come twice, as the same record.
    let mut dead_letters = scene.look(|seen| seen.dead_letters("sim-1"));
    dead_letters.dedup();
    assert_eq!(dead_letters.len(), 1, "{dead_letters:#?}");
    let errors = errors(&scene);
    assert!(errors.len() >= 3, "{errors:#?}");
    assert!(
        errors.iter().all(|error| error["id"] == dead_letters[0]["id"]),
        "{errors:#?}"
    );
}
