//! Signals: what a relay can be wired to, and in which state it is.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Provenance, Text, UnknownReason, Via};

/// What a relay module monitors and a relay can be wired to (vendor's REL1000 setup guide).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// First clock module.
    Clk1,
    /// Second clock module.
    Clk2,
    /// Changeover unit, which picks the active clock.
    Rsc,
    /// Pulse per second.
    Pps,
    /// 10 MHz reference frequency.
    #[serde(rename = "10mhz")]
    TenMhz,
    /// Notification events that are selected to switch the relay.
    Notification,
}

impl Signal {
    /// Every signal, in the order in which they are published.
    pub const ALL: [Signal; 6] = [
        Signal::Clk1,
        Signal::Clk2,
        Signal::Rsc,
        Signal::Pps,
        Signal::TenMhz,
        Signal::Notification,
    ];

    /// The name in topics and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Clk1 => "clk1",
            Signal::Clk2 => "clk2",
            Signal::Rsc => "rsc",
            Signal::Pps => "pps",
            Signal::TenMhz => "10mhz",
            Signal::Notification => "notification",
        }
    }

    /// The signal of that name.
    pub fn from_name(name: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.as_str() == name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// State of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Failed.
    Fail,
    /// The module that would give it is not fitted.
    Absent,
    /// Not known.
    Unknown,
}

impl Status {
    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Fail => "fail",
            Status::Absent => "absent",
            Status::Unknown => "unknown",
        }
    }
}

/// One value of a signal's `detail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// Text as the device wrote it.
    Text(Text),
    /// Yes or no.
    Flag(bool),
}

/// What a device says about a signal beside its status, by name. Shared: several slots may show the same signal.
pub type Details = Arc<[(&'static str, Detail)]>;

/// A signal as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalState {
    /// Whether the signal is as it should be.
    pub status: Status,
    /// How `status` came to be known.
    pub provenance: Provenance,
    /// Why `status` is unknown, where it is.
    pub unknown_reason: Option<UnknownReason>,
    /// Whether the last poll failed: `status` is of the one before.
    pub stale: bool,
    /// The way on which it came to be known.
    pub via: Via,
    /// When the bridge first saw this status.
    pub since: Timestamp,
    /// What else the device says about it; empty where it says nothing.
    pub detail: Details,
    /// The last known status and when it was last seen, while the device is offline.
    pub last: Option<(Status, Timestamp)>,
}
