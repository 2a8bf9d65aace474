//! Topics at which commands arrive, the filters that subscribe to them, and where a reply goes without a
//! response topic.
//!
//! | command | topic |
//! |---|---|
//! | [`CommandTopic::RelayEvents`] | `{prefix}/{device}/{slot}/relay/{relay}/events/set` |
//! | [`CommandTopic::Refresh`] | `{prefix}/{device}/refresh` |
//! | [`CommandTopic::HttpSessions`] | `{prefix}/{device}/http/sessions/set` |
//! | [`CommandTopic::AcknowledgeFaults`] | `{prefix}/{device}/faults/acknowledge` |
//! | [`CommandTopic::Replay`] | `{prefix}/bridge/{bridge}/dead-letters/replay` |
//!
//! ```
//! use lantime2mqtt::model::{CommandTopic, DeviceId};
//! use lantime2mqtt::contract::topics::{Topics, reply_topic};
//!
//! let id = |id: &str| DeviceId::new(id).unwrap();
//! let topics = Topics::new("lantime", id("site-1"));
//! let topic = topics.command(&CommandTopic::Refresh(id("m3000-a")));
//! assert_eq!(topic, "lantime/m3000-a/refresh");
//! assert_eq!(topics.parse_command(&topic), Some(CommandTopic::Refresh(id("m3000-a"))));
//! assert_eq!(reply_topic(&topic), "lantime/m3000-a/refresh/reply");
//! ```

use super::{NOT_DEVICES, Topics};
use crate::model::{CommandTopic, DeviceId};

impl Topics {
    /// A command's topic.
    pub fn command(&self, topic: &CommandTopic) -> String {
        let Topics { prefix, bridge, .. } = self;
        match topic {
            CommandTopic::RelayEvents { device, slot, relay } => {
                format!("{prefix}/{device}/{slot}/relay/{relay}/events/set")
            }
            CommandTopic::Refresh(device) => format!("{prefix}/{device}/refresh"),
            CommandTopic::HttpSessions(device) => format!("{prefix}/{device}/http/sessions/set"),
            CommandTopic::AcknowledgeFaults(device) => format!("{prefix}/{device}/faults/acknowledge"),
            CommandTopic::Replay => format!("{prefix}/bridge/{bridge}/dead-letters/replay"),
        }
    }

    /// The command that arrives at `topic`; `None` for any other topic, another bridge's replay included. Slot and relay
    /// are any one level: what is wrong with them is for the reply to say.
    pub fn parse_command(&self, topic: &str) -> Option<CommandTopic> {
        let below = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let (first, rest) = below.split_once('/')?;
        if first == "bridge" {
            let rest = rest.strip_prefix(self.bridge.as_str())?;
            return (rest == "/dead-letters/replay").then_some(CommandTopic::Replay);
        }
        let device = DeviceId::new(first).filter(|_| !NOT_DEVICES.contains(&first))?;
        match rest {
            "refresh" => Some(CommandTopic::Refresh(device)),
            "http/sessions/set" => Some(CommandTopic::HttpSessions(device)),
            "faults/acknowledge" => Some(CommandTopic::AcknowledgeFaults(device)),
            _ => {
                let (slot, rest) = rest.split_once("/relay/")?;
                let relay = rest.strip_suffix("/events/set")?;
                let (slot, relay) = (one_level(slot)?, one_level(relay)?);
                Some(CommandTopic::RelayEvents { device, slot, relay })
            }
        }
    }

    /// Whether `topic` lies below the prefix, where bridges publish and take commands.
    pub fn is_below_prefix(&self, topic: &str) -> bool {
        topic == self.prefix || self.below_prefix(topic).is_some()
    }

