//! Commands for devices and topics that do not exist: silence, or with `bridge.answer_unknown` an answer.

use lantime2mqtt::simulator::ApiGeneration::V20;
use serde_json::Value;

use crate::scene::{Scene, assert_says};
use crate::support::scene::Setup;
use crate::support::site::Site;

fn answering(site: Site) -> Site {
    site.with("bridge.answer_unknown", true)
}

#[tokio::test]
async fn a_command_for_what_does_not_exist_is_answered_with_the_nearest_names() {
    let mut scene = Scene::of(Setup::redundant(&[V20]).site(answering)).await;
    for (topic, message) in [
        ("sim-2/refresh", "this bridge has no device sim-2"),
        (
            "simm-1/io4/relay/a/events/set",
            "this bridge has no device simm-1",
        ),
    ] {
        let dead_letter = scene
            .refused(topic, r#"{"replace":["ntp-not-sync"]}"#, "not-found")
            .await;
        assert_says(&dead_letter, &[message, "the nearest that it has: sim-1"]);
    }
    for (topic, likely) in [
        ("sim-1/io4/relay/a/event/set", "sim-1/io4/relay/a/events/set"),
        ("sim-1/http/session/set", "sim-1/http/sessions/set"),
        ("sim-1/refesh", "sim-1/refresh"),
        (
            "bridge/other/dead-letters/replay",
            "bridge/test/dead-letters/replay",
        ),
    ] {
        let reply = scene.send(topic, r#"{"id":"mine"}"#).await;
        assert_eq!(
            (&reply["id"], &reply["command"]),
            (&"mine".into(), &"command".into())
        );
        assert_eq!(reply["error"]["kind"], "not-found", "{reply}");
        let remedy = format!("did you mean lantime/{likely}?");
        assert_eq!(reply["error"]["remedy"], Value::from(remedy));
        let has_dead_letter = |dead_letter: &Value| dead_letter["id"] == reply["dead_letter"];
        scene
            .until(topic, |seen| seen.refusals("bridge").iter().any(has_dead_letter))
            .await;
    }
    // A retained one is refused as others are, and there is nothing to answer in a reply.
    scene
        .clients()
        .publish("lantime/sim-9/refresh", "now", &["-r"])
        .await;
    scene
        .until("the retained one", |seen| {
            seen.replies("sim-9/refresh")
                .iter()
                .any(|reply| reply["ok"] == false)
        })
        .await;
    scene
        .clients()
        .publish("lantime/sim-9/refresh/reply/set", "no command", &[])
        .await;
    // Our own are carried out, each once.
    let before = scene.device(1).counters().configuration_writes;
    let reply = scene
        .send("sim-1/io4/relay/a/events/set", r#"{"add":["antenna-faulty"]}"#)
        .await;
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!(scene.device(1).counters().configuration_writes, before + 1);
    scene.look(|seen| {
        assert_eq!(seen.replies("sim-1/io4/relay/a/events/set").len(), 1);
        assert!(seen.replies("sim-9/refresh/reply/set").is_empty());
    });
}

#[tokio::test]
async fn subscriptions_of_an_earlier_run_without_it_and_with_it_do_not_stay() {
    let mut scene = Scene::start(&[V20]).await;
    for is_answered in [true, false] {
        scene.stop().await;
        scene.site = scene.site.with("bridge.answer_unknown", is_answered);
        scene.start_again().await;
        let replies = scene.look(|seen| seen.replies("sim-1/refresh").len());
        let reply = scene.send("sim-1/refresh", "").await;
        assert_eq!(reply["ok"], true, "{reply}");
        scene.clients().publish("lantime/sim-2/refresh", "", &[]).await;
        if is_answered {
            scene
                .until("the answer", |seen| !seen.replies("sim-2/refresh").is_empty())
                .await;
        }
        let reply = scene.send("sim-1/refresh", "").await;
        assert_eq!(reply["ok"], true, "{reply}");
        let (ours, theirs) = scene.look(|seen| {
            let count = |topic| seen.replies(topic).len();
            (count("sim-1/refresh"), count("sim-2/refresh"))
        });
        assert_eq!((ours - replies, theirs), (2, 1), "answered: {is_answered}");
    }
}
