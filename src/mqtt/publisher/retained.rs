//! What is to be retained, as a function of what is known: of the bridge, of its devices, of what other programs discover.
//! No payload is kept: it is made again when it is to be sent again. Pure data.

use bytes::Bytes;
use tokio::sync::watch;

use crate::contract::state::BridgeInfo;
use crate::contract::topics::{DeviceTopic, Owner, StateTopic, Topics};
use crate::hub::{Device, DeviceUpdate, Fleet, Taken};
use crate::model::{DeviceId, Update};
use crate::mqtt::discovery::{self, Discovery};
use crate::mqtt::payload::{Message, Payloads};

#[derive(Debug)]
pub(super) struct Retained {
    pub(super) payloads: Payloads,
    pub(super) info: BridgeInfo,
    pub(super) discovery: Option<Box<dyn Discovery>>,
    /// The word at the bridge's own state topic.
    pub(super) is_online: bool,
    /// The devices.
    fleet: watch::Receiver<Fleet>,
    /// The rest of what was made for the last topic: what follows is often of the same object, or the same device.
    made: Vec<Message>,
}

impl Retained {
    pub(super) fn new(
        payloads: Payloads,
        info: BridgeInfo,
        discovery: Option<Box<dyn Discovery>>,
        fleet: watch::Receiver<Fleet>,
    ) -> Retained {
        Retained {
            payloads,
            info,
            discovery,
            is_online: true,
            fleet,
            made: Vec::new(),
        }
    }

    pub(super) fn topics(&self) -> &Topics {
        self.payloads.topics()
    }

    /// Something of the fleet is new; gives what is to be sent of discovery.
    pub(super) fn apply(&mut self, Taken { update, changed }: &Taken) -> Vec<Message> {
        self.made.clear();
        let Some(discovery) = self
            .discovery
            .as_deref()
            .filter(|_| matches!(update, Update::Device { .. }))
        else {
            return Vec::new();
        };
        let messages = changed.iter().flat_map(|DeviceUpdate { device, old, new, .. }| {
            let (old, new) = (old.clone().unwrap_or_default(), new.clone().unwrap_or_default());
            discovery::changed(discovery, device, &old, &new)
        });
        messages.collect()
    }

    /// The configured devices.
    pub(super) fn devices(&self) -> Vec<DeviceId> {
        self.fleet.borrow().devices.keys().cloned().collect()
    }

    /// Whether that device is configured.
    pub(super) fn has(&self, device: &DeviceId) -> bool {
        self.fleet.borrow().devices.contains_key(device)
    }

    /// The messages of an object: of the whole, and of its fields.
    pub(super) fn object(&self, topic: &StateTopic) -> Vec<Message> {
        match topic {
            StateTopic::BridgeState if self.is_online => vec![self.payloads.bridge_online()],
            StateTopic::BridgeState => vec![self.payloads.bridge_offline()],
            StateTopic::BridgeInfo => self.payloads.bridge_info(&self.info),
            StateTopic::Device(id, below) => self.of_device(id, below),
        }
    }

    fn of_device(&self, id: &DeviceId, below: &DeviceTopic) -> Vec<Message> {
        match self.fleet.borrow().devices.get(id) {
            Some(device) => self.payloads.of_device(id, below, device),
            // Nobody has heard of it in this run.
            None => self.payloads.of_device(id, below, &Device::default()),
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
