//! What the task of a device reports to those who publish it.

use std::sync::Arc;

use super::{
    DeadLetter, DeviceId, DeviceTopic, DeviceView, HttpSessions, HttpSummary, IncidentReport, Recorded,
    Transition,
};

/// News of one device.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Its published state has changed.
    Device {
        /// Which device.
        device: DeviceId,
        /// As it is published from now on.
        view: Arc<DeviceView>,
        /// What has changed, in the order in which it is to be published.
        changes: Vec<DeviceTopic>,
        /// What it went through: these are to be kept, whatever becomes of the state.
        transitions: Vec<Transition>,
        /// What is recorded once these are; `None` where it is as it was before.
        recorded: Option<Box<Recorded>>,
    },
    /// How its polls went.
    HttpStats {
        /// Which device.
        device: DeviceId,
        /// Since the bridge started. Boxed: it is twice as large as all else.
        summary: Box<HttpSummary>,
    },
    /// Its HTTP sessions.
    HttpSessions {
        /// Which device.
        device: DeviceId,
        /// The log as it is now.
        log: HttpSessions,
    },
    /// A message has failed, or something else went wrong once.
    DeadLetter(Box<DeadLetter>),
    /// A condition that lasts has begun, lasts or is over.
    Incident(Box<IncidentReport>),
    /// All of its state has been given: whatever an earlier run published and this one has not is stale.
    Settled {
        /// Which device.
        device: DeviceId,
    },
    /// What was published of it is stale; it is still configured, and will be published from its beginning again.
    Forgotten {
        /// Which device.
        device: DeviceId,
    },
    /// It has left the configuration.
    Removed {
        /// Which device.
        device: DeviceId,
    },
    /// These devices are configured from now on.
    Configured(Vec<DeviceId>),
}
