//! A bridge between simulated devices and a broker, and a user with mosquitto's command line clients.

use serde_json::{Value, json};

use lantime2mqtt::simulator::ApiGeneration;

use crate::support::clients::{Clients, Message, Subscriber};
use crate::support::scene::{self, Setup};
use crate::support::{PATIENCE, wait};

/// All of it. The subscriber sees everything that is published.
pub(crate) type Scene = scene::Scene<Subscriber>;

/// What was published so far, in order. Topics are given without the prefix.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'s>(&'s [Message]);

impl Scene {
    /// A bridge with redundant devices.
    pub(crate) async fn start(apis: &[ApiGeneration]) -> Scene {
        Scene::of(Setup::redundant(apis)).await
    }

    /// A bridge that takes commands, and has seen all of its devices.
    pub(crate) async fn of(setup: Setup<'_>) -> Scene {
        let stage = setup.stage().await;
        let subscriber = Clients::of(stage.broker.address()).subscribe(&["#"]).await;
        let mut scene = stage.with(subscriber).start();
        scene.site.takes_commands().await;
        for number in 1..=scene.fleet.devices().len() {
            let topic = format!("sim-{number}/state");
            scene.until(&topic, |seen| seen.text(&topic) == "online").await;
        }
        scene
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::of(self.broker.address())
    }

    /// Stops the bridge in good order.
    pub(crate) async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Ends the bridge by a signal; when this returns everybody knows.
    pub(crate) async fn end(&mut self, signal: &str) {
        self.bridge.signal(signal);
        self.bridge.ended(PATIENCE).await;
        self.until(signal, |seen| seen.text("bridge/test/state") == "offline")
            .await;
    }

    /// Starts the bridge again, with the configuration as it is now.
    pub(crate) async fn start_again(&mut self) {
        self.bridge = self.site.start();
        self.site.takes_commands().await;
    }

