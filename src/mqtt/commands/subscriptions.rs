//! Which commands the broker is to deliver, and what it says to that. Pure data.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::contract::topics::{Topics, has_wildcard};
use crate::incidents::{Incidents, Seen};
use crate::model::{DeviceId, ErrorKind, ErrorReport, IncidentKey, IncidentKind, Operation};
use crate::mqtt::connection::{NO_WILDCARDS, subscription_remedy};
use crate::records::store::IncidentChange;

/// Filters in one packet: the brokers of clouds take no more.
const MAX_FILTERS: usize = 8;

/// Filters of one kind with a refusal that cannot be read after which all of that kind count as refused: each costs a
/// connection.
const MAX_OF_A_KIND: usize = 3;

/// A subscription that the broker has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSubscription {
    /// What was to be subscribed to.
    pub filter: String,
    /// The broker's reason.
    pub reason: String,
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) unsubscribe: Vec<String>,
    /// The filters of a packet each.
    pub(super) subscribe: Vec<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    topics: Topics,
    devices: BTreeSet<DeviceId>,
    /// Devices that have left: the session that the broker keeps may still have their subscriptions.
    left: BTreeSet<DeviceId>,
    /// The filters of each packet that is not answered yet, oldest first.
    asked: VecDeque<Vec<String>>,
    is_connected: bool,
    /// Whether the broker takes filters with wildcards.
    wildcards: bool,
    refused: Vec<RefusedSubscription>,
    /// Whether commands come that are for nobody, too.
    takes_unknown: bool,
    /// Whether the session may still have the subscriptions of a run with another `takes_unknown`.
    may_overlap: bool,
    /// Whether each filter goes in a packet of its own: the broker refuses one with an answer that cannot be read, which
    /// costs the connection.
    is_one_by_one: bool,
    /// Filters with such an answer, and the reason: not asked for again in this run.
    unreadable: BTreeMap<String, String>,
    /// Kinds of filters with such answers, and the reason of the last one.
    unreadable_kinds: BTreeMap<String, String>,
    /// The broker's address, for messages.
    broker: String,
    /// An incident for each reason of refusals.
    incidents: Incidents,
    /// What has become of them, and the store does not know yet.
    pub(super) changes: Vec<IncidentChange>,
}

impl Subscriptions {
    pub(super) fn new(topics: Topics, broker: String) -> Subscriptions {
        Subscriptions {
            topics,
            devices: BTreeSet::new(),
            left: BTreeSet::new(),
            asked: VecDeque::new(),
            is_connected: false,
            wildcards: true,
            refused: Vec::new(),
            takes_unknown: false,
            may_overlap: false,
            is_one_by_one: false,
            unreadable: BTreeMap::new(),
            unreadable_kinds: BTreeMap::new(),
            broker,
            incidents: Incidents::default(),
            changes: Vec::new(),
        }
    }

    /// Whether commands are to come that are for nobody, too. Then one set of filters is for all of them. Some brokers give
    /// a message once for each subscription that it matches: what an earlier run may have left of the other set goes.
    pub(super) fn set_takes_unknown(&mut self, takes_unknown: bool) {
        self.takes_unknown = takes_unknown;
        self.may_overlap = true;
    }

    pub(super) fn takes_unknown(&self) -> bool {
        self.takes_unknown
    }

    /// Whether commands for that device are ours.
    pub(super) fn is_current(&self, device: &DeviceId) -> bool {
        self.devices.contains(device)
    }

    /// Whether the broker has answered everything.
    pub(super) fn is_settled(&self) -> bool {
        self.is_connected && self.asked.is_empty()
    }

    pub(super) fn refused(&self) -> &[RefusedSubscription] {
        &self.refused
    }

    /// These are the devices from now on.
    pub(super) fn set_devices(&mut self, devices: Vec<DeviceId>) -> Orders {
        let devices = BTreeSet::from_iter(devices);
        let left: Vec<_> = self.devices.difference(&devices).cloned().collect();
        let new: Vec<_> = devices.difference(&self.devices).cloned().collect();
        self.left.retain(|device| !devices.contains(device));
        self.devices = devices;
        let mut orders = Orders::default();
        if self.takes_unknown {
            let overlapping = new.iter().flat_map(|device| self.topics.device_filters(device));
            orders.unsubscribe = overlapping.collect();
            return orders;
        }
        for device in left {
            orders.unsubscribe.extend(self.leave(device).unsubscribe);
        }
        let filters = new.iter().flat_map(|device| self.topics.device_filters(device));
        let filters = filters.collect();
        orders.subscribe = self.in_packets(filters);
        orders
    }

    /// Commands for that device are not ours.
    pub(super) fn leave(&mut self, device: DeviceId) -> Orders {
        let unsubscribe = self.topics.device_filters(&device).to_vec();
        self.refused
            .retain(|refused| !unsubscribe.contains(&refused.filter));
        self.left.insert(device);
        if self.is_settled() {
            self.close();
        }
        Orders {
            unsubscribe,
            subscribe: Vec::new(),
        }
    }

