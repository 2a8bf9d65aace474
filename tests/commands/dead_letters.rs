//! What goes wrong is told once, kept, and can be run again: over MQTT, and from the command line.

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

fn of(letter: &Value) -> String {
    json!({ "id": letter["id"] }).to_string()
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
        let chosen = self.device(1).world().relay_events("io4", Relay::A);
        Vec::from_iter(chosen) == ["antenna-faulty"]
    }

    /// Sends a command while the device hangs, and lets the device go on. Gives the dead letter.
    async fn lost_to_a_hanging_device(&mut self) -> Value {
        self.device(1).set_fault(Some(Fault::Hang));
        let letter = self.refused(A, REPLACE, "timeout").await;
        self.device(1).set_fault(None);
        self.until("back", |seen| {
            seen.text("sim-1/state") == "online" && seen.text("sim-1/error").is_empty()
        })
        .await;
        letter
    }

    async fn command_line(&self, arguments: &[&str]) -> End {
        let config = self.site.config().display().to_string();
        run(&[&["dead-letters"], arguments, &["--config", &config]].concat()).await
    }

    /// What the command line prints when it succeeds.
    async fn told(&self, arguments: &[&str]) -> String {
        let end = self.command_line(arguments).await;
        assert_eq!(end.code, Some(0), "{arguments:?}: {:?}", end.output);
        end.output.stdout
    }
}

#[tokio::test]
async fn a_command_that_was_refused_for_a_passing_reason_is_run_again_over_mqtt() {
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(hasty)).await;
    let letter = scene.lost_to_a_hanging_device().await;
    let reply = scene.send(REPLAY, &of(&letter)).await;
    let result = json!({
        "dead_letter": letter["id"],
        "topic": format!("lantime/{A}"),
        "command": "relay-events",
        "result": {
            "slot": "io4", "relay": "a", "events": ["antenna-faulty"], "changed": true,
            "applies_to": [{ "slot": "io4", "relay": "a" }], "via": "rest",
        },
    });
    assert_eq!(
        reply,
        json!({ "id": letter["id"], "ok": true, "command": "replay", "result": result })
    );
    assert!(scene.has_antenna());
    // It runs anew each time.
    scene.undo();
    let topic = format!("lantime/{REPLAY}");
    let reply = scene
        .clients()
        .request(&topic, "my/replies", &of(&letter), &[])
        .await;
    assert_eq!(reply.json()["result"]["result"]["changed"], true, "{reply:?}");
    assert!(scene.has_antenna());
    // The command's own reply was the refusal, and there is no other letter.
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
        let letter = scene.refused(REPLAY, payload, kind).await;
        assert_says(&letter, parts);
        assert!(letter.get("device").is_none());
    }
    let replay = scene.look(|seen| seen.dead_letters("bridge")[0].clone());
    let reply = scene.send(REPLAY, &of(&replay)).await;
    assert_says(&reply, &["itself a replay"]);

    // A replay that fails again leaves a letter that can be replayed as well as the first.
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
        .until("the second letter", |seen| seen.refusals("sim-1").len() == 2)
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
    let letter = scene.lost_to_a_hanging_device().await;
    let id = letter["id"].as_str().unwrap().to_owned();
    let json = |text: &str| serde_json::from_str::<Value>(text.trim_end()).unwrap();
    let finds = async |scene: &Scene| {
        let list = scene.told(&["list", "--json"]).await;
        let line = list
            .lines()
            .map(json)
            .find(|line| line["id"] == letter["id"])
            .unwrap();
        assert_eq!(
            (&line["kind"], &line["topic"]),
            (&json!("timeout"), &letter["origin"]["topic"])
        );
        assert_eq!(json(&scene.told(&["show", &id, "--json"]).await), letter);
    };
    finds(&scene).await;
    assert!(scene.told(&["replay", &id]).await.starts_with("carried out"));
    assert!(scene.has_antenna());
    scene.stop().await;
    finds(&scene).await;

    scene.undo();
    assert!(scene.told(&["replay", &id]).await.contains("next start"));
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

    let dropped = scene.told(&["drop", &id, "--json"]).await;
    assert_eq!(json(&dropped), json!({ "dropped": 1 }));
    scene.refused(REPLAY, &of(&letter), "not-found").await;
    scene.stop().await;
    assert_eq!(scene.command_line(&["show", &id]).await.code, Some(1));
}

#[tokio::test]
async fn a_device_that_dies_is_told_once() {
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
    let letters = scene.look(|seen| seen.dead_letters("sim-1"));
    assert_eq!(letters.len(), 1, "a flapping device neither: {letters:#?}");
    let letter = &letters[0];
    assert_eq!(ids, [letter["id"].clone(), letter["id"].clone()]);
    assert_eq!(
        (
            &letter["operation"],
            &letter["error"]["kind"],
            &letter["error"]["http_status"]
        ),
        (&json!("poll"), &json!("http-status"), &json!(503))
    );
    assert_says(letter, &["503", "the device is busy"]);
    assert_eq!(
        (&letter["device"], &letter["bridge"], &letter["attempts"]),
        (&json!("sim-1"), &json!("test"), &json!(1))
    );
    assert!(letter.get("origin").is_none() && letter.get("repeats").is_none());
    assert!(
        scene.look(|seen| seen.dead_letters("sim-2")).is_empty(),
        "the other one is well"
    );
}

#[tokio::test]
async fn a_device_that_stays_dead_is_not_told_again_by_each_start_of_the_bridge() {
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
        .until("told", |seen| {
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
    // Records go out in order: what was told before this reply is there.
    scene.send(REPLAY, "{}").await;
    // After a kill a record may come twice, as the same record.
    let mut letters = scene.look(|seen| seen.dead_letters("sim-1"));
    letters.dedup();
    assert_eq!(letters.len(), 1, "{letters:#?}");
    let errors = errors(&scene);
    assert!(errors.len() >= 3, "{errors:#?}");
    assert!(
        errors.iter().all(|error| error["id"] == letters[0]["id"]),
        "{errors:#?}"
    );
}
