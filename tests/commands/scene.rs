//! A bridge between simulated devices and a broker, and a user with mosquitto's command line clients.

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice};
use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::clients::{Clients, Message, Subscriber};
use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::site::{Entry, Site};

/// All of it.
pub(crate) struct Scene {
    pub(crate) bridge: Program,
    pub(crate) site: Site,
    pub(crate) fleet: Fleet,
    pub(crate) clients: Clients,
    /// Sees everything that is published.
    pub(crate) subscriber: Subscriber,
    pub(crate) broker: Mosquitto,
}

/// What was published so far, in order. Topics are given without the prefix.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'s>(&'s [Message]);

/// A device that is wired as its modules are, and to which assumed entries may be written.
pub(crate) fn writable(device: &SimulatedDevice) -> Entry {
    Entry::of(device)
        .listed(device)
        .with("allow_unverified_writes", true)
}

/// Devices whose slot io4 has relays on notification.
pub(crate) async fn fleet(apis: &[ApiGeneration]) -> Fleet {
    fleet_with(apis, FleetOptions::default()).await
}

/// The same, with other options.
pub(crate) async fn fleet_with(apis: &[ApiGeneration], options: FleetOptions) -> Fleet {
    let kinds = apis.iter().map(|api| DeviceKind::new(Chassis::M3000, *api));
    let options = FleetOptions {
        devices: apis.len(),
        kinds: kinds.collect(),
        ..options
    };
    Fleet::start(options).await.expect("free ports on the loopback")
}

/// Waits until something holds that nobody tells of.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, holds).await.is_err() {
        panic!("{what}: never");
    }
}

/// Waits until the broker has what this bridge wants to be sent.
pub(crate) async fn takes_commands(bridge: &mut Program) {
    bridge
        .until("commands are taken", |output| {
            output.stderr.contains("the broker delivers commands")
        })
        .await;
}

impl Scene {
    /// A bridge with these devices, all of them [`writable`].
    pub(crate) async fn start(apis: &[ApiGeneration]) -> Scene {
        Scene::with(fleet(apis).await, writable, |site| site).await
    }

    /// A bridge with these devices, each with its entry in the configuration, and with more settings.
    pub(crate) async fn with(
        fleet: Fleet,
        entry: impl Fn(&SimulatedDevice) -> Entry,
        settings: impl FnOnce(Site) -> Site,
    ) -> Scene {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        let subscriber = clients.subscribe(&["#"]).await;
        let entries: Vec<_> = fleet.devices().iter().map(|device| entry(device)).collect();
        let site = settings(Site::new(broker.address(), &entries));
        let bridge = site.start();
        let mut scene = Scene {
            bridge,
            site,
            fleet,
            clients,
            subscriber,
            broker,
        };
        takes_commands(&mut scene.bridge).await;
        for number in 1..=entries.len() {
            let topic = format!("sim-{number}/state");
            scene.until(&topic, |seen| seen.word(&topic) == "online").await;
        }
        scene
    }

    /// Stops the bridge in good order.
    pub(crate) async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Ends the bridge by a signal; when this returns everybody knows.
    pub(crate) async fn end(&mut self, signal: &str) {
        self.bridge.signal(signal);
        self.bridge.ended(PATIENCE).await;
        self.until(signal, |seen| seen.word("bridge/test/state") == "offline")
            .await;
    }

    /// Starts the bridge again, with the configuration as it is now.
    pub(crate) async fn start_again(&mut self) {
        self.bridge = self.site.start();
        takes_commands(&mut self.bridge).await;
    }

    /// The simulated device with that number, from 1.
    pub(crate) fn device(&self, number: usize) -> &SimulatedDevice {
        &self.fleet.devices()[number - 1]
    }

    /// Waits until what was published fulfils `condition`.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(Seen<'_>) -> bool) {
        let seen = self.subscriber.until(what, |messages| condition(Seen(messages)));
        seen.await;
    }

    /// Asks what was published so far.
    pub(crate) fn look<T>(&self, question: impl Fn(Seen<'_>) -> T) -> T {
        question(Seen(&self.subscriber.now()))
    }

    /// Sends a command with MQTT 3.1.1, and gives its reply at `/reply`.
    pub(crate) async fn send(&mut self, topic: &str, payload: &str) -> Value {
        let before = self.look(|seen| seen.replies(topic).len());
        let clients = self.clients;
        clients.publish(&format!("lantime/{topic}"), payload, &[]).await;
        self.reply(topic, before).await
    }

    /// Sends a command, and waits until the bridge has read for it what stands at the first device; how many replies there were before.
    pub(crate) async fn begin(&mut self, topic: &str, payload: &str) -> usize {
        let (before, reads) = (
            self.look(|seen| seen.replies(topic).len()),
            self.device(1).counters().configuration_reads,
        );
        self.clients
            .publish(&format!("lantime/{topic}"), payload, &[])
            .await;
        eventually("what stands is read", || {
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
    /// the letter.
    pub(crate) async fn refused(&mut self, topic: &str, payload: &str, kind: &str) -> Value {
        let device = topic.split('/').next().unwrap_or_default().to_owned();
        let before = self.look(|seen| seen.refusals(&device).len());
        let reply = self.send(topic, payload).await;
        let is_refusal = reply["ok"] == false && reply["error"]["kind"] == kind;
        assert!(is_refusal, "{topic} {payload}: {reply} is no {kind}");
        self.until(topic, |seen| seen.refusals(&device).len() > before)
            .await;
        let letter = self.look(|seen| seen.refusals(&device)[before].clone());
        assert_eq!(letter["error"], reply["error"], "{topic} {payload}");
        assert_eq!(letter["id"], reply["dead_letter"], "{topic} {payload}");
        assert_eq!(letter["operation"], reply["command"], "{topic} {payload}");
        let origin = json!({ "topic": format!("lantime/{topic}"), "payload": payload });
        assert_eq!(letter["origin"], origin);
        assert_eq!(letter["bridge"], "test");
        assert_eq!(letter["device"].as_str().unwrap_or("bridge"), device);
        letter
    }

    /// Waits until a device's commands have come to their end: so many were refused, each with one reply and one
    /// dead letter, and nothing was written to the device.
    pub(crate) async fn only_refused(&mut self, number: usize, refused: usize) {
        let device = format!("sim-{number}");
        self.catch_up(&device).await;
        self.look(|seen| {
            let letters = seen.refusals(&device);
            assert_eq!(letters.len(), refused, "{letters:#?}");
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
    pub(crate) fn word(self, topic: &str) -> &'s str {
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
        let letters = self.letters(device).into_iter();
        letters.filter(|letter| !letter["origin"].is_null()).collect()
    }

    /// The dead letters of a device, or of `bridge`. None is retained.
    pub(crate) fn letters(self, device: &str) -> Vec<Value> {
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

/// Checks that an error tells a person what they have to know.
pub(crate) fn assert_says(letter: &Value, parts: &[&str]) {
    let text = |key: &str| letter["error"][key].as_str().unwrap_or_default();
    let error = format!("{}; {}", text("message"), text("remedy"));
    assert!(!text("remedy").is_empty(), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}