    /// What of `topic` lies below the prefix.
    pub fn below_prefix<'t>(&self, topic: &'t str) -> Option<&'t str> {
        topic.strip_prefix(&self.prefix)?.strip_prefix('/')
    }

    /// The filters that match every topic below the prefix that has the form of a command's, whoever it is for. What
    /// else they match is published by bridges: [`Topics::is_published`].
    pub fn any_command_filters(&self) -> Vec<String> {
        let ends = [
            "+/+",
            "+/+/set",
            "+/+/+/set",
            "+/+/+/+/set",
            "+/+/+/+/+/set",
            "+/faults/acknowledge",
            "bridge/+/dead-letters/replay",
        ];
        ends.map(|end| format!("{}/{end}", self.prefix)).to_vec()
    }

    /// Whether bridges publish at `topic`, of those that [`Topics::any_command_filters`] match.
    pub fn is_published(&self, topic: &str) -> bool {
        let levels = self.below_prefix(topic).and_then(|below| below.split_once('/'));
        levels.is_some_and(|(first, rest)| {
            first == "dead-letter" || ["state", "info", "error", "events", "changes"].contains(&rest)
        })
    }

    /// The filters that match the commands of this bridge and of `devices`, and no others.
    pub fn command_filters(&self, devices: &[DeviceId]) -> Vec<String> {
        let of_devices = devices.iter().flat_map(|device| self.device_filters(device));
        // A replay is for a bridge, not for one of its shards.
        let replay = self.shard.is_none().then(|| self.command(&CommandTopic::Replay));
        replay.into_iter().chain(of_devices).collect()
    }

    /// What a filter of commands has in common with those of other devices: all below the device.
    pub fn command_kind<'f>(&self, filter: &'f str) -> &'f str {
        let below = self.below_prefix(filter).unwrap_or(filter);
        below.split_once('/').map_or(below, |(_, kind)| kind)
    }

    /// The filters that match the commands of `device`.
    pub fn device_filters(&self, device: &DeviceId) -> [String; 4] {
        [
            format!("{}/{device}/+/relay/+/events/set", self.prefix),
            self.command(&CommandTopic::Refresh(device.clone())),
            self.command(&CommandTopic::HttpSessions(device.clone())),
            self.command(&CommandTopic::AcknowledgeFaults(device.clone())),
        ]
    }
}

/// Where the reply to the command at `topic` goes when its sender names no other place.
pub fn reply_topic(topic: &str) -> String {
    format!("{topic}/reply")
}

