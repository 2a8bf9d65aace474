//! What the edge node subscribes to at the begin of a session, and what follows from the broker's answers.

use tokio::time::Instant;

use super::{EdgeNode, Phase};
use crate::contract::topics::has_wildcard;
use crate::model::{ErrorKind, ErrorReport, Stage};
use crate::mqtt::connection::{ConnectionError, Delivery, Limits, NO_WILDCARDS, subscription_remedy};
use crate::mqtt::pending_subscriptions::LeftOut;
use crate::records::store::IncidentChange;
use crate::sparkplug::topics::OLD_STATES;

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

    /// Without a connection the next one begins with it.
    pub(super) fn subscribe_again(&mut self) {
        for filter in self.subscriptions.take_due(Instant::now()) {
            self.subscribe_to(filter);
        }
    }

    pub(super) fn on_subscribed(&mut self, answers: &[Option<String>]) {
        let filter = self.subscriptions.answered();
        if let Some(filter) = filter {
            match answers.iter().flatten().next() {
                // Nothing is lost but a warning.
                Some(_) if filter == OLD_STATES => {}
                Some(reason) => self.report_refusal(&filter, reason),
                None => {
                    let end = self.subscriptions.granted(&filter);
                    self.incidents.extend(end.map(IncidentChange::from));
                }
            }
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
        let consequence = match self.topics.host() {
            Some(host) if host == filter => {
                "writes of Sparkplug hosts do not arrive; without the primary host's state nothing is published"
            }
            _ if filter == OLD_STATES => "hosts of Sparkplug 2.2 are not detected",
            _ => "writes of Sparkplug hosts do not arrive",
        };
        let message = format!("subscription to {filter:?} refused by the broker ({reason}): {consequence}");
        let error = ErrorReport::new(ErrorKind::Rejected, message, subscription_remedy(reason));
        let Some(report) = self.subscriptions.refused(filter, error) else {
            return;
        };
        if report.stage == Stage::Begun {
            let (broker, remedy) = (self.link.broker(), &report.incident.error.remedy);
            match filter == OLD_STATES {
                true => tracing::warn!(broker, remedy, "{}", report.incident.error.message),
                false => tracing::error!(broker, remedy, "{}", report.incident.error.message),
            }
        }
        self.incidents.push(report.into());
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::{Mqtt, MqttVersion, Sparkplug};
    use crate::model::DeviceId;
    use crate::mqtt::connection::{Cause, Purpose};
    use crate::mqtt::link::Link;
    use crate::records::store::{Options, Store};
    use crate::sparkplug::commands::Writes;
    use crate::sparkplug::node::Node;
    use crate::sparkplug::session::{LastSession, Sessions};
    use crate::sparkplug::topics::Topics;

    fn edge_node() -> EdgeNode {
        let settings = Mqtt::for_test(MqttVersion::V5);
        let topics = Topics::new(&Sparkplug {
            group: "plant".to_owned(),
            edge_node: "site-1".to_owned(),
            primary_host: None,
        });
        let directory = tempfile::tempdir().unwrap();
        let node = Node::new(topics.clone(), []);
        let writes = Writes {
            writes: mpsc::channel(1).0,
            unchanged: mpsc::channel(1).1,
        };
        let link = Link::new(settings, Purpose::Commands);
        EdgeNode::new(
            link,
            topics,
            node,
            Sessions::open(LastSession::In(directory.path().to_owned())),
            mpsc::channel(1).1,
            writes,
            Store::in_memory(Options::new(DeviceId::new("site-1").unwrap())),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn what_old_hosts_say_is_left_out_with_a_warning_and_tried_again() {
        let mut node = edge_node();
        let lost = ConnectionError::for_test(Cause::Lost("closed".to_owned()));
        for _ in 0..2 {
            assert!(node.subscriptions.ask(OLD_STATES, Instant::now()));
            node.unsubscribed(Some(&lost));
        }
        let [IncidentChange::Open(incident)] = &node.incidents[..] else {
            panic!("it was reported once: {:?}", node.incidents);
        };
        assert_eq!(incident.key.subject.as_deref(), Some(OLD_STATES));
        let retry_at = node.subscriptions.retry_at().expect("it is tried again");
        tokio::time::sleep_until(retry_at).await;
        node.subscribe_again();
        assert_eq!(node.subscriptions.retry_at(), None);
    }
}
