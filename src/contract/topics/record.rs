//! Topics of records: nothing is retained there.

use super::{NOT_DEVICES, NOT_SLOTS, Topics};
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

    /// The filters of all records that a history is made of, whatever device they are of.
    pub fn history_filters(&self) -> [String; 3] {
        let prefix = &self.prefix;
        ["+/events", "+/changes", "+/+/changes"].map(|below| format!("{prefix}/{below}"))
    }

    /// The destination that has this topic, of those that a history is made of.
    pub fn parse_history(&self, topic: &str) -> Option<Destination> {
        let below = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let (device, below) = below.split_once('/')?;
        let device = DeviceId::new(device).filter(|_| !NOT_DEVICES.contains(&device))?;
        match below.split_once('/') {
            None if below == "events" => Some(Destination::Events(device)),
            None if below == "changes" => Some(Destination::Changes(device, None)),
            Some((slot, "changes")) if !NOT_SLOTS.contains(&slot) => {
                Some(Destination::Changes(device, Some(SlotId::new(slot)?)))
            }
            _ => None,
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
            let is_history = matches!(destination, Destination::Events(_) | Destination::Changes(..));
            assert_eq!(topics.parse_history(topic), is_history.then_some(destination));
        }
    }

    #[test]
    fn what_is_beside_the_records_of_a_history_is_none_of_them() {
        let topics = Topics::new("site/lantime", DeviceId::new("m1").unwrap());
        for topic in [
            "site/lantime/bridge/changes",
            "site/lantime/m1/event/changes",
            "site/lantime/m1/io3/x/changes",
            "site/lantime//changes",
            "site/lantimes/m1/changes",
            "m1/changes",
        ] {
            assert_eq!(topics.parse_history(topic), None, "{topic}");
        }
        let filters = topics.history_filters();
        assert_eq!(filters[2], "site/lantime/+/+/changes");
    }
}
