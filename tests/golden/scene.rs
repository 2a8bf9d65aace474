//! A bridge with everything switched on, between the devices and those who look at it.

use std::net::SocketAddr;

use lantime2mqtt::simulator::{Action, Fault};
use serde_json::{Value, json};

use crate::fleet;
use crate::host::Host;
use crate::support::clients::{Clients, Message, Subscriber};
use crate::support::net_snmp::{Manager, free_address};
use crate::support::scene;
use crate::support::site::Site;
use crate::tools::succeeds;

pub(crate) const TOKEN: &str = "a-token-for-these-tests";
pub(crate) const COMMUNITY: &str = "public";
/// The v3 user whose traps are taken.
pub(crate) const USER: &str = "lantime";
pub(crate) const PASSWORDS: [&str; 2] = ["a secret to sign", "a secret to hide"];

pub(crate) type Scene = scene::Scene<Clientele>;

/// Those who look at the bridge, and send to it.
pub(crate) struct Clientele {
    pub(crate) mqtt: Clients,
    /// Sees everything that is published.
    pub(crate) subscriber: Subscriber,
    pub(crate) host: Host,
    pub(crate) manager: Manager,
    traps: SocketAddr,
}

impl Scene {
    pub(crate) async fn start() -> Scene {
        let [traps, agent] = [free_address(), free_address()];
        let site = |site: Site| {
            site.with_http()
                .with("mqtt.layout", "both")
                .with("http.token", TOKEN)
                .with("snmp.traps.listen", traps.to_string())
                .with("snmp.communities", vec![COMMUNITY.to_owned()])
                .with("snmp.users", vec![user()])
                .with("snmp.agent.listen", agent.to_string())
                .with("snmp.agent.communities", vec![COMMUNITY.to_owned()])
                .with("homeassistant.enabled", true)
                .with("sparkplug.enabled", true)
        };
        let stage = fleet::setup().site(site).stage().await;
        let mqtt = Clients::of(stage.broker.address());
        let clientele = Clientele {
            mqtt,
            subscriber: mqtt.subscribe(&["lantime/#", "my/#"]).await,
            host: Host::start(stage.broker.address()).await,
            manager: Manager::of(agent),
            traps,
        };
        stage.with(clientele).start()
    }

    /// Moves the world of a device, from 1.
    pub(crate) fn apply(&self, number: usize, action: &Action) {
        self.device(number).apply(action).unwrap();
    }

    pub(crate) fn set_fault(&self, number: usize, fault: Fault) {
        self.device(number).set_fault(Some(fault));
    }

    /// Waits until the last message at a topic below the prefix contains `part`.
    pub(crate) async fn until(&mut self, topic: &str, part: &str) {
        let what = format!("{part} at {topic}");
        self.until_last(&what, topic, |payload| payload.contains(part))
            .await;
    }

    /// Waits for a record at a topic below the prefix that contains `part`.
    pub(crate) async fn until_record(&mut self, topic: &str, part: &str) {
        let topic = format!("lantime/{topic}");
        let is_wanted = |message: &Message| message.topic == topic && message.payload.contains(part);
        let what = format!("{part} at {topic}");
        self.client
            .subscriber
            .until(&what, |messages| messages.iter().any(is_wanted))
            .await;
    }

    /// Waits until a topic below the prefix is cleared.
    pub(crate) async fn until_cleared(&mut self, topic: &str) {
        self.until_last(&format!("{topic} cleared"), topic, str::is_empty)
            .await;
    }

    async fn until_last(&mut self, what: &str, topic: &str, is_wanted: impl Fn(&str) -> bool) {
        let topic = format!("lantime/{topic}");
        let holds = |messages: &[Message]| {
            let last = messages.iter().rev().find(|message| message.topic == topic);
            last.is_some_and(|message| is_wanted(&message.payload))
        };
        self.client.subscriber.until(what, holds).await;
    }

    /// Waits until so many messages have come at a topic.
    pub(crate) async fn until_count(&mut self, topic: &str, count: usize) -> Message {
        let is_of = |message: &&Message| message.topic == topic;
        let enough = |messages: &[Message]| messages.iter().filter(is_of).count() >= count;
        let messages = self.client.subscriber.until(topic, enough).await;
        messages.iter().filter(is_of).nth(count - 1).unwrap().clone()
    }

    fn count(&self, topic: &str) -> usize {
        let messages = self.client.subscriber.now();
        messages.iter().filter(|message| message.topic == topic).count()
    }

    /// Has a device polled, and waits until all that comes of it was published: the reply comes last.
    pub(crate) async fn refresh(&mut self, number: usize) {
        self.send(&format!("sim-{number}/refresh"), "").await;
    }

    /// Sends a command, and gives the reply.
    pub(crate) async fn send(&mut self, topic: &str, payload: &str) -> Value {
        let topic = format!("lantime/{topic}");
        let replies = format!("{topic}/reply");
        let before = self.count(&replies);
        self.client.mqtt.publish(&topic, payload, &[]).await;
        self.until_count(&replies, before + 1).await.json()
    }

    /// Sends a trap or inform with one of net-snmp's tools, as the device does: with its sysName.
    pub(crate) async fn notify(&self, tool: &str, login: &[&str], number: usize, what: &[&str]) {
        let to = self.client.traps.to_string();
        let name = self.device(number).hostname();
        let name = ["1.3.6.1.2.1.1.5.0", "s", name];
        let arguments = [login, &[to.as_str()], what, &name].concat();
        succeeds(self.site.directory(), tool, &arguments).await;
    }

    /// What a dead letter's replay is asked by.
    pub(crate) fn dead_letter_of(&self, topic: &str) -> String {
        let messages = self.client.subscriber.now();
        let is_dead_letter = |message: &&Message| message.topic.starts_with("lantime/dead-letter/");
        let mut dead_letters = messages.iter().filter(is_dead_letter).map(Message::json);
        let dead_letter =
            dead_letters.find(|dead_letter| dead_letter["origin"]["topic"] == format!("lantime/{topic}"));
        json!({ "id": dead_letter.unwrap()["id"] }).to_string()
    }
}

fn user() -> toml::Value {
    let [auth, privacy] = PASSWORDS;
    let keys = [
        ("name", USER),
        ("auth_password", auth),
        ("priv_password", privacy),
    ];
    let keys = keys.map(|(key, value)| (key.to_owned(), value.into()));
    toml::Value::Table(keys.into_iter().collect())
}
