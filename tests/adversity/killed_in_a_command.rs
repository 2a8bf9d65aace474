//! The bridge is killed at each step of a command, and again and again at the same one: each command is carried out once
//! in effect and answered, or is a dead letter.

use std::collections::HashSet;

use lantime2mqtt::simulator::ApiGeneration;
use serde_json::json as value;

use crate::scene::{Scene, choice, json, replies, selected, set_topic};
use crate::support::PATIENCE;
use crate::support::program::Program;
use crate::support::requester::Properties;

/// See `src/fault_point.rs`.
const STEPS: [&str; 6] = [
    "received",
    "in-the-inbox",
    "acknowledged",
    "written",
    "read-back",
    "reply-stored",
];
const ABORT_AT: &str = "LANTIME2MQTT_ABORT_AT";

fn abort_at(scene: &Scene, step: &str) -> Program {
    scene.site.start_with(&[], &[(ABORT_AT, step)])
}

async fn at_every_step(scene: &mut Scene, answers_elsewhere: bool) {
    let mut number = 0;
    for step in STEPS {
        for id in [Some(step), None] {
            number += 1;
            one_step(scene, step, id, number, answers_elsewhere && id.is_none()).await;
        }
    }
}

/// The bridge is killed at `step` of a command, and started again.
async fn one_step(scene: &mut Scene, step: &str, id: Option<&str>, number: usize, elsewhere: bool) {
    let case = format!("{step}, id {id:?}");
    let (before, already) = (scene.device().counters(), scene.client.received().len());
    let bridge = abort_at(scene, step);
    let events = choice(number);
    let mut payload = value!({ "replace": events });
    if let Some(id) = id {
        payload["id"] = id.into();
    }
    let answers = format!("answers/{number}");
    let correlation = format!("to {number}");
    let properties = Properties {
        respond: elsewhere.then(|| (answers.clone(), correlation.clone().into())),
        ..Properties::default()
    };
    let topic = set_topic("sim-1");
    scene
        .client
        .send_with(&topic, payload.to_string(), properties)
        .await;
    let end = bridge.end(PATIENCE).await;
    assert_eq!(
        end.code, None,
        "{case}: it was to be killed there; {}",
        end.output.stderr
    );

    let bridge = scene.site.start();
    let what = format!("{case}: the reply");
    let replied = scene.client.until(&what, |messages| {
        !replies(&messages[already..], &answers).is_empty()
    });
    replied.await;
    scene.settle("sim-1").await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0), "{case}");

    let after = scene.device().counters();
    assert_eq!(selected(scene.device()), events, "{case}");
    assert_eq!(scene.device().world().pending_changes(), 0, "{case}");
    assert_eq!(
        after.configuration_writes - before.configuration_writes,
        1,
        "{case}: writes"
    );
    assert_eq!(after.applies - before.applies, 1, "{case}: applies");
    let messages = scene.client.received().split_off(already);
    let dead_letters = messages
        .iter()
        .filter(|message| message.topic.starts_with("lantime/dead-letter/"));
    assert_eq!(dead_letters.count(), 0, "{case}: {messages:?}");
    let replies = replies(&messages, &answers);
    for reply in &replies {
        let correlation = elsewhere.then_some(correlation.as_bytes());
        assert_eq!(reply.correlation.as_deref(), correlation, "{case}");
        let reply = json(reply);
        assert_eq!(reply["ok"], true, "{case}: {reply}");
        assert_eq!(reply["result"]["events"], value!(events), "{case}: {reply}");
    }
    // The broker gives a command again that was stored, but not acknowledged. With an id it gets the same answer,
    // without one it is another command.
    match id {
        Some(id) => {
            assert_eq!(json(&replies[0])["id"], id, "{case}");
            assert!(
                replies.iter().all(|reply| reply.payload == replies[0].payload),
                "{case}: {replies:?}"
            );
        }
        // A record may come twice, as the same record.
        None => {
            let different: HashSet<_> = replies.iter().map(|reply| &reply.payload).collect();
            let expected = if step == "in-the-inbox" { 2 } else { 1 };
            assert_eq!(different.len(), expected, "{case}: {replies:?}");
        }
    }
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_carried_out_once_and_answered_wherever_the_bridge_dies() {
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    scene.run_once().await;
    at_every_step(&mut scene, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_mqtt_3_and_relays_that_the_device_cannot_distinguish_likewise() {
    let mut scene = Scene::new(1, ApiGeneration::V10).await;
    scene.site = scene.site.with("mqtt.version", "3.1.1");
    scene.run_once().await;
    at_every_step(&mut scene, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_kills_the_bridge_each_time_is_given_up_as_a_dead_letter() {
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    scene.run_once().await;
    let payload = value!({ "id": "deadly", "replace": choice(1) }).to_string();
    let mut bridge = abort_at(&scene, "read-back");
    scene.client.send(&set_topic("sim-1"), payload.clone()).await;
    for _ in 0..4 {
        assert_eq!(bridge.end(PATIENCE).await.code, None);
        bridge = abort_at(&scene, "read-back");
    }
    assert_eq!(bridge.end(PATIENCE).await.code, None);
    let bridge = abort_at(&scene, "read-back");
    let reported = scene.client.until("the reply and the dead letter", |messages| {
        messages
            .iter()
            .any(|message| message.topic == "lantime/dead-letter/sim-1")
            && !replies(messages, "").is_empty()
    });
    let messages = reported.await;
    let reply = json(&replies(&messages, "")[0]);
    assert_eq!(
        (&reply["ok"], &reply["error"]["kind"]),
        (&value!(false), &value!("internal")),
        "{reply}"
    );
    let dead_letter = messages
        .iter()
        .find(|message| message.topic.starts_with("lantime/dead-letter/"));
    let dead_letter = json(dead_letter.expect("it has come"));
    assert_eq!(
        (&dead_letter["operation"], &dead_letter["attempts"]),
        (&value!("relay-events"), &value!(5)),
        "{dead_letter}"
    );
    assert_eq!(dead_letter["origin"]["payload"], payload, "{dead_letter}");
    scene.settle("sim-1").await;
    assert_eq!(
        scene.device().counters().configuration_writes,
        1,
        "five attempts, one change"
    );
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
    scene.nothing_is_left().await;
}
