//! The edge node's connection: subscribes, waits for the primary host, says what the [`Node`] has to say, in order, and takes
//! what hosts write.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::commands::{Write, Writes};
use super::feed::Feed;
use super::metrics::REBIRTH;
use super::node::{Message, Node};
use super::session::Sessions;
use super::topics::{Incoming, Place, Topics};
use super::wire;
use crate::mqtt::connection::{Event, Limits, MAX_WINDOW, Purpose};
use crate::mqtt::link::{Link, until};
use crate::mqtt::payload;
use crate::records::Received;
use crate::wording::quoted;

/// How often it is told that messages were not understood, at most.
const STRAYS_EVERY: Duration = Duration::from_secs(60);

/// How long the broker may take to acknowledge the last word.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a host application says of itself.
#[derive(Debug, Clone, Copy, Deserialize)]
struct HostState {
    online: bool,
    /// When its connection was made.
    timestamp: i64,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// So many subscriptions are not answered yet.
    Subscribing(usize),
    /// The primary host is not there.
    Waiting,
    Publishing,
    /// The last word was said, and is to be acknowledged until then.
    Leaving(Instant),
}

/// The edge node.
pub struct EdgeNode {
    link: Link,
    topics: Topics,
    node: Node,
    sessions: Sessions,
    feed: Feed,
    writes: Writes,
    phase: Phase,
    host: Option<HostState>,
    /// Made, and not handed over yet.
    out: VecDeque<Message>,
    /// Handed over, and not written to the network yet.
    on_way: usize,
    /// A host asks for all births again.
    is_rebirth_asked: bool,
    /// Whether it was told that the broker refuses subscriptions.
    refusal_told: bool,
    strays: Strays,
}

impl std::fmt::Debug for EdgeNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeNode")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// Messages that were not understood, since that was told.
#[derive(Debug, Default)]
struct Strays {
    count: u64,
    told_at: Option<Instant>,
}

impl Strays {
    fn note(&mut self, topic: &str, why: &str) {
        self.count += 1;
        if self.told_at.is_some_and(|at| at.elapsed() < STRAYS_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        let messages = std::mem::take(&mut self.count);
        let topic = quoted(topic);
        tracing::warn!(
            messages,
            topic,
            "a Sparkplug message is not taken: {why}; more are told after a minute"
        );
    }
}

impl EdgeNode {
    pub(super) fn new(
        link: Link,
        topics: Topics,
        sessions: Sessions,
        feed: Feed,
        writes: Writes,
    ) -> EdgeNode {
        let node = Node::new(topics.clone(), &feed.pictured.borrow());
        EdgeNode {
            link,
            topics,
            node,
            sessions,
            feed,
            writes,
            phase: Phase::Waiting,
            host: None,
            out: VecDeque::new(),
            on_way: 0,
            is_rebirth_asked: false,
            refusal_told: false,
            strays: Strays::default(),
        }
    }

    /// Publishes until `stop`; then says that the edge node is gone.
    pub async fn run(mut self, stop: CancellationToken) {
        self.begin_session();
        loop {
            self.send();
            let takes_news = self.out.is_empty();
            let leaves_at = self.leaves_at();
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.link.next() => self.on_events(event),
                () = until(leaves_at) => self.end_session(),
                Some(news) = self.feed.news.recv(), if takes_news => {
                    let messages = self.node.take(news);
                    self.out.extend(messages);
                }
                () = self.feed.missed.notified(), if takes_news => self.renew(),
                Some(end) = self.writes.unchanged.recv(), if takes_news => {
                    self.out.extend(self.node.echo(&end.place, &end.names, Timestamp::now()));
                }
            }
        }
        self.leave().await;
    }

