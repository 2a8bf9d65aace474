//! Commands that must not run again, or not any more: retained and expired ones.

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{Fault, SimulatedDevice};
use serde_json::json;

use crate::scene::{Scene, assert_says};
use crate::support::clients::Clients;
use crate::support::http::get_at;
use crate::support::proxy::Proxy;
use crate::support::scene::Setup;
use crate::support::site::Entry;
use crate::support::wait;

const A: &str = "sim-1/io4/relay/a/events/set";
const TOPIC: &str = "lantime/sim-1/io4/relay/a/events/set";
const REPLACE: &str = r#"{"replace":["antenna-faulty"]}"#;

/// What makes a message expire after a second.
const EXPIRES: [&str; 6] = ["-V", "5", "-D", "publish", "message-expiry-interval", "1"];
/// What makes one expire, and be retained until then, that is sent after such a message: not before that.
const EXPIRES_LATER: [&str; 7] = ["-r", "-V", "5", "-D", "publish", "message-expiry-interval", "2"];

/// Waits until what was sent with [`EXPIRES`] has expired.
async fn until_expired(clients: Clients) {
    clients.publish("later", "x", &EXPIRES_LATER).await;
    wait::until("a later message has expired", async || {
        let retained = clients.subscribe(&["later"]).await.now();
        retained.iter().all(|message| message.topic != "later")
    })
    .await;
}

#[tokio::test]
async fn with_mqtt_5_a_retained_command_is_refused_and_its_stored_copy_never_comes() {
    let mut scene = Scene::start(&[V20]).await;
    scene.clients().publish(TOPIC, REPLACE, &["-r"]).await;
    let reply = scene.reply(A, 0).await;
    assert_eq!(reply["error"]["kind"], "rejected");
    scene.only_refused(1, 1).await;
    let dead_letter = scene.look(|seen| seen.refusals("sim-1")[0].clone());
    assert_says(
        &dead_letter,
        &["retained", "again at each reconnect", "without the retain flag"],
    );
    assert_eq!(
        dead_letter["origin"],
        json!({ "topic": TOPIC, "payload": REPLACE })
    );
    for signal in ["TERM", "KILL"] {
        scene.end(signal).await;
        scene.start_again().await;
        scene.only_refused(1, 1).await;
    }
    // As the dead letter says, it is cleared; that is no command.
    scene.clients().publish(TOPIC, "", &["-r"]).await;
    scene.only_refused(1, 1).await;
}

#[tokio::test]
async fn with_mqtt_3_a_stored_copy_is_refused_once() {
    let mut scene = Scene::of(Setup::redundant(&[V20]).site(|site| site.with("mqtt.version", "3.1.1"))).await;
    // Who is connected cannot see that it is retained.
    scene.clients().publish(TOPIC, REPLACE, &["-r"]).await;
    assert_eq!(scene.reply(A, 0).await["ok"], true);
    scene.stop().await;
    let proxy = Proxy::start(scene.broker.address()).await;
    scene.site = scene.site.with("mqtt.url", format!("mqtt://{}", proxy.address()));
    scene.start_again().await;
    let reply = scene.reply(A, 1).await;
    assert_eq!(reply["error"]["kind"], "rejected", "{reply}");
    for cut in 0..3 {
        if cut > 0 {
            proxy.cut();
        }
        // The second one comes by a connection that has got the stored copy.
        scene.catch_up("sim-1").await;
        scene.catch_up("sim-1").await;
        let seen = scene.look(|seen| (seen.refusals("sim-1").len(), seen.replies(A).len()));
        assert_eq!(seen, (1, 2), "after {cut} reconnects");
    }
    let metrics = get_at(&scene.site.socket(), "/metrics")
        .await
        .expect("it answers");
    let count = "lantime2mqtt_commands_refused_total{kind=\"rejected\"} 1\n";
    assert!(metrics.body.contains(count), "it counts once: {metrics}");
    let dead_letter = scene.look(|seen| seen.refusals("sim-1")[0].clone());
    assert_says(
        &dead_letter,
        &["retained", "again at each reconnect", "without the retain flag"],
    );
    // Another one is news.
    scene
        .clients()
        .publish("lantime/sim-1/refresh", "now", &["-r"])
        .await;
    proxy.cut();
    scene
        .until("another dead letter", |seen| seen.refusals("sim-1").len() == 2)
        .await;
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
}

