//! MQTT 3.1.1: options, events and errors of the client library in the words of [`super`].

use rumqttc::mqttbytes::Error;
use rumqttc::{
    ConnectReturnCode, ConnectionError, Event as Raw, EventLoop, LastWill, MqttOptions, Packet, Publish, QoS,
    StateError, SubAck, SubscribeReasonCode,
};

use super::received::received;
use super::step::Step;
use super::{Ack, CONNECT_TIMEOUT, Cause, Event, Limits, MAX_WINDOW, Purpose, options, reason};
use crate::config::Mqtt;
use crate::tls::Server;

/// The largest packet that MQTT knows. 3.1.1 has no way to announce a smaller limit, neither the broker's nor ours:
/// a message that we would not take would come again with each connection.
const MAX_PACKET: usize = 268_435_455;

/// Remedy where the broker does not know this version.
const OTHER_VERSION: &str = "set mqtt.version = \"5\"";

pub(super) fn options(settings: &Mqtt, purpose: &Purpose) -> MqttOptions {
    let (host, port) = options::host_and_port(&settings.broker);
    let mut options = MqttOptions::new(purpose.client_id(settings), host, port);
    options
        .set_keep_alive(options::keep_alive(settings))
        .set_max_packet_size(MAX_PACKET, MAX_PACKET)
        .set_inflight(MAX_WINDOW)
        .set_clean_session(purpose.session_expiry(settings).is_zero())
        .set_manual_acks(purpose.acknowledges_by_hand());
    if let Some((will, is_retained)) = purpose.will() {
        let payload = will.payload.clone().unwrap_or_default();
        options.set_last_will(LastWill::new(&will.topic, payload, QoS::AtLeastOnce, is_retained));
    }
    if let Some(login) = &settings.credentials {
        let password = login.password.as_ref().map_or("", |password| password.expose());
        options.set_credentials(&login.username, password);
    }
    options
}

pub(super) async fn poll(eventloop: &mut EventLoop, server: Server) -> Result<Step, Cause> {
    let event = eventloop.poll().await.map_err(|error| cause(&error, server))?;
    Ok(step(eventloop, event))
}

/// What was read before the error that ended the connection, and not reported yet: the client library reads several
/// packets at once.
pub(super) fn take_rest(eventloop: &mut EventLoop) -> Vec<Event> {
    let rest = std::mem::take(&mut eventloop.state.events);
    let steps = rest.into_iter().map(|event| step(eventloop, event));
    steps.filter_map(Step::into_event).collect()
}

fn step(eventloop: &EventLoop, event: Raw) -> Step {
    match event {
        Raw::Incoming(Packet::ConnAck(connack)) => Step::Received(Some(Event::Connected(Limits {
            keep_alive: eventloop.mqtt_options.keep_alive(),
            session_present: connack.session_present,
            ..Limits::default()
        }))),
        Raw::Incoming(Packet::PubAck(ack)) => Step::Received(Some(Event::Acked {
            pkid: ack.pkid,
            refused: None,
        })),
        Raw::Incoming(Packet::Publish(publish)) => Step::Received(Some(taken(publish))),
        Raw::Incoming(Packet::SubAck(ack)) => Step::Received(Some(subscribed(&ack))),
        Raw::Incoming(_) => Step::Received(None),
        Raw::Outgoing(written) => Step::wrote(written),
    }
}

fn taken(publish: Publish) -> Event {
    let ack = (publish.qos != QoS::AtMostOnce).then_some(Ack {
        pkid: publish.pkid,
        is_exactly_once: publish.qos == QoS::ExactlyOnce,
    });
    let message = received(publish.topic, &publish.payload, publish.retain);
    Event::Received(Box::new(message), ack)
}

fn subscribed(ack: &SubAck) -> Event {
    let codes = ack.return_codes.iter().map(|code| match code {
        SubscribeReasonCode::Success(QoS::AtMostOnce) => Some(options::ONLY_QOS_0.to_owned()),
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure => Some("no reason given".to_owned()),
    });
    Event::Subscribed(codes.collect())
}

fn cause(error: &ConnectionError, server: Server) -> Cause {
    match error {
        ConnectionError::NetworkTimeout => Cause::NoAnswer(CONNECT_TIMEOUT),
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(StateError::Deserialization(error)) => unreadable(error, server),
        ConnectionError::Io(error) => Cause::of_io(error, server),
        other => Cause::of(other, server),
    }
}

/// Some brokers answer with reason codes of MQTT 5.
fn unreadable(error: &Error, server: Server) -> Cause {
    match error {
        Error::InvalidConnectReturnCode(code) => Cause::refused(*code, reason::words(*code), OTHER_VERSION),
        Error::InvalidSubscribeReasonCode(code) => Cause::UnreadableRefusal(reason::words(*code)),
        other => Cause::of(other, server),
    }
}

fn refused(code: ConnectReturnCode) -> Cause {
    let (code, reason) = match code {
        ConnectReturnCode::RefusedProtocolVersion => (0x84, "unsupported protocol version"),
        ConnectReturnCode::BadClientId => (0x85, "client id not valid"),
        ConnectReturnCode::BadUserNamePassword => (0x86, "bad user name or password"),
        ConnectReturnCode::NotAuthorized => (0x87, "not authorized"),
        ConnectReturnCode::ServiceUnavailable => (0x88, "service unavailable"),
        ConnectReturnCode::Success => (0x80, "no reason given"),
    };
    Cause::refused(code, reason.to_owned(), OTHER_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_remedy() {
        assert!(matches!(
            refused(ConnectReturnCode::NotAuthorized),
            Cause::Credentials(_)
        ));
        let refused = refused(ConnectReturnCode::BadClientId).to_string();
        assert!(refused.contains("mqtt.client_id"), "{refused}");
    }
}
