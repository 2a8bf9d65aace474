//! A broker, redundant devices whose relays A and C in `io4` follow notification events, a bridge's configuration,
//! and somebody who sends commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use lantime2mqtt::model::DeviceId;
use lantime2mqtt::records::store::{self, Store};
use lantime2mqtt::simulator::{ApiGeneration, Relay, SimulatedDevice};
use serde_json::Value;

use crate::support::mosquitto::Options;
use crate::support::requester::{Message, Properties, Requester};
use crate::support::scene::{Setup, Stage};

/// What is in a reply.
pub(crate) fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).expect("a reply is JSON")
}

/// Where the events of relay A of a device are selected.
pub(crate) fn set_topic(device: &str) -> String {
    format!("lantime/{device}/io4/relay/a/events/set")
}

/// Everything but the bridge.
pub(crate) type Scene = Stage<Requester>;

/// What those who send commands hear of them.
const REPLIES: [&str; 6] = [
    "lantime/+/refresh/reply",
    "lantime/+/http/sessions/set/reply",
    "lantime/+/+/relay/+/events/set/reply",
    "lantime/bridge/+/dead-letters/replay/reply",
    "lantime/dead-letter/#",
    "answers/#",
];

impl Scene {
    /// So many devices of that generation.
    pub(crate) async fn new(devices: usize, api: ApiGeneration) -> Scene {
        let options = Options {
            // Small messages, each of which is waited for.
            lines: vec!["set_tcp_nodelay true".to_owned()],
            ..Options::default()
        };
        Scene::of(Setup::redundant(&vec![api; devices]).broker(options)).await
    }

    pub(crate) async fn of(setup: Setup<'_>) -> Scene {
        let stage = setup.stage().await;
        let requester = Requester::connect(stage.broker.address(), &REPLIES).await;
        stage.with(requester)
    }

    /// The first device.
    pub(crate) fn device(&self) -> &Arc<SimulatedDevice> {
        &self.fleet.devices()[0]
    }

    /// A first run, by which the broker knows the session in which commands wait.
    pub(crate) async fn run_once(&mut self) {
        let bridge = self.site.start();
        self.settle("sim-1").await;
        assert_eq!(bridge.stop("TERM").await.code, Some(0));
    }

    /// Sends a refresh to that device and waits for its reply: commands are answered in order, so those for the same
    /// device that came before have been answered too.
    pub(crate) async fn settle(&mut self, device: &str) {
        let answers = format!("answers/settled/{:x}", fastrand::u64(..));
        let properties = Properties {
            respond: Some((answers.clone(), "settled".into())),
            ..Properties::default()
        };
        let (topic, id) = (format!("lantime/{device}/refresh"), answers.clone());
        let payload = serde_json::json!({ "id": id }).to_string();
        self.client.send_with(&topic, payload, properties).await;
        let is_it = |message: &Message| message.topic.ends_with("/reply") || message.topic == answers;
        let replied = self.client.until("the reply to a refresh", |messages| {
            messages
                .iter()
                .any(|message| is_it(message) && json(message)["id"] == *id)
        });
        replied.await;
    }

    /// That the store of a bridge which has stopped holds neither a command nor a record.
    pub(crate) async fn nothing_is_left(&self) {
        let options = store::Options::new(DeviceId::new("test").expect("an id"));
        let store = Store::open(&self.site.state(), options).expect("nobody uses it");
        let (commands, records) = (store.inbox().await, store.outbox(0, 100, usize::MAX).await);
        assert_eq!(
            commands.expect("the disk works"),
            [],
            "commands that are not answered"
        );
        assert_eq!(records.expect("the disk works"), [], "records that were not sent");
    }
}

/// The events that switch relay A in `io4` of a device, in fact.
pub(crate) fn selected(device: &SimulatedDevice) -> BTreeSet<&'static str> {
    device.world().relay_events("io4", Relay::A)
}

/// Events that every device has, without counterparts, and that may switch a relay.
const EVENTS: [&str; 5] = [
    "ntp-stopped",
    "sync-monitor",
    "system-reboot",
    "https-certificate-expired",
    "https-certificate-expire-warning",
];

/// A selection that differs from the one before and the one after.
pub(crate) fn choice(number: usize) -> BTreeSet<&'static str> {
    [number, number + 1, number + 2 + number / 5]
        .map(|event| EVENTS[event % EVENTS.len()])
        .into()
}

/// The replies to commands for `sim-1`, at their own topic and at that of the answers.
pub(crate) fn replies(messages: &[Message], answers: &str) -> Vec<Message> {
    let own = format!("{}/reply", set_topic("sim-1"));
    let is_reply = |message: &&Message| message.topic == own || message.topic == answers;
    messages.iter().filter(is_reply).cloned().collect()
}
