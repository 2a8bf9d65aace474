//! What was last recorded of each device, written together with the records: see [`Recorded`].

use std::collections::{BTreeMap, BTreeSet};

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use serde::de::DeserializeOwned;

use super::tables::{RECORDED_EVENTS, RECORDED_SLOTS, Writing};
use crate::contract::to_json;
use crate::model::{DeviceId, Recorded, RecordedEvents, RecordedSlots};

/// What is to be on disk of devices, or not any more, and is not yet.
pub type Unrecorded = BTreeMap<DeviceId, Option<Recorded>>;

/// Adds what is recorded of a device to what waits for the disk.
pub(super) fn put(waiting: &mut Unrecorded, device: DeviceId, recorded: Option<Recorded>) {
    let recorded = recorded.map(|recorded| match waiting.remove(&device) {
        None => recorded,
        Some(Some(earlier)) => recorded.after(earlier),
        // It was to be removed: nothing of before stays.
        Some(None) => recorded.after(Recorded {
            slots: Some(RecordedSlots::default()),
            events: Some(RecordedEvents::default()),
        }),
    });
    waiting.insert(device, recorded);
}

/// What is on disk. What cannot be understood is passed over.
pub(super) fn load(database: &Database) -> Result<BTreeMap<DeviceId, Recorded>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut slots = rows(&transaction, RECORDED_SLOTS)?;
    let mut events = rows(&transaction, RECORDED_EVENTS)?;
    let devices: BTreeSet<_> = slots.keys().chain(events.keys()).cloned().collect();
    let recorded = devices.into_iter().map(|device| {
        let (slots, events) = (slots.remove(&device), events.remove(&device));
        (device, Recorded { slots, events })
    });
    Ok(recorded.collect())
}

fn rows<T: DeserializeOwned>(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, &str, &[u8]>,
) -> Result<BTreeMap<DeviceId, T>, redb::Error> {
    let table = match transaction.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        table => table?,
    };
    let mut rows = BTreeMap::new();
    for entry in table.iter()? {
        let (device, json) = entry?;
        let Some(device) = DeviceId::new(device.value()) else {
            continue;
        };
        match serde_json::from_slice(json.value()) {
            Ok(row) => drop(rows.insert(device, row)),
            Err(error) => tracing::warn!(
                %device, %error,
                "what was last recorded of this device cannot be understood: its changes since then get no records"
            ),
        }
    }
    Ok(rows)
}

impl Writing<'_, '_> {
    pub(super) fn put_recorded(&mut self, unrecorded: &Unrecorded) -> Result<(), redb::Error> {
        for (device, recorded) in unrecorded {
            let device = device.as_str();
            let Some(Recorded { slots, events }) = recorded else {
                self.tables.recorded_slots.remove(device)?;
                self.tables.recorded_events.remove(device)?;
                continue;
            };
            if let Some(slots) = slots {
                self.tables.recorded_slots.insert(device, &*to_json(slots))?;
            }
            if let Some(events) = events {
                self.tables.recorded_events.insert(device, &*to_json(events))?;
            }
        }
        Ok(())
    }
}
