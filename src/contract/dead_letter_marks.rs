//! What has become of an archived dead letter. The dead letter itself stays as it was published.

use serde::{Deserialize, Serialize};

use super::Time;

/// The marks of one; those that it does not have are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Somebody has seen to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handled: Option<Handled>,
    /// Its command was run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replayed: Option<Replayed>,
}

impl Marks {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Marks::default()
    }
}

/// That somebody has seen to a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handled {
    pub(crate) at: Time,
    /// As that person calls himself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// The last replay of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    pub(crate) at: Time,
    /// Whether the command was carried out.
    pub(crate) ok: bool,
}
