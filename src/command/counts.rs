//! How many commands there were, and how they ended.

use std::collections::BTreeMap;

use crate::model::ErrorKind;

/// Since the bridge started. A command that gets the answer of an earlier one does not count, nor one that the broker
/// keeps and was refused before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Carried out, and read back.
    pub carried_out: u64,
    /// Refused or failed, by the error that was answered.
    pub refused: BTreeMap<ErrorKind, u64>,
}

impl Counts {
    pub(super) fn refuse(&mut self, kind: ErrorKind) {
        *self.refused.entry(kind).or_default() += 1;
    }
}
