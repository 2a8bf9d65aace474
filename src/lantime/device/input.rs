//! What a device's state machine is given, and what it wants to be done.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::command::{Job, Reply};
use crate::boot_time::BootTime;
use crate::lantime::relay_events::{Applying, Failure, Found, Progress, Request, Selected, Selections};
use crate::lantime::rest::RestError;
use crate::lantime::rest::status::Timing;
use crate::lantime::snmp::status::SnmpStatus;
use crate::lantime::snmp::traps::{DeviceTrap, Receipt, SenderIdentity};
use crate::model::{ErrorReport, HttpSession, Snapshot, Update};
use crate::records::Record;

/// The moment of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// By the clock on the wall.
    pub(super) wall: Timestamp,
    /// By the clock that only goes forward.
    pub(super) instant: Instant,
    /// By the clock that goes on while the machine is suspended.
    pub(super) boot: BootTime,
}

impl Now {
    pub(super) fn read() -> Now {
        Now {
            wall: Timestamp::now(),
            instant: Instant::now(),
            boot: BootTime::now(),
        }
    }
}

/// Something has happened.
#[derive(Debug)]
pub(super) enum Input {
    /// The status document was asked for over REST.
    Polled(Box<Result<Polled, RestError>>, Conversation),
    /// The status was asked for over SNMP.
    SnmpRead(Result<SnmpStatus, ErrorReport>),
    /// Which events switch the relays was asked for; over REST in that conversation.
    SelectionsRead(Result<Found, ErrorReport>, Option<Conversation>),
    /// An attempt to select events has ended; over REST in that conversation.
    Selected(Result<Selected, Failure>, Option<Conversation>),
    /// A command to apply was answered that no attempt waits for any more: whether it was carried out.
    Applied(bool),
    /// These have come, in that order.
    Traps(Vec<DeviceTrap>),
    /// The records of these traps are stored.
    Stored(Vec<Receipt>),
    /// A command has come; one at a time is given.
    Command(Job),
    /// The time has come that was asked for.
    Timer,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Effect {
    /// Ask for the status document, of a device with that major version of its API.
    Poll(Option<u32>),
    /// Ask for the status over SNMP, for so long at most.
    ReadSnmp(Duration),
    /// Ask which events switch the relays, of a device with that version.
    ReadSelections(Option<u32>, Selections),
    /// Select the events that switch a relay, from where it has come to.
    Select(Option<u32>, Box<Selection>),
    /// Wait for the answer to a command to apply: no attempt does any more.
    AwaitApply(Applying),
    /// Publish it.
    Publish(Update),
    /// Whoever brings commands is to know that the device is offline for that reason, or is not.
    Offline(Option<ErrorReport>),
    /// The command has ended so.
    Reply(Reply),
    /// Store the record of this trap.
    Record(Record, Receipt),
    /// This trap is settled: an inform is acknowledged.
    Acknowledge(Receipt),
    /// This trap repeats what stands: an inform is acknowledged.
    Repeated(Receipt),
    /// By this the device's traps are known from now on.
    Identify(SenderIdentity),
    /// [`Input::Timer`] is due then.
    WakeAt(Instant),
}

/// What is to be selected, and where is noted how far that has come.
pub(super) type Selection = (Request, watch::Sender<Progress>);

/// The answer to a poll, as it was read.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) snapshot: Snapshot,
    /// What the answer says of its times.
    pub(super) timing: Timing,
    pub(super) round_trip: Duration,
}

/// What requests over REST leave behind.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The requests that were made.
    pub(super) sessions: Vec<HttpSession>,
    /// Until then the device has asked to be left alone.
    pub(super) busy_until: Option<Instant>,
}