    /// A new connection: subscribes to everything, whatever the session holds.
    pub(super) fn connected(&mut self, wildcards: bool) -> Orders {
        self.is_connected = true;
        self.wildcards = wildcards;
        self.refused.clear();
        let devices: Vec<_> = self.devices.iter().cloned().collect();
        let filters = self.topics.command_filters(&devices);
        let of_unknown = self.topics.any_command_filters();
        let is_first = std::mem::replace(&mut self.may_overlap, false);
        if self.takes_unknown {
            let overlapping = is_first.then_some(filters);
            return self.subscribing(overlapping.unwrap_or_default(), of_unknown);
        }
        let left = self.left.iter();
        let left = left.flat_map(|device| self.topics.device_filters(device));
        let overlapping = of_unknown.into_iter().filter(|_| is_first);
        let unsubscribe = left.chain(overlapping).collect();
        self.subscribing(unsubscribe, filters)
    }

    fn subscribing(&mut self, unsubscribe: Vec<String>, filters: Vec<String>) -> Orders {
        let subscribe = self.in_packets(filters);
        if subscribe.is_empty() {
            self.close();
        }
        if !self.refused.is_empty() {
            self.report();
        }
        Orders {
            unsubscribe,
            subscribe,
        }
    }

    /// The connection has ended; `unreadable` is the reason of a refusal that ended it. Brokers answer in order: it was
    /// that of the oldest packet. Says whether the next connection avoids that.
    pub(super) fn disconnected(&mut self, unreadable: Option<&str>) -> bool {
        self.is_connected = false;
        let oldest = self.asked.pop_front();
        self.asked.clear();
        let (Some(reason), Some(filters)) = (unreadable, oldest) else {
            return false;
        };
        match &filters[..] {
            [filter] => self.learn(filter, reason),
            _ => self.is_one_by_one = true,
        }
        true
    }

    fn learn(&mut self, filter: &str, reason: &str) {
        self.unreadable.insert(filter.to_owned(), reason.to_owned());
        let kind = self.topics.command_kind(filter);
        let known = self.unreadable.keys();
        let of_a_kind = known.filter(|filter| self.topics.command_kind(filter) == kind);
        if of_a_kind.count() >= MAX_OF_A_KIND {
            self.unreadable_kinds.insert(kind.to_owned(), reason.to_owned());
        }
    }

    /// A packet with these filters was handed over.
    pub(super) fn asked(&mut self, filters: Vec<String>) {
        self.asked.push_back(filters);
    }

    /// The broker has answered the oldest packet.
    pub(super) fn answered(&mut self, answers: Vec<Option<String>>) {
        let filters = self.asked.pop_front().unwrap_or_default();
        for (filter, answer) in filters.into_iter().zip(answers) {
            self.refused.retain(|refused| refused.filter != filter);
            if let Some(reason) = answer {
                self.refused.push(RefusedSubscription { filter, reason });
            }
        }
        if self.asked.is_empty() {
            self.close();
            self.report();
        }
    }

    /// Closes the incidents of reasons that the broker, which has answered everything, gives no more.
    fn close(&mut self) {
        let is_refused =
            |key: &IncidentKey| self.refused.iter().any(|refused| key_of(&refused.reason) == *key);
        let over: Vec<_> = self
            .incidents
            .keys()
            .filter(|key| !is_refused(key))
            .cloned()
            .collect();
        for key in over {
            let end = self.incidents.clear(&key, Timestamp::now());
            self.changes.extend(end.map(IncidentChange::from));
        }
    }

    /// Reports each reason once while it lasts.
    fn report(&mut self) {
        for RefusedSubscription { filter, reason } in &self.refused {
            let key = key_of(reason);
            if self.incidents.get(&key).is_some() {
                continue;
            }
            let count = self.refused.iter().filter(|refused| refused.reason == *reason);
            let (count, remedy) = (count.count(), subscription_remedy(reason));
            tracing::error!(
                broker = self.broker,
                filter,
                reason,
                count,
                remedy,
                "the broker refused subscriptions: commands there do not come; correct that, then restart the bridge"
            );
            let message = format!(
                "the broker refused {count} subscriptions ({filter:?}, for example): {reason}; commands there do not come"
            );
            let seen = Seen::once(
                Operation::Command,
                ErrorReport::new(ErrorKind::Rejected, message, remedy),
            );
            let report = self.incidents.raise(key, seen, Timestamp::now(), Instant::now());
            self.changes.extend(report.map(IncidentChange::from));
        }
    }

    /// The packets that ask for `filters`, but for those that are known to be refused.
    fn in_packets(&mut self, filters: Vec<String>) -> Vec<Vec<String>> {
        let (refused, asked): (Vec<_>, Vec<_>) = filters
            .into_iter()
            .map(|filter| (self.known_refusal(&filter), filter))
            .partition(|(refusal, _)| refusal.is_some());
        for (reason, filter) in refused {
            let reason = reason.unwrap_or_default();
            self.refused.push(RefusedSubscription { filter, reason });
        }
        let asked: Vec<_> = asked.into_iter().map(|(_, filter)| filter).collect();
        let together = if self.is_one_by_one { 1 } else { MAX_FILTERS };
        asked.chunks(together).map(<[String]>::to_vec).collect()
    }

    /// Why it is of no use to ask for `filter`.
    fn known_refusal(&self, filter: &str) -> Option<String> {
        if !self.wildcards && has_wildcard(filter) {
            return Some(NO_WILDCARDS.to_owned());
        }
        let of_kind = || self.unreadable_kinds.get(self.topics.command_kind(filter));
        self.unreadable.get(filter).or_else(of_kind).cloned()
    }
}

/// The incident of refusals for that reason.
fn key_of(reason: &str) -> IncidentKey {
    IncidentKey::about(IncidentKind::Subscription, format!("commands: {reason}"))
}
