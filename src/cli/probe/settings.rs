//! The devices that the options of `probe` describe, checked as a configuration is.

use std::io::{self, Write as _};
use std::sync::Arc;

use super::failure::as_options;
use super::targets::{self, Target};
use super::{Failure, Options};
use crate::config::{self, ConfigError, Device, Problem};

/// The environment variable that the password is taken from.
const PASSWORD_VARIABLE: &str = "LANTIME2MQTT_PROBE_PASSWORD";

/// One for each URL, and for each line of the file.
pub(super) fn devices(options: &Options) -> Result<Vec<Device>, Failure> {
    let mut targets: Vec<_> = options.urls.iter().map(|url| Target::new(url)).collect();
    if let Some(file) = &options.from {
        targets.extend(targets::read(file)?);
    }
    if options.fingerprint.is_some() && targets.len() > 1 {
        let message =
            "--fingerprint is that of one device: probe each with its own, or give --ca for all of them";
        return Err(Failure::Usage(message.to_owned()));
    }
    targets.iter().map(|target| device(target, options)).collect()
}

/// What the options say, checked as the configuration is.
fn device(target: &Target, options: &Options) -> Result<Device, Failure> {
    let mut keys = toml::Table::new();
    let mut set = |key: &str, value: &str| drop(keys.insert(key.to_owned(), value.into()));
    set("url", &target.url);
    if let Some(label) = &target.label {
        set("label", label);
    }
    set("username", &options.username);
    match (&options.password_file, std::env::var(PASSWORD_VARIABLE)) {
        (Some(file), _) => set("password_file", &file.display().to_string()),
        (None, Ok(password)) => set("password", &password),
        (None, Err(_)) => {
            let message = format!("no password: give --password-file, or set {PASSWORD_VARIABLE}");
            return Err(Failure::Usage(message));
        }
    }
    set("auth", &options.auth);
    set("proxy", &options.proxy);
    set("profile", &options.profile);
    let timeout = format!("{}s", options.timeout);
    // There is one poll only, so that none is left out while it lasts.
    set("poll", &timeout);
    set("timeout", &timeout);
    set("connect_timeout", &timeout);
    let mut tls = toml::Table::new();
    if let Some(pin) = &options.fingerprint {
        tls.insert("fingerprint".to_owned(), pin.as_str().into());
    }
    if let Some(ca) = &options.ca {
        tls.insert("ca".to_owned(), ca.display().to_string().into());
    }
    if options.insecure {
        tls.insert("insecure".to_owned(), true.into());
    }
    if !tls.is_empty() {
        keys.insert("tls".to_owned(), tls.into());
    }
    // What the options say is refused is the command line's fault, not a configuration's.
    let (device, warnings) = checked(keys).map_err(|error| Failure::Usage(as_options(&error.to_string())))?;
    for warning in &warnings {
        // Where nobody reads stderr the answer is worth having all the same.
        let _ = writeln!(io::stderr(), "warning: {}", as_options(&warning.to_string()));
    }
    Ok(device)
}

/// A device with these keys, but for its id, and what is doubtful about it.
///
/// # Errors
/// With every problem there is.
pub(in crate::cli) fn checked(mut keys: toml::Table) -> Result<(Device, Vec<Problem>), ConfigError> {
    keys.insert("id".to_owned(), "probe".into());
    let mut values = toml::Table::new();
    values.insert("devices".to_owned(), vec![toml::Value::from(keys)].into());
    // Nothing is published, but no configuration is whole without a bridge and a broker.
    for (section, key, value) in [("bridge", "id", "probe"), ("mqtt", "url", "embedded")] {
        let keys = toml::Table::from_iter([(key.to_owned(), value.into())]);
        values.insert(section.to_owned(), keys.into());
    }
    let mut loaded = config::from_table("the command line", values)?;
    let device = Arc::unwrap_or_clone(loaded.config.devices.remove(0));
    Ok((device, loaded.warnings))
}
