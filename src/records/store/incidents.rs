//! The open incidents: those that the next run goes on with are on disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableError};

use super::tables::{INCIDENTS, Writing};
use super::take_over;
use crate::contract::incident as contract;
use crate::model::{DeviceId, Incident, IncidentKey, IncidentReport, Stage};

/// All open incidents.
pub type OpenIncidents = BTreeMap<IncidentKey, Incident>;

/// What becomes of open incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentChange {
    /// It is open, as it is now.
    Open(Incident),
    /// It is not any more.
    Closed(IncidentKey),
    /// None of that device is any more, for this reason.
    AllClosed(DeviceId, &'static str),
}

impl From<IncidentReport> for IncidentChange {
    fn from(IncidentReport { incident, stage, .. }: IncidentReport) -> IncidentChange {
        match stage {
            Stage::Begun | Stage::Lasting | Stage::Resumed => IncidentChange::Open(incident),
            Stage::Over | Stage::Withdrawn => IncidentChange::Closed(incident.key),
        }
    }
}

/// The incidents that are to be on disk, or not any more, and are not yet.
pub(super) type Unwritten = BTreeMap<IncidentKey, Option<Bytes>>;

/// What the earlier run has left open, and whether that is still to be written: an earlier version kept no incidents. One
/// that cannot be understood is left to the version that has written it.
pub(super) fn load(database: &Database) -> Result<(Vec<Incident>, bool), redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(INCIDENTS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok((take_over::of_archive(&transaction)?, true)),
        table => table?,
    };
    let mut open = Vec::new();
    for entry in table.iter()? {
        open.extend(contract::read(entry?.1.value()));
    }
    Ok((open, false))
}

impl Writing<'_, '_> {
    pub(super) fn put_incidents(&mut self, unwritten: &Unwritten) -> Result<(), redb::Error> {
        for (key, json) in unwritten {
            let key = key.to_string();
            match json {
                Some(json) => drop(self.tables.incidents.insert(key.as_str(), json.as_ref())?),
                None => drop(self.tables.incidents.remove(key.as_str())?),
            }
        }
        Ok(())
    }
}
