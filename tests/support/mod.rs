//! What the tests share: scenes of devices, broker and bridge (`scene`), what these are made of, and a client that remembers
//! what was published.
// Each test is a crate of its own and uses a part of this only.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod clients;
pub mod etcd;
pub mod expected_files;
pub mod forward_proxy;
pub mod http;
pub mod mosquitto;
pub mod net_snmp;
pub mod openssl;
pub mod program;
pub mod proxy;
pub mod recordings;
pub mod requester;
pub mod scene;
pub mod site;
pub mod tap;
pub mod tls_front;
pub mod wait;
pub mod web_server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use lantime2mqtt::simulator::SimulatedDevice;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long anything may take that is not measured.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a subscriber of everything has got.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The last payload of each topic of state; none for a topic that was cleared.
    pub topics: BTreeMap<String, String>,
    /// Every message, in order, records too.
    pub log: Vec<(String, String)>,
}

impl Seen {
    /// The text that is retained below the prefix; empty for none.
    pub fn text(&self, topic: &str) -> &str {
        let payload = self.topics.get(&format!("lantime/{topic}"));
        payload.map_or("", String::as_str)
    }

    /// The JSON that is retained below the prefix; null for none.
    pub fn json(&self, topic: &str) -> Value {
        serde_json::from_str(self.text(topic)).unwrap_or_default()
    }

    /// Everything that came below the prefix at a topic of records, as JSON.
    pub fn records(&self, topic: &str) -> Vec<Value> {
        let topic = format!("lantime/{topic}");
        let log = self.log.iter().filter(|(at, _)| *at == topic);
        log.map(|(_, payload)| serde_json::from_str(payload).expect("a record is JSON"))
            .collect()
    }

    /// The error that stands on a device; null for none.
    pub fn error(&self, device: &str) -> Value {
        self.json(&format!("{device}/error"))["error"].take()
    }

    /// Its kind; empty for none.
    pub fn error_kind(&self, device: &str) -> String {
        self.error(device)["kind"].as_str().unwrap_or_default().to_owned()
    }

    pub fn is_online(&self, device: &str) -> bool {
        self.text(&format!("{device}/state")) == "online"
    }

    /// The last payload that came at `topic`, state or record.
    pub fn last(&self, topic: &str) -> Option<&str> {
        let mut log = self.log.iter().rev();
        log.find(|(other, _)| other == topic)
            .map(|(_, payload)| payload.as_str())
    }

    fn note(&mut self, topic: String, payload: String) {
        if payload.is_empty() {
            self.topics.remove(&topic);
        } else if !is_record(&topic) {
            self.topics.insert(topic.clone(), payload.clone());
        }
        self.log.push((topic, payload));
    }

    /// Whether `topic` holds `payload`.
    pub fn is(&self, topic: &str, payload: &str) -> bool {
        self.topics.get(topic).is_some_and(|found| found == payload)
    }
}

/// Whether nothing is retained at that topic. A message that comes at once does not show it.
fn is_record(topic: &str) -> bool {
    let is_of_device = |word| topic.ends_with(word) && !topic.contains("/relay/");
    topic.contains("/dead-letter/")
        || topic.ends_with("/reply")
        || is_of_device("/events")
        || is_of_device("/changes")
}

/// Waits until a device has answered so many polls more.
pub async fn polls(device: &SimulatedDevice, more: u64) {
    let enough = device.counters().documents + more;
    wait::until("polls", async || device.counters().documents >= enough).await;
}

/// A subscriber of everything, independent of the code under test. Ends with its connection.
pub struct Watcher {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Subscribes at a broker; retained messages come right after.
    pub async fn connect(address: SocketAddr) -> Watcher {
        Watcher::connect_as(address, None).await
    }

    /// Subscribes with user name and password.
    pub async fn connect_as(address: SocketAddr, login: Option<(&str, &str)>) -> Watcher {
        let id = format!("watcher-{}", address.port());
        let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_max_packet_size(16 * 1024 * 1024, 1024);
        options.set_keep_alive(Duration::from_secs(60));
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let (client, mut eventloop) = AsyncClient::new(options, 8);
        // QoS 0: a broker queues as much of it as comes.
        client.subscribe("#", QoS::AtMostOnce).await.unwrap();
        while !matches!(
            eventloop.poll().await.unwrap(),
            Event::Incoming(Packet::SubAck(_))
        ) {}
        let (sender, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            // Kept, since the event loop ends without it.
            let _client = client;
            let note = |event| {
                if let Event::Incoming(Packet::Publish(publish)) = event {
                    let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                    sender.send_modify(|seen| seen.note(publish.topic, payload));
                }
            };
            while let Ok(event) = eventloop.poll().await {
                note(event);
            }
            // What was read together with the end.
            eventloop.state.events.drain(..).for_each(note);
        });
        Watcher { seen, task }
    }

    /// Waits until `condition` holds; panics with `what` when it never does.
    pub async fn until(&mut self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        self.until_within(PATIENCE, what, condition).await
    }

    /// The same for what takes its time, such as pauses that grow.
    pub async fn until_within(
        &mut self,
        patience: Duration,
        what: &str,
        condition: impl FnMut(&Seen) -> bool,
    ) -> Seen {
        if let Ok(Ok(seen)) = timeout(patience, self.seen.wait_for(condition)).await {
            return seen.clone();
        }
        let seen = self.seen.borrow();
        let some: Vec<_> = seen.topics.iter().take(40).collect();
        panic!(
            "{what}: never seen; {} topics, among them {some:#?}",
            seen.topics.len()
        );
    }

    /// Waits until the connection has ended, and with it all that can come.
    pub async fn ended(&mut self) {
        let ended = async { while self.seen.changed().await.is_ok() {} };
        timeout(PATIENCE, ended)
            .await
            .expect("the broker ends the connection");
    }

    /// What has come so far.
    pub fn now(&self) -> Seen {
        self.seen.borrow().clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
