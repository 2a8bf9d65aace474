//! MQTT 5: options, events and errors of the client library in the words of [`super`].

use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, ConnectReturnCode, DisconnectReasonCode, LastWill, LastWillProperties,
    Packet, PubAck, PubAckReason, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use rumqttc::v5::{ConnectionError, Event as Raw, EventLoop, MqttOptions, StateError};

use super::error::SEE_ITS_LOG;
use super::received::{expiry, received};
use super::step::Step;
use super::{
    Ack, CONNECT_TIMEOUT, Cause, Event, Limits, MAX_WINDOW, Purpose, RECEIVE_MAXIMUM, Refusal, options,
    reason,
};
use crate::config::Mqtt;
use crate::tls::Server;

/// Largest packet that we accept, announced to the broker. Well above a command (64 KiB) and its properties.
const MAX_INCOMING_PACKET: u32 = 1024 * 1024;

pub(super) fn options(settings: &Mqtt, purpose: &Purpose) -> MqttOptions {
    let (host, port) = options::host_and_port(&settings.broker);
    let mut options = MqttOptions::new(purpose.client_id(settings), host, port);
    let mut properties = ConnectProperties::new();
    properties.max_packet_size = Some(MAX_INCOMING_PACKET);
    let expiry = seconds(purpose.session_expiry(settings));
    if expiry > 0 {
        properties.session_expiry_interval = Some(expiry);
    }
    if purpose.acknowledges_by_hand() {
        properties.receive_maximum = Some(RECEIVE_MAXIMUM);
    }
    if let Some((will, is_retained)) = purpose.will() {
        let payload = will.payload.clone().unwrap_or_default();
        options.set_last_will(LastWill::new(
            &will.topic,
            payload,
            QoS::AtLeastOnce,
            is_retained,
            purpose.will_delay().map(|delay| LastWillProperties {
                delay_interval: Some(seconds(delay)),
                payload_format_indicator: None,
                message_expiry_interval: None,
                content_type: None,
                response_topic: None,
                correlation_data: None,
                user_properties: Vec::new(),
            }),
        ));
    }
    options
        .set_keep_alive(options::keep_alive(settings))
        .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
        .set_connect_properties(properties)
        .set_outgoing_inflight_upper_limit(MAX_WINDOW)
        .set_clean_start(expiry == 0)
        .set_manual_acks(purpose.acknowledges_by_hand());
    options.set_network_options(options::network());
    if let Some(login) = &settings.credentials {
        let password = login.password.as_ref().map_or("", |password| password.expose());
        options.set_credentials(&login.username, password);
    }
    options
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

pub(super) async fn poll(eventloop: &mut EventLoop, server: Server) -> Result<Step, Cause> {
    let event = eventloop.poll().await.map_err(|error| cause(&error, server))?;
    step(eventloop, event)
}

/// What was read before the error that ended the connection, and not reported yet: the client library reads several
/// packets at once.
pub(super) fn take_rest(eventloop: &mut EventLoop) -> Vec<Event> {
    let rest = std::mem::take(&mut eventloop.state.events);
    let steps = rest.into_iter().filter_map(|event| step(eventloop, event).ok());
    steps.filter_map(Step::into_event).collect()
}

fn step(eventloop: &EventLoop, event: Raw) -> Result<Step, Cause> {
    Ok(match event {
        Raw::Incoming(Packet::ConnAck(connack)) => Step::Received(Some(connected(eventloop, &connack)?)),
        Raw::Incoming(Packet::PubAck(ack)) => Step::Received(Some(acked(&ack))),
        Raw::Incoming(Packet::Publish(publish)) => Step::Received(Some(taken(publish))),
        Raw::Incoming(Packet::SubAck(ack)) => Step::Received(Some(subscribed(&ack))),
        Raw::Incoming(_) => Step::Received(None),
        Raw::Outgoing(written) => Step::wrote(written),
    })
}

fn connected(eventloop: &EventLoop, connack: &ConnAck) -> Result<Event, Cause> {
    let properties = connack.properties.as_ref();
    if properties.and_then(|given| given.retain_available) == Some(0) {
        return Err(Cause::Unsupported("retained messages"));
    }
    if properties.and_then(|given| given.max_qos) == Some(0) {
        return Err(Cause::Unsupported("QoS 1"));
    }
    Ok(Event::Connected(Limits {
        receive_maximum: properties.and_then(|given| given.receive_max).unwrap_or(u16::MAX),
        maximum_packet_size: properties.and_then(|given| given.max_packet_size),
        keep_alive: eventloop.options.keep_alive(),
        wildcards: properties.and_then(|given| given.wildcard_subscription_available) != Some(0),
        session_present: connack.session_present,
        session_expiry: properties
            .and_then(|given| given.session_expiry_interval)
            .map(|seconds| Duration::from_secs(seconds.into())),
    }))
}

fn acked(ack: &PubAck) -> Event {
    let refused = match ack.reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
        reason => Some(Refusal {
            reason: reason_text(
                &reason,
                ack.properties.as_ref().and_then(|p| p.reason_string.as_deref()),
            ),
            is_for_now: reason == PubAckReason::QuotaExceeded,
        }),
    };
    Event::Acked {
        pkid: ack.pkid,
        refused,
    }
}

