//! Topics against the contract, and properties of every one of them.

use proptest::prelude::*;

use super::*;

fn topics() -> Topics {
    Topics::new("site/lantime", DeviceId::new("b1").unwrap())
}

#[test]
fn topics_are_those_of_the_contract() {
    let device = |below| StateTopic::Device(DeviceId::new("m3000-a").unwrap(), below);
    let slot = |below| device(DeviceTopic::Slot(SlotId::new("io3").unwrap(), below));
    let event = EventName::canonical("ntp-not-sync").unwrap();
    for (topic, text) in [
        (StateTopic::OwnState, "bridge/b1/state"),
        (StateTopic::BridgeInfo, "bridge/b1/info"),
        (device(DeviceTopic::State), "m3000-a/state"),
        (device(DeviceTopic::Info), "m3000-a/info"),
        (device(DeviceTopic::Error), "m3000-a/error"),
        (device(DeviceTopic::Event(event)), "m3000-a/event/ntp-not-sync"),
        (device(DeviceTopic::HttpSessions), "m3000-a/http/sessions"),
        (device(DeviceTopic::HttpStats), "m3000-a/http/stats"),
        (slot(SlotTopic::State), "m3000-a/io3/state"),
        (slot(SlotTopic::Info), "m3000-a/io3/info"),
        (slot(SlotTopic::Relay(Relay::A)), "m3000-a/io3/relay/a"),
        (
            slot(SlotTopic::RelayEvents(Relay::C)),
            "m3000-a/io3/relay/c/events",
        ),
        (
            slot(SlotTopic::Signal(Signal::TenMhz)),
            "m3000-a/io3/signal/10mhz",
        ),
    ] {
        assert_eq!(topics().state(&topic), format!("site/lantime/{text}"));
    }
}

#[test]
fn what_is_not_retained_state_of_this_bridge_is_not_parsed() {
    for foreign in [
        "",
        "site",
        "site/lantime",
        "site/lantime/m",
        "site/lantimes/m/state",
        "other/m/state",
        "site/lantime/bridge/b2/state",
        "site/lantime/bridge/b1",
        "site/lantime/bridge/b1/dead-letters/replay",
        "site/lantime/dead-letter/m",
        "site/lantime/dead-letter/state",
        "site/lantime/m/events",
        "site/lantime/m/refresh",
        "site/lantime/m/state/x",
        "site/lantime/m/event",
        "site/lantime/m/event/faillock:-user-banned",
        "site/lantime/m/http/sessions/set",
        "site/lantime/m/io3/changes",
        "site/lantime/m/io3/relay/d",
        "site/lantime/m/io3/relay/a/",
        "site/lantime/m/io3/relay/a/events/set",
        "site/lantime/m/io3/relay/a/events/set/reply",
        "site/lantime/m/io3/signal/clk9",
        "site/lantime/M/state",
        "site/lantime//state",
    ] {
        assert_eq!(topics().parse(foreign), None, "{foreign}");
    }
}

fn any_topic() -> impl Strategy<Value = StateTopic> {
    let id = "[a-z0-9_-]{1,12}";
    let relay = prop::sample::select(&Relay::ALL[..]);
    let signal = prop::sample::select(&Signal::ALL[..]);
    let slot = prop_oneof![
        Just(SlotTopic::State),
        Just(SlotTopic::Info),
        relay.clone().prop_map(SlotTopic::Relay),
        relay.prop_map(SlotTopic::RelayEvents),
        signal.prop_map(SlotTopic::Signal),
    ];
    let slot_id = id.prop_filter_map("a slot's id", |id| {
        SlotId::new(id.clone()).filter(|_| !NOT_SLOTS.contains(&id.as_str()))
    });
    let below = prop_oneof![
        Just(DeviceTopic::State),
        Just(DeviceTopic::Info),
        Just(DeviceTopic::Error),
        Just(DeviceTopic::HttpStats),
        Just(DeviceTopic::HttpSessions),
        id.prop_filter_map("an event's name", |id| EventName::canonical(&id))
            .prop_map(DeviceTopic::Event),
        (slot_id, slot).prop_map(|(id, slot)| DeviceTopic::Slot(id, slot)),
    ];
    let device = id.prop_filter_map("a device's id", |id| {
        DeviceId::new(id.clone()).filter(|_| !NOT_DEVICES.contains(&id.as_str()))
    });
    prop_oneof![
        Just(StateTopic::OwnState),
        Just(StateTopic::BridgeInfo),
        (device, below).prop_map(|(device, below)| StateTopic::Device(device, below)),
    ]
}

proptest! {
    #[test]
    fn every_topic_parses_to_itself(topic in any_topic()) {
        let text = topics().state(&topic);
        prop_assert_eq!(topics().parse(&text), Some((topic, None)));
    }

    #[test]
    fn every_field_parses_to_its_topic(topic in any_topic(), name in "[a-z0-9_]{1,9}") {
        prop_assume!(!topic.is_plain() && name != "set" && name != "events");
        let text = field(&topics().state(&topic), &format!("last/{name}"));
        let path = format!("last/{name}");
        prop_assert_eq!(topics().parse(&text), Some((topic, Some(path.as_str()))));
    }

    #[test]
    fn a_device_and_its_prefix_agree(topic in any_topic()) {
        let text = topics().state(&topic);
        match topic.device() {
            Some(device) => prop_assert!(text.starts_with(&topics().of_device(device))),
            None => prop_assert!(text.starts_with(&topics().of_bridge())),
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(site/lantime/)?.{0,40}") {
        let _ = topics().parse(&text);
    }

    #[test]
    fn what_is_parsed_is_built_the_same(text in "site/lantime(/[a-z0-9]{1,6}|/bridge|/b1|/relay|/a|/state|/event|/http|/stats){1,6}") {
        if let Some((topic, below)) = topics().parse(&text) {
            let built = topics().state(&topic);
            let whole = below.map_or(built.clone(), |path| field(&built, path));
            prop_assert_eq!(whole, text);
        }
    }
}

#[test]
fn only_a_topic_that_a_broker_takes_is_publishable() {
    let longest = "x".repeat(65_535);
    for good in ["a", "/", "a b/ä", "$SYS/x", &longest] {
        assert!(is_publishable(good));
    }
    for bad in ["", "a/+", "#", "a\0b", &format!("{longest}x")] {
        assert!(!is_publishable(bad));
    }
}