    /// Waits until what was published fulfils `condition`.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(Seen<'_>) -> bool) {
        let seen = self.client.until(what, |messages| condition(Seen(messages)));
        seen.await;
    }

    /// Asks what was published so far.
    pub(crate) fn look<T>(&self, question: impl Fn(Seen<'_>) -> T) -> T {
        question(Seen(&self.client.now()))
    }

    /// Sends a command with MQTT 3.1.1, and gives its reply at `/reply`.
    pub(crate) async fn send(&mut self, topic: &str, payload: &str) -> Value {
        let before = self.look(|seen| seen.replies(topic).len());
        self.clients()
            .publish(&format!("lantime/{topic}"), payload, &[])
            .await;
        self.reply(topic, before).await
    }

    /// Sends a command, and waits until the bridge has read for it what stands at the first device; how many replies there were before.
    pub(crate) async fn begin(&mut self, topic: &str, payload: &str) -> usize {
        let (before, reads) = (
            self.look(|seen| seen.replies(topic).len()),
            self.device(1).counters().configuration_reads,
        );
        self.clients()
            .publish(&format!("lantime/{topic}"), payload, &[])
            .await;
        wait::until("what stands is read", async || {
            self.device(1).counters().configuration_reads > reads
        })
        .await;
        before
    }

    /// The reply to a command that has got `before` replies already.
    pub(crate) async fn reply(&mut self, topic: &str, before: usize) -> Value {
        self.until(topic, |seen| seen.replies(topic).len() > before).await;
        self.look(|seen| seen.replies(topic)[before].clone())
    }

    /// Sends a command that is refused: the reply and the dead letter say the same, and this carries the message. Gives
    /// the dead letter.
    pub(crate) async fn refused(&mut self, topic: &str, payload: &str, kind: &str) -> Value {
        let device = topic.split('/').next().unwrap_or_default().to_owned();
        let before = self.look(|seen| seen.refusals(&device).len());
        let reply = self.send(topic, payload).await;
        let is_refusal = reply["ok"] == false && reply["error"]["kind"] == kind;
        assert!(is_refusal, "{topic} {payload}: {reply} is no {kind}");
        self.until(topic, |seen| seen.refusals(&device).len() > before)
            .await;
        let dead_letter = self.look(|seen| seen.refusals(&device)[before].clone());
        assert_eq!(dead_letter["error"], reply["error"], "{topic} {payload}");
        assert_eq!(dead_letter["id"], reply["dead_letter"], "{topic} {payload}");
        assert_eq!(dead_letter["operation"], reply["command"], "{topic} {payload}");
        let origin = json!({ "topic": format!("lantime/{topic}"), "payload": payload });
        assert_eq!(dead_letter["origin"], origin);
        assert_eq!(dead_letter["bridge"], "test");
        assert_eq!(dead_letter["device"].as_str().unwrap_or("bridge"), device);
        dead_letter
    }

    /// Waits until a device's commands have come to their end: so many were refused, each with one reply and one
    /// dead letter, and nothing was written to the device.
    pub(crate) async fn only_refused(&mut self, number: usize, refused: usize) {
        let device = format!("sim-{number}");
        self.catch_up(&device).await;
        self.look(|seen| {
            let dead_letters = seen.refusals(&device);
            assert_eq!(dead_letters.len(), refused, "{dead_letters:#?}");
            let replies = seen.all_replies(&device);
            assert_eq!(replies.len(), refused, "{replies:#?}");
        });
        let counters = self.device(number).counters();
        assert_eq!((counters.configuration_writes, counters.applies), (0, 0));
        assert_eq!(self.device(number).world().pending_changes(), 0);
    }

    /// Waits until all that the bridge has stored for a device until now was published: it goes out in order.
    pub(crate) async fn catch_up(&mut self, device: &str) {
        let topic = format!("{device}/http/sessions/set");
        let reply = self.send(&topic, r#"{"max_count":100}"#).await;
        assert_eq!(reply["ok"], true, "{reply}");
    }
}

impl<'s> Seen<'s> {
    /// Everything at a topic.
    pub(crate) fn at(self, topic: &str) -> impl Iterator<Item = &'s Message> {
        let topic = format!("lantime/{topic}");
        self.0.iter().filter(move |message| message.topic == topic)
    }

    /// The latest message at a topic; empty for none.
    pub(crate) fn text(self, topic: &str) -> &'s str {
        self.at(topic).last().map_or("", |message| &message.payload)
    }

    /// The same, as JSON; null for none.
    pub(crate) fn json(self, topic: &str) -> Value {
        self.at(topic).last().map(Message::json).unwrap_or_default()
    }

    /// The replies to the commands at a topic. None is retained.
    pub(crate) fn replies(self, topic: &str) -> Vec<Value> {
        records(self.at(&format!("{topic}/reply")))
    }

    /// The replies to all commands for a device, but for those of [`Scene::catch_up`].
    fn all_replies(self, device: &str) -> Vec<Value> {
        let start = format!("lantime/{device}/");
        let is_reply = |message: &&Message| {
            let topic = message.topic.strip_prefix(&start);
            topic.is_some_and(|topic| topic.ends_with("/reply") && topic != "http/sessions/set/reply")
        };
        records(self.0.iter().filter(is_reply))
    }

    /// The dead letters of a device, or of `bridge`, that began with a command.
    pub(crate) fn refusals(self, device: &str) -> Vec<Value> {
        let dead_letters = self.dead_letters(device).into_iter();
        dead_letters
            .filter(|dead_letter| !dead_letter["origin"].is_null())
            .collect()
    }

    /// The dead letters of a device, or of `bridge`. None is retained.
    pub(crate) fn dead_letters(self, device: &str) -> Vec<Value> {
        records(self.at(&format!("dead-letter/{device}")))
    }
}

fn records<'s>(messages: impl Iterator<Item = &'s Message>) -> Vec<Value> {
    let record = |message: &Message| {
        assert!(!message.retained, "a record is never retained: {message:?}");
        message.json()
    };
    messages.map(record).collect()
}

/// Checks that an error says what a person has to know.
pub(crate) fn assert_says(dead_letter: &Value, parts: &[&str]) {
    let text = |key: &str| dead_letter["error"][key].as_str().unwrap_or_default();
    let error = format!("{}; {}", text("message"), text("remedy"));
    assert!(!text("remedy").is_empty(), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}
