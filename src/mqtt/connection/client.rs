//! The sending side of a connection: nothing here waits, all of it is handed to the event loop.

use bytes::Bytes;
use rumqttc::v5::mqttbytes as mqtt5;

/// The sending side of a connection. Dropping it and the events closes the connection without DISCONNECT,
/// so that the broker publishes the last will.
///
/// Every method gives `false` when the connection is ending, or when more is in flight than there is room for.
#[derive(Debug)]
pub struct Client(pub(super) Inner);

#[derive(Debug)]
pub(super) enum Inner {
    V5(rumqttc::v5::AsyncClient),
    V311(rumqttc::AsyncClient),
}

/// Which messages a subscription brings. With MQTT 3.1.1 always stored copies and new messages, and only stored copies have
/// the retain flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// New messages, each with the retain flag with which it was published.
    AsPublished,
    /// New messages, without that flag.
    New,
    /// Stored copies first, with that flag, then new messages without it.
    WithStored,
    /// The same with QoS 0: of many stored copies with QoS 1, brokers leave out what they have no place for in a queue.
    WithStoredAtQos0,
}

/// What acknowledges a message that came in. Good for its connection only: in another one the same packet id
/// is another message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub(super) pkid: u16,
    /// Never asked for, but answered as it must be: QoS 2.
    pub(super) is_exactly_once: bool,
}

#[cfg(test)]
impl Ack {
    /// That of the QoS 1 message with that packet id.
    pub(in crate::mqtt) fn of(pkid: u16) -> Ack {
        Ack {
            pkid,
            is_exactly_once: false,
        }
    }
}

impl Client {
    /// Hands over a QoS 0 message that the broker is not to retain: one that nobody acknowledges.
    pub fn publish_data(&self, topic: &str, payload: Bytes) -> bool {
        match &self.0 {
            Inner::V5(client) => client
                .try_publish(topic, mqtt5::QoS::AtMostOnce, false, payload)
                .is_ok(),
            Inner::V311(client) => client
                .try_publish(topic, rumqttc::QoS::AtMostOnce, false, payload)
                .is_ok(),
        }
    }

    /// Hands over a QoS 1 message, which the broker is to `retain` or not; `correlation` goes with MQTT 5 only. At most
    /// [`super::MAX_WINDOW`] may be on their way.
    pub fn publish(&self, topic: &str, payload: Bytes, retain: bool, correlation: Option<Bytes>) -> bool {
        tracing::debug!(topic, bytes = payload.len(), retain, "published");
        match &self.0 {
            Inner::V5(client) => {
                let qos = mqtt5::QoS::AtLeastOnce;
                match correlation {
                    None => client.try_publish(topic, qos, retain, payload),
                    Some(_) => {
                        let properties = mqtt5::v5::PublishProperties {
                            correlation_data: correlation,
                            ..mqtt5::v5::PublishProperties::default()
                        };
                        client.try_publish_with_properties(topic, qos, retain, payload, properties)
                    }
                }
                .is_ok()
            }
            Inner::V311(client) => client
                .try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload)
                .is_ok(),
        }
    }

    /// Subscribes to `filters` in one packet. Our own messages come back, too: a broker may publish a will
    /// of an earlier connection late, and with MQTT 5 `nolocal` would keep it from us, since the client id is the same.
    pub fn subscribe(&self, filters: Vec<String>, delivery: Delivery) -> bool {
        match &self.0 {
            Inner::V5(client) => client
                .try_subscribe_many(filters.into_iter().map(|path| mqtt5::v5::Filter {
                    path,
                    qos: match delivery {
                        Delivery::WithStoredAtQos0 => mqtt5::QoS::AtMostOnce,
                        _ => mqtt5::QoS::AtLeastOnce,
                    },
                    preserve_retain: delivery == Delivery::AsPublished,
                    retain_forward_rule: match delivery {
                        Delivery::WithStored | Delivery::WithStoredAtQos0 => {
                            mqtt5::v5::RetainForwardRule::OnEverySubscribe
                        }
                        Delivery::AsPublished | Delivery::New => mqtt5::v5::RetainForwardRule::Never,
                    },
                    ..mqtt5::v5::Filter::default()
                }))
                .is_ok(),
            Inner::V311(client) => client
                .try_subscribe_many(filters.into_iter().map(|path| rumqttc::SubscribeFilter {
                    path,
                    qos: match delivery {
                        Delivery::WithStoredAtQos0 => rumqttc::QoS::AtMostOnce,
                        _ => rumqttc::QoS::AtLeastOnce,
                    },
                }))
                .is_ok(),
        }
    }

    /// Ends a subscription. Whether there was one is not reported.
    pub fn unsubscribe(&self, filter: &str) -> bool {
        match &self.0 {
            Inner::V5(client) => client.try_unsubscribe(filter).is_ok(),
            Inner::V311(client) => client.try_unsubscribe(filter).is_ok(),
        }
    }

    /// Acknowledges a message that came in by this very connection, in order of arrival.
    pub fn ack(&self, ack: Ack) -> bool {
        match &self.0 {
            Inner::V5(client) => {
                let qos = match ack.is_exactly_once {
                    true => mqtt5::QoS::ExactlyOnce,
                    false => mqtt5::QoS::AtLeastOnce,
                };
                let mut publish = rumqttc::v5::mqttbytes::v5::Publish::new("", qos, Bytes::new(), None);
                publish.pkid = ack.pkid;
                client.try_ack(&publish).is_ok()
            }
            Inner::V311(client) => {
                let qos = match ack.is_exactly_once {
                    true => rumqttc::QoS::ExactlyOnce,
                    false => rumqttc::QoS::AtLeastOnce,
                };
                let mut publish = rumqttc::Publish::new("", qos, Bytes::new());
                publish.pkid = ack.pkid;
                client.try_ack(&publish).is_ok()
            }
        }
    }

    /// Sends DISCONNECT after what was handed over before: the last will is not published, and a
    /// session that the broker keeps is kept.
    pub fn disconnect(&self) -> bool {
        match &self.0 {
            Inner::V5(client) => client.try_disconnect().is_ok(),
            Inner::V311(client) => client.try_disconnect().is_ok(),
        }
    }
}

/// Bytes of the packet in which MQTT 5 sends a message with a payload of so many bytes; that of 3.1.1 is shorter.
pub fn packet_size(topic: &str, payload: usize, correlation: Option<&Bytes>) -> usize {
    // Identifier of the property, length, data.
    let properties = correlation.map_or(0, |data| 1 + 2 + data.len());
    // Topic length, packet id.
    let remaining = 2 + topic.len() + 2 + length_bytes(properties) + properties + payload;
    1 + length_bytes(remaining) + remaining
}

/// Bytes in which MQTT writes a length.
fn length_bytes(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_size_is_what_the_library_writes(
            topic in "[a-z/]{1,200}",
            payload in 0..40_000_usize,
            correlation in prop::option::of(0..300_usize),
        ) {
            let (payload, correlation) = (Bytes::from(vec![0; payload]), correlation.map(|length| Bytes::from(vec![0; length])));
            let properties = correlation.clone().map(|data| mqtt5::v5::PublishProperties {
                correlation_data: Some(data),
                ..mqtt5::v5::PublishProperties::default()
            });
            let mut publish = mqtt5::v5::Publish::new(&topic, mqtt5::QoS::AtLeastOnce, payload.clone(), properties);
            publish.pkid = 1;
            prop_assert_eq!(packet_size(&topic, payload.len(), correlation.as_ref()), publish.size());
        }
    }
}
