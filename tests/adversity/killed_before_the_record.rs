//! The bridge is killed between a state and its record, and a device changes while no bridge runs: the next run records
//! both.

use std::collections::BTreeSet;

use lantime2mqtt::simulator::{Action, ApiGeneration, Clock};
use serde_json::Value;

use crate::scene::json;
use crate::support::program::run;
use crate::support::requester::{Message, Requester};
use crate::support::scene::{Setup, Stage};
use crate::support::site::Site;

const STATE: &str = "lantime/sim-1/io4/signal/clk1";
const CHANGES: &str = "lantime/sim-1/io4/changes";
/// Kills in a row: most come before the record is on disk.
const ROUNDS: usize = 5;

fn statuses(messages: &[Message]) -> Vec<Value> {
    let states = messages.iter().filter(|message| message.topic == STATE);
    states.map(|message| json(message)["status"].clone()).collect()
}

/// What the records say of the clock, from what to what: each once, since one may come again after a kill.
fn recorded(messages: &[Message]) -> Vec<(Value, Value)> {
    let records = messages.iter().filter(|message| message.topic == CHANGES);
    let mut ids = BTreeSet::new();
    let once = records
        .map(json)
        .filter(|record| ids.insert(record["id"].to_string()));
    once.filter(|record| record["signal"] == "clk1")
        .map(|record| (record["old"].clone(), record["new"].clone()))
        .collect()
}

/// Panics where the history, which no bridge has open, has less than the records have reported.
async fn is_in_history(site: &Site, messages: &[Message]) {
    let config = site.config().display().to_string();
    let end = run(&[
        "history", "--slot", "io4", "--format", "json", "--config", &config,
    ])
    .await;
    assert_eq!(end.code, Some(0), "{end:?}");
    let id = |json: Value| json["id"].as_str().unwrap_or_default().to_owned();
    let entries = end.output.stdout.lines();
    let entries = entries.map(|line| id(serde_json::from_str(line).expect("an entry is JSON")));
    let kept: BTreeSet<_> = entries.collect();
    let records = messages.iter().filter(|message| message.topic == CHANGES);
    let reported: BTreeSet<_> = records.map(|message| id(json(message))).collect();
    assert!(reported.is_subset(&kept), "{reported:?}, {kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_moment_between_a_state_and_its_record_loses_the_record() {
    let stage: Stage = Setup::redundant(&[ApiGeneration::V20]).stage().await;
    let client = Requester::connect(stage.broker.address(), &[STATE, CHANGES]).await;
    let mut scene = stage.with(client);
    let device = scene.fleet.devices()[0].clone();
    let mut bridge = scene.site.start();
    scene
        .client
        .until("the first state", |messages| {
            statuses(messages).contains(&"ok".into())
        })
        .await;
    // What is recorded first goes with the list of topics, which is on disk before the state is published.
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let (old, new, change) = match round % 2 {
            0 => ("ok", "fail", Action::LoseSync(Clock::Clk1)),
            _ => ("fail", "ok", Action::RegainSync(Clock::Clk1)),
        };
        if round == ROUNDS - 1 {
            bridge.stop("KILL").await;
            device.apply(&change).expect("it has that clock");
        } else {
            device.apply(&change).expect("it has that clock");
            let is_last = |messages: &[Message]| statuses(messages).last() == Some(&new.into());
            scene.client.until(new, is_last).await;
            bridge.stop("KILL").await;
        }
        is_in_history(&scene.site, &scene.client.received()).await;
        expected.push((Value::from(old), Value::from(new)));
        bridge = scene.site.start();
        scene
            .client
            .until("the record", |messages| recorded(messages) == expected)
            .await;
    }
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
    assert_eq!(recorded(&scene.client.received()), expected);
    is_in_history(&scene.site, &scene.client.received()).await;
}
