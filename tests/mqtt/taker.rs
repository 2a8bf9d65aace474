//! The way commands come in, with a test in the place of the inbox; and somebody who sends commands.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use lantime2mqtt::command::Incoming;
use lantime2mqtt::config::{Mqtt, MqttVersion};
use lantime2mqtt::contract::topics::Topics;
use lantime2mqtt::model::DeviceId;
use lantime2mqtt::mqtt::commands::{Commands, CommandsStatus};
use lantime2mqtt::records::Received;
use lantime2mqtt::records::store::StoreError;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::device;
use crate::support::PATIENCE;

/// Commands that wait to be stored.
pub(super) struct Submission {
    pub(super) commands: Vec<Received>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

impl Submission {
    /// They are stored.
    pub(super) fn stored(self) -> Vec<Received> {
        self.answer.send(Ok(())).unwrap();
        self.commands
    }

    /// They cannot be stored.
    pub(super) fn failed(self) -> Vec<Received> {
        self.answer
            .send(Err(StoreError::Io("disk full".to_owned())))
            .unwrap();
        self.commands
    }
}

/// The task under test.
pub(super) struct Taker {
    submissions: mpsc::UnboundedReceiver<Submission>,
    devices: watch::Sender<Vec<DeviceId>>,
    pub(super) status: watch::Receiver<CommandsStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Taker {
    /// For these devices; returns when the broker has answered all subscriptions.
    pub(super) async fn start(mqtt: Mqtt, devices: &[&str]) -> Taker {
        let mut taker = Taker::begin(mqtt, devices);
        taker.until("subscribed", |status| status.subscribed).await;
        taker
    }

    /// The same without waiting.
    pub(super) fn begin(mqtt: Mqtt, devices: &[&str]) -> Taker {
        let topics = Topics::new(mqtt.prefix.clone(), device("b1"));
        let (devices, receiver) = watch::channel(devices.iter().map(|id| device(id)).collect());
        let (sender, submissions) = mpsc::unbounded_channel();
        let (commands, status) = Commands::new(mqtt, topics, receiver, move |commands: Vec<Incoming>| {
            let (answer, answered) = oneshot::channel();
            let commands = commands.into_iter().map(|command| command.message).collect();
            let _ = sender.send(Submission { commands, answer });
            async move { answered.await.unwrap_or(Err(StoreError::Io("closed".to_owned()))) }
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(commands.run(stop.clone()));
        Taker {
            submissions,
            devices,
            status,
            stop,
            task,
        }
    }

    pub(super) fn set_devices(&self, devices: &[&str]) {
        self.devices
            .send_replace(devices.iter().map(|id| device(id)).collect());
    }

    pub(super) async fn until(
        &mut self,
        what: &str,
        condition: impl FnMut(&CommandsStatus) -> bool,
    ) -> CommandsStatus {
        if let Ok(status) = timeout(PATIENCE, self.status.wait_for(condition)).await {
            return status.unwrap().clone();
        }
        panic!("{what}: never seen; {:?}", self.status.borrow());
    }

    pub(super) async fn next(&mut self) -> Submission {
        timeout(PATIENCE, self.submissions.recv())
            .await
            .expect("a command comes")
            .expect("the task runs")
    }

    /// The next so many commands, each stored when it comes.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Received> {
        let mut commands = Vec::new();
        while commands.len() < count {
            commands.extend(self.next().await.stored());
        }
        assert_eq!(commands.len(), count);
        commands
    }

    /// Ends it as the program does.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }

    /// Begins to end it; gives what waits for the end.
    pub(super) fn stopping(
        self,
    ) -> (
        CancellationToken,
        JoinHandle<()>,
        mpsc::UnboundedReceiver<Submission>,
    ) {
        (self.stop, self.task, self.submissions)
    }

    /// Ends it as a crash does.
    pub(super) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A message to send.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: PublishProperties,
}

impl Post {
    pub(super) fn new(topic: &str, payload: impl Into<Bytes>) -> Post {
        Post {
            topic: topic.to_owned(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: PublishProperties::default(),
        }
    }
}

/// Sends one message after the other, independent of the code under test; returns when the broker has all of them.
pub(super) async fn send(address: SocketAddr, posts: Vec<Post>) {
    let mut options = MqttOptions::new("user", address.ip().to_string(), address.port());
    options.set_keep_alive(Duration::from_secs(60));
    let (client, mut eventloop) = AsyncClient::new(options, posts.len() + 1);
    let mut unanswered = posts.iter().filter(|post| post.qos != QoS::AtMostOnce).count();
    for post in posts {
        client
            .try_publish_with_properties(post.topic, post.qos, post.retain, post.payload, post.properties)
            .unwrap();
    }
    let answered = async {
        while unanswered > 0 {
            if let Event::Incoming(Packet::PubAck(ack)) = eventloop.poll().await.unwrap() {
                assert!(matches!(
                    ack.reason,
                    PubAckReason::Success | PubAckReason::NoMatchingSubscribers
                ));
                unanswered -= 1;
            }
        }
        client.try_disconnect().unwrap();
        while !matches!(
            eventloop.poll().await.unwrap(),
            Event::Outgoing(rumqttc::Outgoing::Disconnect)
        ) {}
    };
    timeout(PATIENCE, answered).await.expect("the broker takes them");
}

/// `refresh` commands for a device, with these payloads.
pub(super) fn refreshes(id: &str, payloads: std::ops::Range<usize>) -> Vec<Post> {
    let topic = format!("lantime/{id}/refresh");
    payloads.map(|n| Post::new(&topic, n.to_string())).collect()
}

/// Their payloads, as texts.
pub(super) fn payloads(commands: &[Received]) -> Vec<String> {
    let text = |command: &Received| String::from_utf8(command.payload.to_vec()).unwrap();
    commands.iter().map(text).collect()
}

pub(super) const VERSIONS: [MqttVersion; 2] = [MqttVersion::V5, MqttVersion::V311];
