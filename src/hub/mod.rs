//! Who gets each change of a device, and the latest view of all of them.
//!
//! ```text
//! devices --Update--> hub --> Fleet (a watch): page, API, metrics, SNMP's GET
//!                      |----> sinks, one DeviceUpdate a change: Sparkplug, SNMP notifications, whoever asks for a sink
//!                      |----> publisher, each Update
//! ```
//!
//! The publisher drives it: it keeps the records, so it misses nothing, and where it has no room the devices wait. A
//! sink that is slow holds up nobody: it gets the latest view of a device instead of each one, and the transitions in
//! between.

mod fleet;
mod joint;
mod sink;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

pub use fleet::{Device, Fleet, Polls};
pub use joint::Joint;
pub use sink::DeviceUpdate;
pub(crate) use sink::Queue;

use crate::model::{DeviceId, Update};

/// An update that the hub has taken in.
#[derive(Debug)]
pub struct Taken {
    /// The update.
    pub update: Update,
    /// What sinks get of it.
    pub changed: Vec<DeviceUpdate>,
}

/// What comes from the devices, and where it goes.
#[derive(Debug)]
pub struct Hub {
    updates: mpsc::Receiver<Update>,
    fleet: watch::Sender<Fleet>,
    /// Where the devices of other hubs are shown, too.
    joint: Option<watch::Sender<Fleet>>,
    sinks: Vec<Queue>,
}

impl Hub {
    /// A hub of the `configured` devices, for what comes by `updates`.
    pub fn new(configured: impl IntoIterator<Item = DeviceId>, updates: mpsc::Receiver<Update>) -> Hub {
        Hub {
            updates,
            fleet: watch::Sender::new(Fleet::new(configured)),
            joint: None,
            sinks: Vec::new(),
        }
    }

    /// All devices, as they are at any time.
    pub fn fleet(&self) -> watch::Receiver<Fleet> {
        self.fleet.subscribe()
    }

    /// Another sink, by its name in the log: gets each change from now on. When `room` of them wait, what follows is
    /// merged, device by device.
    pub fn sink(&mut self, name: &'static str, room: usize) -> mpsc::Receiver<DeviceUpdate> {
        let (sender, receiver) = mpsc::channel(room);
        self.add_sink(name, sender);
        receiver
    }

    /// The same for a sink that brings its channel.
    pub fn add_sink(&mut self, name: &'static str, sender: mpsc::Sender<DeviceUpdate>) {
        self.sinks.push(Queue::new(name, sender));
    }

    /// Takes the next updates in and gives them to `taken`, at most so many; 0 once the channel is closed. Safe to drop
    /// at any time.
    pub async fn recv_many(&mut self, taken: &mut Vec<Taken>, limit: usize) -> usize {
        let mut updates = Vec::new();
        let count = loop {
            tokio::select! {
                biased;
                () = sink::any_has_room(&self.sinks) => self.sinks.iter_mut().for_each(Queue::flush),
                count = self.updates.recv_many(&mut updates, limit) => break count,
            }
        };
        for update in updates {
            let (mut changed, now) = (Vec::new(), Timestamp::now());
            self.fleet.send_if_modified(|fleet| {
                changed = fleet.apply(&update, now);
                !changed.is_empty()
            });
            if let Some(joint) = &self.joint {
                joint.send_if_modified(|fleet| !fleet.apply(&update, now).is_empty());
            }
            for update in &changed {
                self.sinks.iter_mut().for_each(|sink| sink.put(update));
            }
            taken.push(Taken { update, changed });
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Availability, DeviceView, diff};

    fn update(old: &DeviceView, new: &DeviceView) -> Update {
        Update::Device {
            device: DeviceId::new("m1").unwrap(),
            view: Arc::new(new.clone()),
            changes: diff(old, new),
            transitions: Vec::new(),
            recorded: None,
        }
    }

    #[tokio::test]
    async fn a_sink_that_sleeps_holds_nobody_up_and_gets_the_latest() {
        let view = |availability| DeviceView {
            availability,
            ..DeviceView::default()
        };
        let (none, online, offline) = (
            view(None),
            view(Some(Availability::Online)),
            view(Some(Availability::Offline)),
        );
        let all = [
            update(&none, &online),
            update(&online, &offline),
            update(&offline, &online),
        ];
        let (updates, receiver) = mpsc::channel(8);
        let mut hub = Hub::new([DeviceId::new("m1").unwrap()], receiver);
        let (mut sink, fleet) = (hub.sink("test", 1), hub.fleet());
        let mut taken = Vec::new();
        for update in &all {
            updates.send(update.clone()).await.unwrap();
            hub.recv_many(&mut taken, 8).await;
        }
        assert!(taken.iter().map(|taken| &taken.update).eq(&all));
        let shown = fleet.borrow().devices.values().next().unwrap().view.clone();
        assert_eq!(*shown, online);
        let first = sink.recv().await.unwrap();
        assert_eq!(
            (first.old, first.new),
            (Some(Arc::default()), Some(Arc::new(online.clone())))
        );
        drop(updates);
        assert_eq!(hub.recv_many(&mut taken, 8).await, 0, "it has ended");
        let merged = sink.recv().await.unwrap();
        assert_eq!(
            (merged.old, merged.new),
            (Some(Arc::new(online.clone())), Some(Arc::new(online)))
        );
        assert!(merged.changes.is_empty(), "there and back");
    }
}
