//! A user of SNMP v3: for traps, for the agent and its sinks, and of a device.

use super::super::problem::{Complaint, complaint};
use super::super::section::Section;
use super::super::{Secret, access, parse};

const AUTH: [(&str, AuthProtocol); 3] = [
    ("sha1", AuthProtocol::Sha1),
    ("sha256", AuthProtocol::Sha256),
    ("sha512", AuthProtocol::Sha512),
];
const PRIV: [(&str, PrivProtocol); 2] = [("aes128", PrivProtocol::Aes128), ("aes256", PrivProtocol::Aes256)];

/// RFC 3414 derives keys from passwords of at least so many characters.
const MIN_PASSWORD: usize = 8;
/// RFC 3411: octets of a user's name.
const MAX_NAME: usize = 32;

/// A user of SNMP v3, always with authentication and encryption (authPriv).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpUser {
    /// The securityName.
    pub name: String,
    /// How messages are authenticated.
    pub auth: AuthProtocol,
    /// The password for that.
    pub auth_password: Secret,
    /// How messages are encrypted.
    pub privacy: PrivProtocol,
    /// The password for that.
    pub priv_password: Secret,
}

/// How SNMP v3 authenticates messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthProtocol {
    /// HMAC-SHA-1 (RFC 3414).
    Sha1,
    /// HMAC-SHA-256 (RFC 7860).
    Sha256,
    /// HMAC-SHA-512 (RFC 7860).
    Sha512,
}

/// How SNMP v3 encrypts messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivProtocol {
    /// AES with 128 bits (RFC 3826).
    Aes128,
    /// AES with 256 bits; the keys are extended as net-snmp and most agents do it (Blumenthal).
    Aes256,
}

/// A list of them, such as `[[snmp.users]]`.
pub(super) fn read_all(section: &mut Section<'_>) -> Vec<SnmpUser> {
    let mut users: Vec<SnmpUser> = Vec::new();
    for mut table in section.tables("users") {
        let user = read(&mut table);
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

/// The keys of one.
pub(super) fn read(table: &mut Section<'_>) -> Option<SnmpUser> {
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
