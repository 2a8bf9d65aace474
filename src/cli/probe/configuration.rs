//! The configuration at the end of what `probe` prints. What nobody could see at the device stays a comment.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::{Auth, Device, ProfileChoice, Proxy};
use crate::model::derive::{RelayEvents, Slots, slots};
use crate::model::{Relay, SlotView, Snapshot, id::to_id};
use crate::tls::Trust;

/// Where a device's user name and password stand.
pub(in crate::cli) enum Login {
    /// With the device; without a file, by its id beside the usual configuration.
    Own(Option<PathBuf>),
    /// In `[device_defaults]`; with the CA of all devices, if they have one.
    Shared { ca: bool },
}

/// An id for this device that no other one has: of the host name that it reports, or of its label. One that has not
/// answered may have that of its address.
pub(in crate::cli) fn device_id(device: &Device, snapshot: Option<&Snapshot>, taken: &[&str]) -> String {
    let reported = snapshot.and_then(|snapshot| snapshot.identity.hostname.as_deref());
    let id = reported.and_then(|host| to_id(host.split('.').next()?));
    let id = id.or_else(|| device.place.label.as_deref().and_then(to_id));
    let id = id.or_else(|| match snapshot {
        Some(_) => None,
        None => to_id(&host_of(&device.url)),
    });
    let id = id.unwrap_or_else(|| "lantime-1".to_owned());
    let numbered = (2..).map(|number| format!("{id}-{number}"));
    let mut candidates = std::iter::once(id.clone()).chain(numbered);
    candidates.find(|id| !taken.contains(&id.as_str())).unwrap_or(id)
}

fn host_of(url: &str) -> String {
    let url = reqwest::Url::parse(url);
    let host = url.as_ref().ok().and_then(|url| url.host_str());
    host.unwrap_or_default().trim_matches(['[', ']']).to_owned()
}

/// A configuration that polls this device; of one that has not answered, without its slots.
pub(in crate::cli) fn configuration(
    id: &str,
    device: &Device,
    login: &Login,
    snapshot: Option<&Snapshot>,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "[[devices]]\nid = \"{id}\"");
    if let Some(label) = &device.place.label {
        let _ = writeln!(out, "label = {}", toml::Value::String(label.to_string()));
    }
    let _ = writeln!(out, "url = \"{}\"", device.url);
    if let Login::Own(password_file) = login {
        let _ = writeln!(out, "username = {}", toml::Value::String(device.username.clone()));
        let password_file = match password_file {
            Some(path) => path.display().to_string(),
            None => format!("/etc/lantime2mqtt/{id}.password"),
        };
        let _ = writeln!(out, "password_file = {}", toml::Value::String(password_file));
    }
    add_settings(&mut out, device, matches!(login, Login::Shared { ca: true }));
    if let Some(snapshot) = snapshot {
        add_slots(&mut out, snapshot, matches!(login, Login::Own(_)));
    }
    out
}

/// What else `probe` was asked with.
fn add_settings(out: &mut String, device: &Device, is_ca_shared: bool) {
    match &device.tls.trust {
        Trust::Ca(_) if is_ca_shared => {}
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
}

/// What is said once for all devices, if it is not said for each.
pub(in crate::cli) const ABOUT_WIRING: &str = "\
# No interface reports the jumpers on a module. What is commented out below is the usual wiring of that kind
# of chassis: compare it with the module, correct it if it differs, and replace the line above with it.
";

fn add_slots(out: &mut String, snapshot: &Snapshot, is_explained: bool) {
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
        return;
    }
    if is_explained {
        out.push_str(ABOUT_WIRING);
    }
    out.push_str("slots = [\n");
    for (slot, SlotView { wiring, .. }) in &found {
        let Some((wiring, _)) = wiring else { continue };
        let [a, b, c] = Relay::ALL.map(|relay| wiring.driver(relay));
        let _ = writeln!(
            out,
            "  {{ id = \"{slot}\" }},\n  # {{ id = \"{slot}\", relays = {{ a = \"{a}\", b = \"{b}\", c = \"{c}\" }} }},"
        );
    }
    out.push_str("]\n");
}
