//! One step of the client library's event loop.

use rumqttc::Outgoing;

use super::Event;

/// What one step of an event loop brought.
pub(super) enum Step {
    /// The broker was heard.
    Received(Option<Event>),
    /// Something was written.
    Wrote(Option<Event>),
    /// An acknowledgement was written.
    WroteAck,
    /// DISCONNECT was written.
    WroteDisconnect,
}

impl Step {
    /// Of what was written.
    pub(super) fn wrote(written: Outgoing) -> Step {
        match written {
            Outgoing::Publish(pkid) => Step::Wrote(Some(Event::Sent(pkid))),
            Outgoing::PubAck(_) => Step::WroteAck,
            Outgoing::Disconnect => Step::WroteDisconnect,
            _ => Step::Wrote(None),
        }
    }

    pub(super) fn into_event(self) -> Option<Event> {
        match self {
            Step::Received(event) | Step::Wrote(event) => event,
            Step::WroteAck | Step::WroteDisconnect => None,
        }
    }
}
