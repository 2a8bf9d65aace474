//! `[snmp.agent]`: the bridge as an agent for SNMP managers, and where its notifications go.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::problem::Problem;
use super::super::section::Section;
use super::super::{Secret, access, parse};
use super::user::{self, SnmpUser};

/// Everything that a company may have numbered itself lies below it.
const ENTERPRISES: [u32; 6] = [1, 3, 6, 1, 4, 1];
/// Numbers of a root, so that there is room for the longest index in the 128 that an OID may have.
const MAX_ROOT: usize = 64;

const TRAP_PORT: u16 = 162;

/// `[snmp.agent]`: the bridge as an agent. Nothing is writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpAgent {
    /// Where it listens, by UDP; notifications are sent from there too.
    pub listen: SocketAddr,
    /// Who may read with SNMP v2c.
    pub communities: Vec<Secret>,
    /// Who may read with SNMP v3.
    pub users: Vec<SnmpUser>,
    /// Where its MIB stands: an OID below the enterprises.
    pub root: Vec<u32>,
    /// Who gets notifications of changes.
    pub sinks: Vec<SnmpSink>,
}

/// Who gets notifications of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpSink {
    /// Where it is, by UDP.
    pub address: SocketAddr,
    /// As whom the bridge sends.
    pub access: SnmpSinkAccess,
}

/// As whom the bridge sends notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnmpSinkAccess {
    /// SNMP v2c.
    Community(Secret),
    /// SNMP v3.
    User(SnmpUser),
}

/// `None` where nothing listens.
pub(super) fn read(section: &Section<'_>) -> Option<SnmpAgent> {
    let listen = section.read("listen", parse::listen_or_off).flatten();
    let communities = access::secrets(section, "communities");
    let users = user::read_all(section);
    let root = section.read("root", root)?;
    let sinks = read_sinks(section, listen);
    let is_wanted = ["communities", "communities_file", "users", "sinks"]
        .iter()
        .any(|key| section.has(key));
    match listen {
        Some(_) if !is_wanted => {
            let what = "nobody may read, and nobody is notified: neither communities nor users nor sinks";
            let remedy = r#"write communities = [".."] for SNMP v2c, or [[snmp.agent.users]] for v3, or listen = "off""#;
            section.refuse("listen", Problem::new(what, remedy));
        }
        None if is_wanted => {
            let what = "there is no agent, so communities, users and sinks have no effect";
            let remedy = r#"write listen = "0.0.0.0:161", or leave them out"#;
            section.warn("", Problem::new(what, remedy));
        }
        _ => {}
    }
    Some(SnmpAgent {
        listen: listen?,
        communities,
        users,
        root,
        sinks,
    })
}

/// `[[snmp.agent.sinks]]`
fn read_sinks(section: &Section<'_>, listen: Option<SocketAddr>) -> Vec<SnmpSink> {
    let mut sinks = Vec::new();
    for table in section.tables("sinks") {
        let address = table.read("address", sink_address);
        if let (Some(address), Some(listen)) = (address, listen)
            && let Err(problem) = is_in_reach(address.ip(), listen.ip())
        {
            table.refuse("address", problem);
        }
        let access = read_access(&table);
        let sink = address.zip(access);
        sinks.extend(sink.map(|(address, access)| SnmpSink { address, access }));
    }
    sinks
}

/// `community` or `user`. `None` only together with a problem.
fn read_access(table: &Section<'_>) -> Option<SnmpSinkAccess> {
    let community = access::secret(table, "community");
    let has_community = table.has("community") || table.has("community_file");
    let has_user = table.has("user");
    let user = user::read_one(table);
    match (has_community, has_user) {
        (true, true) => {
            let what = "given together with a community";
            table.refuse("user", Problem::new(what, "leave one of them out"));
            None
        }
        (false, false) => {
            let remedy = r#"write community = "..", or user = { name = "..", .. } for SNMPv3"#;
            table.refuse("community", Problem::new("missing, and there is no user", remedy));
            None
        }
        (true, false) => community.map(SnmpSinkAccess::Community),
        (false, true) => user.map(SnmpSinkAccess::User),
    }
}

/// An address with or without a port. No name: the agent must start while no name server answers.
fn sink_address(text: &str) -> Option<SocketAddr> {
    let address = text
        .parse()
        .ok()
        .filter(|address: &SocketAddr| address.port() != 0);
    address.or_else(|| Some(SocketAddr::new(text.parse().ok()?, TRAP_PORT)))
}

/// Notifications are sent from the socket that the agent listens at.
fn is_in_reach(sink: IpAddr, listen: IpAddr) -> Result<(), Problem> {
    let what =
        format!("notifications are sent from where the agent listens, {listen}, which does not lead there");
    if sink.is_ipv6() && listen.is_ipv4() {
        return Err(Problem::new(what, r#"write listen = "[::]:161""#));
    }
    if listen.is_loopback() && !sink.is_loopback() {
        return Err(Problem::new(
            what,
            format!(r#"write listen = "{}:161""#, Ipv4Addr::UNSPECIFIED),
        ));
    }
    Ok(())
}

fn root(text: &str) -> Option<Vec<u32>> {
    // With a dot in front as net-snmp's tools print it.
    let text = text.strip_prefix('.').unwrap_or(text);
    let arcs: Vec<u32> = text.split('.').map(arc).collect::<Option<_>>()?;
    let is_own = arcs.starts_with(&ENTERPRISES) && (ENTERPRISES.len() + 1..=MAX_ROOT).contains(&arcs.len());
    is_own.then_some(arcs)
}

fn arc(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("10.0.0.5", "10.0.0.5:162"),
            ("10.0.0.5:1162", "10.0.0.5:1162"),
            ("fd00::5", "[fd00::5]:162"),
            ("[fd00::5]:1162", "[fd00::5]:1162"),
        ] {
            assert_eq!(sink_address(text), address.parse().ok(), "{text}");
        }
        for text in [
            "",
            "nms.example",
            "10.0.0.5:0",
            "10.0.0.5:99999",
            "10.0.0",
            "[fd00::5]",
        ] {
            assert!(sink_address(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_sink_that_the_agents_socket_cannot_reach_is_refused() {
        for (sink, listen, is_fine) in [
            ("10.0.0.5", "0.0.0.0", true),
            ("10.0.0.5", "::", true),
            ("fd00::5", "::", true),
            ("fd00::5", "0.0.0.0", false),
            ("10.0.0.5", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            let reached = is_in_reach(sink.parse().unwrap(), listen.parse().unwrap());
            assert_eq!(reached.is_ok(), is_fine, "{sink} from {listen}");
        }
    }

    #[test]
    fn a_root_lies_below_the_enterprises() {
        assert_eq!(
            root("1.3.6.1.4.1.12345.7"),
            Some(vec![1, 3, 6, 1, 4, 1, 12345, 7])
        );
        assert_eq!(root(".1.3.6.1.4.1.5"), Some(vec![1, 3, 6, 1, 4, 1, 5]));
        let too_long = format!("1.3.6.1.4.1{}", ".1".repeat(59));
        for text in [
            "",
            "1.3.6.1.4.1",
            "1.3.6.1.2.1.1",
            "..1.3.6.1.4.1.5",
            "1.3.6.1.4.1.",
            "1.3.6.1.4.1.+5",
            "1.3.6.1.4.1.4294967296",
            too_long.as_str(),
        ] {
            assert!(root(text).is_none(), "{text}");
        }
    }
}
