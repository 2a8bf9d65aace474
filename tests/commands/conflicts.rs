//! Somebody else changes the configuration of a device too: nothing of that is overwritten or applied by the way.

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{Action, Fault, Relay};
use serde_json::json;

use crate::scene::{Scene, assert_says};
use crate::support::wait;

const A: &str = "sim-1/io4/relay/a/events/set";
const REPLACE: &str = r#"{"replace":["antenna-faulty"]}"#;

/// Somebody else has an event mailed, and nothing else.
fn mailed(event: &str, apply: bool) -> Action {
    Action::EventActions {
        event: event.to_owned(),
        actions: vec!["email".to_owned()],
        apply,
    }
}

#[tokio::test]
async fn somebody_elses_changes_that_are_not_applied_are_left_alone() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).apply(&mailed("ntp-stopped", false)).unwrap();
    let dead_letter = scene.refused(A, REPLACE, "conflict").await;
    assert_says(
        &dead_letter,
        &[
            "somebody else",
            "not applied yet",
            "apply or discard",
            "web interface",
        ],
    );
    let world = scene.device(1).world();
    assert_eq!(world.pending_changes(), 1, "what was pending is pending");
    let counters = scene.device(1).counters();
    assert_eq!((counters.configuration_writes, counters.applies), (0, 0));
    // They are applied: now the same command is carried out.
    scene.device(1).apply(&mailed("ntp-stopped", true)).unwrap();
    assert_eq!(scene.send(A, REPLACE).await["ok"], true);
}

#[tokio::test]
async fn somebody_elses_change_in_between_is_not_overwritten() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::HangOnWrite));
    let before = scene.begin(A, REPLACE).await;
    // Among others of the event that the command is about.
    scene.device(1).apply(&mailed("antenna-faulty", true)).unwrap();
    scene.device(1).set_fault(None);
    let reply = scene.reply(A, before).await;
    assert_eq!(reply["error"]["kind"], "conflict", "{reply}");
    scene
        .until("the dead letter", |seen| seen.dead_letters("sim-1").len() == 1)
        .await;
    let dead_letter = scene.look(|seen| seen.dead_letters("sim-1")[0].clone());
    assert_says(
        &dead_letter,
        &["409", "somebody else has changed", "send the command again"],
    );
    let device = scene.device(1);
    assert_eq!(device.counters().configuration_writes, 0);
    let world = device.world();
    assert_eq!(world.pending_changes(), 0);
    let of = |relay| world.relay_events("io4", relay).into_iter().collect::<Vec<_>>();
    assert_eq!(
        of(Relay::A),
        ["ntp-not-sync", "refclock-1-not-sync", "refclock-2-not-sync"]
    );
    assert!(of(Relay::C).is_empty(), "the other one's change stands");
    // What stands now is retained, too, and the command can be sent again.
    scene
        .until("the other's change", |seen| {
            seen.json("sim-1/io4/relay/c/events")["events"] == json!([])
        })
        .await;
    assert_eq!(scene.send(A, REPLACE).await["ok"], true);
}

#[tokio::test]
async fn a_change_that_somebody_else_undoes_at_once_is_no_success() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::HangOnApply));
    let before = scene.begin(A, REPLACE).await;
    wait::until("the write", async || {
        scene.device(1).counters().configuration_writes == 1
    })
    .await;
    let other = Action::RelayEvents {
        slot: "io4".to_owned(),
        relay: Relay::A,
        events: vec!["ntp-stopped".to_owned()],
    };
    scene.device(1).apply(&other).unwrap();
    scene.device(1).set_fault(None);
    let reply = scene.reply(A, before).await;
    assert_eq!(reply["error"]["kind"], "conflict", "{reply}");
    assert_says(
        &reply,
        &[
            "found otherwise",
            "wanted antenna-faulty, found ntp-stopped",
            "somebody else",
        ],
    );
    scene
        .until("what really stands", |seen| {
            let selected = seen.json("sim-1/io4/relay/a/events");
            selected["events"] == json!(["ntp-stopped"]) && selected["confirmed"] == true
        })
        .await;
}
