//! `[snmp]`, and `snmp` of a device: who may send traps, and the second way to a device. The bridge as an agent
//! has a file of its own.

mod agent;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;

use super::problem::{Complaint, complaint};
use super::section::Section;
use super::{
    AuthProtocol, DeviceSnmp, EventsWay, PrivProtocol, Secret, Snmp, SnmpAccess, SnmpAgent, SnmpRead,
    SnmpUser, Traps, access, parse,
};
use crate::snmp::from_hex;

const AUTH: [(&str, AuthProtocol); 3] = [
    ("sha1", AuthProtocol::Sha1),
    ("sha256", AuthProtocol::Sha256),
    ("sha512", AuthProtocol::Sha512),
];
const PRIV: [(&str, PrivProtocol); 2] = [("aes128", PrivProtocol::Aes128), ("aes256", PrivProtocol::Aes256)];
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

/// RFC 3414 derives keys from passwords of at least so many characters.
const MIN_PASSWORD: usize = 8;
/// RFC 3411: octets of a user's name and of an engine id.
const MAX_NAME: usize = 32;
const ENGINE_ID: RangeInclusive<usize> = 5..=32;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_RETRIES: u32 = 2;
const AGENT_PORT: u16 = 161;

/// `[snmp]`
pub(super) fn read(mut section: Section<'_>) -> Snmp {
    let mut keys = section.section("traps");
    let listen = keys
        .parsed("listen", |text| listen_or_off(text, "0.0.0.0:162"))
        .flatten();
    keys.finish();
    let communities = access::secrets(&mut section, "communities", "communities_file");
    let users = read_users(&mut section);
    let has_senders = !communities.is_empty() || !users.is_empty();
    match listen {
        Some(_) if !has_senders => {
            let what = "nobody may send a trap: neither communities nor users";
            let remedy = r#"write communities = ["public"] for SNMP v1 and v2c, or [[snmp.users]] for v3"#;
            section.refuse("traps", complaint(what, remedy));
        }
        None if has_senders => {
            let what = "nothing takes traps, so communities and users have no effect";
            section.warn(
                "",
                complaint(what, r#"write traps.listen = "0.0.0.0:162", or leave them out"#),
            );
        }
        _ => {}
    }
    let agent = agent::read(section.section("agent"));
    let is_taken = |agent: &SnmpAgent| Some(agent.listen) == listen && agent.listen.port() != 0;
    if agent.as_ref().is_some_and(is_taken) {
        let what = "the address of snmp.traps.listen too";
        section.refuse("agent", complaint(what, "let the agent listen at another port"));
    }
    section.finish();
    Snmp {
        traps: listen.map(|listen| Traps {
            listen,
            communities,
            users,
        }),
        agent,
    }
}

/// As [`parse::listen_or_off`], with an example of a port for SNMP.
fn listen_or_off(text: &str, example: &str) -> Result<Option<SocketAddr>, Complaint> {
    parse::listen_or_off(text).map_err(|Complaint { what, .. }| {
        let remedy = format!(r#"write an IP address and a port, such as "{example}", or "off""#);
        complaint(what, remedy)
    })
}

/// `[[snmp.users]]`
fn read_users(section: &mut Section<'_>) -> Vec<SnmpUser> {
    let mut users: Vec<SnmpUser> = Vec::new();
    for mut table in section.tables("users") {
        let user = read_user(&mut table);
        if let Some(user) = &user
            && users.iter().any(|other| other.name == user.name)
        {
            let what = "the name of another user too";
            table.refuse("name", complaint(what, "write each user once"));
        }
        table.finish();
        users.extend(user);
    }
    users
}

fn read_user(table: &mut Section<'_>) -> Option<SnmpUser> {
    let name = table.parsed("name", user_name);
    table.need("name", "write the SNMPv3 user's name (securityName)");
    let auth = table.parsed("auth_protocol", parse::word(&AUTH));
    let privacy = table.parsed("priv_protocol", parse::word(&PRIV));
    let auth_password = read_password(table, "auth_password", "auth_password_file");
    let priv_password = read_password(table, "priv_password", "priv_password_file");
    Some(SnmpUser {
        name: name?,
        auth: auth.unwrap_or(AuthProtocol::Sha256),
        auth_password: auth_password?,
        privacy: privacy.unwrap_or(PrivProtocol::Aes128),
        priv_password: priv_password?,
    })
}

fn read_password(table: &mut Section<'_>, key: &'static str, file: &'static str) -> Option<Secret> {
    let password = access::secret(table, key, file);
    if !table.has(key) && !table.has(file) {
        let what = "missing: users without authentication and encryption are not taken";
        let remedy = format!("name a file with the user's password, or write {key}");
        table.refuse(file, complaint(what, remedy));
    }
    let password = password?;
    if password.expose().chars().count() < MIN_PASSWORD {
        let what = format!("a password of less than {MIN_PASSWORD} characters");
        let key = if table.has(key) { key } else { file };
        table.refuse(key, complaint(what, "SNMPv3 takes longer ones only"));
        return None;
    }
    Some(password)
}

fn user_name(text: &str) -> Result<String, Complaint> {
    if (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(complaint(
        "not a user name of SNMPv3",
        format!("write 1 to {MAX_NAME} characters"),
    ))
}

/// `snmp` of a device; `url` is where its REST API is.
pub(super) fn read_device(mut section: Section<'_>, url: Option<&Url>) -> DeviceSnmp {
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
    let user = if has_user { read_user(&mut table) } else { None };
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
