//! A user of SNMP v3: for traps, for the agent and its sinks, and of a device.

use serde::Deserialize;

use super::super::problem::Problem;
use super::super::section::Section;
use super::super::{Secret, access};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthProtocol {
    /// HMAC-SHA-1 (RFC 3414).
    Sha1,
    /// HMAC-SHA-256 (RFC 7860).
    Sha256,
    /// HMAC-SHA-512 (RFC 7860).
    Sha512,
}

/// How SNMP v3 encrypts messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrivProtocol {
    /// AES with 128 bits (RFC 3826).
    Aes128,
    /// AES with 256 bits; the keys are extended as net-snmp and most agents do it (Blumenthal).
    Aes256,
}

/// A list of them, such as `[[snmp.users]]`.
pub(super) fn read_all(section: &Section<'_>) -> Vec<SnmpUser> {
    let mut users: Vec<SnmpUser> = Vec::new();
    for table in section.tables("users") {
        let user = read(&table);
        if let Some(user) = &user
            && users.iter().any(|other| other.name == user.name)
        {
            let what = "the name of another user too";
            table.refuse("name", Problem::new(what, "write each user once"));
        }
        users.extend(user);
    }
    users
}

/// `user` of that table, where it has one.
pub(super) fn read_one(section: &Section<'_>) -> Option<SnmpUser> {
    let is_given = section.has("user");
    let table = section.section("user");
    if is_given { read(&table) } else { None }
}

/// The keys of one.
fn read(table: &Section<'_>) -> Option<SnmpUser> {
    let name = table.read("name", user_name);
    let auth_password = read_password(table, "auth_password");
    let priv_password = read_password(table, "priv_password");
    Some(SnmpUser {
        auth: table.choice("auth_protocol"),
        privacy: table.choice("priv_protocol"),
        name: name?,
        auth_password: auth_password?,
        priv_password: priv_password?,
    })
}

fn read_password(table: &Section<'_>, key: &str) -> Option<Secret> {
    let password = access::secret(table, key)?;
    if password.expose().chars().count() < MIN_PASSWORD {
        let what = format!("a password of less than {MIN_PASSWORD} characters");
        let remedy = "SNMPv3 takes longer ones only";
        table.refuse(&access::given(table, key), Problem::new(what, remedy));
        return None;
    }
    Some(password)
}

fn user_name(text: &str) -> Option<String> {
    let is_name = (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control);
    is_name.then(|| text.to_owned())
}
