//! The records of what has changed: events, relays and signals, for those who keep a history.

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{Action, Clock, SimulatedDevice};
use serde_json::{Value, json};

use crate::scene::{Scene, Seen};
use crate::support::scene::Setup;
use crate::support::site::Entry;

/// Each record at a topic without its id and times, which are checked.
fn history(seen: Seen<'_>, topic: &str) -> Vec<Value> {
    let mut ids: Vec<uuid::Uuid> = Vec::new();
    let mut records = Vec::new();
    for message in seen.at(topic) {
        assert!(!message.retained, "{message:?}");
        let Value::Object(mut record) = message.json() else {
            panic!("no object: {message:?}")
        };
        let id = record.remove("id").unwrap().as_str().unwrap().parse().unwrap();
        assert!(ids.last().is_none_or(|last| *last < id), "in order, each once");
        ids.push(id);
        let at = record.remove("at").unwrap();
        assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{at}");
        if let Some(time) = record.remove("last_triggered") {
            assert!(
                time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
                "{time}"
            );
        }
        assert_eq!(record.remove("device").unwrap(), "sim-1");
        records.push(Value::Object(record));
    }
    records
}

fn event(name: &str, triggered: bool, kind: &str) -> Value {
    json!({ "source": "rest", "event": name, "triggered": triggered, "type": kind })
}

impl Scene {
    /// Moves the device's world, and polls it.
    async fn happens(&mut self, actions: &[Action]) {
        for action in actions {
            self.device(1).apply(action).unwrap();
        }
        assert_eq!(self.send("sim-1/refresh", "").await["ok"], true);
    }
}

#[tokio::test]
async fn every_transition_is_a_record_and_a_first_sight_is_none() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    let topics = ["sim-1/events", "sim-1/io3/changes", "sim-1/io4/changes"];
    scene.happens(&[]).await;
    scene.look(|seen| assert!(topics.iter().all(|topic| seen.at(topic).next().is_none())));

    let fire = |name: &str| Action::FireEvent(name.to_owned());
    scene.happens(&[fire("ntp-not-sync")]).await;
    scene
        .happens(&[Action::ClearEvent("ntp-not-sync".to_owned())])
        .await;
    let expected = [
        event("ntp-not-sync", true, "error"),
        event("ntp-sync", false, "info"),
        event("ntp-not-sync", false, "error"),
        event("ntp-sync", true, "info"),
    ];
    scene
        .until("four events", |seen| seen.at("sim-1/events").count() >= 4)
        .await;
    let events = scene.look(|seen| history(seen, "sim-1/events"));
    assert_eq!(events, expected);
    scene
        .until("the way back", |seen| seen.at("sim-1/io4/changes").count() >= 4)
        .await;
    let mut changes = scene.look(|seen| history(seen, "sim-1/io4/changes"));
    let by = |old: &str, new: &str| json!({ "slot": "io4", "relay": "a", "old": old, "new": new, "driven_by": "notification", "provenance": "reported" });
    let mut switched = by("NO", "NC");
    switched["cause"] = json!("ntp-not-sync");
    let signal = |old: &str, new: &str| json!({ "slot": "io4", "signal": "notification", "old": old, "new": new, "provenance": "derived" });
    for expected in [
        [switched, signal("ok", "fail")],
        [by("NC", "NO"), signal("fail", "ok")],
    ] {
        let pair: Vec<_> = changes.drain(..2).collect();
        assert!(
            expected.iter().all(|one| pair.contains(one)),
            "{pair:#?}\n{expected:#?}"
        );
    }
    assert!(changes.is_empty() && scene.look(|seen| seen.at("sim-1/io3/changes").next().is_none()));

    // A clock: its signal, its relay, and what the device itself says of it.
    scene.happens(&[Action::LoseSync(Clock::Clk2)]).await;
    scene
        .until("two changes", |seen| seen.at("sim-1/io3/changes").count() >= 2)
        .await;
    let changes = scene.look(|seen| history(seen, "sim-1/io3/changes"));
    let relay = json!({
        "slot": "io3", "relay": "b", "old": "NO", "new": "NC", "driven_by": "clk2", "cause": "clock-not-sync",
        "provenance": "reported",
    });
    let signal =
        json!({ "slot": "io3", "signal": "clk2", "old": "ok", "new": "fail", "provenance": "reported" });
    assert!(
        changes.contains(&relay) && changes.contains(&signal),
        "{changes:#?}"
    );
    assert_eq!(changes.len(), 2);
}

#[tokio::test]
async fn an_event_that_came_and_went_between_two_polls_gives_both_records() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    let name = || "low-system-resources".to_owned();
    scene
        .happens(&[Action::FireEvent(name()), Action::ClearEvent(name())])
        .await;
    let of_it = |seen: Seen<'_>| {
        let all = history(seen, "sim-1/events").into_iter();
        all.filter(|record| record["event"] == "low-system-resources")
            .collect::<Vec<_>>()
    };
    scene.until("both", |seen| of_it(seen).len() >= 2).await;
    let expected = [event(&name(), true, "warning"), event(&name(), false, "warning")];
    assert_eq!(scene.look(of_it), expected);
}
