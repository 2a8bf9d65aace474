//! A client of MQTT 5 that sends commands and keeps what it gets, over any number of connections; independent of
//! the code under test.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, Filter, Packet, PubAckReason, Publish, PublishProperties,
};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{PATIENCE, wait};

/// Pause before it connects again.
const PAUSE: Duration = Duration::from_millis(50);

/// A message that came.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub correlation: Option<Bytes>,
}

/// How a command is sent.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    /// Where its reply is to go, and with what.
    pub respond: Option<(String, Bytes)>,
    /// Seconds after which it is not to be carried out any more.
    pub expiry: Option<u32>,
}

#[derive(Debug, Default)]
struct State {
    /// There once it has subscribed.
    client: Option<AsyncClient>,
    /// Connections that came about.
    connection: u64,
    /// PUBACKs in this connection.
    acks: u64,
    /// Whether the last one said that somebody gets the message.
    is_heard: bool,
    received: Vec<Message>,
}

/// The client. Ended on drop.
pub struct Requester {
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Requester {
    /// Subscribes to `filters` with QoS 1, now and after each loss of the connection.
    pub async fn connect(address: SocketAddr, filters: &[&str]) -> Requester {
        Requester::connect_with(address, filters, QoS::AtLeastOnce).await
    }

    /// Likewise with QoS 0: nothing waits in the broker until something before it is acknowledged.
    pub async fn listen(address: SocketAddr, filters: &[&str]) -> Requester {
        Requester::connect_with(address, filters, QoS::AtMostOnce).await
    }

    async fn connect_with(address: SocketAddr, filters: &[&str], qos: QoS) -> Requester {
        let filters: Vec<_> = filters
            .iter()
            .map(|path| Filter::new(path.to_string(), qos))
            .collect();
        let (sender, state) = watch::channel(State::default());
        let task = tokio::spawn(async move {
            loop {
                converse(address, &filters, &sender).await;
                sender.send_modify(|state| state.client = None);
                tokio::time::sleep(PAUSE).await;
            }
        });
        let mut requester = Requester { state, task };
        requester.subscribed(0).await;
        requester
    }

    /// Waits until it has subscribed in a later connection than that; gives the number of that one.
    pub async fn subscribed(&mut self, after: u64) -> u64 {
        let is_there = |state: &State| state.client.is_some() && state.connection > after;
        let state = timeout(PATIENCE, self.state.wait_for(is_there)).await;
        let state = state
            .expect("the broker lets it subscribe")
            .expect("its task runs");
        state.connection
    }

    /// Which connection this is.
    pub fn connection(&self) -> u64 {
        self.state.borrow().connection
    }

    /// Publishes with QoS 1, as often as it takes until a broker has acknowledged it for somebody who has subscribed,
    /// which a bridge that has just been started may not have.
    pub async fn send(&mut self, topic: &str, payload: impl Into<Bytes>) {
        self.send_with(topic, payload, Properties::default()).await;
    }

    /// Likewise, with properties of MQTT 5.
    pub async fn send_with(&mut self, topic: &str, payload: impl Into<Bytes>, properties: Properties) {
        let payload = payload.into();
        let (topic_of_reply, correlation) = properties.respond.unzip();
        let properties = PublishProperties {
            response_topic: topic_of_reply,
            correlation_data: correlation,
            message_expiry_interval: properties.expiry,
            ..PublishProperties::default()
        };
        let what = format!("a broker takes the message at {topic}");
        wait::until(&what, async || {
            let is_connected = |state: &State| state.client.is_some();
            let (client, connection, acks) = {
                let state = self.state.wait_for(is_connected).await.expect("its task runs");
                (state.client.clone(), state.connection, state.acks)
            };
            let (properties, payload) = (properties.clone(), payload.clone());
            let client = client.expect("it is connected");
            let qos = QoS::AtLeastOnce;
            let sent = client.try_publish_with_properties(topic, qos, false, payload, properties);
            let is_over =
                |state: &State| state.client.is_none() || state.connection != connection || state.acks > acks;
            let state = self.state.wait_for(is_over).await.expect("its task runs");
            let is_heard = state.connection == connection && state.acks > acks && state.is_heard;
            sent.is_ok() && is_heard
        })
        .await;
    }

    /// What has come so far.
    pub fn received(&self) -> Vec<Message> {
        self.state.borrow().received.clone()
    }

    /// Waits until what has come fulfils `condition`, and gives it.
    pub async fn until(&mut self, what: &str, mut condition: impl FnMut(&[Message]) -> bool) -> Vec<Message> {
        let wait = self.state.wait_for(|state| condition(&state.received));
        if let Ok(state) = timeout(PATIENCE, wait).await {
            return state.expect("its task runs").received.clone();
        }
        panic!("{what}: never came; {:#?}", last(&self.received()));
    }
}

impl Drop for Requester {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The latest few messages, for a panic.
fn last(messages: &[Message]) -> &[Message] {
    &messages[messages.len().saturating_sub(10)..]
}

/// One connection, to its end.
async fn converse(address: SocketAddr, filters: &[Filter], state: &watch::Sender<State>) {
    let id = format!("requester-{:x}", fastrand::u64(..));
    let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
    options.set_keep_alive(Duration::from_secs(5));
    options.set_connect_properties(ConnectProperties {
        max_packet_size: Some(16 * 1024 * 1024),
        ..ConnectProperties::new()
    });
    let (client, mut eventloop) = AsyncClient::new(options, 16);
    let asked = client.try_subscribe_many(filters.to_vec());
    asked.expect("there is room for one request");
    while let Ok(event) = eventloop.poll().await {
        match event {
            Event::Incoming(Packet::SubAck(_)) => state.send_modify(|state| {
                state.client = Some(client.clone());
                state.connection += 1;
                state.acks = 0;
            }),
            Event::Incoming(Packet::PubAck(ack)) => state.send_modify(|state| {
                state.acks += 1;
                state.is_heard = ack.reason == PubAckReason::Success;
            }),
            Event::Incoming(Packet::Publish(publish)) => {
                let message = message(publish);
                state.send_modify(|state| state.received.push(message));
            }
            _ => {}
        }
    }
}

fn message(publish: Publish) -> Message {
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        correlation: publish
            .properties
            .and_then(|properties| properties.correlation_data),
    }
}
