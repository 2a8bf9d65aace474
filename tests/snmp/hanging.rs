//! A trap is published while a poll of its device hangs. Nothing here is measured: the request is still held when the
//! messages are there.

use lantime2mqtt::simulator::{ApiGeneration, Fault};

use crate::scene::{CHANGED, NOT_SYNC, SYNC, Scene, trap_records};
use crate::support::{Seen, wait};

const EVENT: &str = "sim-1/event/ntp-not-sync";
/// A relay that `ntp-not-sync` is selected to switch, of a device that does not report where it stands.
const RELAY: &str = "sim-1/io4/relay/a";

/// Requests that have come, and answers that were given.
fn requests(scene: &Scene) -> (u64, u64) {
    let counters = scene.device(1).counters();
    (counters.requests, counters.documents)
}

/// A trap of the device.
async fn sends(scene: &mut Scene, oid: &str) {
    let to = scene.receiver();
    let trap = ["-v", "2c", "-c", "public", to.as_str(), "", oid];
    scene.sends("snmptrap", &trap).await;
}

/// Lets a poll of the device hang; what has been asked and answered then.
async fn hang(scene: &mut Scene) -> (u64, u64) {
    let before = requests(scene);
    scene.device(1).set_fault(Some(Fault::Hang));
    // It brings about a poll.
    sends(scene, CHANGED).await;
    let held = (before.0 + 1, before.1);
    let is_held = async || requests(scene) == held;
    wait::until("the device is polled, and does not answer", is_held).await;
    held
}

#[tokio::test]
async fn a_trap_is_published_while_a_poll_hangs() {
    let mut scene = Scene::start_as(ApiGeneration::V10, |entry| entry.with("timeout", "60s")).await;
    let held = hang(&mut scene).await;
    let position = |seen: &Seen| seen.json(RELAY)["position"].clone();
    for (oid, stands, expected) in [
        (NOT_SYNC, true, "NC"),
        (SYNC, false, "NO"),
        (NOT_SYNC, true, "NC"),
    ] {
        sends(&mut scene, oid).await;
        scene
            .until("what was expected", |seen| {
                seen.json(EVENT)["triggered"] == stands && position(seen) == expected
            })
            .await;
    }
    assert_eq!(
        requests(&scene),
        held,
        "that request is held, and no other was sent"
    );
    let seen = scene.client.now();
    assert_eq!(trap_records(&seen).len(), 4);
    assert_eq!(seen.topics["lantime/sim-1/state"], "online");
    // An answer that may be of before the traps leaves them as they are.
    scene.device(1).set_fault(None);
    scene.until_polled(held.1 + 1).await;
    assert_eq!(scene.client.now().json(EVENT)["triggered"], true);
}

#[tokio::test]
async fn an_inform_is_acknowledged_while_a_poll_hangs() {
    let mut scene = Scene::start_as(ApiGeneration::V10, |entry| entry.with("timeout", "60s")).await;
    let held = hang(&mut scene).await;
    let to = scene.receiver();
    let inform = ["-v", "2c", "-c", "public", to.as_str(), "", NOT_SYNC];
    // The tool fails without an acknowledgement.
    let record = scene.sends("snmpinform", &inform).await;
    assert_eq!(record["confirmed"], true);
    assert_eq!(requests(&scene), held);
}