fn one_level(level: &str) -> Option<String> {
    (!level.contains('/')).then(|| level.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    fn topics() -> Topics {
        Topics::new("site/lantime", id("b1"))
    }

    /// Whether a filter matches a topic, as MQTT says it; none of ours has `#`.
    fn matches(filter: &str, topic: &str) -> bool {
        let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
        let mut levels = filter.iter().zip(&topic);
        filter.len() == topic.len() && levels.all(|(filter, level)| *filter == "+" || filter == level)
    }

    #[test]
    fn the_filters_of_any_command_match_every_command_and_nothing_that_is_published() {
        let is_matched = |topic: &str| {
            let topic = format!("site/lantime/{topic}");
            topics()
                .any_command_filters()
                .iter()
                .filter(|filter| matches(filter, &topic))
                .count()
        };
        for topic in [
            "m1/refresh",
            "m1/http/sessions/set",
            "m1/io3/relay/a/events/set",
            "bridge/b1/dead-letters/replay",
            "bridge/b2/dead-letters/replay",
            "m1/io3/relay/events/set",
        ] {
            assert_eq!(is_matched(topic), 1, "{topic}");
        }
        for topic in [
            "m1/refresh/reply",
            "m1/io3/relay/a/events/set/reply",
            "m1/io3/relay/a/events",
            "m1/event/ntp-sync",
            "m1/http/sessions",
            "bridge/b1/state",
        ] {
            assert_eq!(is_matched(topic), 0, "{topic}");
        }
        let is_published = |topic| topics().is_published(&format!("site/lantime/{topic}"));
        for topic in [
            "dead-letter/m1",
            "m1/changes",
            "m1/state",
            "m1/info",
            "m1/error",
            "m1/events",
        ] {
            assert!(is_published(topic), "{topic}");
        }
        for topic in [
            "m1/refresh",
            "m1/refesh",
            "m1/io3/relay/a/events/set",
            "m1/set/state",
        ] {
            assert!(!is_published(topic), "{topic}");
        }
    }

    #[test]
    fn filters_of_one_kind_differ_in_the_device_only() {
        let filters = topics().command_filters(&[id("m1"), id("m2")]);
        let kinds: Vec<_> = filters
            .iter()
            .map(|filter| topics().command_kind(filter).to_owned())
            .collect();
        let of_a_device = [
            "+/relay/+/events/set",
            "refresh",
            "http/sessions/set",
            "faults/acknowledge",
        ];
        assert_eq!(
            (&kinds[1..5], &kinds[5..]),
            (
                &of_a_device.map(str::to_owned)[..],
                &of_a_device.map(str::to_owned)[..]
            )
        );
        assert_eq!(kinds[0], "b1/dead-letters/replay");
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        let relay_events = CommandTopic::RelayEvents {
            device: id("m1"),
            slot: "io3".to_owned(),
            relay: "a".to_owned(),
        };
        for (topic, text) in [
            (relay_events, "m1/io3/relay/a/events/set"),
            (CommandTopic::Refresh(id("m1")), "m1/refresh"),
            (CommandTopic::HttpSessions(id("m1")), "m1/http/sessions/set"),
            (CommandTopic::AcknowledgeFaults(id("m1")), "m1/faults/acknowledge"),
            (CommandTopic::Replay, "bridge/b1/dead-letters/replay"),
        ] {
            let text = format!("site/lantime/{text}");
            assert_eq!(topics().parse(&text), None, "no state is retained there");
            assert_eq!(topics().command(&topic), text);
        }
        let filters = topics().command_filters(&[id("m1")]);
        let expected = [
            "bridge/b1/dead-letters/replay",
            "m1/+/relay/+/events/set",
            "m1/refresh",
            "m1/http/sessions/set",
            "m1/faults/acknowledge",
        ];
        assert_eq!(filters, expected.map(|text| format!("site/lantime/{text}")));
    }

    #[test]
    fn what_is_not_a_command_for_this_bridge_is_not_parsed() {
        for foreign in [
            "",
            "site/lantime/m1/refresh/reply",
            "site/lantime/m1/refresh/",
            "site/lantime/m1/io3/relay/a/events/set/reply",
            "site/lantime/m1/io3/relay/a/b/events/set",
            "site/lantime/m1/io3/x/relay/a/events/set",
            "site/lantime/m1/io3/relay/a/events",
            "site/lantime/M1/refresh",
            "site/lantime/bridge/refresh",
            "site/lantime/dead-letter/refresh",
            "site/lantime/bridge/b2/dead-letters/replay",
            "site/lantime/bridge/b1x/dead-letters/replay",
            "other/m1/refresh",
        ] {
            assert_eq!(topics().parse_command(foreign), None, "{foreign}");
        }
    }

    fn any_command() -> impl Strategy<Value = CommandTopic> {
        let device = "[a-z0-9_-]{1,12}".prop_filter_map("a device's id", |id| {
            DeviceId::new(id.clone()).filter(|_| !NOT_DEVICES.contains(&id.as_str()))
        });
        let level = prop_oneof![Just("relay".to_owned()), "[^/+#\\x00]{0,8}"];
        prop_oneof![
            Just(CommandTopic::Replay),
            device.clone().prop_map(CommandTopic::Refresh),
            device.clone().prop_map(CommandTopic::HttpSessions),
            device.clone().prop_map(CommandTopic::AcknowledgeFaults),
            (device, level.clone(), level).prop_map(|(device, slot, relay)| CommandTopic::RelayEvents {
                device,
                slot,
                relay
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_command_parses_to_itself_and_its_reply_is_none(command in any_command()) {
            let topic = topics().command(&command);
            prop_assert_eq!(topics().parse_command(&reply_topic(&topic)), None);
            prop_assert_eq!(topics().parse_command(&topic), Some(command));
        }

        #[test]
        fn what_is_subscribed_is_what_is_parsed(
            topic in "site/lantime(/|/m1|/m2|/io3|/relay|/a|/events|/set|/refresh|/http|/sessions|/faults|/acknowledge|/bridge|/b1|/dead-letters|/replay|/dead-letter){1,6}"
        ) {
            let devices = [id("m1"), id("m2")];
            let is_subscribed = topics().command_filters(&devices).iter().any(|filter| matches(filter, &topic));
            let parsed = topics().parse_command(&topic);
            let is_parsed = parsed.is_some_and(|command| command.device().is_none_or(|device| devices.contains(device)));
            prop_assert_eq!(is_subscribed, is_parsed);
        }

        #[test]
        fn no_text_makes_the_parser_panic(topic in "(site/lantime/)?.{0,40}") {
            let _ = topics().parse_command(&topic);
        }
    }
}
