//! What comes in by the publisher's connection: the birth message of a program that discovers, and messages of others
//! at our own state topics. Owns the subscriptions and what follows from each message.

use std::time::Duration;

use tokio::time::Instant;

use super::overwritten::Overwritten;
use super::{Phase, Publisher};
use crate::contract::topics::has_wildcard;
use crate::model::{ErrorKind, ErrorReport, Stage};
use crate::mqtt::connection::{ConnectionError, Delivery, subscription_remedy};
use crate::mqtt::pending_subscriptions::{LeftOut, PendingSubscriptions};
use crate::records::Received;

/// Discovery is sent again at most so often: whoever may write to the topic of the birth message shall not flood
/// the broker.
const BIRTH_PAUSE: Duration = Duration::from_secs(10);

/// What is known of that.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub(super) subscriptions: PendingSubscriptions,
    pub(super) overwritten: Overwritten,
    /// As [`super::BrokerStatus::restored`].
    pub(super) restored: u64,
    /// When what is discovered was last sent again because the program that reads it has started.
    born_at: Option<Instant>,
}

impl Publisher {
    /// A new connection has no subscription yet.
    pub(super) fn subscribe(&mut self, wildcards: bool) {
        let birth = self.retained.birth().into_iter();
        let birth = birth.map(|(topic, _)| topic.to_owned());
        let own = self.retained.topics().own_state_filters().into_iter();
        // A broker without wildcards ends the connection at a filter that has one.
        let own = own.filter(|filter| wildcards || !has_wildcard(filter));
        for filter in birth.chain(own).collect::<Vec<_>>() {
            self.subscribe_to(filter);
        }
    }

    /// In a packet of its own: where a filter cannot be had, the others can. Refused only by a connection that is ending.
    fn subscribe_to(&mut self, filter: String) {
        if let Some(client) = self.link.client()
            && self.incoming.subscriptions.ask(&filter, Instant::now())
        {
            client.subscribe(vec![filter], Delivery::New);
        }
    }

    /// Without a connection the next one begins with them.
    pub(super) fn subscribe_again(&mut self) {
        for filter in self.incoming.subscriptions.take_due(Instant::now()) {
            self.subscribe_to(filter);
        }
    }

    pub(super) fn on_subscribed(&mut self, answers: &[Option<String>]) {
        let filter = self.incoming.subscriptions.answered();
        let Some(filter) = filter else { return };
        match answers.iter().flatten().next() {
            Some(reason) => self.report_refusal(&filter, reason),
            None => {
                let end = self.incoming.subscriptions.granted(&filter);
                end.into_iter().for_each(|end| self.journal.report(end));
            }
        }
    }

    /// The connection has ended.
    pub(super) fn unsubscribed(&mut self, error: Option<&ConnectionError>) {
        self.incoming.overwritten.disconnected();
        let left_out = self
            .incoming
            .subscriptions
            .disconnected(error, |_| true, Instant::now());
        if let Some(LeftOut { filter, reason }) = left_out {
            self.link.is_explained();
            self.report_refusal(&filter, &reason);
        }
    }

    fn report_refusal(&mut self, filter: &str, reason: &str) {
        let consequence = match self.retained.birth().is_some_and(|(topic, _)| topic == filter) {
            true => {
                "entities are not published again when Home Assistant starts; it has what the broker retains"
            }
            false => "what others publish at these state topics of this bridge goes unnoticed",
        };
        let message = format!("subscription to {filter:?} refused by the broker ({reason}): {consequence}");
        let error = ErrorReport::new(ErrorKind::Rejected, message, subscription_remedy(reason));
        let report = self.incoming.subscriptions.refused(filter, error);
        if let Some(report) = report {
            if report.stage == Stage::Begun {
                let error = &report.incident.error;
                tracing::warn!(filter, reason, remedy = error.remedy, "{}", error.message);
            }
            self.journal.report(report);
        }
    }

    pub(super) fn on_message(&mut self, message: &Received) {
        // A copy that the broker has stored says nothing about now.
        if self.stop.phase != Phase::Running || message.retained {
            return;
        }
        self.outbox.is_overwritten(&message.topic, &message.payload);
        if self.retained.birth() == Some((&message.topic, &message.payload)) {
            self.on_birth();
        } else if let Some(is_ours) = self.outbox.holds(&message.topic, &message.payload) {
            self.incoming
                .overwritten
                .seen(&message.topic, is_ours, Instant::now());
        }
    }

    /// Home Assistant has started: its entities are published again. Their state comes from the broker, as it subscribes
    /// to their topics.
    fn on_birth(&mut self) {
        let Some(discovery) = &self.retained.discovery else {
            return;
        };
        if self.incoming.born_at.is_some_and(|at| at.elapsed() < BIRTH_PAUSE) {
            tracing::debug!("Home Assistant has restarted at once: it has what was just sent");
            return;
        }
        self.incoming.born_at = Some(Instant::now());
        tracing::info!("Home Assistant has started: publishing its entities again");
        self.outbox.send_again(&discovery.topics().all());
    }

    /// Publishes again where others have published. What is queued anyway goes out after their message.
    pub(super) fn restore_overwritten(&mut self) {
        let mut topics = self.incoming.overwritten.take_due(Instant::now());
        topics.retain(|topic| self.outbox.restore(topic));
        let Some(first) = topics.first() else { return };
        self.incoming.restored += topics.len() as u64;
        tracing::warn!(
            topics = topics.len(),
            first,
            "state topics of this bridge were overwritten, and are published again; look for another \
             bridge with the same id or the same devices, or let only the user of the bridge (mqtt.username) write there"
        );
    }
}