fn taken(publish: Publish) -> Event {
    let ack = (publish.qos != QoS::AtMostOnce).then_some(Ack {
        pkid: publish.pkid,
        is_exactly_once: publish.qos == QoS::ExactlyOnce,
    });
    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
    let mut message = received(topic, &publish.payload, publish.retain);
    if let Some(properties) = publish.properties {
        message.response_topic = properties.response_topic;
        message.correlation = properties
            .correlation_data
            .map(|data| Bytes::copy_from_slice(&data));
        message.expires_at = properties
            .message_expiry_interval
            .map(|seconds| expiry(message.received_at, seconds));
    }
    Event::Received(Box::new(message), ack)
}

fn subscribed(ack: &SubAck) -> Event {
    let reason = ack.properties.as_ref().and_then(|p| p.reason_string.as_deref());
    let codes = ack.return_codes.iter().map(|code| match code {
        SubscribeReasonCode::Success(QoS::AtMostOnce) => Some(options::ONLY_QOS_0.to_owned()),
        SubscribeReasonCode::Success(_) => None,
        code => Some(reason_text(code, reason)),
    });
    Event::Subscribed(codes.collect())
}

fn cause(error: &ConnectionError, server: Server) -> Cause {
    match error {
        ConnectionError::Timeout(_) => Cause::NoAnswer(CONNECT_TIMEOUT),
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::Io(error) => Cause::of_io(error, server),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => ended(*reason_code, reason_string.as_deref()),
        ConnectionError::NotConnAck(packet) => match packet.as_ref() {
            Packet::Disconnect(end) => ended(
                end.reason_code,
                end.properties.as_ref().and_then(|p| p.reason_string.as_deref()),
            ),
            _ => Cause::of(error, server),
        },
        // It names no source.
        ConnectionError::MqttState(StateError::Deserialization(error)) => unreadable(error, server),
        other => Cause::of(other, server),
    }
}

/// A reason code where the library does not expect it. That of PUBACK is named like that of CONNACK: which it was is
/// known by whether the connection stands.
fn unreadable(error: &Error, server: Server) -> Cause {
    match error {
        Error::InvalidConnectReturnCode(code) => Cause::of_unreadable(*code),
        Error::InvalidSubscribeReasonCode(code) => Cause::UnreadableRefusal(reason::words(*code)),
        other => Cause::of(other, server),
    }
}

fn refused(code: ConnectReturnCode) -> Cause {
    use ConnectReturnCode as Code;
    let number = match code {
        Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => 0x84,
        Code::ClientIdentifierNotValid | Code::BadClientId => 0x85,
        Code::BadUserNamePassword => 0x86,
        Code::NotAuthorized => 0x87,
        Code::Banned => 0x8a,
        Code::BadAuthenticationMethod => 0x8c,
        Code::PacketTooLarge => reason::PACKET_TOO_LARGE,
        Code::QuotaExceeded => 0x97,
        Code::RetainNotSupported => 0x9a,
        Code::QoSNotSupported => 0x9b,
        Code::UseAnotherServer => 0x9c,
        Code::ServerMoved => 0x9d,
        Code::ConnectionRateExceeded => 0x9f,
        // Without a remedy of its own.
        _ => 0x80,
    };
    Cause::refused(number, reason_text(&code, None), "set mqtt.version = \"3.1.1\"")
}

