//! The devices whose state of an earlier run stands at the broker, and which this run has not heard of yet.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{DeviceId, DeviceView};

/// How long the bridge says `offline` because of them. Then they are `offline` themselves.
const WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Unheard {
    devices: BTreeSet<DeviceId>,
    until: Instant,
}

impl Unheard {
    /// These are waited for from now on.
    pub(super) fn new(devices: BTreeSet<DeviceId>) -> Unheard {
        Unheard {
            devices,
            until: Instant::now() + WITHIN,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// When those that are left are given up.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        (!self.is_empty()).then_some(self.until)
    }

    /// That device is so. Says whether it was waited for, and is not any more.
    pub(super) fn is_heard(&mut self, device: &DeviceId, view: &DeviceView) -> bool {
        // A trap that comes before the first poll says nothing of all the rest.
        let was_polled = view.availability.is_some() || view.problem.is_some();
        was_polled && self.devices.remove(device)
    }

    /// What stands of that device is not waited for. Says whether it was.
    pub(super) fn leave(&mut self, device: &DeviceId) -> bool {
        self.devices.remove(device)
    }

    /// Those that are given up.
    pub(super) fn take(&mut self) -> BTreeSet<DeviceId> {
        std::mem::take(&mut self.devices)
    }
}
