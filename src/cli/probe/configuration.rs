//! The configuration at the end of what `probe` prints. What nobody could see at the device stays a comment.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::{Auth, Device, ProfileChoice, Proxy};
use crate::model::derive::{RelayEvents, Slots, slots};
use crate::model::{Relay, SlotView, Snapshot, id::to_id};
use crate::tls::Trust;

/// An id for this device, of its host name, that no other one has.
pub(super) fn device_id(snapshot: &Snapshot, taken: &[&str]) -> String {
    let host = snapshot.identity.hostname.as_deref();
    let id = host.and_then(|host| to_id(host.split('.').next()?));
    let id = id.unwrap_or_else(|| "lantime-1".to_owned());
    let numbered = (2..).map(|number| format!("{id}-{number}"));
    let mut candidates = std::iter::once(id.clone()).chain(numbered);
    candidates.find(|id| !taken.contains(&id.as_str())).unwrap_or(id)
}

/// A configuration that polls this device.
pub(super) fn configuration(
    id: &str,
    device: &Device,
    password_file: Option<&Path>,
    snapshot: &Snapshot,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "[[devices]]\nid = \"{id}\"\nurl = \"{}\"", device.url);
    let _ = writeln!(out, "username = {}", toml::Value::String(device.username.clone()));
    let password_file = match password_file {
        Some(path) => path.display().to_string(),
        None => format!("/etc/lantime2mqtt/{id}.password"),
    };
    let _ = writeln!(out, "password_file = {}", toml::Value::String(password_file));
    match &device.tls.trust {
        Trust::Fingerprint(pin) => drop(writeln!(out, "tls.fingerprint = \"{pin}\"")),
        Trust::Ca(path) => drop(writeln!(
            out,
            "tls.ca = {}",
            toml::Value::String(path.display().to_string())
        )),
        Trust::Insecure => drop(writeln!(
            out,
            "tls.insecure = true    # better: the tls.fingerprint that probe prints"
        )),
        Trust::System | Trust::None => {}
    }
    match device.auth {
        Auth::Auto => {}
        Auth::Basic => out.push_str("auth = \"basic\"\n"),
        Auth::Bearer => out.push_str("auth = \"bearer\"\n"),
    }
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match &device.profile {
        ProfileChoice::Auto => {}
        ProfileChoice::BuiltIn(name) => drop(writeln!(out, "profile = {}", quoted(name))),
        ProfileChoice::File(path) => drop(writeln!(out, "profile = {}", quoted(&path.display().to_string()))),
    }
    match &device.proxy {
        Proxy::Bypass => {}
        Proxy::System => out.push_str("proxy = \"system\"\n"),
        // It may hold a password.
        Proxy::Url(_) => out.push_str("proxy = \"...\"    # as given to probe\n"),
    }
    let chassis = snapshot.chassis_kind();
    let found = slots(
        snapshot,
        chassis,
        &Slots::Auto,
        &RelayEvents::new(),
        &Default::default(),
        jiff::Timestamp::UNIX_EPOCH,
    );
    if found.is_empty() {
        out.push_str("# No slot holds a module that this profile knows as a relay module:\n");
        out.push_str("# slots = [{ id = \"io1\", relays = { a = \"clk1\", b = \"pps\", c = \"10mhz\" } }]\n");
        return out;
    }
    out.push_str(
        "# No interface reports the jumpers on a module. What is commented out is the usual wiring of this kind\n\
         # of chassis: compare it with the module, correct it if it differs, and replace the line above with it.\n\
         slots = [\n",
    );
    for (slot, SlotView { wiring, .. }) in &found {
        let Some((wiring, _)) = wiring else { continue };
        let [a, b, c] = Relay::ALL.map(|relay| wiring.driver(relay));
        let _ = writeln!(
            out,
            "  {{ id = \"{slot}\" }},\n  # {{ id = \"{slot}\", relays = {{ a = \"{a}\", b = \"{b}\", c = \"{c}\" }} }},"
        );
    }
    out.push_str("]\n");
    out
}
