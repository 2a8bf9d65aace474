//! By what bridges see whether they have the same devices, and publish them in the same form: otherwise topics change with each
//! owner.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Device, EventsWay, Layout, ProfileChoice, SnmpRead};
use crate::model::derive::Slots;
use crate::model::{DeviceId, Place, SlotId, Wiring};

/// Of what is hashed, and how. Digests of two formats say nothing about each other: bridges of two versions may be members.
const FORMAT: u32 = 2;
/// Bytes of the hash.
const LENGTH: usize = 16;

/// A digest of what the configuration says of all devices, as far as it decides what is published and what commands do, and of
/// the form in which they are published. Their order does not matter. How a bridge logs in is not in it: nobody can try out passwords on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DevicesDigest(String);

impl DevicesDigest {
    /// Of these devices, published as the rest of that configuration says: devices change with a reload, the rest does not.
    pub fn of(config: &Config, devices: &[Arc<Device>]) -> DevicesDigest {
        let devices = devices.iter().map(|device| Hashed::of(device));
        let lines: BTreeSet<_> = devices.map(|device| line(&device)).collect();
        let text: String = std::iter::once(line(&Form::of(config))).chain(lines).collect();
        let hash = digest(&SHA256, text.as_bytes());
        let hash = hash
            .as_ref()
            .iter()
            .take(LENGTH)
            .map(|byte| format!("{byte:02x}"));
        DevicesDigest(format!("{FORMAT}-{}", hash.collect::<String>()))
    }

    /// Whether it is known that the other one is of other devices, or of another form.
    pub fn differs(&self, other: &DevicesDigest) -> bool {
        self != other && self.format().is_some() && self.format() == other.format()
    }

    fn format(&self) -> Option<&str> {
        self.0.split_once('-').map(|(format, _)| format)
    }
}

impl fmt::Display for DevicesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is hashed of all that is not of one device.
#[derive(Serialize)]
struct Form<'a> {
    prefix: &'a str,
    layout: Layout,
    /// Where Home Assistant discovers devices, and where it publishes its birth message.
    homeassistant: Option<[&'a str; 2]>,
    /// Group and edge node, and the host that it waits for.
    sparkplug: Option<([&'a str; 2], Option<&'a str>)>,
}

impl Form<'_> {
    fn of(config: &Config) -> Form<'_> {
        let homeassistant = config.homeassistant.as_ref();
        let sparkplug = config.sparkplug.as_ref();
        Form {
            prefix: &config.mqtt.prefix,
            layout: config.mqtt.layout,
            homeassistant: homeassistant.map(|it| [&*it.discovery_prefix, &it.status_topic]),
            sparkplug: sparkplug.map(|it| ([&*it.group, &it.edge_node], it.primary_host.as_deref())),
        }
    }
}

/// What is hashed of a device.
#[derive(Serialize)]
struct Hashed<'a> {
    id: &'a DeviceId,
    url: &'a str,
    #[serde(skip_serializing_if = "Place::is_empty")]
    place: &'a Place,
    poll: Duration,
    offline_after: u32,
    profile: String,
    slots: Option<BTreeMap<&'a SlotId, Option<Wiring>>>,
    http_sessions: (bool, usize),
    allow_unverified_writes: bool,
    command_timeout: Duration,
    fail_fast: bool,
    has_snmp: bool,
    snmp_read: SnmpRead,
    snmp_events: EventsWay,
    trap_sources: BTreeSet<IpAddr>,
    engine_id: Option<&'a [u8]>,
    sys_name: Option<&'a str>,
}

impl Hashed<'_> {
    fn of(device: &Device) -> Hashed<'_> {
        let snmp = &device.snmp;
        let slots = match &device.slots {
            Slots::Auto => None,
            Slots::Listed(slots) => Some(slots.iter().map(|(slot, wiring)| (slot, *wiring)).collect()),
        };
        Hashed {
            id: &device.id,
            url: &device.url,
            place: &device.place,
            poll: device.poll,
            offline_after: device.offline_after,
            profile: profile(&device.profile),
            slots,
            http_sessions: (device.http_sessions.enabled, device.http_sessions.max_count),
            allow_unverified_writes: device.allow_unverified_writes,
            command_timeout: device.command_timeout,
            fail_fast: device.fail_fast,
            has_snmp: snmp.access.is_some(),
            snmp_read: snmp.read,
            snmp_events: snmp.events,
            trap_sources: snmp.sources.iter().copied().collect(),
            engine_id: snmp.engine_id.as_deref(),
            sys_name: snmp.sys_name.as_deref(),
        }
    }
}

