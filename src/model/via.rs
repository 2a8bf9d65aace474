//! By which of its interfaces a device was asked.

use serde::Serialize;

/// The way to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Its REST API.
    #[default]
    Rest,
    /// The vendor's MIB.
    Snmp,
}

impl Via {
    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Rest => "rest",
            Via::Snmp => "snmp",
        }
    }
}
