//! Where each key belongs, for those who have written it into another table. Which keys a table takes is decided
//! where it is read; a test compares the two.

use crate::wording::nearest;

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
    ("[bridge]", &["id", "answer_unknown"]),
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
            "fail_fast",
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

/// A key for one value, and its like for several: a table takes one of the two.
const ONE_AND_SEVERAL: [(&str, &str); 2] = [
    ("community", "communities"),
    ("community_file", "communities_file"),
];

/// What to do about a key that the table at `path` does not take; it takes those that are `known`.
pub(super) fn remedy(key: &str, path: &str, known: &[&'static str]) -> String {
    if let Some(remedy) = one_or_several(key, path, known) {
        return remedy;
    }
    match (of(key, path), nearest(key, known)) {
        (Some(places), _) => format!("it belongs into {places}"),
        (None, Some(near)) => format!("did you mean {near}?"),
        (None, None) => format!("known here: {}", known.join(", ")),
    }
}

/// Where a table within the section of `path` takes the like of the key.
fn one_or_several(key: &str, path: &str, known: &[&str]) -> Option<String> {
    let like = ONE_AND_SEVERAL.iter().find_map(|&(one, several)| match key {
        _ if key == one => Some(several),
        _ if key == several => Some(one),
        _ => None,
    })?;
    let place = match within(&tables(like), path) {
        _ if known.contains(&like) => "here".to_owned(),
        near if near.is_empty() => return None,
        near => format!("in {}", near.join(" or ")),
    };
    let places = tables(key).join(" or ");
    Some(format!("write {like} {place}, or {key} in {places}"))
}

/// The tables that take this key: only those within the section of `path` where there are any.
fn of(key: &str, path: &str) -> Option<String> {
    if ANYTHING.contains(&key) {
        return None;
    }
    let tables = tables(key);
    let places = match within(&tables, path) {
        near if near.is_empty() => tables,
        near => near,
    };
    (!places.is_empty()).then(|| places.join(" or "))
}

fn tables(key: &str) -> Vec<&'static str> {
    let tables = TABLES.iter().filter(|(_, keys)| keys.contains(&key));
    tables.map(|(table, _)| *table).collect()
}

/// Those of the tables that are within the section of `path`.
fn within(tables: &[&'static str], path: &str) -> Vec<&'static str> {
    let section = path.split(['.', '[']).next().unwrap_or_default();
    let is_near = |table: &&&str| !section.is_empty() && table.contains(&format!("[{section}"));
    tables.iter().filter(is_near).copied().collect()
}
