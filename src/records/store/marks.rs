//! What has become of dead letters of the archive: which are handled, which were replayed. A mark goes with its dead letter.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable, TableError};
use uuid::Uuid;

use super::tables::{MARKS, Writing};
use super::{Store, StoreError};
use crate::contract::dead_letter_marks::{Handled, Marks, Replayed};
use crate::contract::to_json;

/// The last replay of each of these dead letters.
pub(super) type Replays = BTreeMap<Uuid, Replayed>;

/// All marks, by the ids of the dead letters. One that cannot be understood is left to the version that has written it.
pub(super) fn load(transaction: &ReadTransaction) -> Result<BTreeMap<Uuid, Marks>, redb::Error> {
    let table = match transaction.open_table(MARKS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        table => table?,
    };
    let mut all = BTreeMap::new();
    for entry in table.iter()? {
        let (id, json) = entry?;
        let marks = serde_json::from_slice(json.value());
        all.extend(marks.map(|marks| (Uuid::from_bytes(*id.value()), marks)));
    }
    Ok(all)
}

impl Store {
    /// Marks dead letters of the archive as handled, or not any more; gives those that there are.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub(crate) async fn mark_handled(
        &self,
        ids: Vec<Uuid>,
        handled: Option<Handled>,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.change(move |writing| writing.mark_handled(&ids, handled.as_ref()).map(Ok))
            .await
    }

    /// Notes that the command of a dead letter was run again; nothing, where the archive does not have it.
    ///
    /// # Errors
    /// When the storage fails; then nothing has changed.
    pub(crate) async fn mark_replayed(&self, id: Uuid, replayed: Replayed) -> Result<(), StoreError> {
        let replays = Replays::from([(id, replayed)]);
        self.change(move |writing| writing.mark_replayed(&replays).map(Ok))
            .await
    }
}

impl Writing<'_, '_> {
    fn mark_handled(&mut self, ids: &[Uuid], handled: Option<&Handled>) -> Result<Vec<Uuid>, redb::Error> {
        let mut found = Vec::new();
        for id in ids {
            let is_there = self.mark(*id, |marks| marks.handled = handled.cloned())?;
            found.extend(is_there.then_some(*id));
        }
        Ok(found)
    }

    pub(super) fn mark_replayed(&mut self, replays: &Replays) -> Result<(), redb::Error> {
        for (id, replayed) in replays {
            self.mark(*id, |marks| marks.replayed = Some(*replayed))?;
        }
        Ok(())
    }

    /// Changes the marks of a dead letter; gives whether the archive has it.
    fn mark(&mut self, id: Uuid, change: impl FnOnce(&mut Marks)) -> Result<bool, redb::Error> {
        if self.tables.archive_ids.get(id.as_bytes())?.is_none() {
            return Ok(false);
        }
        let stored = self.tables.marks.get(id.as_bytes())?;
        let mut marks = stored
            .and_then(|json| serde_json::from_slice(json.value()).ok())
            .unwrap_or_default();
        change(&mut marks);
        match marks.is_empty() {
            true => drop(self.tables.marks.remove(id.as_bytes())?),
            false => drop(
                self.tables
                    .marks
                    .insert(id.as_bytes(), to_json(&marks).as_ref())?,
            ),
        }
        Ok(true)
    }
}
