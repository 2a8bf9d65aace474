//! Where each key belongs, for those who have written it into another table. Which keys a table takes is decided
//! where it is read; a test compares the two.

/// A user of SNMP v3.
const USER: [&str; 7] = [
    "name",
    "auth_protocol",
    "auth_password",
    "auth_password_file",
    "priv_protocol",
    "priv_password",
    "priv_password_file",
];

/// Each table as a file opens it, and its keys.
const TABLES: [(&str, &[&str]); 24] = [
    (
        "the top level",
        &[
            "bridge",
            "mqtt",
            "http",
            "snmp",
            "homeassistant",
            "sparkplug",
            "dead_letter",
            "state",
            "log",
            "devices",
        ],
    ),
    ("[bridge]", &["id"]),
    (
        "[mqtt]",
        &[
            "url",
            "version",
            "prefix",
            "layout",
            "client_id",
            "keep_alive",
            "session_expiry",
            "username",
            "password",
            "password_file",
            "ca",
            "certificate",
            "key",
            "tls",
            "embedded",
        ],
    ),
    ("[mqtt.tls]", &["fingerprint", "insecure"]),
    ("[mqtt.embedded]", &["listen", "websocket"]),
    ("[http]", &["listen", "token", "token_file", "hosts"]),
    (
        "[snmp]",
        &["traps", "communities", "communities_file", "users", "agent"],
    ),
    ("[snmp.traps]", &["listen"]),
    ("[[snmp.users]]", &USER),
    (
        "[snmp.agent]",
        &[
            "listen",
            "communities",
            "communities_file",
            "root",
            "users",
            "sinks",
        ],
    ),
    ("[[snmp.agent.users]]", &USER),
    (
        "[[snmp.agent.sinks]]",
        &["address", "community", "community_file", "user"],
    ),
    ("[snmp.agent.sinks.user]", &USER),
    (
        "[homeassistant]",
        &["enabled", "discovery_prefix", "status_topic"],
    ),
    ("[sparkplug]", &["enabled", "group", "edge_node", "primary_host"]),
    ("[dead_letter]", &["repeat", "keep"]),
    ("[state]", &["directory"]),
    ("[log]", &["level", "format"]),
    (
        "[[devices]]",
        &[
            "id",
            "url",
            "username",
            "password",
            "password_file",
            "proxy",
            "auth",
            "poll",
            "jitter",
            "timeout",
            "connect_timeout",
            "offline_after",
            "profile",
            "tls",
            "slots",
            "http_sessions",
            "allow_unverified_writes",
            "command_timeout",
            "snmp",
        ],
    ),
    (
        "[devices.snmp]",
        &[
            "address",
            "community",
            "community_file",
            "write_community",
            "write_community_file",
            "user",
            "read",
            "events",
            "timeout",
            "retries",
            "trap_sources",
            "engine_id",
            "sys_name",
        ],
    ),
    ("[devices.snmp.user]", &USER),
    ("[devices.tls]", &["ca", "fingerprint", "insecure"]),
    ("[devices.http_sessions]", &["enabled", "max_count"]),
    ("slots of [[devices]]", &["relays"]),
];

/// Words by which one could mean anything.
const ANYTHING: [&str; 3] = ["name", "user", "version"];

/// The tables that take this key: only those within the section of `path` where there are any.
pub(super) fn of(key: &str, path: &str) -> Option<String> {
    if ANYTHING.contains(&key) {
        return None;
    }
    let tables = TABLES.iter().filter(|(_, keys)| keys.contains(&key));
    let tables: Vec<_> = tables.map(|(table, _)| *table).collect();
    let section = path.split(['.', '[']).next().unwrap_or_default();
    let is_near = |table: &&&str| !section.is_empty() && table.contains(&format!("[{section}"));
    let near: Vec<_> = tables.iter().filter(is_near).copied().collect();
    match (near.as_slice(), tables.as_slice()) {
        ([], []) => None,
        ([], tables) => Some(tables.join(" or ")),
        (near, _) => Some(near.join(" or ")),
    }
}
