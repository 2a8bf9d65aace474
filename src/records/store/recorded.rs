//! What was last recorded of each device, written together with the records: see [`Recorded`].

use std::collections::BTreeMap;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use serde::de::DeserializeOwned;

use super::tables::{RECORDED_EVENTS, RECORDED_SLOTS, Writing};
use crate::contract::to_json;
use crate::model::{DeviceId, Recorded};

/// What is to be on disk of devices, or not any more, and is not yet.
pub(super) type Unrecorded = BTreeMap<DeviceId, Option<Recorded>>;

/// What is on disk. What cannot be understood is left to the version that has written it.
pub(super) fn load(database: &Database) -> Result<BTreeMap<DeviceId, Recorded>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut events = rows(&transaction, RECORDED_EVENTS)?;
    let slots = rows(&transaction, RECORDED_SLOTS)?.into_iter();
    let recorded = slots.map(|(device, slots)| {
        let events = events.remove(&device);
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
        rows.extend(DeviceId::new(device.value()).zip(serde_json::from_slice(json.value()).ok()));
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
            self.tables.recorded_slots.insert(device, &*to_json(slots))?;
            if let Some(events) = events {
                self.tables.recorded_events.insert(device, &*to_json(events))?;
            }
        }
        Ok(())
    }
}
