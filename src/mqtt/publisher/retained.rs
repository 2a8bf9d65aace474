//! What is to be retained, as a function of what is known: of the bridge, of its devices, of what other programs discover.
//! No payload is kept: it is made again when it is to be sent again. Pure data.

use bytes::Bytes;
use tokio::sync::watch;

use crate::contract::state::BridgeInfo;
use crate::contract::topics::{Owner, StateTopic, Topics};
use crate::hub::{Device, DeviceUpdate, Fleet};
use crate::model::DeviceId;
use crate::mqtt::discovery::{self, Discovery};
use crate::mqtt::payload::{Message, Payloads};

/// What is published beside devices.
#[derive(Debug)]
pub(super) enum Own {
    /// What the bridge says of itself.
    Bridge(BridgeInfo),
    /// The list of a shard's devices, with these of earlier configurations.
    Shard { left: Vec<DeviceId> },
}

impl Own {
    pub(super) fn is_bridge(&self) -> bool {
        matches!(self, Own::Bridge(_))
    }
}

#[derive(Debug)]
pub(super) struct Retained {
    pub(super) payloads: Payloads,
    pub(super) own: Own,
    pub(super) discovery: Option<Box<dyn Discovery>>,
    /// The word at the bridge's own state topic.
    pub(super) is_online: bool,
    fleet: watch::Receiver<Fleet>,
    /// The rest of what was made for the last topic: what follows is often of the same object, or the same device.
    made: Vec<Message>,
}

impl Retained {
    pub(super) fn new(
        payloads: Payloads,
        own: Own,
        discovery: Option<Box<dyn Discovery>>,
        fleet: watch::Receiver<Fleet>,
    ) -> Retained {
        Retained {
            payloads,
            own,
            discovery,
            is_online: true,
            fleet,
            made: Vec::new(),
        }
    }

    pub(super) fn topics(&self) -> &Topics {
        self.payloads.topics()
    }

    /// Topic and payload of the message by which the program that discovers says that it has started.
    pub(super) fn birth(&self) -> Option<(&str, &[u8])> {
        Some(self.discovery.as_ref()?.birth())
    }

    /// What is known is new: nothing that was made holds.
    pub(super) fn forget_made(&mut self) {
        self.made.clear();
    }

    /// A device has changed so; gives what is to be sent of discovery.
    pub(super) fn discovered(&self, changed: &[DeviceUpdate]) -> Vec<Message> {
        let Some(discovery) = self.discovery.as_deref() else {
            return Vec::new();
        };
        let messages = changed.iter().flat_map(|DeviceUpdate { device, old, new, .. }| {
            let (old, new) = (old.clone().unwrap_or_default(), new.clone().unwrap_or_default());
            discovery::changed(discovery, device, &old, &new)
        });
        messages.collect()
    }

    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.fleet.borrow().devices.keys().cloned().collect()
    }

    /// Whether that device is configured.
    pub(super) fn has(&self, device: &DeviceId) -> bool {
        self.fleet.borrow().devices.contains_key(device)
    }

    /// Whether a topic of an earlier run may be published in this one.
    pub(super) fn is_current(&self, topic: &str) -> bool {
        if let Some((state, field)) = self.topics().parse(topic) {
            return state.device().is_none_or(|device| self.has(device))
                && self.payloads.publishes(&state, field.is_some());
        }
        let discovery = self.discovery.as_ref();
        match discovery.and_then(|discovery| discovery.topics().owner(topic)) {
            Some(Owner::Device(device)) => self.has(&device),
            owner => owner.is_some(),
        }
    }

    /// What every topic begins with at which that owner is discovered.
    pub(super) fn discovered_below(&self, owner: &Owner) -> Vec<String> {
        let discovery = self.discovery.iter();
        discovery
            .flat_map(|discovery| discovery.topics().of_owner(owner))
            .collect()
    }

    /// What every topic of that owner begins with, its discovery first: what reads a topic goes before the topic does.
    pub(super) fn below(&self, owner: &Owner) -> Vec<String> {
        let mut below = self.discovered_below(owner);
        below.push(match owner {
            Owner::Bridge => self.topics().of_bridge(),
            Owner::Device(device) => self.topics().of_device(device),
        });
        below
    }

    /// The messages of an object: of the whole, and of its fields.
    pub(super) fn object(&self, topic: &StateTopic) -> Vec<Message> {
        match topic {
            StateTopic::OwnState => vec![self.payloads.own_state(self.is_online)],
            StateTopic::BridgeInfo => match &self.own {
                Own::Bridge(info) => self.payloads.bridge_info(info),
                Own::Shard { .. } => Vec::new(),
            },
            StateTopic::ShardTopics => match &self.own {
                Own::Bridge(_) => Vec::new(),
                Own::Shard { left } => {
                    let devices = self.devices().into_iter().chain(left.iter().cloned());
                    self.payloads.shard_topics(devices.collect())
                }
            },
            StateTopic::Device(id, below) => match self.fleet.borrow().devices.get(id) {
                Some(device) => self.payloads.of_device(id, below, device),
                // Nobody has heard of it in this run.
                None => self.payloads.of_device(id, below, &Device::default()),
            },
        }
    }

    /// The payload at that topic; `None` where nothing is to be retained.
    pub(super) fn payload(&mut self, topic: &str) -> Option<Bytes> {
        let is_it = |message: &Message| message.topic == topic;
        let place = self.made.iter().position(is_it).or_else(|| {
            self.made = self.around(topic);
            self.made.iter().position(is_it)
        });
        self.made.swap_remove(place?).payload
    }

    /// The messages of the object, or of the owner of the entity, at that topic.
    fn around(&self, topic: &str) -> Vec<Message> {
        if let Some((object, _)) = self.topics().parse(topic) {
            return self.object(&object);
        }
        let Some(discovery) = &self.discovery else {
            return Vec::new();
        };
        match discovery.topics().owner(topic) {
            Some(Owner::Bridge) => discovery.of_bridge(),
            Some(Owner::Device(id)) => {
                let fleet = self.fleet.borrow();
                let device = fleet.devices.get(&id);
                device.map_or(Vec::new(), |device| discovery.of_device(&id, &device.view))
            }
            None => Vec::new(),
        }
    }
}
