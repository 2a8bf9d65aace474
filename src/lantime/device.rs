//! The device task: sole owner of all that is known of one device, and of the connections to it.
//!
//! `state` decides what is to be done, and waits for nothing; `driver` does it, and decides nothing. It knows no topic and
//! no broker.
//!
//! ```text
//! poll, SNMP, traps, commands, time --Input--> state --Effect--> driver: ask, publish, store, reply
//! ```

mod availability;
mod command;
mod commands;
mod driver;
mod events;
mod http;
mod in_flight;
mod informs;
mod input;
mod log;
mod offline;
mod pause;
mod polled;
mod polls;
mod published;
mod requests;
mod serial_number;
mod snmp_fallback;
mod state;
mod trap_inbox;
mod trap_polls;
mod traps;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use litemap::LiteMap;
use tokio::sync::mpsc;

use super::relay_events::Applying;
use crate::cluster::write_guard::WriteGuard;
use crate::incidents::Incidents;
use crate::model::derive::RelayEvents;
use crate::model::{DeviceView, Recorded, SlotId, SlotView, Update};
pub use availability::{REFUSAL_PAUSE, longest_pause};
pub use command::{Job, not_waited_for};
pub use driver::DeviceTask;
use events::Events;
pub use offline::OfflineReason;
use serial_number::SerialNumber;
pub use trap_inbox::{TrapHandles, TrapInbox};
use traps::Traps;

/// What was known of a device before its task has asked anything.
#[derive(Debug, Default)]
pub struct Prior {
    /// As it was published by this process: by the task that was there before, with other settings.
    pub view: Arc<DeviceView>,
    /// The slots, which may also stem from an earlier run.
    pub slots: LiteMap<SlotId, SlotView>,
    /// What an earlier run has last recorded of it.
    pub recorded: Box<Recorded>,
    /// When it was last watched, where nobody did for a while.
    pub not_observed_since: Option<Timestamp>,
    /// The events that switch its relays, as the task before has read them.
    pub relay_events: RelayEvents,
    /// What fails for longer, as the task before or an earlier run has reported it.
    pub incidents: Incidents,
    /// The traps of the task before, as far as they are not stored.
    pub traps: Option<TrapInbox>,
    /// A command to apply, over SNMP, that the device has not answered yet: it must not be sent again.
    pub(crate) applying: Option<Applying>,
    /// What was reported of the device by the task before.
    pub(crate) reported: Reported,
}

/// What was reported of a device, and is not reported again.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    serial_number: SerialNumber,
    events: Events,
    traps: Traps,
}

impl Prior {
    /// The device is at another address: of the one before only its topics matter, to clear them.
    pub fn moved(&mut self) {
        self.slots.clear();
        self.relay_events.clear();
        self.applying = None;
        *self.recorded = Recorded::default();
        self.not_observed_since = None;
        Arc::make_mut(&mut self.view).chassis = None;
    }
}

/// What the rest of the bridge gives a device task.
#[derive(Debug)]
pub struct Handles {
    /// Takes what is new.
    pub updates: mpsc::Sender<Update>,
    /// Gives commands, one at a time. Not tokio's channel: that has room for 32 from its beginning.
    pub jobs: futures_channel::mpsc::Receiver<Box<Job>>,
    /// Its traps.
    pub traps: TrapInbox,
    /// How often a failure that lasts is reported again.
    pub repeat: Duration,
    /// Asked before each request that changes something at the device, where several bridges share devices.
    pub write_guard: Option<WriteGuard>,
}
