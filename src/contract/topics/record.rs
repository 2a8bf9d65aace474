//! Topics of records: nothing is retained there.

use super::Topics;
use crate::model::{DeviceId, SlotId};

/// Where a record goes. The topic is made of it when it is sent, so that a prefix can change in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Notification events of a device.
    Events(DeviceId),
    /// Changes of relays, signals and the state of a slot; without one, of the state of the device.
    Changes(DeviceId, Option<SlotId>),
    /// Dead letters of a device; `None` where they belong to no device. They stay in the archive as well.
    DeadLetter(Option<DeviceId>),
    /// The reply to a command, at the topic that its sender wants it.
    Reply(String),
}

impl Topics {
    /// Where a record goes. The topic of a reply is its own, and may be one that no broker takes: see
    /// [`super::is_publishable`].
    pub fn record(&self, destination: &Destination) -> String {
        let prefix = &self.prefix;
        match destination {
            Destination::Events(device) => format!("{prefix}/{device}/events"),
            Destination::Changes(device, None) => format!("{prefix}/{device}/changes"),
            Destination::Changes(device, Some(slot)) => format!("{prefix}/{device}/{slot}/changes"),
            Destination::DeadLetter(Some(device)) => format!("{prefix}/dead-letter/{device}"),
            Destination::DeadLetter(None) => format!("{prefix}/dead-letter/bridge"),
            Destination::Reply(topic) => topic.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, SlotId};

    #[test]
    fn topics_are_those_of_the_contract() {
        let device = || DeviceId::new("m1").unwrap();
        let topics = Topics::new("site/lantime", device());
        for (destination, topic) in [
            (Destination::Events(device()), "site/lantime/m1/events"),
            (
                Destination::Changes(device(), Some(SlotId::new("io3").unwrap())),
                "site/lantime/m1/io3/changes",
            ),
            (Destination::Changes(device(), None), "site/lantime/m1/changes"),
            (
                Destination::DeadLetter(Some(device())),
                "site/lantime/dead-letter/m1",
            ),
            (Destination::DeadLetter(None), "site/lantime/dead-letter/bridge"),
            (Destination::Reply("my/inbox".to_owned()), "my/inbox"),
        ] {
            assert_eq!(topics.record(&destination), topic);
            assert_eq!(topics.parse(topic), None, "no state is retained there");
            assert_eq!(topics.parse_command(topic), None);
        }
    }
}
