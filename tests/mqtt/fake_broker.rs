//! A broker of MQTT 5 that says what a test has it say: for answers that real ones seldom give.

use std::net::SocketAddr;

use bytes::BytesMut;
use lantime2mqtt::config::Mqtt;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Packet, PingResp, PubAck, PubAckReason, Publish, SubAck,
    Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::settings;
use crate::support::PATIENCE;

/// Where clients come to.
pub(super) struct FakeBroker(TcpListener);

impl FakeBroker {
    pub(super) async fn start() -> FakeBroker {
        FakeBroker(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn settings(&self) -> Mqtt {
        settings(self.address())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next client, accepted.
    pub(super) async fn accept(&self) -> Conversation {
        self.accept_with_hello().await.0
    }

    /// The next client, accepted, which may have so many messages under way.
    pub(super) async fn accept_few(&self, receive_maximum: u16) -> Conversation {
        self.accept_announcing(|properties| properties.receive_max = Some(receive_maximum))
            .await
    }

    /// The next client, accepted, with what `announce` writes into the answer.
    pub(super) async fn accept_announcing(
        &self,
        announce: impl FnOnce(&mut ConnAckProperties),
    ) -> Conversation {
        let mut properties = nothing_announced();
        announce(&mut properties);
        self.accept_as(Some(properties)).await.0
    }

    /// The next client, accepted, and what it said first.
    pub(super) async fn accept_with_hello(&self) -> (Conversation, Packet) {
        self.accept_as(None).await
    }

    async fn accept_as(&self, properties: Option<ConnAckProperties>) -> (Conversation, Packet) {
        let (stream, _) = timeout(PATIENCE, self.0.accept())
            .await
            .expect("a client comes")
            .unwrap();
        let mut conversation = Conversation {
            stream,
            buffer: BytesMut::new(),
        };
        let hello = conversation.next().await;
        assert!(matches!(hello, Packet::Connect(..)));
        let accepted = ConnAck {
            session_present: false,
            code: ConnectReturnCode::Success,
            properties,
        };
        conversation.send(Packet::ConnAck(accepted)).await;
        (conversation, hello)
    }
}

/// A connection, from the broker's side.
pub(super) struct Conversation {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Conversation {
    /// What the client says next.
    pub(super) async fn next(&mut self) -> Packet {
        loop {
            match Packet::read(&mut self.buffer, None) {
                Ok(packet) => return packet,
                Err(Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("the client says something else: {error}"),
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let count = timeout(PATIENCE, read).await.expect("it says something").unwrap();
            assert_ne!(count, 0, "the client has left");
        }
    }

    /// The next thing that is no ping.
    pub(super) async fn next_but_pings(&mut self) -> Packet {
        loop {
            match self.next().await {
                Packet::PingReq(_) => self.send(Packet::PingResp(PingResp)).await,
                packet => return packet,
            }
        }
    }

    pub(super) async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.send_bytes(&bytes).await;
    }

    /// Sends what the library would not write.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Answers the next subscription with that reason code for each of its filters, which it gives.
    pub(super) async fn refuse_subscription(&mut self, code: u8) -> Vec<String> {
        self.answer_together(&[code]).await.remove(0)
    }

    /// Answers the next subscriptions in one write, each with that reason code; gives the filters, packet by packet.
    pub(super) async fn answer_together(&mut self, codes: &[u8]) -> Vec<Vec<String>> {
        let (mut asked, mut bytes) = (Vec::new(), Vec::new());
        for code in codes {
            let Packet::Subscribe(subscribe) = self.next_but_pings().await else {
                panic!("a subscription");
            };
            bytes.extend(suback(&subscribe, *code));
            asked.push(subscribe.filters.into_iter().map(|filter| filter.path).collect());
        }
        self.send_bytes(&bytes).await;
        asked
    }

    /// Sends a message, as to a subscriber.
    pub(super) async fn publish(&mut self, pkid: u16, qos: QoS, topic: &str) {
        let mut publish = Publish::new(topic, qos, topic.to_owned(), None);
        publish.pkid = pkid;
        self.send(Packet::Publish(publish)).await;
    }

    /// Answers subscriptions until none is open, as `answer` says to each filter; gives the filters, packet by packet.
    pub(super) async fn subscriptions(
        &mut self,
        packets: usize,
        answer: impl Fn(&str) -> SubscribeReasonCode,
    ) -> Vec<Vec<String>> {
        let mut asked = Vec::new();
        while asked.len() < packets {
            let Packet::Subscribe(subscribe) = self.next_but_pings().await else {
                panic!("a subscription");
            };
            let filters: Vec<_> = subscribe.filters.into_iter().map(|filter| filter.path).collect();
            let ack = SubAck {
                pkid: subscribe.pkid,
                return_codes: filters.iter().map(|filter| answer(filter)).collect(),
                properties: None,
            };
            self.send(Packet::SubAck(ack)).await;
            asked.push(filters);
        }
        asked
    }

    /// Answers that subscription with success.
    pub(super) async fn grant(&mut self, subscribe: Subscribe) {
        let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        let ack = SubAck {
            pkid: subscribe.pkid,
            return_codes: vec![granted; subscribe.filters.len()],
            properties: None,
        };
        self.send(Packet::SubAck(ack)).await;
    }

    /// The next message that the client publishes, answered so; topic and payload.
    pub(super) async fn take(&mut self, answer: impl Fn(&str) -> PubAckReason) -> (String, String) {
        let publish = self.next_publish().await;
        self.answer(publish, answer).await
    }

    /// The next message that the client publishes, taken; `None` for one at `topic`, which stays without an answer.
    pub(super) async fn take_unless(&mut self, topic: &str) -> Option<(String, String)> {
        let publish = self.next_publish().await;
        if publish.topic == topic {
            return None;
        }
        Some(self.answer(publish, |_| PubAckReason::Success).await)
    }

    async fn next_publish(&mut self) -> Publish {
        loop {
            match self.next_but_pings().await {
                Packet::Publish(publish) => return publish,
                // The publisher reads its own state topics.
                Packet::Subscribe(subscribe) => self.grant(subscribe).await,
                other => panic!("a message, not {other:?}"),
            }
        }
    }

    async fn answer(&mut self, publish: Publish, answer: impl Fn(&str) -> PubAckReason) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (topic, payload) = (text(&publish.topic), text(&publish.payload));
        let ack = PubAck {
            pkid: publish.pkid,
            reason: answer(&topic),
            properties: None,
        };
        self.send(Packet::PubAck(ack)).await;
        (topic, payload)
    }
}

/// What the library would not write: any reason code, for each of its filters.
fn suback(subscribe: &Subscribe, code: u8) -> Vec<u8> {
    let [high, low] = subscribe.pkid.to_be_bytes();
    let mut bytes = vec![0x90, 3 + subscribe.filters.len() as u8, high, low, 0];
    bytes.extend(subscribe.filters.iter().map(|_| code));
    bytes
}

fn nothing_announced() -> ConnAckProperties {
    ConnAckProperties {
        receive_max: None,
        session_expiry_interval: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}
