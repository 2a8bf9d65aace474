//! Passwords and TLS, alike for broker and devices: from the file itself or from files it names.

use std::path::{Path, PathBuf};

use super::Secret;
use super::parse;
use super::problem::{Complaint, complaint};
use super::section::Section;
use crate::tls::{ClientTls, Identity, Trust};

/// Where systemd shows a service what only root can read, and to nobody else.
const CREDENTIALS: &str = "/run/credentials";

/// `password` or `password_file`.
pub(super) fn password(section: &mut Section<'_>) -> Option<Secret> {
    secret(section, "password", "password_file")
}

/// The secret that stands under `key`, or in the file that `file` names.
pub(super) fn secret(section: &mut Section<'_>, key: &'static str, file: &'static str) -> Option<Secret> {
    let inline = section.filled(key).map(Secret::new);
    if section.has(key) {
        refuse_both(section, key, file);
        return inline;
    }
    read_file(section, file)
}

/// The secrets that stand under `key`, or in the file that `file` names: one a line.
pub(super) fn secrets(section: &mut Section<'_>, key: &'static str, file: &'static str) -> Vec<Secret> {
    let inline = section.texts(key);
    if section.has(key) {
        refuse_both(section, key, file);
        let inline = inline.unwrap_or_default();
        if inline.iter().any(String::is_empty) {
            section.refuse(
                key,
                complaint("one of them is empty", "write a value, or leave it out"),
            );
        }
        return inline.into_iter().map(Secret::new).collect();
    }
    let Some(text) = read_file(section, file) else {
        return Vec::new();
    };
    let lines = text.expose().lines().filter(|line| !line.is_empty());
    lines.map(Secret::new).collect()
}

fn refuse_both(section: &mut Section<'_>, key: &'static str, file: &'static str) {
    let _ = section.path(file);
    if section.has(file) {
        let what = format!("given together with {key}");
        section.refuse(file, complaint(what, "leave one of them out"));
    }
}

fn read_file(section: &mut Section<'_>, key: &'static str) -> Option<Secret> {
    let path = section.path(key)?;
    if is_world_readable(&path) {
        let what = "readable by every user of this machine";
        let remedy = format!("run chmod 600 {}", path.display());
        section.warn(key, complaint(what, remedy));
    }
    let read = secret_of(&path);
    read.map_err(|complaint| section.refuse(key, complaint)).ok()
}

/// The file's text without the newline at its end, which editors add.
fn secret_of(path: &Path) -> Result<Secret, Complaint> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = match path.starts_with(CREDENTIALS) {
            true => {
                "systemd makes it for the service alone (LoadCredential=): what the check says that runs before each \
                 start is in the journal"
            }
            false => "create it, and let the user of this process read it",
        };
        complaint(format!("cannot read {name}: {error}"), remedy)
    })?;
    // Its error would show the bytes.
    let text = String::from_utf8(bytes).map_err(|_| {
        complaint(
            format!("{name} is not UTF-8 text"),
            "write the password alone into it",
        )
    })?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    match secret {
        "" => Err(complaint(
            format!("{name} is empty"),
            "write the password into it",
        )),
        _ => Ok(Secret::new(secret)),
    }
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_: &Path) -> bool {
    false
}

/// `tls.fingerprint`, `ca` or `tls.insecure`; `ca` stands elsewhere for the broker than for a device.
/// `None` only together with a problem.
pub(super) fn trust(tls: &mut Section<'_>, ca: Option<PathBuf>) -> Option<Trust> {
    let fingerprint = tls.parsed("fingerprint", parse::fingerprint);
    let insecure = tls.flag("insecure").unwrap_or(false);
    if insecure {
        let what = "any certificate is accepted, so anybody in between can read the password";
        tls.warn("insecure", complaint(what, "write fingerprint or ca instead"));
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
            tls.refuse("", complaint(what, "leave all but one out"));
            None
        }
    }
}

/// `certificate` and `key`.
pub(super) fn identity(section: &mut Section<'_>) -> Option<Identity> {
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
    section.refuse(
        lone,
        complaint("one without the other", "write both certificate and key"),
    );
    None
}

/// Notes what cannot be loaded, with the section that `ca` stands in.
pub(super) fn check_trust(section: &Section<'_>, trust: Option<&Trust>) {
    let Some(trust) = trust.cloned() else { return };
    let tls = ClientTls {
        trust,
        identity: None,
    };
    if let Some(what) = section.context().tls_fault(&tls) {
        section.refuse("ca", complaint(what, "name a PEM file with the CA's certificate"));
    }
}

/// Notes a client certificate that cannot be loaded.
pub(super) fn check_identity(section: &Section<'_>, identity: Option<&Identity>) {
    let Some(identity) = identity.cloned() else { return };
    // Trust is checked apart, so that each fault is noted with its own key.
    let tls = ClientTls {
        trust: Trust::Insecure,
        identity: Some(identity),
    };
    if let Some(what) = section.context().tls_fault(&tls) {
        let remedy = "name PEM files with the certificate chain and with its private key";
        section.refuse("certificate", complaint(what, remedy));
    }
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
        section.refuse(
            key,
            complaint(what, format!("leave it out, or write {scheme} in the URL")),
        );
    }
}
