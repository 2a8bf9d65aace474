//! Which commands the broker is to deliver, and what it says to that. Pure data.

use std::collections::{BTreeSet, VecDeque};

use crate::model::DeviceId;
use crate::mqtt::topics::Topics;

/// Filters in one packet. Brokers have limits there.
const MAX_FILTERS: usize = 100;

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
    gone: BTreeSet<DeviceId>,
    /// The filters of each packet that is not answered yet, oldest first.
    asked: VecDeque<Vec<String>>,
    is_connected: bool,
    refused: Vec<RefusedSubscription>,
    /// Whether a refusal was told, and none was found to be over since.
    is_told: bool,
    /// Whether commands come that are for nobody, too.
    takes_unknown: bool,
    /// Whether the session may still have the subscriptions of a run with another `takes_unknown`.
    may_overlap: bool,
}

impl Subscriptions {
    pub(super) fn new(topics: Topics) -> Subscriptions {
        Subscriptions {
            topics,
            devices: BTreeSet::new(),
            gone: BTreeSet::new(),
            asked: VecDeque::new(),
            is_connected: false,
            refused: Vec::new(),
            is_told: false,
            takes_unknown: false,
            may_overlap: false,
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
        self.gone.retain(|device| !devices.contains(device));
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
        orders.subscribe = in_packets(filters.collect());
        orders
    }

    /// Commands for that device are not ours.
    pub(super) fn leave(&mut self, device: DeviceId) -> Orders {
        let unsubscribe = self.topics.device_filters(&device).to_vec();
        self.refused
            .retain(|refused| !unsubscribe.contains(&refused.filter));
        self.gone.insert(device);
        Orders {
            unsubscribe,
            subscribe: Vec::new(),
        }
    }

    /// A new connection: subscribes to everything, whatever the session holds.
    pub(super) fn connected(&mut self) -> Orders {
        self.is_connected = true;
        self.refused.clear();
        if self.takes_unknown {
            return self.connected_for_all();
        }
        let gone = self
            .gone
            .iter()
            .flat_map(|device| self.topics.device_filters(device));
        let devices: Vec<_> = self.devices.iter().cloned().collect();
        let is_first = std::mem::replace(&mut self.may_overlap, false);
        let of_unknown = is_first.then(|| self.topics.any_command_filters());
        let of_unknown = of_unknown.into_iter().flatten();
        Orders {
            unsubscribe: gone.chain(of_unknown).collect(),
            subscribe: in_packets(self.topics.command_filters(&devices)),
        }
    }

    fn connected_for_all(&mut self) -> Orders {
        let devices: Vec<_> = self.devices.iter().cloned().collect();
        let is_first = std::mem::replace(&mut self.may_overlap, false);
        let overlapping = is_first.then(|| self.topics.command_filters(&devices));
        Orders {
            unsubscribe: overlapping.unwrap_or_default(),
            subscribe: in_packets(self.topics.any_command_filters()),
        }
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.asked.clear();
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
            self.tell();
        }
    }

    fn tell(&mut self) {
        let Some(RefusedSubscription { filter, reason }) = self.refused.first() else {
            self.is_told = false;
            return;
        };
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::error!(
                filter,
                reason,
                count = self.refused.len(),
                "the broker refused subscriptions: commands there do not come; let the user of the bridge \
                 (mqtt.username) subscribe to them in the broker's list of rights, then restart the bridge"
            );
        }
    }
}

fn in_packets(filters: Vec<String>) -> Vec<Vec<String>> {
    filters.chunks(MAX_FILTERS).map(<[String]>::to_vec).collect()
}
