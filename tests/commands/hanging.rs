//! Commands for a device whose poll hangs: they are taken, and given up at their deadline, while its request is held.

use lantime2mqtt::simulator::{ApiGeneration, Fault, SimulatedDevice};

use crate::scene::Scene;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;

/// A bridge whose request to its device hangs; how many it has sent then.
async fn hanging(deadline: &'static str) -> (Scene, u64) {
    let entry = |device: &SimulatedDevice| {
        let entry = Entry::writable(device).with("timeout", "60s");
        entry.with("command_timeout", deadline)
    };
    let scene = Scene::of(Setup::redundant(&[ApiGeneration::V20]).entries(entry)).await;
    let device = scene.device(1);
    device.set_fault(Some(Fault::Hang));
    let asked = device.counters().requests;
    wait::until("a request that hangs", async || {
        device.counters().requests > asked
    })
    .await;
    let held = device.counters().requests;
    (scene, held)
}

#[tokio::test]
async fn a_command_is_given_up_at_its_deadline_while_a_poll_hangs() {
    let (mut scene, held) = hanging("1s").await;
    let reply = scene.send("sim-1/refresh", "").await;
    assert_eq!(reply["ok"], false, "{reply}");
    assert_eq!(reply["error"]["kind"], "timeout", "{reply}");
    assert_eq!(scene.device(1).counters().requests, held, "it is held still");
}

#[tokio::test]
async fn the_log_of_http_sessions_is_switched_while_a_poll_hangs() {
    let (mut scene, held) = hanging("60s").await;
    let reply = scene
        .send("sim-1/http/sessions/set", r#"{"enabled":true,"max_count":7}"#)
        .await;
    assert_eq!(reply["ok"], true, "{reply}");
    scene
        .until("the log", |seen| {
            seen.json("sim-1/http/sessions")["max_count"] == 7
        })
        .await;
    assert_eq!(scene.device(1).counters().requests, held, "it is held still");
}
