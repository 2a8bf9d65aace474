//! The domain: relays, signals, notification events, and what follows from what.
//!
//! Pure: nothing here awaits, reads a clock or does I/O, and nothing of the other modules is imported.
//! A poll gives a [`Snapshot`]; [`mod@derive`] turns it, with the wiring, into the slots of a [`DeviceView`];
//! [`mod@diff`] compares two views and says what has to be published; a [`Transition`] is what makes a record.

pub mod command;
pub mod dead_letter;
pub mod derive;
pub mod diff;
pub mod error_report;
pub mod event;
pub mod event_catalogue;
mod event_name;
pub mod http_session;
pub mod http_stats;
pub mod id;
pub mod incident;
pub mod last_fault;
pub mod place;
pub mod recorded;
pub mod relay;
pub mod relay_state;
pub mod shard;
pub mod signal;
pub mod snapshot;
pub mod time;
pub mod topic;
pub mod transition;
pub mod trap;
pub mod update;
pub mod via;
pub mod view;

pub use command::{CommandTopic, DeviceCommand, EventsChange, Outcome, RelayPlace};
pub use dead_letter::{DeadLetter, Origin};
pub use diff::diff;
pub use error_report::{ErrorKind, ErrorReport, Operation, Problem};
pub use event::{EventState, EventType, LastTriggered, Moment};
pub use event_name::EventName;
pub use http_session::{HttpSession, HttpSessions};
pub use http_stats::{HttpStats, HttpSummary};
pub use id::{DeviceId, SlotId};
pub use incident::{Incident, IncidentKey, IncidentKind, IncidentReport, Stage};
pub use last_fault::{Acknowledged, LastFault};
pub use place::Place;
pub use recorded::{Recorded, RecordedEvents, RecordedSlots};
pub use relay::{ChassisKind, Position, Relay, Wiring, WiringSource};
pub use relay_state::{Cause, RelayEventsState, RelayState};
pub use shard::ShardId;
pub use signal::{Detail, Details, Signal, SignalState, Status};
pub use snapshot::{Clock, Identity, ModuleInfo, RelayModule, Snapshot};
pub use topic::{DeviceTopic, SlotTopic};
pub use transition::Transition;
pub use trap::{EventNaming, Trap, Varbind, VarbindValue};
pub use update::Update;
pub use via::Via;
pub use view::{Availability, DeviceView, SlotState, SlotView};

use serde::{Deserialize, Serialize};

/// A text that a device sent: nearly all are short, and are kept without an allocation.
pub use compact_str::CompactString as Text;

/// How a value came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// The device itself reports it.
    Reported,
    /// Concluded from the signals and events that drive the relay.
    Derived,
    /// Neither reported nor derivable.
    Unknown,
    /// Unknown, since the device has not answered yet. Published as [`Unknown`](Provenance::Unknown); what
    /// follows it is a first sight, and no transition unless an earlier run has recorded something else. With a value:
    /// what an earlier run has published, for its time alone; that is not published.
    #[serde(rename = "unknown")]
    Unseen,
}

/// Why a value is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// The device does not report it, nor anything that it would follow from. Firmware decides that: it stays so.
    NotReported,
    /// The device is offline, or has not answered yet.
    Offline,
    /// The relay module that was there is not there any more.
    Missing,
    /// Of the events that switch the relay only some of type `info` are triggered: whether these switch one is not
    /// published.
    InfoOnly,
    /// What the device reports does not settle it: a text that nobody has documented or that cannot be read, REST and
    /// SNMP that contradict each other, a document without its slots or without an event that switches the relay, SNMP
    /// alone.
    Unclear,
}

impl UnknownReason {
    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            UnknownReason::NotReported => "not-reported",
            UnknownReason::Offline => "offline",
            UnknownReason::Missing => "missing",
            UnknownReason::InfoOnly => "info-only",
            UnknownReason::Unclear => "unclear",
        }
    }
}