fn ended(code: DisconnectReasonCode, text: Option<&str>) -> Cause {
    use DisconnectReasonCode as Code;
    let reason = reason_text(&code, text);
    let remedy = match code {
        Code::SessionTakenOver => return Cause::TakenOver(reason),
        Code::PacketTooLarge => return Cause::TooLarge(reason),
        Code::RetainNotSupported => return Cause::Unsupported("retained messages"),
        Code::QoSNotSupported => return Cause::Unsupported("QoS 1"),
        Code::NotAuthorized => "check the rights of mqtt.username in the broker",
        Code::QuotaExceeded | Code::MessageRateTooHigh | Code::ConnectionRateExceeded => {
            "raise the broker's limits of messages, connections and their rates"
        }
        Code::TopicNameInvalid | Code::TopicFilterInvalid => {
            "check the broker's limit of topic levels; mqtt.prefix must be short enough for it"
        }
        Code::WildcardSubscriptionsNotSupported => "allow wildcard subscriptions in the broker",
        Code::UseAnotherServer | Code::ServerMoved => "set mqtt.url to the server that replaces it",
        _ => SEE_ITS_LOG,
    };
    Cause::Ended {
        reason,
        remedy,
        may_be_message: may_be_message(code),
    }
}

/// Whether a PUBLISH can be why the broker ends the connection with that reason code.
fn may_be_message(code: DisconnectReasonCode) -> bool {
    use DisconnectReasonCode as Code;
    matches!(
        code,
        Code::UnspecifiedError
            | Code::MalformedPacket
            | Code::ProtocolError
            | Code::ImplementationSpecificError
            | Code::NotAuthorized
            | Code::TopicNameInvalid
            | Code::ReceiveMaximumExceeded
            | Code::TopicAliasInvalid
            | Code::PacketTooLarge
            | Code::MessageRateTooHigh
            | Code::QuotaExceeded
            | Code::PayloadFormatInvalid
            | Code::RetainNotSupported
            | Code::QoSNotSupported
    )
}

/// A reason code in words (`NotAuthorized` -> `not authorized`), and what the broker adds to it.
fn reason_text(code: &impl std::fmt::Debug, text: Option<&str>) -> String {
    let mut words = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    match text {
        // The broker's own text is quoted and cut: nothing forbids it to be long.
        Some(text) => format!("{words}: {:?}", text.chars().take(200).collect::<String>()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_code_has_a_text() {
        assert_eq!(reason_text(&PubAckReason::QuotaExceeded, None), "quota exceeded");
        let text = reason_text(&DisconnectReasonCode::NotAuthorized, Some("no\nrights"));
        assert_eq!(text, r#"not authorized: "no\nrights""#);
    }

    #[test]
    fn only_a_reason_that_a_publish_can_cause_counts_against_a_message() {
        use DisconnectReasonCode as Code;
        for (code, may_be) in [
            (Code::NotAuthorized, true),
            (Code::TopicNameInvalid, true),
            (Code::PayloadFormatInvalid, true),
            (Code::QuotaExceeded, true),
            (Code::PacketTooLarge, true),
            (Code::ServerBusy, false),
            (Code::ServerShuttingDown, false),
            (Code::KeepAliveTimeout, false),
            (Code::AdministrativeAction, false),
            (Code::UseAnotherServer, false),
            (Code::ServerMoved, false),
            (Code::ConnectionRateExceeded, false),
            (Code::MaximumConnectTime, false),
            (Code::TopicFilterInvalid, false),
        ] {
            let error = crate::mqtt::connection::ConnectionError::for_test(ended(code, None));
            assert_eq!(error.is_by_peer(), may_be, "{error}");
        }
    }

    #[test]
    fn a_refusal_has_its_remedy() {
        assert!(matches!(
            refused(ConnectReturnCode::NotAuthorized),
            Cause::Credentials(_)
        ));
        let old = refused(ConnectReturnCode::UnsupportedProtocolVersion).to_string();
        assert!(old.contains("mqtt.version = \"3.1.1\""), "{old}");
        let busy = refused(ConnectReturnCode::ServerBusy).to_string();
        assert!(busy.contains("server busy") && busy.contains("log"), "{busy}");
    }
}
