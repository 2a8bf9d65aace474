//! From a message to a request, or to a refusal that says why and what to do. Pure.
//!
//! A refused command changes nothing. Whether a device, a slot or an event exists is not known here.

use jiff::Timestamp;
use uuid::Uuid;

use super::payload::{Payload, rejected};
use super::{acknowledge_faults, http_sessions, relay_events, replay};
use crate::model::time::rfc3339;
use crate::model::{CommandTopic, DeviceCommand, DeviceId, ErrorKind, ErrorReport};
use crate::records::{MAX_PAYLOAD, Received};

/// A command that can be carried out, as far as its message shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether it is to be refused at once while the device is offline; `None` where it does not say.
    pub fail_fast: Option<bool>,
    /// What is to be done, and where.
    pub target: Target,
}

/// What is to be done, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A command for this device.
    Device(DeviceId, DeviceCommand),
    /// The command of the dead letter with this id, again.
    Replay(Uuid),
}

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why not, and what to do instead.
    pub report: ErrorReport,
    /// Whether the same message could never be carried out, whenever and however it comes.
    pub is_permanent: bool,
}

impl From<ErrorReport> for Box<Refusal> {
    /// A refusal that says nothing about the same message at another time.
    fn from(report: ErrorReport) -> Box<Refusal> {
        let is_permanent = false;
        Box::new(Refusal { report, is_permanent })
    }
}

/// What a message asks for, which `target` says, unless it must not be carried out whatever it says.
pub(super) fn asked(
    message: &Received,
    now: Timestamp,
    fail_fast: Option<bool>,
    target: impl FnOnce() -> Result<Target, ErrorReport>,
) -> Result<Request, Box<Refusal>> {
    deliverable(message, now)?;
    let is_permanent = true;
    let target = target().map_err(|report| Refusal { report, is_permanent })?;
    Ok(Request { fail_fast, target })
}

/// Why a message must not be carried out whatever it says: it was retained, is too large, or came too late.
pub(super) fn deliverable(received: &Received, now: Timestamp) -> Result<(), ErrorReport> {
    if received.retained {
        let what = "the command is retained: the broker would deliver it again at each reconnect, and it would run again";
        let remedy = "publish it without the retain flag; clear the stored one with an empty retained message to the same topic";
        return Err(rejected(what, remedy));
    }
    let length = received.payload_length.unwrap_or(received.payload.len());
    if length > MAX_PAYLOAD {
        let what = format!("the payload has {length} bytes, more than any command needs");
        let remedy = format!("send at most {MAX_PAYLOAD} bytes");
        return Err(ErrorReport::new(ErrorKind::TooLarge, what, remedy));
    }
    expired(received, now).map_or(Ok(()), Err)
}

/// Why a command must not be carried out any more, if it has expired.
pub fn expired(received: &Received, now: Timestamp) -> Option<ErrorReport> {
    let expiry = received.expires_at.filter(|expiry| *expiry <= now)?;
    let what = format!(
        "the command expired at {}, before it could be carried out",
        rfc3339(expiry)
    );
    let remedy = "send it again if it is still wanted, with a longer message expiry interval";
    Some(ErrorReport::new(ErrorKind::Expired, what, remedy))
}

/// What the command with that topic and payload asks for.
pub(super) fn target(topic: &CommandTopic, payload: Payload) -> Result<Target, ErrorReport> {
    let (device, command) = match topic {
        CommandTopic::RelayEvents { device, slot, relay } => {
            (device, relay_events::read(slot, relay, payload)?)
        }
        // Its payload may be anything; an object may have "fail_fast".
        CommandTopic::Refresh(device) => (device, DeviceCommand::Refresh),
        CommandTopic::HttpSessions(device) => (device, http_sessions::read(payload)?),
        CommandTopic::AcknowledgeFaults(device) => (device, acknowledge_faults::read(payload)?),
        CommandTopic::Replay => return replay::read(payload).map(Target::Replay),
    };
    Ok(Target::Device(device.clone(), command))
}

#[cfg(test)]
mod tests;
