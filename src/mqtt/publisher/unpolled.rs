//! The devices whose state of an earlier run stands at the broker, and which this run has not polled yet.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{DeviceId, DeviceView};

/// How long the bridge is `offline` because of them; then they are `offline` themselves. First polls are spread over 5 s, and
/// a request takes 5 s by default.
const WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Unpolled {
    devices: BTreeSet<DeviceId>,
    until: Instant,
}

impl Unpolled {
    /// These are waited for from now on.
    pub(super) fn new(devices: BTreeSet<DeviceId>) -> Unpolled {
        Unpolled {
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

    /// That device is so now. Says whether it was waited for, and has been polled.
    pub(super) fn is_polled(&mut self, device: &DeviceId, view: &DeviceView) -> bool {
        // A trap that comes before the first poll says nothing of all the rest.
        let was_polled = view.availability.is_some() || view.problem.is_some();
        was_polled && self.devices.remove(device)
    }

    /// What stands of that device is no longer waited for.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
    }

    /// Those that are given up.
    pub(super) fn take(&mut self) -> BTreeSet<DeviceId> {
        std::mem::take(&mut self.devices)
    }
}
