//! What is published, kept as rows, and what of an update is to be told. Pure: no task, no clock, no I/O.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::notice::Notice;
use super::walk::Rows;
use super::words;
use crate::model::{
    Availability, Change, DeviceId, ErrorKind, HttpSummary, Provenance, Relay, RelayState, Signal,
    SignalState, SlotId, Text, Update,
};

/// Longest id of a slot that fits into an index. Those of devices have a few characters.
const MAX_SLOT: usize = 32;

/// All rows.
#[derive(Debug)]
pub(super) struct Tables {
    /// Every device of this run, also those that have left: a number is never given twice.
    numbers: BTreeMap<DeviceId, u32>,
    pub(super) devices: Rows<DeviceRow>,
    pub(super) relays: Rows<RelayRow>,
    pub(super) signals: Rows<SignalRow>,
    /// Of all devices.
    pub(super) polls: Polls,
}

/// A device.
#[derive(Debug)]
pub(super) struct DeviceRow {
    pub(super) id: DeviceId,
    pub(super) state: Option<Availability>,
    pub(super) last_poll: Option<Timestamp>,
    /// Milliseconds.
    pub(super) round_trip: Option<f64>,
    pub(super) error: Option<ErrorKind>,
    pub(super) last_error: Option<ErrorKind>,
    pub(super) serial_number: Option<Text>,
    pub(super) firmware: Option<Text>,
    pub(super) polls: Polls,
    /// What the device's task has counted: a new task begins anew.
    counted: Polls,
}

/// Counts of polls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Polls {
    pub(super) all: u64,
    pub(super) failed: u64,
}

/// A relay.
#[derive(Debug)]
pub(super) struct RelayRow {
    pub(super) name: String,
    pub(super) state: RelayState,
}

/// A signal.
#[derive(Debug)]
pub(super) struct SignalRow {
    pub(super) name: String,
    pub(super) state: SignalState,
}

impl Tables {
    /// The configured devices, of which nothing is known yet; numbered in this order.
    pub(super) fn new(devices: &[DeviceId]) -> Tables {
        let mut tables = Tables {
            numbers: BTreeMap::new(),
            devices: Rows::new(),
            relays: Rows::new(),
            signals: Rows::new(),
            polls: Polls::default(),
        };
        for id in devices {
            tables.device(id);
        }
        tables
    }

    /// Takes an update in; gives what is to be told of it. A first sight is not told.
    pub(super) fn apply(&mut self, update: &Update) -> Vec<Notice> {
        match update {
            Update::Device { device, changes, .. } => self.apply_changes(device, changes),
            Update::HttpStats { device, summary } => {
                self.count(device, summary);
                Vec::new()
            }
            Update::Forgotten { device } => {
                self.remove(device);
                self.device(device);
                Vec::new()
            }
            Update::Removed { device } => {
                self.remove(device);
                Vec::new()
            }
            Update::Configured(devices) => {
                for device in devices {
                    self.device(device);
                }
                Vec::new()
            }
            Update::HttpSessions { .. } | Update::DeadLetter(_) | Update::Settled { .. } => Vec::new(),
        }
    }

