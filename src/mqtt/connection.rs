//! One connection to the broker, from CONNECT to its end: MQTT 5 and 3.1.1 behind one small type.
//!
//! Owns the event loop of the client library and the watchdog over it, and nothing else: no queue, no
//! reconnect, no message is kept here. After a failure the owner makes a new connection; the library's own
//! reconnect would lose messages that were on their way, and acknowledge others in their place.

mod client;
mod error;
mod options;
mod purpose;
mod reason;
mod received;
mod route;
mod step;
mod v311;
mod v5;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use client::Inner;
pub use client::{Ack, Client, Delivery, packet_size};
pub use error::{Cause, ConnectionError};
pub(super) use options::ONLY_QOS_0;
pub use options::address;
pub(super) use purpose::HISTORY_EXPIRY;
pub use purpose::Purpose;
pub use reason::{NO_WILDCARDS, UNANSWERED, subscription_remedy};
use route::Route;
use step::Step;

use crate::config::{Mqtt, MqttVersion};
use crate::fault_point;
use crate::open_files;
use crate::records::Received;
use crate::tls::Server;

/// How long CONNECT may take, name lookup, TCP and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Unacknowledged messages at most, whatever the broker would take.
///
/// On a loopback 20 is as good as any, but a window's worth goes out per round trip: at 50 ms, 512 was good for
/// 8,000 messages a second, too few to have 50,000 topics at the broker within the 5 s that are promised.
pub const MAX_WINDOW: u16 = 1024;

/// Commands, or records, that a broker of MQTT 5 may send before the first is acknowledged: a flood waits there, not here.
pub const RECEIVE_MAXIMUM: u16 = 64;

/// Keep-alives without a sign of life after which a connection is given up. The client library notices a
/// silent broker by itself only while its socket takes what it writes.
const WATCHDOG_KEEP_ALIVES: u32 = 3;

/// How long the broker may take to close a connection after our DISCONNECT.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection reports, in order. After [`Event::Closed`] nothing more comes.
#[derive(Debug)]
pub enum Event {
    /// The broker has accepted us.
    Connected(Limits),
    /// The message that was given to the [`Client`] as the next one has this packet id; 0 with QoS 0, and is written.
    Sent(u16),
    /// The broker has acknowledged the message of that packet id (PUBACK).
    Acked {
        /// Packet id; free again.
        pkid: u16,
        /// Why the broker did not take it; `None` for a success.
        refused: Option<Refusal>,
    },
    /// The oldest [`Client::subscribe`] that was not answered yet is: for each of its filters, why the broker
    /// does not deliver as asked, or `None`.
    Subscribed(Vec<Option<String>>),
    /// A message has come in, with what acknowledges it; QoS 0 has no acknowledgement.
    Received(Box<Received>, Option<Ack>),
    /// The connection is over: by DISCONNECT, or with an error.
    Closed(Result<(), ConnectionError>),
}

/// Why the broker did not take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its reason, in words.
    pub reason: String,
    /// Whether it may take the same message later (quota exceeded).
    pub is_for_now: bool,
}

/// What the broker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unacknowledged messages.
    pub receive_maximum: u16,
    /// Bytes of a packet; `None` if it announces no limit.
    pub maximum_packet_size: Option<u32>,
    /// Keep-alive as agreed.
    pub keep_alive: Duration,
    /// Whether filters with wildcards may be subscribed to.
    pub wildcards: bool,
    /// Whether the broker had a session for this client id.
    pub session_present: bool,
    /// How long the broker keeps the session, where that is not what was asked for.
    pub session_expiry: Option<Duration>,
}

impl Default for Limits {
    /// None, as with MQTT 3.1.1, where a broker announces none.
    fn default() -> Limits {
        Limits {
            receive_maximum: u16::MAX,
            maximum_packet_size: None,
            keep_alive: CONNECT_TIMEOUT,
            wildcards: true,
            session_present: false,
            session_expiry: None,
        }
    }
}

/// Begins a connection; its task ends with [`Event::Closed`], or once the receiver is dropped. `attempt` counts those that
/// have failed: where the broker's name has several addresses, each begins with the next one.
pub fn connect(settings: &Mqtt, purpose: &Purpose, attempt: usize) -> (Client, mpsc::Receiver<Event>) {
    let (events, receiver) = mpsc::channel(purpose.events());
    let (client, eventloop) = match settings.version {
        MqttVersion::V5 => {
            let options = v5::options(settings, purpose);
            let (client, eventloop) = rumqttc::v5::AsyncClient::new(options, purpose.requests());
            (Inner::V5(client), EventLoop::V5(Box::new(eventloop)))
        }
        MqttVersion::V311 => {
            let options = v311::options(settings, purpose);
            let (client, mut eventloop) = rumqttc::AsyncClient::new(options, purpose.requests());
            eventloop.set_network_options(options::network());
            (Inner::V311(client), EventLoop::V311(Box::new(eventloop)))
        }
    };
    let (settings, purpose) = (settings.clone(), purpose.clone());
    tokio::spawn(drive(settings, purpose, attempt, eventloop, events));
    (Client(client), receiver)
}

