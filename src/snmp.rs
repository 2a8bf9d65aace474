//! What the sides of SNMP share: users of SNMP v3 as the library takes them, and the engine that this process is
//! for others, whose id and boots are kept on disk.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_snmp::MasterKeys;
use async_snmp::v3::{AuthoritativeEngine, PersistedAuthoritativeEngine, generate_engine_id};
use async_snmp::v3::{CryptoResult, UsmConfig, UsmUser};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{AuthProtocol, PrivProtocol, SnmpUser, from_hex};

/// Name of the file in the state directory that keeps the engine.
pub const ENGINE_FILE: &str = "snmp-engine.json";

/// The algorithms and keys of a user, for what that user sends to this process.
///
/// # Errors
/// When no keys can be made of the passwords.
pub fn inbound(user: &SnmpUser, known: UsmUser) -> CryptoResult<UsmUser> {
    let (auth, privacy) = algorithms(user);
    let (auth_password, priv_password) = (user.auth_password.expose(), user.priv_password.expose());
    known.auth_priv(auth, auth_password, privacy, priv_password)
}

/// A user, for what this process sends. Its keys are made of the passwords here, which takes a while: keep it.
///
/// # Errors
/// When no keys can be made of the passwords.
pub fn outbound(user: &SnmpUser) -> CryptoResult<UsmConfig> {
    let (auth, privacy) = algorithms(user);
    let (auth_password, priv_password) = (user.auth_password.expose(), user.priv_password.expose());
    let keys =
        MasterKeys::new(auth, auth_password.as_bytes())?.with_privacy(privacy, priv_password.as_bytes())?;
    UsmConfig::new(user.name.clone()).with_master_keys(keys)
}

fn algorithms(user: &SnmpUser) -> (async_snmp::AuthProtocol, async_snmp::PrivProtocol) {
    let auth = match user.auth {
        AuthProtocol::Sha1 => async_snmp::AuthProtocol::Sha1,
        AuthProtocol::Sha256 => async_snmp::AuthProtocol::Sha256,
        AuthProtocol::Sha512 => async_snmp::AuthProtocol::Sha512,
    };
    let privacy = match user.privacy {
        PrivProtocol::Aes128 => async_snmp::PrivProtocol::Aes128,
        PrivProtocol::Aes256 => async_snmp::PrivProtocol::Aes256Blumenthal,
    };
    (auth, privacy)
}

/// Ports below it belong to the system.
const FIRST_FREE_PORT: u16 = 1024;

/// Why nothing can listen at `address`, which stands under `key` of the configuration, and what to do.
pub fn cannot_listen(key: &str, address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied if port < FIRST_FREE_PORT => format!(
            "ports below {FIRST_FREE_PORT} need the capability CAP_NET_BIND_SERVICE: write \
             AmbientCapabilities=CAP_NET_BIND_SERVICE into the [Service] of the systemd unit, or run setcap \
             cap_net_bind_service=+ep on the program; or set {key} to a port from {FIRST_FREE_PORT} on"
        ),
        io::ErrorKind::AddrInUse => format!(
            "another program has port {port} (ss -ulpn 'sport = :{port}' shows which): stop that, or set {key} to a free port"
        ),
        _ => format!("set {key} to an address of this machine and a free port, or to \"off\""),
    };
    format!("cannot listen on UDP {address}: {error}; {remedy}")
}

/// Why there is no engine.
#[derive(Debug, Error)]
#[error("cannot keep the SNMP engine's boots in {path}: {error}; let the user of this process write there")]
pub struct EngineError {
    path: PathBuf,
    error: Box<dyn std::error::Error + Send + Sync>,
}

/// What is kept of an engine.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// In hexadecimal digits.
    engine_id: String,
    boots: u32,
}

/// The engine that this process is for others. Its boots are counted up, and on disk, when this returns: a
/// receiver of SNMP v3 drops, without a word, what comes with boots that it has seen before. A file that cannot
/// be understood is set aside, and the engine gets a new id.
///
/// # Errors
/// When the file cannot be read or written.
pub fn engine(directory: &Path) -> Result<AuthoritativeEngine, EngineError> {
    let path = directory.join(ENGINE_FILE);
    start(&path).map_err(|error| EngineError { path, error })
}

/// An engine that is not kept: for SNMP v1 and v2c, which know of none.
///
/// # Errors
/// When the system has no random numbers.
pub fn passing_engine() -> Result<AuthoritativeEngine, Box<async_snmp::Error>> {
    AuthoritativeEngine::install(new_engine_id()?, |_| Ok::<(), Infallible>(()))
}

