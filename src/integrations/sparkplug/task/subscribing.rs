//! What the edge node subscribes to at the begin of a session, and what follows from the broker's answers.

use tokio::time::Instant;

use super::{EdgeNode, Phase};
use crate::contract::topics::has_wildcard;
use crate::integrations::sparkplug::topics::OLD_STATES;
use crate::mqtt::connection::{ConnectionError, Delivery, Limits, NO_WILDCARDS, subscription_remedy};
use crate::mqtt::pending_subscriptions::LeftOut;

impl EdgeNode {
    pub(super) fn on_connected(&mut self, limits: Limits) {
        self.sessions.connected();
        self.node.set_limit(limits.maximum_packet_size);
        // Last what is seen of old hosts, since births do not wait for its answer.
        let wanted = self.topics.commands().into_iter();
        let wanted = wanted.chain(self.topics.host()).chain([OLD_STATES.to_owned()]);
        self.phase = Phase::Subscribing;
        for filter in wanted {
            // A broker without wildcards ends the connection at a filter that has one.
            match limits.wildcards || !has_wildcard(&filter) {
                true => self.subscribe_to(filter),
                false => self.report_refusal(&filter, NO_WILDCARDS),
            }
        }
        self.begin_once_subscribed();
    }

    /// In a packet of its own: where a filter cannot be had, the others can.
    fn subscribe_to(&mut self, filter: String) {
        let delivery = match self.topics.commands().contains(&filter) {
            true => Delivery::AsPublished,
            false => Delivery::WithStored,
        };
        if let Some(client) = self.link.client()
            && self.subscriptions.ask(&filter, Instant::now())
        {
            client.subscribe(vec![filter], delivery);
        }
    }

    pub(super) fn on_subscribed(&mut self, answers: &[Option<String>]) {
        let filter = self.subscriptions.answered();
        if let (Some(filter), Some(reason)) = (filter, answers.iter().flatten().next()) {
            self.report_refusal(&filter, reason);
        }
        self.begin_once_subscribed();
    }

    /// Without what old hosts say nothing is lost but a warning.
    fn begin_once_subscribed(&mut self) {
        if self.phase == Phase::Subscribing && !self.subscriptions.is_pending(|filter| filter != OLD_STATES) {
            self.phase = Phase::Waiting;
            self.begin_publishing();
        }
    }

    /// Reports once that hosts are not heard there.
    fn report_refusal(&mut self, filter: &str, reason: &str) {
        if filter == OLD_STATES || !self.subscriptions.is_news(filter) {
            return;
        }
        let consequence = match self.topics.host().is_some_and(|host| host == filter) {
            true => "; without the primary host's state nothing is published",
            false => "",
        };
        tracing::error!(
            broker = %self.link.broker(),
            filter,
            reason,
            remedy = subscription_remedy(reason),
            "the broker does not deliver what Sparkplug hosts send{consequence}"
        );
    }

    pub(super) fn unsubscribed(&mut self, error: Option<&ConnectionError>) {
        let is_optional = |filter: &str| filter == OLD_STATES;
        let left_out = self
            .subscriptions
            .disconnected(error, is_optional, Instant::now());
        if let Some(LeftOut { filter, reason }) = left_out {
            self.link.is_explained();
            self.report_refusal(&filter, &reason);
        }
    }
}