enum EventLoop {
    V5(Box<rumqttc::v5::EventLoop>),
    V311(Box<rumqttc::EventLoop>),
}

impl EventLoop {
    async fn poll(&mut self, server: Server) -> Result<Step, Cause> {
        match self {
            EventLoop::V5(eventloop) => v5::poll(eventloop, server).await,
            EventLoop::V311(eventloop) => v311::poll(eventloop, server).await,
        }
    }

    fn take_rest(&mut self) -> Vec<Event> {
        match self {
            EventLoop::V5(eventloop) => v5::take_rest(eventloop),
            EventLoop::V311(eventloop) => v311::take_rest(eventloop),
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

    /// Leads the connection elsewhere than to the broker of `settings`, which a websocket still asks for by its name.
    fn lead(&mut self, route: &Route, settings: &Mqtt, purpose: &Purpose) {
        let by_name = options::request_for(&settings.broker);
        match self {
            EventLoop::V5(eventloop) => {
                eventloop.options = v5::options(&route.settings, purpose);
                eventloop.options.set_request_modifier(by_name);
            }
            EventLoop::V311(eventloop) => {
                eventloop.mqtt_options = v311::options(&route.settings, purpose);
                eventloop.mqtt_options.set_request_modifier(by_name);
            }
        }
        self.set_transport(route.wire.clone());
    }
}

async fn drive(
    settings: Mqtt,
    purpose: Purpose,
    attempt: usize,
    mut eventloop: EventLoop,
    events: mpsc::Sender<Event>,
) {
    let end = tokio::select! {
        // Nobody listens any more: drop the socket.
        () = events.closed() => return,
        end = connect_and_poll(&settings, &purpose, attempt, &mut eventloop, &events) => end,
    };
    let end = end.map_err(|cause| ConnectionError::new(address(&settings.broker), cause));
    let rest = end.as_ref().err().map(|_| eventloop.take_rest());
    // Dropped first: the socket must be closed when the owner gets the event.
    drop(eventloop);
    for event in rest.into_iter().flatten() {
        let _ = events.send(event).await;
    }
    let _ = events.send(Event::Closed(end)).await;
}

async fn connect_and_poll(
    settings: &Mqtt,
    purpose: &Purpose,
    attempt: usize,
    eventloop: &mut EventLoop,
    events: &mpsc::Sender<Event>,
) -> Result<(), Cause> {
    let server = Server::Broker {
        is_shown_certificate: settings.tls.identity.is_some(),
    };
    let wire = options::transport(settings).await?;
    let Some(address) = route::address_of(&settings.broker, attempt).await else {
        eventloop.set_transport(wire);
        return poll_until_end(eventloop, events, purpose, server).await;
    };
    let route = open_files::with_reserve(Route::to(address, settings, wire, server)).await?;
    eventloop.lead(&route, settings, purpose);
    poll_until_end(eventloop, events, purpose, server).await
}

/// Only polls. The watchdog may drop a poll, since the connection ends with it.
async fn poll_until_end(
    eventloop: &mut EventLoop,
    events: &mpsc::Sender<Event>,
    purpose: &Purpose,
    server: Server,
) -> Result<(), Cause> {
    let mut patience = 2 * CONNECT_TIMEOUT;
    let mut last_received = Instant::now();
    let mut connected = false;
    loop {
        let polled = timeout_at(last_received + patience, eventloop.poll(server));
        let polled = match connected {
            true => polled.await,
            // Polls of devices must not keep the broker out.
            false => open_files::with_reserve(polled).await,
        };
        let step = match polled {
            Err(_) => return Err(Cause::Silent(last_received.elapsed())),
            Ok(Err(cause)) if !connected => return Err(cause.before_connack()),
            Ok(step) => step?,
        };
        let event = match step {
            Step::WroteDisconnect => {
                until_closed(eventloop, server).await;
                return Ok(());
            }
            Step::WroteAck => {
                if matches!(purpose, Purpose::Commands) {
                    fault_point::reached("acknowledged");
                }
                None
            }
            Step::Wrote(event) => event,
            Step::Received(event) => {
                last_received = Instant::now();
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

/// Waits until the broker closes the connection: then it has read all that we sent, above all acknowledgements. A
/// socket that is closed too early, or another connection with the same id, may make it drop that.
async fn until_closed(eventloop: &mut EventLoop, server: Server) {
    // What comes now is not taken any more: the broker keeps it.
    let closed = async { while eventloop.poll(server).await.is_ok() {} };
    let _ = timeout(DISCONNECT_TIMEOUT, closed).await;
}
