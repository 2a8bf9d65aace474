//! Passwords and TLS, alike for broker and devices: from the file itself or from files it names.

use std::path::{Path, PathBuf};

use super::Secret;
use super::problem::Problem;
use super::section::Section;
use crate::tls::{ClientTls, Fingerprint, Identity, Trust};

/// Where systemd shows a service what only root can read, and to nobody else.
const CREDENTIALS: &str = "/run/credentials";

/// The secret that stands under `key`, or in the file that `{key}_file` names.
pub(super) fn secret(section: &Section<'_>, key: &str) -> Option<Secret> {
    if section.has(key) {
        refuse_both(section, key);
        return section.filled(key).map(Secret::new);
    }
    read_file(section, key)
}

/// The secrets that stand under `key`, or in the file that `{key}_file` names: one a line.
pub(super) fn secrets(section: &Section<'_>, key: &str) -> Vec<Secret> {
    if section.has(key) {
        refuse_both(section, key);
        let inline = section.texts(key);
        if inline.iter().any(String::is_empty) {
            let remedy = "write a value, or leave it out";
            section.refuse(key, Problem::new("one of them is empty", remedy));
        }
        return inline.into_iter().map(Secret::new).collect();
    }
    let Some(text) = read_file(section, key) else {
        return Vec::new();
    };
    let lines = text.expose().lines().filter(|line| !line.is_empty());
    lines.map(Secret::new).collect()
}

/// Of a secret's two keys the one that is there.
pub(super) fn given(section: &Section<'_>, key: &str) -> String {
    match section.has(key) {
        true => key.to_owned(),
        false => format!("{key}_file"),
    }
}

fn refuse_both(section: &Section<'_>, key: &str) {
    let file = format!("{key}_file");
    if section.has(&file) {
        section.path(&file);
        let what = format!("given together with {key}");
        section.refuse(&file, Problem::new(what, "leave one of them out"));
    }
}

fn read_file(section: &Section<'_>, key: &str) -> Option<Secret> {
    let key = format!("{key}_file");
    let path = section.path(&key)?;
    if is_world_readable(&path) {
        let remedy = format!("run chmod 600 {}", path.display());
        section.warn(
            &key,
            Problem::new("readable by every user of this machine", remedy),
        );
    }
    let read = secret_of(&path);
    read.map_err(|problem| section.refuse(&key, problem)).ok()
}

/// The file's text without the newline at its end, which editors add.
fn secret_of(path: &Path) -> Result<Secret, Problem> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = match path.starts_with(CREDENTIALS) {
            true => {
                "systemd makes it for the service alone (LoadCredential=): what the check says that runs before each \
                 start is in the journal"
            }
            false => "create it, and let the user of this process read it",
        };
        Problem::new(format!("cannot read {name}: {error}"), remedy)
    })?;
    // Its error would show the bytes.
    let not_text = |_| {
        Problem::new(
            format!("{name} is not UTF-8 text"),
            "write the password alone into it",
        )
    };
    let text = String::from_utf8(bytes).map_err(not_text)?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    match secret {
        "" => Err(Problem::new(
            format!("{name} is empty"),
            "write the password into it",
        )),
        _ => Ok(Secret::new(secret)),
    }
}

/// Whether every user of this machine can read that file.
#[cfg(unix)]
pub(crate) fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_world_readable(_: &Path) -> bool {
    false
}

/// `tls.fingerprint`, `ca` or `tls.insecure`; `ca` stands elsewhere for the broker than for a device.
/// `None` only together with a problem.
pub(super) fn trust(tls: &Section<'_>, ca: Option<PathBuf>) -> Option<Trust> {
    let fingerprint = tls.read("fingerprint", Fingerprint::parse);
    let insecure = tls.flag("insecure");
    if insecure {
        let what = "any certificate is accepted, so anybody in between can read the password";
        tls.warn("insecure", Problem::new(what, "write fingerprint or ca instead"));
    }
    if tls.has("fingerprint") && fingerprint.is_none() {
        return None;
    }
    match (fingerprint, ca, insecure) {
        (None, None, false) => Some(Trust::System),
        (Some(fingerprint), None, false) => Some(Trust::Fingerprint(fingerprint)),
        (None, Some(ca), false) => Some(Trust::Ca(ca)),
        (None, None, true) => Some(Trust::Insecure),
        _ => {
            let what = "more than one of fingerprint, ca and insecure";
            tls.refuse("", Problem::new(what, "leave all but one out"));
            None
        }
    }
}

/// `certificate` and `key`.
pub(super) fn identity(section: &Section<'_>) -> Option<Identity> {
    let (certificate, key) = (section.path("certificate"), section.path("key"));
    let lone = match (section.has("certificate"), section.has("key")) {
        (true, false) => "certificate",
        (false, true) => "key",
        _ => {
            return Some(Identity {
                certificate: certificate?,
                key: key?,
            });
        }
    };
    let problem = Problem::new("one without the other", "write both certificate and key");
    section.refuse(lone, problem);
    None
}

/// Notes what cannot be loaded, with the section that `ca` stands in.
pub(super) fn check_trust(section: &Section<'_>, trust: Option<&Trust>) {
    let remedy = "name a PEM file with the CA's certificate";
    if let Some(trust) = trust.cloned() {
        check(section, "ca", remedy, trust, None);
    }
}

/// Notes a client certificate that cannot be loaded.
pub(super) fn check_identity(section: &Section<'_>, identity: Option<&Identity>) {
    let remedy = "name PEM files with the certificate chain and with its private key";
    // Trust is checked apart, so that each fault is noted with its own key.
    check(section, "certificate", remedy, Trust::Insecure, identity.cloned());
}

fn check(section: &Section<'_>, key: &str, remedy: &str, trust: Trust, identity: Option<Identity>) {
    let fault = section.context().tls_fault(&ClientTls { trust, identity });
    fault
        .into_iter()
        .for_each(|what| section.refuse(key, Problem::new(what, remedy)));
}

/// The keys below `tls` that ask for something; `insecure = false` does not.
pub(super) fn tls_keys(trust: Option<&Trust>) -> Vec<&'static str> {
    let insecure = (trust == Some(&Trust::Insecure)).then_some("insecure");
    ["fingerprint", "ca"].into_iter().chain(insecure).collect()
}

/// Refuses each of `keys` that is there.
pub(super) fn refuse_tls(section: &Section<'_>, keys: &[&str], scheme: &str) {
    for key in keys.iter().filter(|key| section.has(key)) {
        let what = "a TLS setting, and the URL is without TLS";
        let remedy = format!("leave it out, or write {scheme} in the URL");
        section.refuse(key, Problem::new(what, remedy));
    }
}
