//! The built-in profiles, and what is said of wrong ones.

use super::*;
use crate::model::{Relay, SlotId};

#[test]
fn the_version_decides_the_profile() {
    let profiles = Profiles::built_in();
    let name = |major| profiles.for_version(major).name.clone();
    assert_eq!(name(Some(7)), "api-10");
    assert_eq!(name(Some(8)), "api-10");
    assert_eq!(name(Some(9)), "api-10");
    assert_eq!(name(Some(10)), "api-10");
    assert_eq!(name(Some(15)), "api-10");
    assert_eq!(name(Some(16)), "api-16");
    assert_eq!(name(Some(17)), "api-16");
    assert_eq!(name(Some(19)), "api-16");
    assert_eq!(name(Some(20)), "api-20");
    assert_eq!(name(Some(99)), "api-20");
    assert_eq!(name(None), "api-20");
}

#[test]
fn the_configuration_knows_the_built_in_profiles() {
    assert_eq!(Profiles::names(), crate::config::BUILT_IN_PROFILES);
}

#[test]
fn tokens_come_with_firmware_7_08() {
    let profiles = Profiles::built_in();
    let profile = profiles.for_version(Some(10));
    for (firmware, has) in [
        ("fw_7.04.008", false),
        ("fw_7.06.014-light", false),
        ("fw_7.08.012", true),
        ("fw_7.10.008", true),
        ("fw_8.00.001", true),
        ("7.08", true),
        ("", false),
        ("rolling", false),
    ] {
        assert_eq!(profile.has_tokens(firmware), has, "{firmware}");
    }
}

#[test]
fn a_wrong_profile_says_what_is_wrong() {
    let good = BUILT_IN[0];
    let parse = |text: String| {
        Profile::parse(&text, "mine.toml")
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(parse(good.replace("from_api", "from_apo")).contains("from_apo"));
    assert!(
        parse(good.replace("\"/relays/relay-a/state\"", "\"relays\""))
            .contains("relay_module.relay_a.pointer")
    );
    assert!(
        parse(good.replace("from_firmware = \"7.08\"", "from_firmware = \"new\"")).contains("from_firmware")
    );
    assert!(parse(String::new()).starts_with("mine.toml is not an API profile"));
    for (from, to, expected) in [
        (
            "events = \"/data/events\"",
            "events = \"data/events\"",
            "relay_events.events",
        ),
        ("method = \"PUT\"", "method = \"GET\"", "GET"),
        (
            "word = \"relais\"",
            "word = \"relais-{rely}\"",
            "relay_events.word",
        ),
        ("word = \"relais\"", "word = \" \"", "relay_events.word"),
        (
            "\"/data/revision\"",
            "\"/data/events/revision\"",
            "relay_events.revision",
        ),
        (
            "name = \"/object-id\"",
            "name = \"/actions\"",
            "relay_events.name",
        ),
        ("[relay_events]", "[relay_events]\nactoins = \"/x\"", "actoins"),
    ] {
        assert_ne!(good, good.replace(from, to), "{from}");
        assert!(parse(good.replace(from, to)).contains(expected), "{to}");
    }
}

#[test]
fn an_action_distinguishes_relays_or_does_not() {
    let actions = |profile: &str| {
        let profiles = Profiles::named(profile).unwrap();
        let entries = &profiles.for_version(None).relay_events;
        let place = |slot: &str, relay| entries.action(&SlotId::new(slot).unwrap(), relay);
        [place("io3", Relay::A), place("io4", Relay::C)]
    };
    assert_eq!(actions("api-10"), ["relais", "relais"]);
    assert_eq!(actions("api-16"), ["relais", "relais"]);
    assert_eq!(actions("api-20"), ["io3-relay-a", "io4-relay-c"]);
}

#[test]
fn nothing_is_written_by_a_built_in_profile_unless_it_is_allowed() {
    let profiles = Profiles::built_in();
    assert!(
        profiles
            .0
            .iter()
            .all(|profile| !profile.relay_events.is_write_seen())
    );
    let read_only = BUILT_IN[0].replace("config/apply\", seen = false", "config/apply\", seen = true");
    let profile = Profile::parse(&read_only, "mine.toml").unwrap();
    assert!(profile.is_seen("relay_events.apply") && !profile.relay_events.is_write_seen());
}

#[test]
fn a_profile_without_receivers_has_the_usual_ones() {
    let lines = BUILT_IN[0].lines();
    let text: Vec<&str> = lines.filter(|line| !line.starts_with("receivers")).collect();
    let profile = Profile::parse(&text.join("\n"), "mine.toml").unwrap();
    let keys = |profile: &Profile| -> Vec<String> {
        let receivers = profile.clock.receivers.iter();
        receivers.map(|receiver| receiver.key.clone()).collect()
    };
    assert_eq!(keys(&profile), ["grc", "dcf77", "gns"]);
    for text in BUILT_IN {
        assert_eq!(keys(&Profile::parse(text, "built in").unwrap()), keys(&profile));
    }
}

#[test]
fn the_vendors_changeover_units_are_known_in_any_case() {
    let profiles = Profiles::built_in();
    for profile in profiles.0.iter() {
        for model in [
            "rsc",
            "rsc180",
            "RSC2000",
            "rsc1000 ",
            "rsc180rdu",
            "rsc180rdmp",
            "rscrduttl",
            "rsc180scu",
        ] {
            assert!(profile.rsc.models.contain(model), "{model}");
        }
        assert!(
            !profile.rsc.models.contain("spt"),
            "it stands in a chassis with one clock"
        );
    }
}

#[test]
fn a_device_may_have_neither_revision_nor_pending_changes() {
    let lines = BUILT_IN[0].lines();
    let text: Vec<&str> = lines
        .filter(|line| !line.starts_with("revision") && !line.starts_with("pending"))
        .collect();
    let profile = Profile::parse(&text.join("\n"), "mine.toml").unwrap();
    assert_eq!(profile.relay_events.revision, None);
    assert_eq!(profile.relay_events.pending, None);
}
