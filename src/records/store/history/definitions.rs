//! The tables of the history.

use redb::TableDefinition;

/// What a history is of -> its number.
pub(in crate::records::store) const SUBJECTS: TableDefinition<'_, &str, u32> =
    TableDefinition::new("subjects");
/// Number of what it is of, number of the entry -> the entry, packed.
pub(in crate::records::store) const HISTORY: TableDefinition<'_, (u32, u64), &[u8]> =
    TableDefinition::new("history");
/// Number of the entry -> number of what it is of, and the latest time (ms since 1970) of all entries up to it.
pub(in crate::records::store) const HISTORY_ORDER: TableDefinition<'_, u64, (u32, i64)> =
    TableDefinition::new("history-order");
/// Ids of the records that entries are of, where these come from other bridges, too.
pub(in crate::records::store) const HISTORY_IDS: TableDefinition<'_, &[u8; 16], ()> =
    TableDefinition::new("history-ids");
