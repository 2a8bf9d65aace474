//! The bridge is killed at any moment, and stopped in the middle of a command: no command is lost, and none is carried
//! out by half.

use std::time::Duration;

use lantime2mqtt::simulator::{ApiGeneration, Fault};
use serde_json::json as value;

use crate::scene::{Scene, choice, json, replies, selected, set_topic};
use crate::support::requester::Message;
use crate::support::wait;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_moment_to_kill_the_bridge_loses_a_command() {
    const ROUNDS: usize = 20;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut scene = Scene::new(1, ApiGeneration::V20).await;
    scene.run_once().await;
    let before = scene.device().counters();
    for round in 0..ROUNDS {
        let bridge = scene.site.start();
        let payload = value!({ "id": format!("round {round}"), "replace": choice(round) });
        scene.client.send(&set_topic("sim-1"), payload.to_string()).await;
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
            .client
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
    let dead_letters: Vec<_> = scene
        .client
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
            dead_letters
                .iter()
                .any(|dead_letter| dead_letter["origin"]["payload"] == payload),
            "{answer}"
        );
    }
    println!("{done} of {ROUNDS} carried out");
    assert_eq!(
        selected(scene.device()),
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
    scene.run_once().await;
    for (number, fault) in [Fault::HangOnWrite, Fault::HangOnApply].into_iter().enumerate() {
        let device = scene.device().clone();
        let before = device.counters();
        let bridge = scene.site.start();
        scene.settle("sim-1").await;
        device.set_fault(Some(fault.clone()));
        let (reads, events) = (device.counters().configuration_reads, choice(number + 1));
        let payload = value!({ "replace": events }).to_string();
        scene.client.send(&set_topic("sim-1"), payload).await;
        // The command begins with a look at what stands there.
        wait::until("the command has begun", async || {
            let now = device.counters();
            let has_written = now.configuration_writes > before.configuration_writes;
            now.configuration_reads > reads && (has_written || fault == Fault::HangOnWrite)
        })
        .await;
        let end = bridge.stop("TERM").await;
        assert_eq!(end.code, Some(0), "{fault:?}: {}", end.output.stderr);
        let received = scene.client.received();
        let answered = replies(&received, "").len();
        assert_eq!(answered, number, "{fault:?}: not answered before it is done");
        device.set_fault(None);

        let bridge = scene.site.start();
        scene
            .client
            .until("the reply", |messages| replies(messages, "").len() > number)
            .await;
        scene.settle("sim-1").await;
        assert_eq!(bridge.stop("TERM").await.code, Some(0));
        let replies = replies(&scene.client.received(), "");
        assert_eq!(replies.len(), number + 1, "{fault:?}: exactly one reply");
        assert_eq!(
            json(&replies[number])["ok"],
            true,
            "{fault:?}: {:?}",
            replies[number]
        );
        assert_eq!(selected(&device), events, "{fault:?}");
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
