//! A command for what is not there: why it is refused, and what was probably meant. Pure.

use super::route::Routes;
use crate::contract::topics::Topics;
use crate::model::{CommandTopic, DeviceId, ErrorKind, ErrorReport};
use crate::wording::{nearest, nearest_few, quoted};

/// Most names that are offered.
const MAX_OFFERED: usize = 3;

/// This bridge has no such device.
pub(super) fn no_such_device(device: &DeviceId, routes: &Routes) -> ErrorReport {
    let mut known: Vec<_> = routes.keys().map(DeviceId::as_str).collect();
    known.sort_unstable();
    let near = nearest_few(device.as_str(), &known, MAX_OFFERED);
    let remedy = match near.is_empty() {
        true => "take a device of its configuration".to_owned(),
        false => format!("the nearest that it has: {}", near.join(", ")),
    };
    let message = format!("this bridge has no device {device}");
    ErrorReport::new(ErrorKind::NotFound, message, remedy)
}

/// No command has this topic.
pub(super) fn no_such_topic(topic: &str, topics: &Topics, routes: &Routes) -> ErrorReport {
    let remedy = match likely(topic, topics, routes) {
        Some(likely) => format!("did you mean {likely}?"),
        None => "take a topic of the list in docs/mqtt.md".to_owned(),
    };
    let message = format!("no command has the topic {}", quoted(topic));
    ErrorReport::new(ErrorKind::NotFound, message, remedy)
}

/// The command's topic that was probably meant: one that differs by little in each level.
fn likely(topic: &str, topics: &Topics, routes: &Routes) -> Option<String> {
    let below = topics.below_prefix(topic)?;
    let levels: Vec<&str> = below.split('/').collect();
    if below.starts_with("bridge/") && below.ends_with("/dead-letters/replay") {
        return Some(topics.command(&CommandTopic::Replay));
    }
    let known: Vec<_> = routes.keys().map(DeviceId::as_str).collect();
    let device = nearest(levels.first()?, &known)?;
    let device = DeviceId::new(device)?;
    let is_like = |words: &[&str]| {
        let mut pairs = levels[1..].iter().zip(words);
        words.len() + 1 == levels.len()
            && pairs.all(|(level, word)| word.is_empty() || nearest(level, &[word]).is_some())
    };
    let command = if is_like(&["refresh"]) {
        CommandTopic::Refresh(device)
    } else if is_like(&["http", "sessions", "set"]) {
        CommandTopic::HttpSessions(device)
    } else if is_like(&["faults", "acknowledge"]) {
        CommandTopic::AcknowledgeFaults(device)
    } else if is_like(&["", "relay", "", "events", "set"]) {
        let (slot, relay) = (levels[1].to_owned(), levels[3].to_owned());
        CommandTopic::RelayEvents { device, slot, relay }
    } else {
        return None;
    };
    Some(topics.command(&command))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::command::Route;
    use crate::lantime::device::OfflineReason;

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    fn routes() -> Routes {
        let route = Route {
            jobs: futures_channel::mpsc::channel(0).0,
            timeout: Duration::ZERO,
            grace: Duration::ZERO,
            fail_fast: false,
            offline: OfflineReason::default(),
        };
        let devices = ["m3000-a", "m3000-b", "m500"].map(|device| (id(device), route.clone()));
        Routes::new(HashMap::from(devices))
    }

    #[test]
    fn the_nearest_names_are_offered() {
        let topics = Topics::new("site/lantime", id("b1"));
        for (device, remedy) in [
            ("m3000-c", "the nearest that it has: m3000-a, m3000-b"),
            ("m50", "the nearest that it has: m500"),
            ("coffee", "take a device of its configuration"),
        ] {
            assert_eq!(no_such_device(&id(device), &routes()).remedy, remedy);
        }
        for (topic, likely) in [
            ("M500/refresh", Some("m500/refresh")),
            ("m500/refesh", Some("m500/refresh")),
            ("m500/htp/sesions/set", Some("m500/http/sessions/set")),
            ("m500/io4/relay/a/event/set", Some("m500/io4/relay/a/events/set")),
            ("m50/io4/relais/a/events/set", Some("m500/io4/relay/a/events/set")),
            (
                "bridge/b2/dead-letters/replay",
                Some("bridge/b1/dead-letters/replay"),
            ),
            ("m500/set", None),
            ("m500/io4/relay/events/set", None),
            ("coffee/io4/relay/a/event/set", None),
        ] {
            let expected = match likely {
                Some(likely) => format!("did you mean site/lantime/{likely}?"),
                None => "take a topic of the list in docs/mqtt.md".to_owned(),
            };
            let report = no_such_topic(&format!("site/lantime/{topic}"), &topics, &routes());
            assert_eq!(report.remedy, expected, "{topic}");
        }
    }
}
