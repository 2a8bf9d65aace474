//! A device that hangs, however many commands wait for it, holds up no command to another.

use lantime2mqtt::simulator::{ApiGeneration, Fault};
use serde_json::json as value;

use crate::scene::{Scene, json, selected, set_topic};
use crate::support::requester::Message;

/// One is carried out and eight wait; the others are too many.
const COMMANDS: usize = 12;
const TAKEN: usize = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_to_a_device_that_hangs_delays_none_to_another() {
    let mut scene = Scene::new(2, ApiGeneration::V20).await;
    let _bridge = scene.site.start();
    scene.settle("sim-1").await;
    scene.settle("sim-2").await;
    let [hanging, other] = scene.fleet.devices() else {
        panic!("two devices")
    };
    let (hanging, other) = (hanging.clone(), other.clone());
    for (round, fault) in [Fault::Hang, Fault::HangOnWrite, Fault::HangOnApply]
        .into_iter()
        .enumerate()
    {
        let event = |number: usize| ["ntp-stopped", "sync-monitor"][(number + round) % 2];
        let command = |number: usize| {
            value!({ "id": format!("{round}-{number}"), "replace": [event(number)] }).to_string()
        };
        let already = scene.client.received().len();
        hanging.set_fault(Some(fault.clone()));
        for number in 0..COMMANDS {
            scene.client.send(&set_topic("sim-1"), command(number)).await;
        }
        for number in 0..3 {
            scene.client.send(&set_topic("sim-2"), command(number)).await;
        }
        let what = format!("{fault:?}: the other's answers");
        let answered = scene.client.until(&what, |messages| {
            answers(&messages[already..], "sim-2", true).len() == 3
        });
        let messages = answered.await.split_off(already);
        assert_eq!(selected(&other), [event(2)].into(), "{fault:?}");
        assert_eq!(answers(&messages, "sim-1", true), [""; 0], "{fault:?}: it hangs");
        // Those that are too many need not wait to be refused.
        let what = format!("{fault:?}: refusals");
        let refused = scene.client.until(&what, |messages| {
            answers(&messages[already..], "sim-1", false).len() == COMMANDS - TAKEN
        });
        refused.await;

        hanging.set_fault(None);
        let what = format!("{fault:?}: its own answers");
        let answered = scene.client.until(&what, |messages| {
            answers(&messages[already..], "sim-1", true).len() == TAKEN
        });
        let messages = answered.await.split_off(already);
        let in_order: Vec<_> = (0..TAKEN).map(|number| format!("{round}-{number}")).collect();
        assert_eq!(answers(&messages, "sim-1", true), in_order, "{fault:?}");
        assert_eq!(selected(&hanging), [event(TAKEN - 1)].into(), "{fault:?}");
    }
}

/// The ids of the answers to commands for that device, in order; those that are a success, or those that refuse it as busy.
fn answers(messages: &[Message], device: &str, ok: bool) -> Vec<String> {
    let topic = format!("{}/reply", set_topic(device));
    let replies = messages.iter().filter(|message| message.topic == topic).map(json);
    replies
        .filter(|reply| reply["ok"] == ok && (ok || reply["error"]["kind"] == "busy"))
        .map(|reply| reply["id"].as_str().unwrap_or_default().to_owned())
        .collect()
}
