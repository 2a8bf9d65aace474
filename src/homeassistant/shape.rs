//! What of a device decides which entities there are and what they are called. How its relays stand does not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Change, EventName, Identity, Relay, Signal, SlotId, SlotInfo};

/// A device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// `None` until the device was first seen.
    pub(super) identity: Option<Identity>,
    pub(super) events: BTreeSet<EventName>,
    pub(super) slots: BTreeMap<SlotId, SlotShape>,
}

/// A slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotShape {
    pub(super) info: Option<SlotInfo>,
    pub(super) relays: BTreeSet<Relay>,
    /// Relays that follow notification events.
    pub(super) following: BTreeSet<Relay>,
    pub(super) signals: BTreeSet<Signal>,
}

impl Shape {
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Identity(identity) => self.identity = Some((**identity).clone()),
            Change::Event { name, new, .. } => keep(&mut self.events, name, new.is_some()),
            Change::SlotInfo(slot, info) => self.in_slot(slot, |slot| slot.info = info.as_deref().cloned()),
            Change::Relay { slot, relay, new, .. } => {
                self.in_slot(slot, |slot| keep(&mut slot.relays, relay, new.is_some()));
            }
            Change::RelayEvents { slot, relay, new } => {
                self.in_slot(slot, |slot| keep(&mut slot.following, relay, new.is_some()));
            }
            Change::Signal {
                slot, signal, new, ..
            } => self.in_slot(slot, |slot| keep(&mut slot.signals, signal, new.is_some())),
            Change::Availability(_) | Change::Problem(_) | Change::SlotState(..) => {}
        }
    }

    /// A slot of which nothing is left is gone.
    fn in_slot(&mut self, id: &SlotId, change: impl FnOnce(&mut SlotShape)) {
        let slot = self.slots.entry(id.clone()).or_default();
        change(slot);
        if *slot == SlotShape::default() {
            self.slots.remove(id);
        }
    }
}

fn keep<T: Ord + Clone>(set: &mut BTreeSet<T>, item: &T, is_there: bool) {
    if !is_there {
        set.remove(item);
    } else if !set.contains(item) {
        set.insert(item.clone());
    }
}
