//! One connection to the broker, from CONNECT to its end: MQTT 5 and 3.1.1 behind one small type.
//!
//! Owns the event loop of the client library and the watchdog over it, and nothing else: no queue, no
//! reconnect, no message is kept here. After a failure the owner makes a new connection; the library's own
//! reconnect would lose messages that were on their way.

mod error;
mod options;
mod v311;
mod v5;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

pub use error::{Cause, ConnectionError};
pub use options::address;

use crate::config::{Mqtt, MqttVersion};
use crate::mqtt::payload::Message;

/// How long CONNECT may take, name lookup, TCP and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Unacknowledged messages at most, whatever the broker would take.
///
/// On a loopback 20 is as good as any, but a window's worth goes out per round trip: at 50 ms, 512 was good for
/// 8,000 messages a second, too few to have 50,000 topics at the broker within the 5 s that are promised.
pub const MAX_WINDOW: u16 = 1024;

/// Keep-alives without a sign of life after which a connection is given up. The client library notices a
/// silent broker by itself only while its socket takes what it writes.
const WATCHDOG_KEEP_ALIVES: u32 = 3;

/// What a connection reports, in order. After [`Event::Closed`] nothing more comes.
#[derive(Debug)]
pub enum Event {
    /// The broker has accepted us.
    Connected(Limits),
    /// The message that was given to [`Client::publish`] as the next one has this packet id.
    Sent(u16),
    /// The broker has acknowledged the message of that packet id (PUBACK).
    Acked {
        /// Packet id; free again.
        pkid: u16,
        /// Why the broker did not take it; `None` for a success.
        refused: Option<String>,
    },
    /// The connection is over: said goodbye, or an error.
    Closed(Result<(), ConnectionError>),
}

/// What the broker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unacknowledged messages.
    pub receive_maximum: u16,
    /// Bytes of a packet; `None` for no limit that it tells.
    pub maximum_packet_size: Option<u32>,
    /// Keep-alive as agreed.
    pub keep_alive: Duration,
}

/// The sending side of a connection. Dropping it and the events closes the connection without a goodbye,
/// so that the broker publishes the last will.
#[derive(Debug)]
pub struct Client(Inner);

#[derive(Debug)]
enum Inner {
    V5(rumqttc::v5::AsyncClient),
    V311(rumqttc::AsyncClient),
}

impl Client {
    /// Hands a retained QoS 1 message over. Never waits; `false` when the connection is ending, or
    /// when more than [`MAX_WINDOW`] messages are on their way.
    pub fn publish(&self, topic: &str, payload: Bytes) -> bool {
        match &self.0 {
            Inner::V5(client) => client
                .try_publish(topic, rumqttc::v5::mqttbytes::QoS::AtLeastOnce, true, payload)
                .is_ok(),
            Inner::V311(client) => client
                .try_publish(topic, rumqttc::QoS::AtLeastOnce, true, payload)
                .is_ok(),
        }
    }

    /// Says goodbye (DISCONNECT) after what was handed over before: the last will is not published.
    pub fn disconnect(&self) -> bool {
        match &self.0 {
            Inner::V5(client) => client.try_disconnect().is_ok(),
            Inner::V311(client) => client.try_disconnect().is_ok(),
        }
    }
}

/// Begins a connection; its task ends with [`Event::Closed`], or once the receiver is dropped.
///
/// `will` is published by the broker, retained, when the connection ends without a goodbye.
pub fn connect(settings: &Mqtt, client_id: &str, will: &Message) -> (Client, mpsc::Receiver<Event>) {
    // Two events a message, and the first and the last one. Full: the event loop waits, and with it the
    // network; the owner reads events before anything else.
    let (events, receiver) = mpsc::channel(2 * usize::from(MAX_WINDOW) + 2);
    // A full window, and DISCONNECT.
    let requests = usize::from(MAX_WINDOW) + 1;
    let (client, eventloop) = match settings.version {
        MqttVersion::V5 => {
            let (client, eventloop) =
                rumqttc::v5::AsyncClient::new(v5::options(settings, client_id, will), requests);
            (Inner::V5(client), EventLoop::V5(Box::new(eventloop)))
        }
        MqttVersion::V311 => {
            let (client, mut eventloop) =
                rumqttc::AsyncClient::new(v311::options(settings, client_id, will), requests);
            eventloop.set_network_options(options::network());
            (Inner::V311(client), EventLoop::V311(Box::new(eventloop)))
        }
    };
    tokio::spawn(drive(settings.clone(), eventloop, events));
    (Client(client), receiver)
}

enum EventLoop {
    V5(Box<rumqttc::v5::EventLoop>),
    V311(Box<rumqttc::EventLoop>),
}

/// What one step of an event loop brought.
enum Step {
    /// The broker was heard.
    Heard(Option<Event>),
    /// Something was written.
    Wrote(Option<Event>),
    /// DISCONNECT was written.
    SaidGoodbye,
}

impl EventLoop {
    async fn poll(&mut self) -> Result<Step, Cause> {
        match self {
            EventLoop::V5(eventloop) => v5::poll(eventloop).await,
            EventLoop::V311(eventloop) => v311::poll(eventloop).await,
        }
    }

    fn set_transport(&mut self, transport: rumqttc::Transport) {
        match self {
            EventLoop::V5(eventloop) => {
                eventloop.options.set_transport(transport);
            }
            EventLoop::V311(eventloop) => {
                eventloop.mqtt_options.set_transport(transport);
            }
        }
    }
}

async fn drive(settings: Mqtt, mut eventloop: EventLoop, events: mpsc::Sender<Event>) {
    let end = tokio::select! {
        // Nobody listens any more: drop the socket.
        () = events.closed() => return,
        end = poll_until_end(&settings, &mut eventloop, &events) => end,
    };
    let end = end.map_err(|cause| ConnectionError::new(address(&settings.broker), cause));
    // Closed first: the socket must be gone when the owner hears of it.
    drop(eventloop);
    let _ = events.send(Event::Closed(end)).await;
}

/// Only polls. The watchdog may drop a poll, since the connection ends with it.
async fn poll_until_end(
    settings: &Mqtt,
    eventloop: &mut EventLoop,
    events: &mpsc::Sender<Event>,
) -> Result<(), Cause> {
    eventloop.set_transport(options::transport(settings).await?);
    let mut patience = 2 * CONNECT_TIMEOUT;
    let mut last_heard = Instant::now();
    let mut connected = false;
    loop {
        let step = match timeout_at(last_heard + patience, eventloop.poll()).await {
            Err(_) => return Err(Cause::Silent(last_heard.elapsed())),
            Ok(Err(cause)) if !connected => return Err(cause.before_connack()),
            Ok(step) => step?,
        };
        let event = match step {
            Step::SaidGoodbye => return Ok(()),
            Step::Wrote(event) => event,
            Step::Heard(event) => {
                last_heard = Instant::now();
                event
            }
        };
        if let Some(Event::Connected(limits)) = &event {
            connected = true;
            patience = WATCHDOG_KEEP_ALIVES * limits.keep_alive;
        }
        if let Some(event) = event
            && events.send(event).await.is_err()
        {
            return Ok(());
        }
    }
}