/// An engine id in the form of RFC 3411: octets (5) that an enterprise assigns itself. The project has no enterprise
/// number, so it is net-snmp's, as with the root of the bridge's MIB, and random numbers keep it apart.
fn new_engine_id() -> Result<Vec<u8>, Box<async_snmp::Error>> {
    let random = generate_engine_id()?;
    let prefix = [0x80, 0x00, 0x1f, 0x88, 0x05];
    Ok(prefix.into_iter().chain(random.into_iter().take(12)).collect())
}

fn start(path: &Path) -> Result<AuthoritativeEngine, Box<dyn std::error::Error + Send + Sync>> {
    let kept = match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let known = kept.as_deref().and_then(parse);
    if kept.is_some() && known.is_none() {
        let aside = path.with_extension("json.damaged");
        fs::rename(path, &aside)?;
        tracing::error!(
            "{} is malformed, and is now {}; this bridge has a new engine id: configure it at the receivers of its SNMP v3 traps",
            path.display(),
            aside.display()
        );
    }
    let file = path.to_owned();
    let keep = move |engine: &PersistedAuthoritativeEngine| write(&file, engine);
    Ok(match known {
        Some(known) => AuthoritativeEngine::restart(known, keep)?,
        None => AuthoritativeEngine::install(new_engine_id()?, keep)?,
    })
}

fn parse(bytes: &[u8]) -> Option<PersistedAuthoritativeEngine> {
    let kept: Kept = serde_json::from_slice(bytes).ok()?;
    PersistedAuthoritativeEngine::new(from_hex(&kept.engine_id)?, kept.boots).ok()
}

/// Whole, or not at all.
fn write(path: &Path, engine: &PersistedAuthoritativeEngine) -> io::Result<()> {
    let kept = Kept {
        engine_id: hex(engine.engine_id()),
        boots: engine.engine_boots(),
    };
    let next = path.with_extension("json.next");
    let mut file = File::create(&next)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The rename itself.
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Hexadecimal digits of octets.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_keeps_its_id_and_counts_its_boots() {
        let directory = tempfile::tempdir().unwrap();
        let first = engine(directory.path()).unwrap();
        assert_eq!(first.engine_boots(), 1);
        assert_eq!(
            (&first.engine_id()[..5], first.engine_id().len()),
            (&[0x80, 0, 0x1f, 0x88, 5][..], 17)
        );
        let second = engine(directory.path()).unwrap();
        assert_eq!(second.engine_id(), first.engine_id());
        assert_eq!(second.engine_boots(), 2);
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(ENGINE_FILE);
        for damaged in [
            "",
            "{}",
            r#"{"engine_id":"zz","boots":1}"#,
            r#"{"engine_id":"00","boots":1}"#,
        ] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(engine(directory.path()).unwrap().engine_boots(), 1, "{damaged}");
            assert_eq!(
                fs::read_to_string(directory.path().join("snmp-engine.json.damaged")).unwrap(),
                damaged
            );
        }
    }

    #[test]
    fn an_engine_whose_boots_cannot_be_kept_is_none() {
        let error = engine(Path::new("/proc/nowhere")).unwrap_err();
        assert!(
            error.to_string().contains("/proc/nowhere/snmp-engine.json"),
            "{error}"
        );
    }

    #[test]
    fn an_address_that_cannot_be_listened_at_is_reported_with_its_remedy() {
        let reported = |address: &str, kind: io::ErrorKind| {
            cannot_listen("snmp.agent.listen", address.parse().unwrap(), &kind.into())
        };
        let denied = reported("0.0.0.0:161", io::ErrorKind::PermissionDenied);
        for part in [
            "0.0.0.0:161",
            "CAP_NET_BIND_SERVICE",
            "setcap",
            "snmp.agent.listen",
        ] {
            assert!(denied.contains(part), "{denied}");
        }
        let taken = reported("0.0.0.0:1161", io::ErrorKind::AddrInUse);
        assert!(taken.contains("another program has port 1161"), "{taken}");
        let denied = reported("0.0.0.0:1161", io::ErrorKind::PermissionDenied);
        assert!(!denied.contains("CAP_NET_BIND_SERVICE"), "{denied}");
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(from_hex("80fF01"), Some(vec![0x80, 0xff, 1]));
        assert_eq!(hex(&[0x80, 0xff, 1]), "80ff01");
        for text in ["8", "800", "+1", "0x", "ä"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