#[tokio::test]
async fn what_expires_while_no_bridge_runs_is_not_carried_out() {
    let mut scene = Scene::start(&[V20]).await;
    scene.stop().await;
    scene.clients().publish(TOPIC, REPLACE, &EXPIRES).await;
    let later = r#"{"replace":["ntp-stopped"]}"#;
    scene
        .clients()
        .publish(
            TOPIC,
            later,
            &["-V", "5", "-D", "publish", "message-expiry-interval", "600"],
        )
        .await;
    until_expired(scene.clients()).await;
    scene.start_again().await;
    // The broker itself has dropped the other one.
    let reply = scene.reply(A, 0).await;
    assert_eq!(reply["result"]["events"], json!(["ntp-stopped"]), "{reply}");
    assert_eq!(scene.device(1).counters().configuration_writes, 1);
}

#[tokio::test]
async fn what_expires_behind_another_command_is_refused() {
    let entry = |device: &SimulatedDevice| {
        Entry::writable(device)
            .with("command_timeout", "2s")
            .with("timeout", "500ms")
    };
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    scene.device(1).set_fault(Some(Fault::Hang));
    scene.clients().publish("lantime/sim-1/refresh", "", &[]).await;
    scene.clients().publish(TOPIC, REPLACE, &EXPIRES).await;
    let reply = scene.reply(A, 0).await;
    assert_eq!(reply["error"]["kind"], "expired", "{reply}");
    scene.device(1).set_fault(None);
    scene
        .until("the dead letter", |seen| seen.refusals("sim-1").len() == 2)
        .await;
    let dead_letter = scene.look(|seen| seen.refusals("sim-1")[1].clone());
    assert_says(
        &dead_letter,
        &[
            "expired at",
            "before it could be carried out",
            "message expiry interval",
        ],
    );
    scene.only_refused(1, 2).await;
}

#[tokio::test]
async fn what_expires_while_its_device_is_unreachable_is_refused() {
    let mut scene = Scene::start(&[V20]).await;
    scene.device(1).set_fault(Some(Fault::ServerError));
    scene.clients().publish(TOPIC, REPLACE, &EXPIRES).await;
    // Long before the deadline of half a minute.
    let reply = scene.reply(A, 0).await;
    assert_eq!(reply["error"]["kind"], "expired", "{reply}");
    scene.device(1).set_fault(None);
    scene.only_refused(1, 1).await;
    let dead_letter = scene.look(|seen| seen.refusals("sim-1")[0].clone());
    assert_says(
        &dead_letter,
        &["expired at", "the device answered 500", "message expiry interval"],
    );
}

#[tokio::test]
async fn what_expires_in_the_inbox_of_a_bridge_that_was_killed_is_refused_by_the_next_run() {
    let entry = |device: &SimulatedDevice| Entry::writable(device).with("poll", "1h");
    let mut scene = Scene::of(Setup::redundant(&[V20]).entries(entry)).await;
    scene.device(1).set_fault(Some(Fault::Hang));
    let requests = scene.device(1).counters().requests;
    let response = [
        "-D",
        "publish",
        "response-topic",
        "my/replies",
        "-D",
        "publish",
        "correlation-data",
        "7",
    ];
    scene
        .clients()
        .publish(TOPIC, REPLACE, &[&EXPIRES[..], &response].concat())
        .await;
    // It has begun, so it is on disk.
    wait::until("a request", async || {
        scene.device(1).counters().requests > requests
    })
    .await;
    scene.end("KILL").await;
    scene.device(1).set_fault(None);
    until_expired(scene.clients()).await;
    scene.start_again().await;
    scene
        .until("the dead letter", |seen| seen.refusals("sim-1").len() == 1)
        .await;
    let dead_letter = scene.look(|seen| seen.refusals("sim-1")[0].clone());
    assert_eq!(dead_letter["error"]["kind"], "expired");
    assert_eq!(dead_letter["origin"]["response_topic"], "my/replies");
    let messages = scene.client.now();
    let reply = messages
        .iter()
        .find(|message| message.topic == "my/replies")
        .unwrap();
    assert_eq!(
        (reply.correlation.as_str(), &reply.json()["error"]),
        ("7", &dead_letter["error"])
    );
    scene.catch_up("sim-1").await;
    assert_eq!(scene.device(1).counters().configuration_writes, 0);
}
