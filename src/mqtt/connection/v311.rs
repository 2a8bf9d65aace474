//! MQTT 3.1.1: options, events and errors of the client library in the words of [`super`].

use rumqttc::{
    ConnectReturnCode, ConnectionError, Event as Raw, EventLoop, LastWill, MqttOptions, Outgoing, Packet,
    Publish, QoS, SubAck, SubscribeReasonCode,
};

use super::error::SEE_ITS_LOG;
use super::received::received;
use super::{Ack, Cause, Event, Limits, MAX_WINDOW, Purpose, Step, options};
use crate::config::Mqtt;
use crate::fault_point;
use crate::tls::Server;

/// The largest packet that MQTT knows. 3.1.1 has no way to tell a smaller limit, neither the broker's nor ours:
/// a message that we would not take would come again with each connection.
const MAX_PACKET: usize = 268_435_455;

pub(super) fn options(settings: &Mqtt, purpose: &Purpose) -> MqttOptions {
    let (host, port) = options::host_and_port(&settings.broker);
    let mut options = MqttOptions::new(purpose.client_id(settings), host, port);
    options
        .set_keep_alive(options::keep_alive(settings))
        .set_max_packet_size(MAX_PACKET, MAX_PACKET)
        .set_inflight(MAX_WINDOW);
    match purpose {
        Purpose::Publishing { will } => {
            let payload = will.payload.clone().unwrap_or_default();
            options.set_clean_session(true).set_last_will(LastWill::new(
                &will.topic,
                payload,
                QoS::AtLeastOnce,
                true,
            ))
        }
        Purpose::EdgeNode { will } => {
            let payload = will.payload.clone().unwrap_or_default();
            let will = LastWill::new(&will.topic, payload, QoS::AtLeastOnce, false);
            options.set_clean_session(true).set_last_will(will)
        }
        Purpose::Commands => options.set_clean_session(false).set_manual_acks(true),
    };
    if let Some(login) = &settings.credentials {
        let password = login.password.as_ref().map_or("", |password| password.expose());
        options.set_credentials(&login.username, password);
    }
    options
}

pub(super) async fn poll(eventloop: &mut EventLoop, server: Server) -> Result<Step, Cause> {
    let event = eventloop.poll().await.map_err(|error| cause(&error, server))?;
    Ok(match event {
        Raw::Incoming(Packet::ConnAck(_)) => Step::Heard(Some(Event::Connected(Limits {
            receive_maximum: u16::MAX,
            maximum_packet_size: None,
            keep_alive: eventloop.mqtt_options.keep_alive(),
        }))),
        Raw::Incoming(Packet::PubAck(ack)) => Step::Heard(Some(Event::Acked {
            pkid: ack.pkid,
            refused: None,
        })),
        Raw::Incoming(Packet::Publish(publish)) => Step::Heard(Some(taken(publish))),
        Raw::Incoming(Packet::SubAck(ack)) => Step::Heard(Some(subscribed(&ack))),
        Raw::Incoming(_) => Step::Heard(None),
        Raw::Outgoing(Outgoing::Publish(pkid)) => Step::Wrote(Some(Event::Sent(pkid))),
        Raw::Outgoing(Outgoing::PubAck(_)) => {
            fault_point::reached("acknowledged");
            Step::Wrote(None)
        }
        Raw::Outgoing(Outgoing::Disconnect) => Step::SaidGoodbye,
        Raw::Outgoing(_) => Step::Wrote(None),
    })
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
        ConnectionError::NetworkTimeout => Cause::Connect("no answer".to_owned()),
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::Io(error) => Cause::of_io(error, server),
        other => Cause::of(other, server),
    }
}

fn refused(code: ConnectReturnCode) -> Cause {
    let (reason, remedy) = match code {
        ConnectReturnCode::BadUserNamePassword => {
            return Cause::Credentials("bad user name or password".to_owned());
        }
        ConnectReturnCode::NotAuthorized => return Cause::Credentials("not authorized".to_owned()),
        ConnectReturnCode::RefusedProtocolVersion => {
            ("unsupported protocol version", "set mqtt.version = \"5\"")
        }
        ConnectReturnCode::BadClientId => ("client id not valid", "set another mqtt.client_id"),
        ConnectReturnCode::ServiceUnavailable => ("service unavailable", SEE_ITS_LOG),
        ConnectReturnCode::Success => ("no reason given", SEE_ITS_LOG),
    };
    let reason = reason.to_owned();
    Cause::Refused { reason, remedy }
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