    fn leaves_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Leaving(at) => Some(at),
            Phase::Subscribing(_) | Phase::Waiting | Phase::Publishing => None,
        }
    }

    /// Leaves without DISCONNECT. With MQTT 5 Sparkplug wants that to say that the will is to be published, which the
    /// client library cannot; so hosts get the last word twice, which tells them nothing new.
    fn end_session(&mut self) {
        self.link.abandon();
        self.begin_session();
    }

    /// A number for the next connection, and with it its will.
    fn begin_session(&mut self) {
        self.phase = Phase::Waiting;
        let bd_seq = self.sessions.next();
        self.node.reset(bd_seq);
        self.out.clear();
        self.on_way = 0;
        self.host = None;
        self.is_rebirth_asked = false;
        let Message { topic, payload } = self.node.death(Timestamp::now());
        let will = payload::Message {
            topic,
            payload: Some(payload),
        };
        self.link.set_purpose(Purpose::EdgeNode { will });
    }

    /// Hands over as much as there is room for.
    fn send(&mut self) {
        if self.phase != Phase::Publishing {
            return;
        }
        let Some(client) = self.link.client() else { return };
        while self.on_way < usize::from(MAX_WINDOW) {
            let Some(Message { topic, payload }) = self.out.pop_front() else {
                if !fill(&mut self.node, &mut self.out, &mut self.is_rebirth_asked) {
                    return;
                }
                continue;
            };
            if !client.publish_data(&topic, payload) {
                // The connection is ending: the next one begins with births.
                return;
            }
            self.on_way += 1;
        }
    }

    fn renew(&mut self) {
        let picture = self.feed.pictured.borrow().clone();
        tracing::debug!("changes came faster than the broker takes them: some were told by births");
        let messages = self.node.renew(&picture, Timestamp::now());
        self.out.extend(messages);
    }

    fn on_events(&mut self, first: Event) {
        let mut next = Some(first);
        while let Some(event) = next {
            self.on_event(event);
            next = self.link.try_next();
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected(limits) => self.on_connected(limits),
            Event::Subscribed(answers) => self.on_subscribed(&answers),
            Event::Received(message, _) => self.on_message(*message),
            Event::Sent(_) => self.on_way = self.on_way.saturating_sub(1),
            // Only the last word is.
            Event::Acked { .. } => self.end_session(),
            Event::Closed(_) => self.begin_session(),
        }
    }

    fn on_connected(&mut self, limits: Limits) {
        self.node.set_limit(limits.maximum_packet_size);
        let Some(client) = self.link.client() else { return };
        client.subscribe(self.topics.commands());
        let host = self.topics.host();
        if let Some(topic) = &host {
            client.subscribe_with_stored(topic);
        }
        self.phase = Phase::Subscribing(1 + usize::from(host.is_some()));
    }

    fn on_subscribed(&mut self, answers: &[Option<String>]) {
        if let Some(reason) = answers.iter().flatten().next()
            && !std::mem::replace(&mut self.refusal_told, true)
        {
            let filters: Vec<_> = self
                .topics
                .commands()
                .into_iter()
                .chain(self.topics.host())
                .collect();
            let filters = filters.join(", ");
            tracing::error!(
                reason,
                "the broker does not deliver what Sparkplug hosts send: let mqtt.username read {filters}"
            );
        }
        if let Phase::Subscribing(left) = self.phase {
            self.phase = match left {
                0 | 1 => Phase::Waiting,
                left => Phase::Subscribing(left - 1),
            };
            self.begin_publishing();
        }
    }

    /// Births, once the primary host is there, or none is configured.
    fn begin_publishing(&mut self) {
        let is_host_there = self.topics.host().is_none() || self.host.is_some_and(|host| host.online);
        if self.phase != Phase::Waiting || !is_host_there || !self.link.is_connected() {
            return;
        }
        self.phase = Phase::Publishing;
        self.is_rebirth_asked = true;
        tracing::debug!("Sparkplug: the edge node is born");
    }

    fn on_message(&mut self, message: Received) {
        let incoming = self.topics.parse(&message.topic);
        // The state of a host is kept by the broker; a command that is would be carried out again and again.
        if message.retained && incoming != Some(Incoming::Host) {
            return self.strays.note(&message.topic, "it is retained");
        }
        match incoming {
            Some(Incoming::Host) => self.on_host(&message),
            Some(Incoming::Node) => self.on_command(None, &message),
            Some(Incoming::Device(name)) => match Place::parse(name) {
                Some(place) => self.on_command(Some(place), &message),
                None => self.strays.note(&message.topic, "no device has such a name"),
            },
            None => self.strays.note(&message.topic, "nobody has asked for it"),
        }
    }

    fn on_command(&mut self, place: Option<Place>, message: &Received) {
        let decoded = wire::decode(&message.payload).filter(|_| message.payload_length.is_none());
        let Some(metrics) = decoded else {
            return self.strays.note(
                &message.topic,
                "it is not a payload of Sparkplug B of at most 64 KiB",
            );
        };
        if place.is_none() {
            let is_rebirth = |metric: &wire::Written| metric.name.as_deref() == Some(REBIRTH);
            let mut asked = metrics.iter().filter(|metric| is_rebirth(metric));
            self.is_rebirth_asked |= asked.any(|metric| metric.flag == Some(true));
        }
        let write = Write {
            is_there: place.as_ref().is_some_and(|place| self.node.is_there(place)),
            place,
            metrics,
            topic: message.topic.clone(),
            payload: message.payload.clone(),
        };
        if self.writes.writes.try_send(write).is_err() {
            self.strays
                .note(&message.topic, "too many wait, or the bridge stops");
        }
    }

    fn on_host(&mut self, message: &Received) {
        let Ok(state) = serde_json::from_slice::<HostState>(&message.payload) else {
            return self.strays.note(
                &message.topic,
                "it does not tell whether the host is online, and since when",
            );
        };
        // A death that comes late, of a connection that the host has renewed meanwhile.
        if self.host.is_some_and(|known| state.timestamp < known.timestamp) {
            return;
        }
        let was_online = self.host.replace(state).is_some_and(|host| host.online);
        if was_online != state.online {
            let online = state.online;
            tracing::info!(online, "the primary host of Sparkplug has told its state");
        }
        match state.online {
            true => self.begin_publishing(),
            false if self.phase == Phase::Publishing => self.say_goodbye(),
            false => {}
        }
    }

    /// The next session waits for the host.
    fn say_goodbye(&mut self) {
        self.phase = Phase::Leaving(Instant::now() + LAST_WORD);
        self.out.clear();
        let death = self.node.death(Timestamp::now());
        if let Some(client) = self.link.client() {
            client.publish_record(&death.topic, death.payload, None);
        }
    }

    /// Says the last word, where there was a first one.
    async fn leave(mut self) {
        if self.phase != Phase::Publishing {
            return;
        }
        self.say_goodbye();
        let is_last = |event: &Event| matches!(event, Event::Acked { .. } | Event::Closed(_));
        let acknowledged = async { while !is_last(&self.link.next().await) {} };
        if timeout(LAST_WORD, acknowledged).await.is_err() {
            tracing::warn!(
                "the broker did not take the edge node's last word in time; its will tells the same"
            );
        }
    }
}

/// Makes the next messages that are due; `false` where none are.
fn fill(node: &mut Node, out: &mut VecDeque<Message>, is_rebirth_asked: &mut bool) -> bool {
    let now = Timestamp::now();
    if std::mem::take(is_rebirth_asked) {
        out.extend(node.rebirth(now));
        return true;
    }
    match node.next_births(now) {
        Some(messages) => {
            out.extend(messages);
            true
        }
        None => false,
    }
}
