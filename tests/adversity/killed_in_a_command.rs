//! The bridge is killed at each step of a command, again and again at the same one, at any moment, and is stopped in
//! the middle of one: each command is carried out once in effect and answered, or is a dead letter.

use std::collections::BTreeSet;
use std::time::Duration;

use lantime2mqtt::simulator::{ApiGeneration, Fault};
use serde_json::json as value;

use crate::common::PATIENCE;
use crate::common::program::Program;
use crate::common::requester::{Message, Properties};
use crate::eventually;
use crate::scene::{Scene, chosen, json, set_topic};

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

/// Events that every device has, without counterparts, and that may switch a relay.
const EVENTS: [&str; 5] = [
    "ntp-stopped",
    "sync-monitor",
    "system-reboot",
    "https-certificate-expired",
    "https-certificate-expire-warning",
];

/// A choice of events that differs from the one before and the one after.
fn choice(number: usize) -> BTreeSet<&'static str> {
    [number, number + 1, number + 2 + number / 5]
        .map(|event| EVENTS[event % EVENTS.len()])
        .into()
}

fn abort_at(scene: &Scene, step: &str) -> Program {
    scene.site.start_with(&[], &[(ABORT_AT, step)])
}

/// The replies to commands for `sim-1`, at their own topic and at that of the answers.
fn replies(messages: &[Message], answers: &str) -> Vec<Message> {
    let own = format!("{}/reply", set_topic("sim-1"));
    let is_reply = |message: &&Message| message.topic == own || message.topic == answers;
    messages.iter().filter(is_reply).cloned().collect()
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
    let (before, already) = (scene.device().counters(), scene.requester.received().len());
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
        .requester
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
    let replied = scene.requester.until(&what, |messages| {
        !replies(&messages[already..], &answers).is_empty()
    });
    replied.await;
    scene.settle("sim-1").await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0), "{case}");

    let after = scene.device().counters();
    assert_eq!(chosen(scene.device()), events, "{case}");
    assert_eq!(scene.device().world().pending_changes(), 0, "{case}");
    assert_eq!(
        after.configuration_writes - before.configuration_writes,
        1,
        "{case}: writes"
    );
    assert_eq!(after.applies - before.applies, 1, "{case}: applies");
    let messages = scene.requester.received().split_off(already);
    let letters = messages
        .iter()
        .filter(|message| message.topic.starts_with("lantime/dead-letter/"));
    assert_eq!(letters.count(), 0, "{case}: {messages:?}");
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
        None if step == "in-the-inbox" => assert_eq!(replies.len(), 2, "{case}: {replies:?}"),
        None => assert_eq!(replies.len(), 1, "{case}: {replies:?}"),
    }
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_carried_out_once_and_answered_wherever_the_bridge_dies() {
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    prepare(&mut scene).await;
    at_every_step(&mut scene, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_mqtt_3_and_relays_that_the_device_cannot_tell_apart_likewise() {
    let mut scene = Scene::new(1, ApiGeneration::V10).await;
    scene.site = scene.site.with("mqtt.version", "3.1.1");
    prepare(&mut scene).await;
    at_every_step(&mut scene, false).await;
}

/// A first run, by which the broker knows the session in which commands wait.
async fn prepare(scene: &mut Scene) {
    let bridge = scene.site.start();
    scene.settle("sim-1").await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_kills_the_bridge_each_time_is_given_up_as_a_dead_letter() {
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    prepare(&mut scene).await;
    let payload = value!({ "id": "deadly", "replace": choice(1) }).to_string();
    let mut bridge = abort_at(&scene, "read-back");
    scene.requester.send(&set_topic("sim-1"), payload.clone()).await;
    for _ in 0..4 {
        assert_eq!(bridge.end(PATIENCE).await.code, None);
        bridge = abort_at(&scene, "read-back");
    }
    assert_eq!(bridge.end(PATIENCE).await.code, None);
    let bridge = abort_at(&scene, "read-back");
    let told = scene
        .requester
        .until("the reply and the dead letter", |messages| {
            messages
                .iter()
                .any(|message| message.topic == "lantime/dead-letter/sim-1")
                && !replies(messages, "").is_empty()
        });
    let messages = told.await;
    let reply = json(&replies(&messages, "")[0]);
    assert_eq!(
        (&reply["ok"], &reply["error"]["kind"]),
        (&value!(false), &value!("internal")),
        "{reply}"
    );
    let letter = messages
        .iter()
        .find(|message| message.topic.starts_with("lantime/dead-letter/"));
    let letter = json(letter.expect("it has come"));
    assert_eq!(
        (&letter["operation"], &letter["attempts"]),
        (&value!("relay-events"), &value!(5)),
        "{letter}"
    );
    assert_eq!(letter["origin"]["payload"], payload, "{letter}");
    scene.settle("sim-1").await;
    assert_eq!(
        scene.device().counters().configuration_writes,
        1,
        "five attempts, one change"
    );
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_moment_to_kill_the_bridge_loses_a_command() {
    const ROUNDS: usize = 20;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    prepare(&mut scene).await;
    let before = scene.device().counters();
    for round in 0..ROUNDS {
        let bridge = scene.site.start();
        let payload = value!({ "id": format!("round {round}"), "replace": choice(round) });
        scene
            .requester
            .send(&set_topic("sim-1"), payload.to_string())
            .await;
        // Sometimes before it has connected, mostly while it works.
        tokio::time::sleep(Duration::from_millis(random.u64(0..600))).await;
        assert_eq!(bridge.stop("KILL").await.code, None);
    }
    let bridge = scene.site.start();
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        let id = format!("round {round}");
        let is_it = |message: &Message| json(message)["id"] == *id;
        let replied = scene
            .requester
            .until(&id, |messages| replies(messages, "").iter().any(is_it))
            .await;
        let mut replies = replies(&replied, "").into_iter().filter(is_it);
        let first = replies.next().expect("it has come");
        assert!(
            replies.all(|reply| reply.payload == first.payload),
            "{id}: answered in two ways"
        );
        answers.push(json(&first));
    }
    scene.settle("sim-1").await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));

    // What came in a flood, after kills in a row, may have been refused; and that is a dead letter.
    let letters: Vec<_> = scene
        .requester
        .received()
        .iter()
        .filter(|m| m.topic.starts_with("lantime/dead-letter/"))
        .map(json)
        .collect();
    let mut done = 0;
    let mut last = None;
    for (round, answer) in answers.iter().enumerate() {
        if answer["ok"] == true {
            (done, last) = (done + 1, Some(round));
            continue;
        }
        assert_eq!(answer["error"]["kind"], "busy", "{answer}");
        let payload = value!({ "id": format!("round {round}"), "replace": choice(round) }).to_string();
        assert!(
            letters
                .iter()
                .any(|letter| letter["origin"]["payload"] == payload),
            "{answer}"
        );
    }
    println!("{done} of {ROUNDS} carried out");
    assert_eq!(
        chosen(scene.device()),
        choice(last.expect("some were carried out"))
    );
    assert_eq!(scene.device().world().pending_changes(), 0);
    let after = scene.device().counters();
    assert_eq!(
        after.configuration_writes - before.configuration_writes,
        done,
        "each is written once"
    );
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_a_command_leaves_it_to_the_next_run() {
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    prepare(&mut scene).await;
    for (number, fault) in [Fault::HangOnWrite, Fault::HangOnApply].into_iter().enumerate() {
        let device = scene.device().clone();
        let before = device.counters();
        let bridge = scene.site.start();
        scene.settle("sim-1").await;
        device.set_fault(Some(fault.clone()));
        let (reads, events) = (device.counters().configuration_reads, choice(number + 1));
        let payload = value!({ "replace": events }).to_string();
        scene.requester.send(&set_topic("sim-1"), payload).await;
        // The command begins with a look at what stands there.
        eventually("the command has begun", || {
            let now = device.counters();
            let has_written = now.configuration_writes > before.configuration_writes;
            now.configuration_reads > reads && (has_written || fault == Fault::HangOnWrite)
        })
        .await;
        let end = bridge.stop("TERM").await;
        assert_eq!(end.code, Some(0), "{fault:?}: {}", end.output.stderr);
        let received = scene.requester.received();
        let answered = replies(&received, "").len();
        assert_eq!(answered, number, "{fault:?}: not answered before it is done");
        device.set_fault(None);

        let bridge = scene.site.start();
        scene
            .requester
            .until("the reply", |messages| replies(messages, "").len() > number)
            .await;
        scene.settle("sim-1").await;
        assert_eq!(bridge.stop("TERM").await.code, Some(0));
        let replies = replies(&scene.requester.received(), "");
        assert_eq!(replies.len(), number + 1, "{fault:?}: exactly one reply");
        assert_eq!(
            json(&replies[number])["ok"],
            true,
            "{fault:?}: {:?}",
            replies[number]
        );
        assert_eq!(chosen(&device), events, "{fault:?}");
        let after = device.counters();
        assert_eq!(
            after.configuration_writes - before.configuration_writes,
            1,
            "{fault:?}"
        );
        assert_eq!(device.world().pending_changes(), 0);
        scene.nothing_is_left().await;
    }
}
