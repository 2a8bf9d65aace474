//! The edge node's connection: subscribes, waits for the primary host, and says what the [`Node`] has to say, in order.
//! What hosts send is for `incoming`.

mod host;
mod incoming;
mod old_hosts;
mod rebirths;
mod subscribing;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::commands::Writes;
use super::node::{Message, Node};
use super::session::Sessions;
use super::topics::{OfNode, Topics};
use crate::hub::DeviceUpdate;
use crate::mqtt::EdgeNodeStatus;
use crate::mqtt::connection::{ConnectionError, Event, MAX_WINDOW, Purpose, packet_size};
use crate::mqtt::link::{Link, until};
use crate::mqtt::payload;
use crate::mqtt::pending_subscriptions::PendingSubscriptions;
use crate::records::store::{IncidentChange, Store};
use host::PrimaryHost;
use incoming::Strays;
use old_hosts::OldHosts;
use rebirths::Rebirths;

/// How long the broker may take to acknowledge the last word.
const DEATH_WITHIN: Duration = Duration::from_secs(1);

/// A broker that ends a connection so soon after the birth of the edge node may have done so for its size.
const AT_BIRTH: Duration = Duration::from_secs(1);

/// Changes that are taken at once: devices that come with a reload are one birth.
const CHANGES_AT_ONCE: usize = super::UPDATES_WAITING;

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Subscriptions are not answered yet.
    Subscribing,
    /// The primary host is not there.
    Waiting,
    Publishing,
    /// The last word was said, and is to be acknowledged until then.
    Leaving(Instant),
}

/// The edge node.
pub struct EdgeNode {
    link: Link,
    subscriptions: PendingSubscriptions,
    topics: Topics,
    node: Node,
    sessions: Sessions,
    changes: mpsc::Receiver<DeviceUpdate>,
    writes: Writes,
    phase: Phase,
    host: PrimaryHost,
    /// Made, and not handed over yet.
    out: VecDeque<Message>,
    /// Handed over, and not written to the network yet.
    on_way: usize,
    rebirths: Rebirths,
    /// When the edge node was born in this session, and the size of that message.
    birth: Option<(Instant, usize)>,
    /// Whether it was logged that the birth may be too large.
    is_birth_reported: bool,
    strays: Strays,
    old_hosts: OldHosts,
    status: watch::Sender<EdgeNodeStatus>,
    store: Store,
    /// What has become of incidents, and the store does not know yet.
    incidents: Vec<IncidentChange>,
}

