//! The devices of several hubs as one fleet, for those who show all that this process has.

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::{DeviceUpdate, Fleet, Hub};
use crate::model::{DeviceId, Update};

/// What several hubs have in common: each shows its devices here as well, and gives each change to these sinks.
#[derive(Debug, Clone, Default)]
pub struct Joint {
    fleet: watch::Sender<Fleet>,
    sinks: Vec<(&'static str, mpsc::Sender<DeviceUpdate>)>,
}

impl Joint {
    /// All devices of all hubs.
    pub fn fleet(&self) -> watch::Receiver<Fleet> {
        self.fleet.subscribe()
    }

    /// Another sink of all hubs that are made from now on, as [`Hub::sink`].
    pub fn sink(&mut self, name: &'static str, room: usize) -> mpsc::Receiver<DeviceUpdate> {
        let (sender, receiver) = mpsc::channel(room);
        self.add_sink(name, sender);
        receiver
    }

    /// The same for a sink that brings its channel.
    pub fn add_sink(&mut self, name: &'static str, sender: mpsc::Sender<DeviceUpdate>) {
        self.sinks.push((name, sender));
    }

    /// The only hub.
    pub fn only_hub(
        &self,
        configured: impl IntoIterator<Item = DeviceId>,
        updates: mpsc::Receiver<Update>,
    ) -> Hub {
        self.fleet.send_replace(Fleet::new(configured));
        let mut hub = Hub::new([], updates);
        hub.fleet = self.fleet.clone();
        self.add_sinks(&mut hub);
        hub
    }

    /// A hub of these devices, which are shown from now on.
    pub fn hub(&self, configured: Vec<DeviceId>, updates: mpsc::Receiver<Update>) -> Hub {
        let comes = Update::Configured(configured.clone());
        self.fleet
            .send_modify(|fleet| drop(fleet.apply(&comes, Timestamp::now())));
        let mut hub = Hub::new(configured, updates);
        hub.joint = Some(self.fleet.clone());
        self.add_sinks(&mut hub);
        hub
    }

    fn add_sinks(&self, hub: &mut Hub) {
        for (name, sender) in &self.sinks {
            hub.add_sink(name, sender.clone());
        }
    }

    /// The hub of these devices has ended: they are not shown here any more.
    pub async fn leave(&self, devices: impl IntoIterator<Item = DeviceId>) {
        for device in devices {
            let mut left = Vec::new();
            self.fleet.send_modify(|fleet| {
                left = fleet.apply(&Update::Removed { device }, Timestamp::now());
            });
            for update in left {
                for (_, sink) in &self.sinks {
                    // Nobody waits for a sink that has ended.
                    let _ = sink.send(update.clone()).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Availability, DeviceView, diff};

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    #[tokio::test]
    async fn each_hub_has_its_devices_and_all_are_shown_until_they_leave() {
        let mut joint = Joint::default();
        let mut sink = joint.sink("test", 8);
        let ((updates, receiver), (_kept, other)) = (mpsc::channel(8), mpsc::channel(8));
        let mut hub = joint.hub(vec![id("m1")], receiver);
        let other = joint.hub(vec![id("m2")], other);
        let view = DeviceView {
            availability: Some(Availability::Online),
            ..DeviceView::default()
        };
        let update = Update::Device {
            device: id("m1"),
            changes: diff(&DeviceView::default(), &view),
            view: Arc::new(view),
            transitions: Vec::new(),
            recorded: None,
        };
        updates.send(update).await.unwrap();
        hub.recv_many(&mut Vec::new(), 8).await;
        let shown = |fleet: &watch::Receiver<Fleet>| {
            let fleet = fleet.borrow();
            let devices = fleet.devices.iter();
            let devices = devices.map(|(id, device)| (id.to_string(), device.view.availability));
            devices.collect::<Vec<_>>()
        };
        let m1 = ("m1".to_owned(), Some(Availability::Online));
        let m2 = ("m2".to_owned(), None);
        assert_eq!(shown(&joint.fleet()), [m1.clone(), m2.clone()]);
        assert_eq!(shown(&hub.fleet()), [m1]);
        assert_eq!(shown(&other.fleet()), std::slice::from_ref(&m2));
        assert!(sink.try_recv().unwrap().new.is_some());
        joint.leave([id("m1")]).await;
        assert_eq!(shown(&joint.fleet()), [m2]);
        let left = sink.try_recv().unwrap();
        assert_eq!((left.device, left.new), (id("m1"), None));
    }
}
