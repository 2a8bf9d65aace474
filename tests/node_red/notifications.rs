//! The flow that sends a text for each fault, at a real Node-RED and a receiver of webhooks.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use lantime2mqtt::simulator::{Action, ApiGeneration, Clock};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::red::Red;
use crate::support::clients::Clients;
use crate::support::scene::Setup;

/// How long a text may take: one is sent each 3 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver: its URL, and the texts that come.
async fn receiver() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (sender, texts) = mpsc::unbounded_channel();
    let receive = move |body: String| {
        let message: Value = serde_json::from_str(&body).unwrap();
        let _ = sender.send(message["text"].as_str().unwrap().to_owned());
        async { "ok" }
    };
    let server = axum::serve(listener, Router::new().route("/", post(receive)));
    tokio::spawn(async move { server.await });
    (url, texts)
}

#[tokio::test]
async fn each_fault_its_end_and_each_dead_letter_is_one_text() {
    let (url, mut texts) = receiver().await;
    let stage = Setup::redundant(&[ApiGeneration::V20]).stage().await;
    let broker = stage.broker.address();
    let red = Red::with_flow("notifications.json", broker, &[("NOTIFY_URL", &url)]);
    let scene = stage.with(red).start();
    let mut subscriber = Clients::of(broker)
        .subscribe(&["lantime/sim-1/io3/relay/a"])
        .await;
    subscriber
        .until("the relay", |messages| {
            messages.iter().any(|message| message.json()["position"] == "NO")
        })
        .await;
    // Other relays may have texts, too.
    let mut text = async |beginning: &str| {
        while let Some(text) = timeout(PATIENCE, texts.recv()).await.expect(beginning) {
            if text.starts_with(beginning) {
                return text;
            }
        }
        panic!("the receiver has ended");
    };
    scene.device(1).apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    let fell = text("FAULT: Relay A of sim-1, slot io3 is in NC since 2").await;
    assert!(fell.ends_with("Z: clock-not-sync"), "{fell}");
    scene.device(1).apply(&Action::RegainSync(Clock::Clk1)).unwrap();
    text("over: Relay A of sim-1, slot io3 is in NO since 2").await;
    for (message, recovered) in [("the end", true), ("too slow", false)] {
        let error = json!({ "kind": "timeout", "message": message, "remedy": "look" });
        let dead_letter = json!({ "id": "1", "operation": "poll", "error": error, "recovered": recovered });
        let clients = Clients::of(broker);
        clients
            .publish("lantime/dead-letter/sim-1", dead_letter.to_string(), &[])
            .await;
    }
    assert_eq!(
        text("Dead letter").await,
        "Dead letter of sim-1 (poll): too slow; look"
    );
}
