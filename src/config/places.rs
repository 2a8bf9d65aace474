//! Where each key belongs, for those who have written it into another table. Which keys a table takes is decided
//! where it is read; a test compares the two.

/// Each table as a file opens it, and its keys.
const TABLES: [(&str, &[&str]); 12] = [
    (
        "the top level",
        &["bridge", "mqtt", "http", "dead_letter", "state", "devices"],
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
    ("[http]", &["listen"]),
    ("[dead_letter]", &["repeat", "keep"]),
    ("[state]", &["directory"]),
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
        ],
    ),
    ("[devices.tls]", &["ca", "fingerprint", "insecure"]),
    ("[devices.http_sessions]", &["enabled", "max_count"]),
    ("slots of [[devices]]", &["relays"]),
];

/// The tables that take this key: only those within the section of `path` where there are any.
pub(super) fn of(key: &str, path: &str) -> Option<String> {
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
