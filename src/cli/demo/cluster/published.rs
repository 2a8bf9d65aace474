//! What the bridges publish, as anybody sees it who reads topics.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What is at the topics now. Other topics than those of [`FILTERS`] are ignored.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// The bridge that works for each device.
    owners: BTreeMap<String, String>,
    /// Devices that do not answer: their last owner stays there.
    offline: BTreeSet<String>,
    /// Bridges that are there.
    bridges: BTreeSet<String>,
    /// Positions of relays, by their topics.
    positions: BTreeMap<String, String>,
}

/// Something that has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// For people.
    Line(String),
    /// The same, and it would be there without reason if nothing had happened but that a bridge has ended.
    Noticed(String),
}

/// What is to be subscribed to.
pub(super) const FILTERS: [&str; 5] = [
    "lantime/+/info",
    "lantime/+/state",
    "lantime/bridge/+/state",
    "lantime/shard/+/state",
    "lantime/+/+/relay/+",
];

impl Published {
    /// Takes a message; gives what is new by it.
    pub(super) fn take(&mut self, topic: &str, payload: &[u8]) -> Option<News> {
        let levels: Vec<_> = topic.split('/').skip(1).collect();
        let text = String::from_utf8_lossy(payload);
        match levels[..] {
            [device, "info"] => {
                let owner = field(&text, "bridge")?;
                self.owners.insert(device.to_owned(), owner);
                None
            }
            ["bridge", bridge, "state"] => {
                set(&mut self.bridges, bridge, text == "online");
                None
            }
            ["shard", shard, "state"] if text == "offline" => {
                Some(News::Noticed(format!("shard {shard} is offline")))
            }
            [device, "state"] => {
                set(&mut self.offline, device, text == "offline");
                let line = format!("{device} is {text}");
                Some(match &*text {
                    "offline" => News::Noticed(line),
                    _ => News::Line(line),
                })
            }
            [device, slot, "relay", relay] => self.relay(topic, [device, slot, relay], &text),
            _ => None,
        }
    }

    fn relay(&mut self, topic: &str, [device, slot, relay]: [&str; 3], text: &str) -> Option<News> {
        let position = field(text, "position")?;
        let old = self.positions.insert(topic.to_owned(), position.clone());
        let old = old.filter(|old| *old != position)?;
        let cause = field(text, "cause").map_or(String::new(), |cause| format!(": {cause}"));
        let relay = relay.to_uppercase();
        let line = format!("{device} {slot} relay {relay}: {old} -> {position}{cause}");
        Some(match &*position {
            "unknown" => News::Noticed(line),
            _ => News::Line(line),
        })
    }

    /// The bridge that works for all devices that answer, if it is one, and so many devices are known.
    pub(super) fn owner(&self, devices: usize) -> Option<&str> {
        let owners = self.owners.iter();
        let mut owners = owners.filter(|(device, _)| !self.offline.contains(*device));
        let (_, first) = owners.next()?;
        (self.owners.len() == devices && owners.all(|(_, owner)| owner == first)).then_some(first)
    }

    /// Whether a bridge is there.
    pub(super) fn is_online(&self, bridge: &str) -> bool {
        self.bridges.contains(bridge)
    }

    /// A bridge was killed: the broker will publish that.
    pub(super) fn killed(&mut self, bridge: &str) {
        set(&mut self.bridges, bridge, false);
    }
}

fn set(names: &mut BTreeSet<String>, name: &str, is_in: bool) {
    match is_in {
        true => names.insert(name.to_owned()),
        false => names.remove(name),
    };
}

fn field(text: &str, name: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(value.get(name)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_works_for_all_devices_owns_them() {
        let mut published = Published::default();
        published.take("lantime/sim-1/info", br#"{"bridge":"b1"}"#);
        assert_eq!((published.owner(1), published.owner(2)), (Some("b1"), None));
        published.take("lantime/sim-2/info", br#"{"bridge":"b2"}"#);
        assert_eq!(published.owner(2), None);
        published.take("lantime/sim-1/state", b"offline");
        assert_eq!(published.owner(2), Some("b2"), "the other one does not answer");
        published.take("lantime/sim-1/state", b"online");
        assert_eq!(published.owner(2), None);
        published.take("lantime/sim-1/info", br#"{"bridge":"b2"}"#);
        assert_eq!(published.owner(2), Some("b2"));
    }

    #[test]
    fn a_relay_that_has_moved_is_news_and_one_that_nobody_knows_any_more_is_noticed() {
        let mut published = Published::default();
        let mut relay = |payload: &str| published.take("lantime/sim-1/io3/relay/a", payload.as_bytes());
        assert_eq!(relay(r#"{"position":"NO"}"#), None);
        assert_eq!(relay(r#"{"position":"NO","since":"x"}"#), None);
        let moved = "sim-1 io3 relay A: NO -> NC: clock-absent".to_owned();
        assert_eq!(
            relay(r#"{"position":"NC","cause":"clock-absent"}"#),
            Some(News::Line(moved))
        );
        assert!(matches!(
            relay(r#"{"position":"unknown"}"#),
            Some(News::Noticed(_))
        ));
    }

    #[test]
    fn what_says_offline_is_noticed_but_not_of_a_process() {
        let mut published = Published::default();
        for topic in ["lantime/sim-1/state", "lantime/shard/00/state"] {
            assert!(matches!(
                published.take(topic, b"offline"),
                Some(News::Noticed(_))
            ));
        }
        assert_eq!(published.take("lantime/bridge/b1/state", b"online"), None);
        assert!(published.is_online("b1"));
        assert_eq!(published.take("lantime/bridge/b1/state", b"offline"), None);
        assert!(!published.is_online("b1"));
    }
}
