//! `[snmp]`: who may send traps. The bridge as an agent, users of SNMP v3, and `snmp` of a device have files of their own.

pub(super) mod agent;
pub(super) mod device;
pub(super) mod user;

use std::net::SocketAddr;

use super::problem::Problem;
use super::section::Section;
use super::{Secret, access, parse};
use agent::SnmpAgent;
use user::SnmpUser;

/// `[snmp]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snmp {
    /// What takes traps and informs; `None` for nothing.
    pub traps: Option<Traps>,
    /// The bridge as an agent; `None` for none.
    pub agent: Option<SnmpAgent>,
}

/// What takes traps and informs of all devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traps {
    /// Where it listens, by UDP.
    pub listen: SocketAddr,
    /// Who may send with SNMP v1 and v2c.
    pub communities: Vec<Secret>,
    /// Who may send with SNMP v3.
    pub users: Vec<SnmpUser>,
}

/// `[snmp]`
pub(super) fn read(section: &Section<'_>) -> Snmp {
    let listen = section
        .section("traps")
        .read("listen", parse::listen_or_off)
        .flatten();
    let communities = access::secrets(section, "communities");
    let users = user::read_all(section);
    let has_senders = !communities.is_empty() || !users.is_empty();
    match listen {
        Some(_) if !has_senders => {
            let what = "nobody may send a trap: neither communities nor users";
            let remedy = r#"write communities = ["public"] for SNMP v1 and v2c, or [[snmp.users]] for v3"#;
            section.refuse("traps", Problem::new(what, remedy));
        }
        None if has_senders => {
            let what = "nothing takes traps, so communities and users have no effect";
            let remedy = r#"write traps.listen = "0.0.0.0:162", or leave them out"#;
            section.warn("", Problem::new(what, remedy));
        }
        _ => {}
    }
    let agent = agent::read(&section.section("agent"));
    let is_taken = |agent: &SnmpAgent| Some(agent.listen) == listen && agent.listen.port() != 0;
    if agent.as_ref().is_some_and(is_taken) {
        let what = "the address of snmp.traps.listen too";
        section.refuse(
            "agent",
            Problem::new(what, "let the agent listen at another port"),
        );
    }
    Snmp {
        traps: listen.map(|listen| Traps {
            listen,
            communities,
            users,
        }),
        agent,
    }
}
