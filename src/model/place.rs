//! What the operator says of a device: what people call it, and where it is.

use serde::Serialize;

use super::Text;

/// Both are of the configuration, and change nothing that the bridge does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Place {
    /// What people call the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// Where it is, as one word for all that is there: a station, a building.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Text>,
}

impl Place {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Place::default()
    }
}
