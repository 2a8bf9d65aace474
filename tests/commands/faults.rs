//! The last fault of a relay stays to be seen when it is over, until somebody has acknowledged it, and over a restart.

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{Action, Clock};
use serde_json::json;

use crate::scene::{Scene, Seen};

const RELAY: &str = "sim-1/io3/relay/a";
const ACKNOWLEDGE: &str = "sim-1/faults/acknowledge";

fn is_over(seen: Seen<'_>) -> bool {
    let relay = seen.json(RELAY);
    relay["position"] == "NO" && relay["last_fault"]["until"].is_string()
}

#[tokio::test]
async fn a_fault_that_is_over_stays_until_it_is_acknowledged_and_over_a_restart() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    let stands = |seen: Seen<'_>| seen.json(RELAY)["last_fault"]["acknowledged"] == false;
    scene.until("a fault", stands).await;
    let fault = scene.look(|seen| seen.json(RELAY));
    assert_eq!(fault["last_fault"]["since"], fault["since"]);
    assert_eq!(fault["last_fault"]["cause"], "clock-not-sync");
    scene.device(1).apply(&Action::RegainSync(Clock::Clk1)).unwrap();
    scene.until("its end", is_over).await;

    scene.refused(ACKNOWLEDGE, r#"{"slot":"io9"}"#, "rejected").await;
    let command = r#"{"slot":"io3","relay":"a","by":"Ada"}"#;
    let reply = scene.send(ACKNOWLEDGE, command).await;
    assert_eq!(reply["command"], "acknowledge-faults");
    let places = json!([{ "slot": "io3", "relay": "a" }]);
    assert_eq!(reply["result"]["acknowledged"], places);
    let is_seen = |seen: Seen<'_>| seen.json(RELAY)["last_fault"]["acknowledged"] == true;
    scene.until("it is acknowledged", is_seen).await;
    let seen = scene.look(|seen| seen.json(RELAY)["last_fault"].clone());
    assert_eq!(seen["acknowledged_by"], "Ada");
    assert_eq!(seen["since"], fault["since"]);

    scene.stop().await;
    // Nothing is left at the broker: the store knows it, too.
    scene
        .clients()
        .publish(&format!("lantime/{RELAY}"), "", &["-r"])
        .await;
    scene
        .until("it is cleared", |seen| seen.text(RELAY).is_empty())
        .await;
    scene.start_again().await;
    scene.until("the next run", is_over).await;
    let after = scene.look(|seen| seen.json(RELAY)["last_fault"].clone());
    assert_eq!(after, seen);
    let again = scene.send(ACKNOWLEDGE, "{}").await;
    let acknowledged = again["result"]["acknowledged"].as_array().unwrap();
    assert!(!acknowledged.contains(&places[0]), "{again}");
}
