//! `snmp` of a device: whose traps are its own, and how to read and write it over SNMP.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::super::problem::Problem;
use super::super::section::Section;
use super::super::{Secret, access};
use super::user::{self, SnmpUser};
use crate::config::from_hex;

const AGENT_PORT: u16 = 161;
/// RFC 3411: octets of an engine id.
const ENGINE_ID: RangeInclusive<usize> = 5..=32;

/// `snmp` of a device
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSnmp {
    /// Host and UDP port of its agent.
    pub address: (String, u16),
    /// Who asks; `None` where it is never asked.
    pub access: Option<Box<SnmpAccess>>,
    /// When its status is read.
    pub read: SnmpRead,
    /// Which way the events that switch its relays are selected.
    pub events: EventsWay,
    /// Time for an answer.
    pub timeout: Duration,
    /// How often a request is repeated.
    pub retries: u32,
    /// Addresses that its traps come from, beside those of its URL.
    pub sources: Vec<IpAddr>,
    /// Engine id of its agent.
    pub engine_id: Option<Vec<u8>>,
    /// Its sysName, where several devices send from one address.
    pub sys_name: Option<String>,
}

impl DeviceSnmp {
    /// The longest that one request may take, which is asked twice where the session may be the reason; nothing where
    /// the device is not asked.
    pub fn longest(&self) -> Duration {
        match self.access {
            Some(_) => self.timeout * (self.retries + 1) * 2,
            None => Duration::ZERO,
        }
    }
}

/// Who asks a device over SNMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnmpAccess {
    /// SNMP v2c.
    Community {
        /// For reading.
        read: Secret,
        /// For writing.
        write: Secret,
    },
    /// SNMP v3.
    User(SnmpUser),
}

/// When a device's status is read over SNMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SnmpRead {
    /// Never.
    Off,
    /// When REST does not answer.
    Fallback,
    /// With each poll.
    Always,
}

/// Which way the events that switch relays are selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventsWay {
    /// SNMP where there are credentials for it, else REST.
    Auto,
    /// REST.
    Rest,
    /// SNMP.
    Snmp,
}

/// `snmp` of a device; `url` is where its REST API is.
pub(in crate::config) fn read(section: &Section<'_>, url: Option<&Url>) -> DeviceSnmp {
    let host = url.and_then(Url::host_str).unwrap_or_default();
    let address = section.read("address", address);
    let snmp = DeviceSnmp {
        address: address.unwrap_or_else(|| (bare(host), AGENT_PORT)),
        access: read_access(section).map(Box::new),
        read: section.choice("read"),
        events: section.choice("events"),
        timeout: section.duration("timeout"),
        retries: section.number("retries"),
        sources: read_sources(section),
        engine_id: section.read("engine_id", engine_id),
        sys_name: section.filled("sys_name"),
    };
    for (key, is_wanted) in [
        ("read", snmp.read != SnmpRead::Off),
        ("events", snmp.events == EventsWay::Snmp),
    ] {
        if is_wanted && snmp.access.is_none() && !section.has("community") && !section.has("user") {
            let what = "there are no credentials to ask the device over SNMP";
            let remedy = r#"write community = "..", or user = { name = "..", .. } for SNMPv3"#;
            section.refuse(key, Problem::new(what, remedy));
        }
    }
    snmp
}

/// `community` with `write_community`, or `user`.
fn read_access(section: &Section<'_>) -> Option<SnmpAccess> {
    let community = access::secret(section, "community");
    let write = access::secret(section, "write_community");
    if write.is_some() && community.is_none() {
        let what = "there is no community to read with, so nothing is asked over SNMP";
        section.refuse("write_community", Problem::new(what, "write community too"));
    }
    match (community, user::read_one(section)) {
        (Some(_), Some(_)) => {
            let what = "given together with a community";
            section.refuse("user", Problem::new(what, "leave one of them out"));
            None
        }
        (None, user) => user.map(SnmpAccess::User),
        (Some(read), None) => Some(SnmpAccess::Community {
            write: write.unwrap_or_else(|| read.clone()),
            read,
        }),
    }
}

fn read_sources(section: &Section<'_>) -> Vec<IpAddr> {
    let texts = section.texts("trap_sources");
    let sources: Result<Vec<IpAddr>, _> = texts.iter().map(|text| text.parse()).collect();
    sources.unwrap_or_else(|_| {
        section.refuse_text("trap_sources");
        Vec::new()
    })
}

/// Host and port; without a port that of agents.
fn address(text: &str) -> Option<(String, u16)> {
    // As in a URL, since that is how the device's own address is written.
    let url = Url::parse(&format!("snmp://{text}")).ok()?;
    let is_bare = url.path().is_empty() && url.query().is_none() && url.username().is_empty();
    let host = url.host_str().filter(|host| is_bare && !host.is_empty())?;
    Some((bare(host), url.port().unwrap_or(AGENT_PORT)))
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

fn engine_id(text: &str) -> Option<Vec<u8>> {
    let octets = from_hex(text.strip_prefix("0x").unwrap_or(text))?;
    ENGINE_ID.contains(&octets.len()).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        for (text, host, port) in [
            ("10.0.0.7", "10.0.0.7", 161),
            ("ntp-1.example:1161", "ntp-1.example", 1161),
            ("[fd00::7]", "fd00::7", 161),
            ("[fd00::7]:1161", "fd00::7", 1161),
        ] {
            assert_eq!(address(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":161", "a/b", "user@host", "host:99999", "a b", "fd00::7"] {
            assert!(address(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_engine_id_is_5_to_32_octets() {
        assert_eq!(engine_id("0x8000000001"), Some(vec![0x80, 0, 0, 0, 1]));
        assert_eq!(engine_id("8000000001"), Some(vec![0x80, 0, 0, 0, 1]));
        for text in [
            "",
            "0x",
            "80000000",
            "800000000",
            "80000000zz",
            "+1+1+1+1+1",
            &"80".repeat(33),
        ] {
            assert!(engine_id(text).is_none(), "{text}");
        }
    }
}