/// The folder of a file may be another one on each machine.
fn profile(profile: &ProfileChoice) -> String {
    match profile {
        ProfileChoice::Auto => "auto".to_owned(),
        ProfileChoice::BuiltIn(name) => name.clone(),
        ProfileChoice::File(path) => path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

fn line(hashed: &impl Serialize) -> String {
    // Texts, numbers and lists: there is nothing that could fail.
    serde_json::to_string(hashed).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_table;

    const DEVICES: &str = r#"
        [mqtt]
        url = "embedded"
        [[devices]]
        id = "a"
        url = "https://10.0.0.7"
        username = "info"
        password = "hunter2"
        slots = [{ id = "io3", relays = { a = "clk1", b = "clk2", c = "notification" } }, { id = "io4" }]
        [[devices]]
        id = "b"
        url = "https://10.0.0.8"
        username = "info"
        password = "hunter2"
    "#;

    fn config(replaced: &str, by: &str) -> Config {
        assert!(DEVICES.contains(replaced), "{replaced}");
        let text = DEVICES.replace(replaced, by);
        from_table("test", toml::from_str(&text).unwrap()).unwrap().config
    }

    fn of(replaced: &str, by: &str) -> DevicesDigest {
        let config = config(replaced, by);
        DevicesDigest::of(&config, &config.devices)
    }

    /// If this test fails, raise `FORMAT`: otherwise bridges of two versions report that their devices differ.
    #[test]
    fn a_format_has_the_same_digest_for_ever() {
        assert_eq!(
            of("hunter2", "hunter2").to_string(),
            "2-e1a6b7e3e074ecf23c3a23630338b787"
        );
    }

    #[test]
    fn what_is_published_or_commanded_makes_another_digest() {
        let digest = of("10.0.0.7", "10.0.0.7");
        for (replaced, by) in [
            ("10.0.0.7", "10.0.0.9"),
            (r#"id = "b""#, r#"id = "c""#),
            ("clk1", "notification"),
            (r#"{ id = "io4" }"#, r#"{ id = "io5" }"#),
            (r#"username = "info""#, "username = \"info\"\nlabel = \"West\""),
            (
                r#"username = "info""#,
                "username = \"info\"\nsnmp.sys_name = \"x\"",
            ),
            (r#"username = "info""#, "username = \"info\"\nfail_fast = true"),
        ] {
            assert!(of(replaced, by).differs(&digest), "{replaced} -> {by}");
        }
    }

    #[test]
    fn another_form_makes_another_digest() {
        let digest = of("embedded", "embedded");
        let homeassistant = "homeassistant.enabled = true\n[mqtt]";
        let sparkplug = "bridge.id = \"b1\"\nsparkplug.enabled = true\n[mqtt]";
        for (replaced, by) in [
            ("[mqtt]", "[mqtt]\nprefix = \"plant\""),
            ("[mqtt]", "[mqtt]\nlayout = \"both\""),
            ("[mqtt]", homeassistant),
            ("[mqtt]", sparkplug),
        ] {
            assert!(of(replaced, by).differs(&digest), "{by}");
        }
        for (by, part, other) in [
            (
                homeassistant,
                "[mqtt]",
                "homeassistant.discovery_prefix = \"ha\"\n[mqtt]",
            ),
            (
                homeassistant,
                "[mqtt]",
                "homeassistant.status_topic = \"ha/status\"\n[mqtt]",
            ),
            (sparkplug, "[mqtt]", "sparkplug.group = \"plant\"\n[mqtt]"),
            (sparkplug, "[mqtt]", "sparkplug.primary_host = \"scada\"\n[mqtt]"),
            (sparkplug, "\"b1\"", "\"b2\""),
        ] {
            let changed = by.replace(part, other);
            assert!(of("[mqtt]", &changed).differs(&of("[mqtt]", by)), "{changed}");
        }
    }

    #[test]
    fn where_and_as_whom_a_bridge_connects_makes_no_other_digest() {
        let digest = of("embedded", "embedded");
        let elsewhere = "mqtts://broker\"\nclient_id = \"x\"\nusername = \"u\"\npassword = \"p";
        assert_eq!(of("embedded", elsewhere), digest);
        assert_eq!(of("[mqtt]", "bridge.id = \"b1\"\n[mqtt]"), digest);
    }

    #[test]
    fn neither_the_order_nor_how_a_bridge_logs_in_makes_another_digest() {
        let digest = of("hunter2", "hunter2");
        assert_eq!(of("hunter2", "another"), digest);
        assert_eq!(of(r#"username = "info""#, r#"username = "other""#), digest);
        let config = config("hunter2", "hunter2");
        let reversed: Vec<_> = config.devices.iter().rev().cloned().collect();
        assert_eq!(DevicesDigest::of(&config, &reversed), digest);
        assert_ne!(DevicesDigest::of(&config, &reversed[1..]), digest);
    }

    #[test]
    fn digests_of_two_formats_say_nothing_about_each_other() {
        let digest = |text: &str| DevicesDigest(text.to_owned());
        assert!(digest("1-aa").differs(&digest("1-bb")));
        assert!(!digest("1-aa").differs(&digest("1-aa")));
        for other in ["2-aa", ""] {
            assert!(
                !digest("1-aa").differs(&digest(other)) && !digest(other).differs(&digest("1-aa")),
                "{other}"
            );
        }
    }
}
