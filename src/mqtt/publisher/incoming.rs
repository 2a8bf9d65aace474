//! What comes in by the publisher's connection: Home Assistant's birth message, and messages of others at our own
//! state topics. Owns the subscriptions and what follows from each message.

use std::time::Duration;

use tokio::time::Instant;

use super::{Phase, Publisher};
use crate::contract::topics::has_wildcard;
use crate::mqtt::connection::Delivery;
use crate::records::Received;

/// Discovery is sent again at most so often: whoever may write to Home Assistant's status topic shall not flood the
/// broker.
const BIRTH_PAUSE: Duration = Duration::from_secs(10);

/// Connections in a row that end before the broker has answered the subscription to our own state topics, until we do
/// without it: some brokers answer a missing right in no other way.
const MAX_UNANSWERED: u8 = 2;

/// A subscription, in the order in which the broker answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscription {
    /// Our own state topics.
    OwnState,
    /// Where Home Assistant says that it has started.
    Birth,
}

impl Publisher {
    /// A new connection has no subscription yet. One is refused only by a connection that is ending.
    pub(super) fn subscribe(&mut self, wildcards: bool) {
        self.subscriptions.clear();
        let Some(client) = self.link.client() else { return };
        if let Some(discovery) = &self.discovery {
            client.subscribe(vec![discovery.status_topic().to_owned()], Delivery::New);
            self.subscriptions.push_back(Subscription::Birth);
        }
        if self.unanswered < MAX_UNANSWERED {
            let filters = self.payloads.topics().own_state_filters().into_iter();
            // A broker without wildcards ends the connection at a filter that has one.
            let filters = filters.filter(|filter| wildcards || !has_wildcard(filter));
            client.subscribe(filters.collect(), Delivery::New);
            self.subscriptions.push_back(Subscription::OwnState);
        }
    }

    pub(super) fn on_subscribed(&mut self, answers: &[Option<String>]) {
        let subscription = self.subscriptions.pop_front();
        if subscription == Some(Subscription::OwnState) {
            self.unanswered = 0;
        }
        let (Some(subscription), Some(reason)) = (subscription, answers.iter().flatten().next()) else {
            return;
        };
        match (subscription, &self.discovery) {
            (Subscription::Birth, Some(discovery)) => tracing::warn!(
                topic = discovery.status_topic(),
                reason,
                "the broker refused the subscription: Home Assistant is not told its entities again when it starts, and \
                 has what the broker retains; let the user of the bridge (mqtt.username) subscribe to it"
            ),
            (Subscription::Birth, None) => {}
            (Subscription::OwnState, _) => self.warn_of_no_watch(reason),
        }
    }

    /// The connection has ended.
    pub(super) fn unsubscribed(&mut self) {
        self.overwritten.disconnected();
        let is_unanswered = self.subscriptions.contains(&Subscription::OwnState);
        self.subscriptions.clear();
        if !is_unanswered {
            return;
        }
        self.unanswered += 1;
        if self.unanswered == MAX_UNANSWERED {
            self.warn_of_no_watch("the connection ended before the broker answered");
        }
    }

    fn warn_of_no_watch(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_no_watch_known, true) {
            tracing::warn!(
                filters = self.payloads.topics().own_state_filters().join(" "),
                reason,
                "the broker refused the subscription: what others publish at state topics of this bridge goes \
                 unnoticed; let the user of the bridge (mqtt.username) subscribe to them"
            );
        }
    }

    pub(super) fn on_message(&mut self, message: &Received) {
        // A copy that the broker has stored says nothing about now: all of the state follows.
        if self.phase != Phase::Running || message.retained {
            return;
        }
        let discovery = self.discovery.as_ref();
        if discovery.is_some_and(|discovery| discovery.is_birth(&message.topic, &message.payload)) {
            self.on_birth();
        } else if let Some(is_ours) = self.outbox.holds(&message.topic, &message.payload) {
            self.overwritten.seen(&message.topic, is_ours, Instant::now());
        }
    }

    /// Home Assistant has started: its entities are told again. How they stand the broker gives it, as it subscribes to
    /// their topics.
    fn on_birth(&mut self) {
        let Some(discovery) = &self.discovery else { return };
        if self.reborn.is_some_and(|at| at.elapsed() < BIRTH_PAUSE) {
            tracing::debug!("Home Assistant has started again at once: it has what was just sent");
            return;
        }
        self.reborn = Some(Instant::now());
        tracing::info!("Home Assistant has started: its entities are sent again");
        self.outbox.send_again(&discovery.topics().all());
    }

    /// Publishes again where others have published. What is queued anyway goes out after their message.
    pub(super) fn restore_overwritten(&mut self) {
        let mut topics = self.overwritten.take_due(Instant::now());
        topics.retain(|topic| self.outbox.restore(topic));
        let Some(first) = topics.first() else { return };
        self.restored += topics.len() as u64;
        tracing::warn!(
            topics = topics.len(),
            first,
            "somebody else has published at state topics of this bridge, which are published again; look for another \
             bridge with the same id or the same devices, or let only the user of the bridge (mqtt.username) write there"
        );
    }
}
