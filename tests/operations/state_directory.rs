//! The state directory is deleted while the bridge runs: no command is acknowledged that nothing keeps.

use serde_json::Value;

use crate::scene::{metrics, setup, value};
use crate::support::requester::{Message, Requester};

const TOPIC: &str = "lantime/sim-1/refresh";

/// The replies to the command with that id.
fn replies(received: &[Message], id: &str) -> usize {
    let json = received
        .iter()
        .filter_map(|message| serde_json::from_slice::<Value>(&message.payload).ok());
    json.filter(|reply| reply["id"] == id).count()
}

#[tokio::test]
async fn commands_wait_at_the_broker_while_the_state_directory_is_missing() {
    let stage = setup(1).stage().await;
    let broker = stage.broker.address();
    let mut requester = Requester::connect(broker, &["lantime/sim-1/refresh/reply"]).await;
    let bridge = stage.site.start();
    requester.send(TOPIC, r#"{"id":"first"}"#).await;
    requester
        .until("a reply", |received| replies(received, "first") == 1)
        .await;

    std::fs::remove_dir_all(stage.site.state()).expect("it is ours");
    requester.send(TOPIC, r#"{"id":"second"}"#).await;
    metrics(&stage.site, "the fault", |text| {
        value(text, "lantime2mqtt_store_failing") == Some("1")
    })
    .await;
    assert_eq!(replies(&requester.received(), "second"), 0);
    // Even a bridge that dies now has not lost it.
    bridge.stop("KILL").await;
    let bridge = stage.site.start();
    requester
        .until("a reply", |received| replies(received, "second") == 1)
        .await;
    assert_eq!(bridge.stop("TERM").await.code, Some(0));
    stage.fleet.stop().await;
}