impl std::fmt::Debug for EdgeNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeNode")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl EdgeNode {
    pub(super) fn new(
        link: Link,
        topics: Topics,
        node: Node,
        sessions: Sessions,
        changes: mpsc::Receiver<DeviceUpdate>,
        writes: Writes,
        store: Store,
    ) -> EdgeNode {
        let (status, _) = watch::channel(EdgeNodeStatus {
            link: link.status().clone(),
            born: false,
            old_hosts: 0,
        });
        EdgeNode {
            link,
            subscriptions: PendingSubscriptions::default(),
            topics,
            node,
            sessions,
            changes,
            writes,
            phase: Phase::Waiting,
            host: PrimaryHost::default(),
            out: VecDeque::new(),
            on_way: 0,
            rebirths: Rebirths::default(),
            birth: None,
            is_birth_reported: false,
            strays: Strays::default(),
            old_hosts: OldHosts::default(),
            status,
            store,
            incidents: Vec::new(),
        }
    }

    /// What is known of its way to hosts.
    pub fn status(&self) -> watch::Receiver<EdgeNodeStatus> {
        self.status.subscribe()
    }

    /// Publishes until `stop`; then publishes the death of the edge node.
    pub async fn run(mut self, stop: CancellationToken) {
        self.begin_session();
        let mut changes = Vec::new();
        loop {
            let is_all_out = self.send();
            self.report();
            // The store takes them late while its disk hangs.
            let changed = self.store.change_incidents(&mut self.incidents);
            stop.run_until_cancelled(changed).await;
            let takes_news = self.out.is_empty();
            let (leaves_at, rebirth_at) = (self.leaves_at(), self.rebirths.at());
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.link.next() => self.on_events(event),
                () = until(leaves_at) => self.end_session(),
                () = until(rebirth_at), if is_all_out => {}
                () = until(self.subscriptions.retry_at()) => self.subscribe_again(),
                1.. = self.changes.recv_many(&mut changes, CHANGES_AT_ONCE), if takes_news => {
                    let messages = self.node.take(changes.drain(..));
                    self.out.extend(messages);
                }
                Some(end) = self.writes.unchanged.recv(), if takes_news => {
                    self.out.extend(self.node.echo(end.place.as_ref(), &end.names, Timestamp::now()));
                }
            }
        }
        self.leave().await;
    }

    fn leaves_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Leaving(at) => Some(at),
            Phase::Subscribing | Phase::Waiting | Phase::Publishing => None,
        }
    }

    /// Leaves without DISCONNECT. With MQTT 5 Sparkplug wants that to say that the will is to be published, which the
    /// client library cannot; so hosts get the death twice, and nothing new by the second.
    fn end_session(&mut self) {
        self.link.abandon();
        self.unsubscribed(None);
        self.begin_session();
    }

    /// A number for the next connection, and with it its will.
    fn begin_session(&mut self) {
        self.phase = Phase::Waiting;
        let bd_seq = self.sessions.next();
        self.node.reset(bd_seq);
        self.out.clear();
        self.on_way = 0;
        self.host = PrimaryHost::default();
        self.rebirths = Rebirths::default();
        self.birth = None;
        let Message { topic, payload } = self.node.death(Timestamp::now());
        let will = payload::Message {
            topic,
            payload: Some(payload),
        };
        self.link.set_purpose(Purpose::EdgeNode { will });
    }

    /// Hands over as much as there is room for; whether nothing more is to be said now.
    fn send(&mut self) -> bool {
        if self.phase != Phase::Publishing {
            return false;
        }
        let Some(client) = self.link.client() else {
            return false;
        };
        while self.on_way < usize::from(MAX_WINDOW) {
            let Some(Message { topic, payload }) = self.out.pop_front() else {
                if !fill(&mut self.node, &mut self.rebirths, &mut self.out) {
                    return true;
                }
                continue;
            };
            if !client.publish_data(&topic, payload) {
                // The connection is ending: the next one begins with births.
                return false;
            }
            self.on_way += 1;
        }
        false
    }

    fn report(&self) {
        let (link, born) = (
            self.link.status(),
            self.phase == Phase::Publishing && self.node.is_born(),
        );
        self.status.send_if_modified(|status| {
            let old_hosts = self.old_hosts.count();
            let is_news = status.link != *link || status.born != born || status.old_hosts != old_hosts;
            if is_news {
                *status = EdgeNodeStatus {
                    link: link.clone(),
                    born,
                    old_hosts,
                };
            }
            is_news
        });
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
            Event::Closed(end) => self.on_closed(end.err()),
        }
    }

    /// Births, once the primary host is there, or none is configured.
    fn begin_publishing(&mut self) {
        let is_host_there = self.topics.host().is_none() || self.host.is_online();
        if self.phase != Phase::Waiting || !is_host_there || !self.link.is_connected() {
            return;
        }
        self.phase = Phase::Publishing;
        self.out.extend(self.node.rebirth(Timestamp::now()));
        let birth = self.out.front();
        self.birth = birth.map(|birth| {
            (
                Instant::now(),
                packet_size(&birth.topic, birth.payload.len(), None),
            )
        });
        tracing::debug!(
            born = self.node.is_born(),
            "Sparkplug: the birth of the edge node"
        );
    }

    /// With MQTT 3.1.1 no broker says how large a message may be: some end the connection at one that is larger.
    fn on_closed(&mut self, error: Option<ConnectionError>) {
        self.unsubscribed(error.as_ref());
        let is_by_peer =
            error.is_some_and(|error| error.is_by_peer() && error.unreadable_refusal().is_none());
        if let Some((_, bytes)) = self.birth.filter(|(at, _)| is_by_peer && at.elapsed() < AT_BIRTH)
            && !std::mem::replace(&mut self.is_birth_reported, true)
        {
            let topic = self.topics.of_node(OfNode::Birth);
            tracing::error!(
                topic,
                bytes,
                "the broker has ended the connection at the birth of the edge node; if that goes on, the message is too \
                 large for it: raise the broker's limit"
            );
        }
        self.begin_session();
    }

    /// The next session waits for the host.
    fn publish_death(&mut self) {
        self.phase = Phase::Leaving(Instant::now() + DEATH_WITHIN);
        self.out.clear();
        let death = self.node.death(Timestamp::now());
        if let Some(client) = self.link.client() {
            client.publish(&death.topic, death.payload, false, None);
        }
    }

    /// Publishes the death, if there was a birth.
    async fn leave(mut self) {
        if self.phase != Phase::Publishing {
            return;
        }
        self.publish_death();
        let is_last = |event: &Event| matches!(event, Event::Acked { .. } | Event::Closed(_));
        let acknowledged = async { while !is_last(&self.link.next().await) {} };
        if timeout(DEATH_WITHIN, acknowledged).await.is_err() {
            tracing::warn!("the broker did not take the edge node's death in time; the will publishes it");
        }
    }
}

/// Makes the next messages; `false` where nothing is to be said. Births that a host asks for come after those that are
/// due already, or the last devices would never have their turn.
fn fill(node: &mut Node, rebirths: &mut Rebirths, out: &mut VecDeque<Message>) -> bool {
    let now = Timestamp::now();
    let messages = match node.next_due(now) {
        Some(messages) => messages,
        None if rebirths.take() => node.rebirth(now),
        None => return false,
    };
    out.extend(messages);
    true
}
