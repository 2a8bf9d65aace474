//! The configuration that is written.

use std::fmt::Write as _;

use super::broker;
use super::{Failure, devices};
use crate::cli::probe::configuration::{ABOUT_WIRING, Login, configuration};
use crate::config::{self, ConfigError, MqttVersion};
use crate::tls::Trust;

/// Where the secrets are, from the directory of the configuration.
pub(super) const TOKEN_FILE: &str = "secrets/page.token";
pub(super) const BROKER_FILE: &str = "secrets/mqtt.password";
pub(super) const DEVICES_FILE: &str = "secrets/devices.password";

/// That the page can listen there, and that this can be the id of a bridge.
pub(super) fn check(listen: &str, bridge: &str) -> Result<(), Failure> {
    let table = |key: &str, value: &str| toml::Table::from_iter([(key.to_owned(), value.into())]);
    let sections = [
        ("http", table("listen", listen)),
        ("bridge", table("id", bridge)),
        ("mqtt", table("url", "embedded")),
    ];
    let sections = sections.map(|(section, keys)| (section.to_owned(), keys.into()));
    let checked = config::from_table("the answers", toml::Table::from_iter(sections));
    let problem = |error: ConfigError| {
        let problems = error.problems.iter().map(ToString::to_string);
        Failure::Usage(
            Vec::from_iter(problems)
                .join("\n")
                .replace("http.listen", "--http-listen")
                .replace("bridge.id", "--bridge-id"),
        )
    };
    checked.map(drop).map_err(problem)
}

/// All that was answered, without its secrets.
pub(super) fn text(
    bridge: &str,
    broker: &broker::Answers,
    devices: &devices::Answers,
    http_listen: &str,
    state: &str,
) -> String {
    let mut out = String::from(
        "# Written by lantime2mqtt init. config/lantime2mqtt.toml and docs/configuration.md have all keys.\n\n",
    );
    let _ = writeln!(out, "[bridge]\nid = {}\n", quoted(bridge));
    add_broker(&mut out, broker);
    let _ = writeln!(
        out,
        "\n[http]\nlisten = {}\ntoken_file = {}\n\n[state]\ndirectory = {}",
        quoted(http_listen),
        quoted(TOKEN_FILE),
        quoted(state)
    );
    let _ = writeln!(
        out,
        "\n# A device's own key takes precedence.\n[device_defaults]\nusername = {}\npassword_file = {}",
        quoted(&devices.username),
        quoted(DEVICES_FILE)
    );
    let ca = devices.shared_ca();
    if let Some(ca) = ca {
        let _ = writeln!(out, "tls.ca = {}", quoted(&ca.display().to_string()));
    }
    if devices.devices.iter().any(|found| found.snapshot.is_some()) {
        let _ = write!(out, "\n{ABOUT_WIRING}");
    }
    let login = Login::Shared { ca: ca.is_some() };
    for found in &devices.devices {
        let section = configuration(&found.id, &found.device, &login, found.snapshot.as_ref());
        let _ = write!(out, "\n{section}");
    }
    out
}

fn add_broker(out: &mut String, broker: &broker::Answers) {
    let _ = writeln!(out, "[mqtt]\nurl = {}", quoted(&broker.url));
    let settings = &broker.settings;
    if settings.version == MqttVersion::V311 {
        out.push_str("version = \"3.1.1\"\n");
    }
    if let Some(login) = &settings.credentials {
        let _ = writeln!(out, "username = {}", quoted(&login.username));
        let _ = writeln!(out, "password_file = {}", quoted(BROKER_FILE));
    }
    match &settings.tls.trust {
        Trust::Fingerprint(pin) => drop(writeln!(out, "tls.fingerprint = \"{pin}\"")),
        Trust::Ca(ca) => drop(writeln!(out, "ca = {}", quoted(&ca.display().to_string()))),
        Trust::System | Trust::Insecure | Trust::None => {}
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
