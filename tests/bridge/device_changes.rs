//! Records of the state of devices and slots, over restarts: since when a device is watched, and how it was when nobody did.

use std::fs::File;
use std::time::{Duration, SystemTime};

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::Fault;
use serde_json::{Value, json};

use crate::support::scene::{Setup, Stage};
use crate::support::site::Entry;
use crate::support::{Seen, Watcher};

const DEVICE: &str = "sim-1/changes";
const SLOT: &str = "sim-1/io3/changes";

/// The records at that topic; one that has come twice, once.
fn records(seen: &Seen, topic: &str) -> Vec<Value> {
    let mut records = seen.records(topic);
    records.sort_by_key(|record| record["id"].to_string());
    records.dedup();
    records
}

/// Old and new value, and the cause.
fn values(records: &[Value]) -> Vec<Value> {
    let values = |record: &Value| json!([record["old"], record["new"], record["cause"]]);
    records.iter().map(values).collect()
}

async fn stage() -> (Stage, Watcher) {
    let setup = Setup::redundant(&[V20]);
    let stage = setup
        .entries(|device| Entry::of(device).with("offline_after", 1))
        .stage()
        .await;
    let watcher = Watcher::connect(stage.broker.address()).await;
    (stage, watcher)
}

fn has_records(topic: &'static str, count: usize) -> impl Fn(&Seen) -> bool {
    move |seen| records(seen, topic).len() >= count
}

#[tokio::test]
async fn a_device_that_went_offline_while_no_bridge_ran_is_recorded() {
    let (stage, mut watcher) = stage().await;
    let bridge = stage.site.start();
    let first = watcher.until("a first sight", has_records(DEVICE, 1)).await;
    assert_eq!(
        values(&records(&first, DEVICE)),
        [json!(["unknown", "online", null])]
    );
    watcher
        .until("all is shown", |seen| seen.is_online("sim-1"))
        .await;
    bridge.stop("TERM").await;

    stage.fleet.devices()[0].set_fault(Some(Fault::ServerError));
    let bridge = stage.site.start();
    let second = watcher.until("an outage", has_records(DEVICE, 2)).await;
    let outage = json!(["online", "offline", "http-status"]);
    assert_eq!(values(&records(&second, DEVICE)[1..]), [outage]);
    let slot = json!(["online", "offline", null]);
    let has_slot = |seen: &Seen| values(&records(seen, SLOT)).contains(&slot);
    watcher.until("its slot", has_slot).await;
    bridge.stop("KILL").await;

    stage.fleet.devices()[0].set_fault(None);
    let _bridge = stage.site.start();
    let third = watcher.until("its return", has_records(DEVICE, 3)).await;
    let all = records(&third, DEVICE);
    assert_eq!(values(&all[2..]), [json!(["offline", "online", null])]);
    assert!(all.iter().all(|record| record["not_observed_since"].is_null()));
    let slot = json!(["offline", "online", null]);
    let has_slot = |seen: &Seen| values(&records(seen, SLOT)).contains(&slot);
    watcher.until("its slot", has_slot).await;
}

#[tokio::test]
async fn a_while_in_which_no_bridge_ran_is_recorded() {
    let (stage, mut watcher) = stage().await;
    let bridge = stage.site.start();
    watcher.until("a first sight", has_records(DEVICE, 1)).await;
    watcher
        .until("all is shown", |seen| seen.is_online("sim-1"))
        .await;
    bridge.stop("TERM").await;

    let watched = File::options()
        .write(true)
        .open(stage.site.state().join("watched"))
        .unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    watched.set_modified(at).unwrap();
    let _bridge = stage.site.start();
    let seen = watcher.until("the pause", has_records(DEVICE, 2)).await;
    let record = &records(&seen, DEVICE)[1];
    assert_eq!(
        json!([record["old"], record["new"], record["not_observed_since"]]),
        json!(["online", "online", "2023-11-14T22:13:20.000Z"])
    );
}
