//! `snmp` of a device: whose traps are its own, and the second way to it.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;

use super::super::problem::{Complaint, complaint};
use super::super::section::Section;
use super::super::{Secret, access, parse};
use super::user::{self, SnmpUser};
use crate::config::from_hex;

const READ: [(&str, SnmpRead); 3] = [
    ("off", SnmpRead::Off),
    ("fallback", SnmpRead::Fallback),
    ("always", SnmpRead::Always),
];
const EVENTS: [(&str, EventsWay); 3] = [
    ("auto", EventsWay::Auto),
    ("rest", EventsWay::Rest),
    ("snmp", EventsWay::Snmp),
];

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_RETRIES: u32 = 2;
const AGENT_PORT: u16 = 161;
/// RFC 3411: octets of an engine id.
const ENGINE_ID: RangeInclusive<usize> = 5..=32;

/// `snmp` of a device
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSnmp {
    /// Host and UDP port of its agent.
    pub address: (String, u16),
    /// Who asks; `None` where it is never asked.
    pub access: Option<SnmpAccess>,
    /// When its status is read.
    pub read: SnmpRead,
    /// Which way the events that switch its relays are chosen.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnmpRead {
    /// Never.
    Off,
    /// When REST does not answer.
    Fallback,
    /// With each poll.
    Always,
}

/// Which way the events that switch relays are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsWay {
    /// SNMP where there are credentials for it, else REST.
    Auto,
    /// REST.
    Rest,
    /// SNMP.
    Snmp,
}

/// `snmp` of a device; `url` is where its REST API is.
pub(in crate::config) fn read(mut section: Section<'_>, url: Option<&Url>) -> DeviceSnmp {
    let address = section.parsed("address", address);
    let access = read_access(&mut section);
    let read = section
        .parsed("read", parse::word(&READ))
        .unwrap_or(SnmpRead::Off);
    let events = section
        .parsed("events", parse::word(&EVENTS))
        .unwrap_or(EventsWay::Auto);
    let timeout = section.duration("timeout", TIMEOUT).unwrap_or(DEFAULT_TIMEOUT);
    let retries = section.number("retries", 0..=10).unwrap_or(DEFAULT_RETRIES);
    let sources = read_sources(&mut section);
    let engine_id = section.parsed("engine_id", engine_id);
    let sys_name = section.filled("sys_name");
    for (key, is_wanted) in [
        ("read", read != SnmpRead::Off),
        ("events", events == EventsWay::Snmp),
    ] {
        if is_wanted && access.is_none() && !section.has("community") && !section.has("user") {
            let what = "there are no credentials to ask the device over SNMP";
            let remedy = r#"write community = "..", or user = { name = "..", .. } for SNMPv3"#;
            section.refuse(key, complaint(what, remedy));
        }
    }
    section.finish();
    let host = url.and_then(Url::host_str).unwrap_or_default();
    DeviceSnmp {
        address: address.unwrap_or_else(|| (bare(host), AGENT_PORT)),
        access,
        read,
        events,
        timeout,
        retries,
        sources,
        engine_id,
        sys_name,
    }
}

/// `community` with `write_community`, or `user`.
fn read_access(section: &mut Section<'_>) -> Option<SnmpAccess> {
    let community = access::secret(section, "community", "community_file");
    let write = access::secret(section, "write_community", "write_community_file");
    if write.is_some() && community.is_none() {
        let what = "there is no community to read with, so nothing is asked over SNMP";
        section.refuse("write_community", complaint(what, "write community too"));
    }
    let has_user = section.has("user");
    let mut table = section.section("user");
    let user = if has_user { user::read(&mut table) } else { None };
    if has_user {
        table.finish();
    }
    match (community, user) {
        (Some(_), Some(_)) => {
            let what = "given together with a community";
            section.refuse("user", complaint(what, "leave one of them out"));
            None
        }
        (None, Some(user)) => Some(SnmpAccess::User(user)),
        (Some(read), None) => Some(SnmpAccess::Community {
            write: write.unwrap_or_else(|| read.clone()),
            read,
        }),
        (None, None) => None,
    }
}

fn read_sources(section: &mut Section<'_>) -> Vec<IpAddr> {
    let texts = section.texts("trap_sources").unwrap_or_default();
    let mut sources = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(source) => sources.push(source),
            Err(_) => section.refuse(
                "trap_sources",
                complaint("not an IP address", r#"write such as ["10.0.0.7"]"#),
            ),
        }
    }
    sources
}

/// Host and port; without a port that of agents.
fn address(text: &str) -> Result<(String, u16), Complaint> {
    // As in a URL, since that is how the device's own address is written.
    let url = Url::parse(&format!("snmp://{text}")).ok();
    let is_bare = |url: &Url| url.path().is_empty() && url.query().is_none() && url.username().is_empty();
    let url = url.filter(is_bare);
    let host = url
        .as_ref()
        .and_then(Url::host_str)
        .filter(|host| !host.is_empty());
    match (host, &url) {
        (Some(host), Some(url)) => Ok((bare(host), url.port().unwrap_or(AGENT_PORT))),
        _ => Err(complaint(
            "not a host, or a host and a port",
            r#"write such as "10.0.0.7", "ntp-1.example:161" or "[fd00::7]:161""#,
        )),
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

fn engine_id(text: &str) -> Result<Vec<u8>, Complaint> {
    from_hex(text.strip_prefix("0x").unwrap_or(text))
        .filter(|octets| ENGINE_ID.contains(&octets.len()))
        .ok_or_else(|| {
            complaint(
                "not an engine id",
                r#"write 5 to 32 octets in hexadecimal digits, as in "0x80001f8880a1b2c3d4""#,
            )
        })
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
            assert_eq!(address(text).ok(), Some((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":161", "a/b", "user@host", "host:99999", "a b", "fd00::7"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_engine_id_is_5_to_32_octets() {
        assert_eq!(engine_id("0x8000000001").ok(), Some(vec![0x80, 0, 0, 0, 1]));
        assert_eq!(engine_id("8000000001").ok(), Some(vec![0x80, 0, 0, 0, 1]));
        for text in [
            "",
            "0x",
            "80000000",
            "800000000",
            "80000000zz",
            "+1+1+1+1+1",
            &"80".repeat(33),
        ] {
            assert!(engine_id(text).is_err(), "{text}");
        }
    }
}
