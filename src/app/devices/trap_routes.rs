//! How the traps of each device get from the receiver to its task.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::config::Device;
use crate::lantime::device::{TrapHandles, TrapInbox};
use crate::lantime::snmp::traps::{self, Configured, Sender, SenderIdentity};
use crate::model::DeviceId;
use crate::records::store::Store;

/// What brings traps to the devices: their tasks take them, count them, and store their records.
#[derive(Debug, Clone)]
pub(in super::super) struct TrapRoutes {
    /// Whose traps are taken.
    pub(in super::super) senders: watch::Sender<Configured>,
    pub(super) routes: HashMap<DeviceId, TrapRoute>,
    /// What the devices get beside their traps.
    pub(in super::super) counts: watch::Sender<traps::Counts>,
    pub(super) store: Store,
}

/// How the traps of one device get to its task. It outlives the task: a trap that comes while the device is given to
/// another one is not lost.
#[derive(Debug, Clone)]
pub(super) struct TrapRoute {
    pub(super) traps: mpsc::Sender<traps::DeviceTrap>,
    pub(super) identity: watch::Receiver<SenderIdentity>,
}

impl TrapRoutes {
    /// No way yet.
    pub(in super::super) fn new(store: Store) -> TrapRoutes {
        TrapRoutes {
            senders: watch::Sender::default(),
            routes: HashMap::new(),
            counts: watch::Sender::default(),
            store,
        }
    }

    /// These devices may be polled by other bridges.
    pub(in super::super) fn are_elsewhere(&self, devices: &[Arc<Device>]) {
        let elsewhere = devices.iter();
        let elsewhere = elsewhere.map(|device| sender(device, None, watch::Sender::default().subscribe()));
        let elsewhere = elsewhere.collect();
        self.senders.send_modify(|senders| senders.elsewhere = elsewhere);
    }

    /// The way of that device's traps: the one of the task `before`, or a new one.
    pub(super) fn route(&mut self, device: &DeviceId, before: Option<TrapInbox>) -> (TrapRoute, TrapInbox) {
        if let (Some(inbox), Some(route)) = (before, self.routes.get(device)) {
            return (route.clone(), inbox);
        }
        let (sender, receiver) = mpsc::channel(traps::WAITING);
        let identity = watch::Sender::default();
        let route = TrapRoute {
            traps: sender,
            identity: identity.subscribe(),
        };
        self.routes.insert(device.clone(), route.clone());
        let handles = TrapHandles {
            traps: receiver,
            identity,
            counts: self.counts.clone(),
            store: self.store.clone(),
        };
        (route, TrapInbox::new(Some(handles)))
    }
}

/// By what the traps of that device are known.
pub(super) fn sender(
    device: &Device,
    traps: Option<mpsc::Sender<traps::DeviceTrap>>,
    identity: watch::Receiver<SenderIdentity>,
) -> Sender {
    let snmp = &device.snmp;
    let url = reqwest::Url::parse(&device.url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let mut hosts = vec![host.trim_matches(['[', ']']).to_owned(), snmp.address.0.clone()];
    hosts.dedup();
    Sender {
        device: device.id.clone(),
        hosts,
        sources: snmp.sources.clone(),
        engine_id: snmp.engine_id.clone(),
        sys_name: snmp.sys_name.clone(),
        traps,
        identity,
    }
}
