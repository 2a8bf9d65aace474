//! One step of the client library's event loop.

use rumqttc::Outgoing;

use super::Event;
use crate::fault_point;

/// What one step of an event loop brought.
pub(super) enum Step {
    /// The broker was heard.
    Received(Option<Event>),
    /// Something was written.
    Wrote(Option<Event>),
    /// DISCONNECT was written.
    WroteDisconnect,
}

impl Step {
    /// Of what was written. Only commands are acknowledged by hand.
    pub(super) fn wrote(written: Outgoing, acknowledges_by_hand: bool) -> Step {
        match written {
            Outgoing::Publish(pkid) => Step::Wrote(Some(Event::Sent(pkid))),
            Outgoing::PubAck(_) => {
                // Not of the state that a publisher gets back.
                if acknowledges_by_hand {
                    fault_point::reached("acknowledged");
                }
                Step::Wrote(None)
            }
            Outgoing::Disconnect => Step::WroteDisconnect,
            _ => Step::Wrote(None),
        }
    }

    pub(super) fn into_event(self) -> Option<Event> {
        match self {
            Step::Received(event) | Step::Wrote(event) => event,
            Step::WroteDisconnect => None,
        }
    }
}
