//! Which file shows a topic: the one named as the documents write the topic, without the prefix. A new kind of topic
//! is a new line here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lantime2mqtt::contract::topics::{Destination, DeviceTopic, SlotTopic, StateTopic, Topics};
use lantime2mqtt::model::CommandTopic;

pub(crate) fn of_state(topics: &Topics, topic: &StateTopic) -> &'static str {
    match topic {
        StateTopic::OwnState if topics.shard().is_some() => "shard/{shard}/state",
        StateTopic::ShardTopics => "shard/{shard}/topics",
        StateTopic::OwnState => "bridge/{bridge}/state",
        StateTopic::BridgeInfo => "bridge/{bridge}/info",
        StateTopic::Device(_, below) => match below {
            DeviceTopic::State => "{device}/state",
            DeviceTopic::Info => "{device}/info",
            DeviceTopic::Error => "{device}/error",
            DeviceTopic::Event(_) => "{device}/event/{event}",
            DeviceTopic::HttpSessions => "{device}/http/sessions",
            DeviceTopic::HttpStats => "{device}/http/stats",
            DeviceTopic::Slot(_, below) => match below {
                SlotTopic::State => "{device}/{slot}/state",
                SlotTopic::Info => "{device}/{slot}/info",
                SlotTopic::Relay(_) => "{device}/{slot}/relay/{relay}",
                SlotTopic::RelayEvents(_) => "{device}/{slot}/relay/{relay}/events",
                SlotTopic::Signal(_) => "{device}/{slot}/signal/{signal}",
            },
        },
    }
}

pub(crate) fn of_record(destination: &Destination) -> &'static str {
    match destination {
        Destination::Events(_) => "{device}/events",
        Destination::Changes(_, None) => "{device}/changes",
        Destination::Changes(_, Some(_)) => "{device}/{slot}/changes",
        Destination::DeadLetter(Some(_)) => "dead-letter/{device}",
        Destination::DeadLetter(None) => "dead-letter/bridge",
        Destination::Reply(_) => unreachable!("a reply is shown with its command"),
    }
}

pub(crate) fn of_command(topic: &CommandTopic) -> &'static str {
    match topic {
        CommandTopic::RelayEvents { .. } => "{device}/{slot}/relay/{relay}/events/set",
        CommandTopic::Refresh(_) => "{device}/refresh",
        CommandTopic::HttpSessions(_) => "{device}/http/sessions/set",
        CommandTopic::AcknowledgeFaults(_) => "{device}/faults/acknowledge",
        CommandTopic::Replay => "bridge/{bridge}/dead-letters/replay",
    }
}

/// The topics in the tables of the documents, each as the name of a file.
pub(crate) fn documented() -> BTreeSet<String> {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mqtt.md");
    let text = fs::read_to_string(documents).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `{prefix}/"));
    let topics = rows.map(|row| row.split_once('`').unwrap().0);
    topics
        .map(|topic| topic.replace("{a,b,c}", "{relay}").replace("{a,c}", "{relay}"))
        .collect()
}
