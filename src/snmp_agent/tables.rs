//! The tables, as projections of the fleet: a row is made when it is asked for. Pure.

use std::collections::BTreeMap;
use std::iter;

use super::columns::{DeviceRow, RelayRow, SignalRow};
use super::notice::Notice;
use super::values;
use crate::hub::{Device, DeviceUpdate, Fleet};
use crate::model::{DeviceId, Relay, RelayState, Signal, SignalState, SlotId, SlotView, Transition};

/// Longest id of a slot that fits into an index. Those of devices have a few characters.
const MAX_SLOT: usize = 32;

/// A row with its index: the number of the device, then what the table adds.
pub(super) type Row<R> = (Vec<u32>, R);

/// The numbers of devices: 1 for the first. Those that have left keep theirs, so that none is given twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    in_order: Vec<DeviceId>,
    by_id: BTreeMap<DeviceId, u32>,
}

impl Numbers {
    /// Numbers of the configured devices, in that order.
    pub(super) fn new(devices: &[DeviceId]) -> Numbers {
        let mut numbers = Numbers::default();
        for device in devices {
            numbers.add(device);
        }
        numbers
    }

    /// The number of a device.
    pub(super) fn get(&self, id: &DeviceId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Gives a device a number; whether it had none.
    pub(super) fn add(&mut self, id: &DeviceId) -> bool {
        let is_new = !self.by_id.contains_key(id);
        if is_new {
            self.in_order.push(id.clone());
            let number = u32::try_from(self.in_order.len()).unwrap_or(u32::MAX);
            self.by_id.insert(id.clone(), number);
        }
        is_new
    }

    fn from(&self, first: u32) -> impl Iterator<Item = (u32, &DeviceId)> {
        let numbered = (1..).zip(&self.in_order);
        numbered.skip((first as usize).saturating_sub(1))
    }
}

/// What there is to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'a> {
    pub(super) numbers: &'a Numbers,
    pub(super) fleet: &'a Fleet,
}

impl<'a> Tables<'a> {
    /// The devices from that number on.
    pub(super) fn devices(self, first: u32) -> impl Iterator<Item = Row<DeviceRow<'a>>> {
        let numbers = self.numbers.from(first);
        numbers.filter_map(move |(number, id)| {
            let device: &Device = self.fleet.devices.get(id)?;
            Some((vec![number], DeviceRow { id, device }))
        })
    }

    /// The relays of the devices from that number on.
    pub(super) fn relays(self, first: u32) -> impl Iterator<Item = Row<RelayRow<'a>>> {
        self.of_slots(first, |row, id, slot| {
            let relays = slot.relays.iter();
            let rows = relays.filter_map(|(relay, state)| relay_row(row, id, *relay, state));
            rows.collect()
        })
    }

    /// The signals of the devices from that number on.
    pub(super) fn signals(self, first: u32) -> impl Iterator<Item = Row<SignalRow<'a>>> {
        self.of_slots(first, |row, id, slot| {
            let signals = slot.signals.iter();
            let rows = signals.filter_map(|(signal, state)| signal_row(row, id, *signal, state));
            rows.collect()
        })
    }

    fn of_slots<R: 'a>(
        self,
        first: u32,
        rows: impl Fn((u32, &DeviceId), &SlotId, &'a SlotView) -> Vec<Row<R>> + 'a,
    ) -> impl Iterator<Item = Row<R>> {
        self.devices(first)
            .flat_map(move |(index, DeviceRow { id, device })| {
                let slots = device.view.slots.iter();
                let mut found: Vec<_> = slots
                    .flat_map(|(slot, shown)| rows((index[0], id), slot, shown))
                    .collect();
                found.sort_by(|(one, _), (other, _)| one.cmp(other));
                found
            })
    }
}

/// The notifications that this gives of what a device went through.
pub(super) fn notices(numbers: &Numbers, update: &DeviceUpdate) -> Vec<Notice> {
    let id = &update.device;
    let Some(number) = numbers.get(id) else {
        return Vec::new();
    };
    let notice = |transition: &Transition| match transition {
        Transition::Availability { old, new, error, .. } => {
            let old = old.filter(|old| old != new)?;
            Some(Notice::device(number, id, (old, *new), *error))
        }
        Transition::Relay {
            slot,
            relay,
            old,
            new,
            ..
        } => {
            let (index, row) = relay_row((number, id), slot, *relay, new)?;
            Some(Notice::relay(&index, *old, &row))
        }
        Transition::Signal {
            slot,
            signal,
            old,
            new,
            ..
        } => {
            let (index, row) = signal_row((number, id), slot, *signal, new)?;
            Some(Notice::signal(&index, *old, &row))
        }
        Transition::Slot { .. } | Transition::Event { .. } => None,
    };
    update.transitions.iter().filter_map(notice).collect()
}

fn relay_row<'a>(
    (number, id): (u32, &DeviceId),
    slot: &SlotId,
    relay: Relay,
    state: &'a RelayState,
) -> Option<Row<RelayRow<'a>>> {
    let name = format!("{id}/{slot}/{relay}");
    Some((
        index(number, slot, values::relay(relay))?,
        RelayRow { name, state },
    ))
}

fn signal_row<'a>(
    (number, id): (u32, &DeviceId),
    slot: &SlotId,
    signal: Signal,
    state: &'a SignalState,
) -> Option<Row<SignalRow<'a>>> {
    let name = format!("{id}/{slot}/{signal}");
    Some((
        index(number, slot, values::signal(signal))?,
        SignalRow { name, state },
    ))
}

/// Device, slot (its length, then its octets), and relay or signal; `None` for a slot whose id is too long.
fn index(device: u32, slot: &SlotId, last: u32) -> Option<Vec<u32>> {
    let octets = slot.as_str().as_bytes();
    let length = u32::try_from(octets.len()).ok()?;
    let octets = octets.iter().copied().map(u32::from);
    let index = iter::once(device).chain([length]).chain(octets).chain([last]);
    (slot.as_str().len() <= MAX_SLOT).then(|| index.collect())
}

#[cfg(test)]
mod tests;