    /// A device's number and row; made where there are none.
    fn device(&mut self, id: &DeviceId) -> (u32, &mut DeviceRow) {
        let number = match self.numbers.get(id) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.numbers.len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(1);
                self.numbers.insert(id.clone(), number);
                number
            }
        };
        let row = self.devices.entry(vec![number]);
        (number, row.or_insert_with(|| DeviceRow::new(id)))
    }

    fn remove(&mut self, id: &DeviceId) {
        let Some(number) = self.numbers.get(id) else {
            return;
        };
        let is_other = |index: &Vec<u32>| index.first() != Some(number);
        self.devices.retain(|index, _| is_other(index));
        self.relays.retain(|index, _| is_other(index));
        self.signals.retain(|index, _| is_other(index));
    }

    fn count(&mut self, id: &DeviceId, summary: &HttpSummary) {
        let (_, row) = self.device(id);
        let is_new_task = summary.polls < row.counted.all;
        let before = if is_new_task {
            Polls::default()
        } else {
            row.counted
        };
        let (all, failed) = (
            summary.polls.saturating_sub(before.all),
            summary.failures.saturating_sub(before.failed),
        );
        row.counted = Polls {
            all: summary.polls,
            failed: summary.failures,
        };
        row.polls.add(all, failed);
        row.last_poll = summary.last_success.or(row.last_poll);
        row.round_trip = summary.round_trip.map(|times| times.last).or(row.round_trip);
        self.polls.add(all, failed);
    }

    fn apply_changes(&mut self, id: &DeviceId, changes: &[Change]) -> Vec<Notice> {
        let (number, row) = self.device(id);
        let was = row.state;
        for change in changes {
            match change {
                Change::Availability(state) => row.state = Some(*state),
                Change::Identity(identity) => {
                    row.serial_number.clone_from(&identity.serial_number);
                    row.firmware.clone_from(&identity.firmware);
                }
                Change::Problem(problem) => {
                    row.error = problem.as_ref().map(|problem| problem.error.kind);
                    row.last_error = row.error.or(row.last_error);
                }
                _ => {}
            }
        }
        let mut notices = Vec::new();
        if was.is_some() && was != row.state {
            notices.push(Notice::device(number, was, row));
        }
        for change in changes {
            notices.extend(match change {
                Change::Relay {
                    slot,
                    relay,
                    old,
                    new,
                } => self.put_relay(number, id, (slot, *relay), old.as_deref(), new.as_deref()),
                Change::Signal {
                    slot,
                    signal,
                    old,
                    new,
                } => self.put_signal(number, id, (slot, *signal), old.as_deref(), new.as_deref()),
                _ => None,
            });
        }
        notices
    }

    fn put_relay(
        &mut self,
        device: u32,
        id: &DeviceId,
        (slot, relay): (&SlotId, Relay),
        old: Option<&RelayState>,
        new: Option<&RelayState>,
    ) -> Option<Notice> {
        let index = index(device, slot, words::relay(relay))?;
        let Some(new) = new else {
            self.relays.remove(&index);
            return None;
        };
        let row = RelayRow {
            name: format!("{id}/{slot}/{relay}"),
            state: new.clone(),
        };
        let is_told =
            |old: &&RelayState| old.position != new.position && old.provenance != Provenance::Unseen;
        let notice = old.filter(is_told).map(|old| Notice::relay(&index, old, &row));
        self.relays.insert(index, row);
        notice
    }

    fn put_signal(
        &mut self,
        device: u32,
        id: &DeviceId,
        (slot, signal): (&SlotId, Signal),
        old: Option<&SignalState>,
        new: Option<&SignalState>,
    ) -> Option<Notice> {
        let index = index(device, slot, words::signal(signal))?;
        let Some(new) = new else {
            self.signals.remove(&index);
            return None;
        };
        let row = SignalRow {
            name: format!("{id}/{slot}/{signal}"),
            state: new.clone(),
        };
        let is_told = |old: &&SignalState| old.status != new.status && old.provenance != Provenance::Unseen;
        let notice = old.filter(is_told).map(|old| Notice::signal(&index, old, &row));
        self.signals.insert(index, row);
        notice
    }
}

impl DeviceRow {
    fn new(id: &DeviceId) -> DeviceRow {
        DeviceRow {
            id: id.clone(),
            state: None,
            last_poll: None,
            round_trip: None,
            error: None,
            last_error: None,
            serial_number: None,
            firmware: None,
            polls: Polls::default(),
            counted: Polls::default(),
        }
    }
}

impl Polls {
    fn add(&mut self, all: u64, failed: u64) {
        self.all += all;
        self.failed += failed;
    }
}

/// Device, slot (its length, then its octets), and relay or signal; `None` for a slot whose id is too long.
fn index(device: u32, slot: &SlotId, last: u32) -> Option<Vec<u32>> {
    let octets = slot.as_str().as_bytes();
    let length = u32::try_from(octets.len()).ok()?;
    let octets = octets.iter().copied().map(u32::from);
    let index = [device, length].into_iter().chain(octets).chain([last]);
    (slot.as_str().len() <= MAX_SLOT).then(|| index.collect())
}

#[cfg(test)]
mod tests;
