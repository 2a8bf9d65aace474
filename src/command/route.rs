//! How commands get to the devices.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::mpsc;

use crate::lantime::device::{Job, OfflineReason, not_waited_for};
use crate::model::{DeviceCommand, DeviceId, ErrorReport};

/// How a command gets to a device.
#[derive(Debug, Clone)]
pub struct Route {
    /// Takes commands; each clone has a place for one.
    pub jobs: mpsc::Sender<Box<Job>>,
    /// How long a command may take.
    pub timeout: Duration,
    /// How much later than that the device's task may be with its answer: a request that has begun comes to its end.
    pub grace: Duration,
    /// Whether commands that do not say so are refused at once while the device is offline.
    pub fail_fast: bool,
    /// Why the device is offline, while it is.
    pub offline: OfflineReason,
}

impl Route {
    /// Whether a command may wait for its turn.
    ///
    /// # Errors
    /// When the device is offline, and the command is not to wait until it is back.
    pub(super) fn check(&self, command: &DeviceCommand, fail_fast: Option<bool>) -> Result<(), ErrorReport> {
        // The log of HTTP sessions, and what is noted of faults, is the bridge's own.
        let needs_device = !matches!(
            command,
            DeviceCommand::HttpSessions { .. } | DeviceCommand::AcknowledgeFaults { .. }
        );
        match self.offline.get() {
            Some(report) if needs_device && fail_fast.unwrap_or(self.fail_fast) => {
                Err(not_waited_for(report))
            }
            _ => Ok(()),
        }
    }
}

/// The ways to all devices.
pub type Routes = Arc<HashMap<DeviceId, Route>>;
