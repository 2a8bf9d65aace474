//! The devices: which ones, who we are there, whose certificate is theirs, and what they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::prompt::Prompt;
use super::{Failure, password};
use crate::cli::output;
use crate::cli::probe::configuration::device_id;
use crate::cli::probe::examine::examine_all;
use crate::cli::probe::failure::{Unanswered, as_options};
use crate::cli::probe::settings;
use crate::cli::probe::targets::{self, Target};
use crate::cli::table::{plain, table};
use crate::config::{Device, Secret};
use crate::model::Snapshot;
use crate::tls::{self, Trust};

/// Where the password may be, instead of a file.
pub(super) const PASSWORD_VARIABLE: &str = "LANTIME2MQTT_INIT_DEVICE_PASSWORD";
/// Time for each request: as `probe` has it.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Args)]
pub(super) struct DeviceOptions {
    /// A device: https://10.0.0.7, or its host alone. Give it again for each further one.
    #[arg(long, value_name = "URL")]
    device: Vec<String>,
    /// The devices of this file: a line has a URL or host, and a label behind it if you like; `#` begins a comment.
    #[arg(long, value_name = "FILE")]
    devices_from: Option<PathBuf>,
    /// User name at the devices; the access level "info" is enough.
    #[arg(long, value_name = "NAME")]
    device_username: Option<String>,
    /// File with the password at the devices; without it, the variable LANTIME2MQTT_INIT_DEVICE_PASSWORD is taken, or it is
    /// asked for.
    #[arg(long, value_name = "FILE")]
    device_password_file: Option<PathBuf>,
    /// Accept certificates of devices that a CA in this PEM file has signed.
    #[arg(long, value_name = "FILE")]
    device_ca: Option<PathBuf>,
}

/// The devices, with the login that they share.
pub(super) struct Answers {
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) devices: Vec<Found>,
}

/// A device, and what it has answered.
pub(super) struct Found {
    pub(super) id: String,
    /// With the certificate that is accepted.
    pub(super) device: Device,
    pub(super) snapshot: Option<Snapshot>,
    failed: Option<Unanswered>,
}

/// Asks for what the options leave open.
pub(super) fn ask(options: &DeviceOptions, prompt: &mut Prompt<'_>) -> Result<Answers, Failure> {
    let mut targets: Vec<_> = options.device.iter().map(|url| Target::new(url)).collect();
    if let Some(file) = &options.devices_from {
        targets.extend(targets::read(file)?);
    }
    let are_given = !targets.is_empty();
    if !are_given {
        let question = "First device (URL or host), or a file with a list of them";
        targets = ask_targets(question, "10.0.0.7", options, prompt)?;
    }
    let username = match &options.device_username {
        Some(name) => name.clone(),
        None if !prompt.is_interactive => "info".to_owned(),
        None => prompt.ask("User name at the device", "info", "--device-username")?,
    };
    let file = options.device_password_file.as_deref();
    let question = format!("Password of {username} at the device");
    let password = password(
        file,
        PASSWORD_VARIABLE,
        &question,
        "--device-password-file",
        prompt,
    )?;
    if !are_given {
        targets.extend(ask_more(options, prompt)?);
    }
    let ca = options.device_ca.as_deref();
    let read = |target: &Target| read(target, &username, password.expose(), ca);
    let devices: Result<Vec<_>, _> = targets.iter().map(read).collect();
    let devices = devices.map_err(Failure::Usage)?;
    Ok(Answers {
        username,
        password,
        devices: devices.into_iter().map(Found::unanswered).collect(),
    })
}

fn ask_more(options: &DeviceOptions, prompt: &mut Prompt<'_>) -> Result<Vec<Target>, Failure> {
    let question = "Another device with the same user and password (empty for no more)";
    let mut targets = Vec::new();
    loop {
        let more = ask_targets(question, "", options, prompt)?;
        if more.is_empty() {
            return Ok(targets);
        }
        targets.extend(more);
    }
}

/// Asks until there is a URL, a host or a file; an empty answer is none where `example` is empty.
fn ask_targets(
    question: &str,
    example: &str,
    options: &DeviceOptions,
    prompt: &mut Prompt<'_>,
) -> Result<Vec<Target>, Failure> {
    loop {
        let answer = prompt.ask(question, "", "--device or --devices-from")?;
        let targets = match Path::new(&answer) {
            _ if answer.is_empty() && example.is_empty() => return Ok(Vec::new()),
            _ if answer.is_empty() => Err(format!("Write a URL or a host, such as {example}.")),
            file if file.is_file() => targets::read(file).map_err(|error| format!("{error:#}")),
            _ => Ok(vec![Target::new(&answer)]),
        };
        // With any password: it is asked for later.
        let checked = targets.and_then(|targets| {
            let check = |target: &Target| read(target, "info", "any", options.device_ca.as_deref());
            targets.iter().try_for_each(|target| check(target).map(drop))?;
            Ok(targets)
        });
        match checked {
            Ok(targets) => return Ok(targets),
            Err(problem) => prompt.say(&problem),
        }
    }
}

/// A device that is asked so; whose certificate is accepted is not known yet, unless there is a CA.
fn read(target: &Target, username: &str, password: &str, ca: Option<&Path>) -> Result<Device, String> {
    let mut keys = toml::Table::new();
    let mut set = |key: &str, value: &str| drop(keys.insert(key.to_owned(), value.into()));
    set("url", &target.url);
    set("username", username);
    set("password", password);
    if let Some(label) = &target.label {
        set("label", label);
    }
    // There is one poll only, so that none is left out while it lasts.
    for key in ["poll", "timeout", "connect_timeout"] {
        set(key, &format!("{}s", TIMEOUT.as_secs()));
    }
    if target.url.starts_with("https:") {
        let trust = match ca {
            Some(ca) => ("ca".to_owned(), whole(ca).into()),
            None => ("insecure".to_owned(), true.into()),
        };
        keys.insert("tls".to_owned(), toml::Table::from_iter([trust]).into());
    }
    match settings::checked(keys) {
        Ok((device, _)) => Ok(device),
        Err(error) => {
            let problems = error.problems.iter();
            let problems: Vec<_> = problems.map(|problem| in_options(&problem.to_string())).collect();
            Err(problems.join("\n"))
        }
    }
}

/// The path, for a configuration that is in another directory.
pub(super) fn whole(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

fn in_options(text: &str) -> String {
    as_options(text)
        .replace("--username", "--device-username")
        .replace("--ca", "--device-ca")
}

impl Found {
    fn unanswered(device: Device) -> Found {
        Found {
            id: String::new(),
            device,
            snapshot: None,
            failed: None,
        }
    }
}

impl Answers {
    /// Gives each device an id that no other one has.
    pub(super) fn name(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        for found in &mut self.devices {
            let others: Vec<_> = taken.iter().map(String::as_str).collect();
            found.id = device_id(&found.device, found.snapshot.as_ref(), &others);
            taken.push(found.id.clone());
        }
    }

    /// Without looking: what no CA of this machine vouches for is refused later.
    pub(super) fn trust_system(&mut self) {
        for found in &mut self.devices {
            let trust = &mut found.device.tls.trust;
            if *trust == Trust::Insecure {
                *trust = Trust::System;
            }
        }
    }

    /// Decides whose certificates are accepted, side by side; gives those that somebody has to accept.
    pub(super) async fn certificates(&mut self) -> anyhow::Result<Vec<(String, tls::Fingerprint)>> {
        let seeing = self.devices.iter().map(|found| {
            let is_open = found.device.tls.trust == Trust::Insecure;
            let url = is_open.then(|| found.device.url.clone());
            tokio::spawn(async move {
                let url = url?;
                let shown = tls::peer_fingerprint(&url, TIMEOUT).await;
                Some((shown, tls::is_trusted_by_system(&url, TIMEOUT).await))
            })
        });
        let seeing: Vec<_> = seeing.collect();
        let mut to_accept = Vec::new();
        for (found, seeing) in self.devices.iter_mut().zip(seeing) {
            match seeing.await.context("a certificate was not looked at")? {
                None => {}
                Some((Err(error), _)) => {
                    found.failed = Some(Unanswered::of_handshake(&error, &found.device));
                    found.device.tls.trust = Trust::System;
                }
                Some((Ok(_), true)) => found.device.tls.trust = Trust::System,
                Some((Ok(shown), false)) => {
                    found.device.tls.trust = Trust::Fingerprint(shown);
                    to_accept.push((found.device.url.clone(), shown));
                }
            }
        }
        Ok(to_accept)
    }

    /// Asks those that have shown a certificate, or need none, and prints a line for each; gives why others have not
    /// answered.
    pub(super) async fn probe(&mut self) -> anyhow::Result<Vec<String>> {
        let asked = self.devices.iter_mut().filter(|found| found.failed.is_none());
        let asked: Vec<_> = asked.collect();
        let devices = asked.iter().map(|found| found.device.clone()).collect();
        for (found, examining) in asked.into_iter().zip(examine_all(devices, false)) {
            let (_, examined) = examining.await.context("a device is not probed to the end")?;
            match examined.result {
                Ok(snapshot) => found.snapshot = Some(snapshot),
                Err(failed) => found.failed = Some(failed),
            }
        }
        self.name();
        let rows: Vec<_> = self.devices.iter().filter_map(row).collect();
        output::print(&table(&rows))?;
        Ok(self.devices.iter().filter_map(failure).collect())
    }
}

fn row(found: &Found) -> Option<[String; 6]> {
    let snapshot = found.snapshot.as_ref()?;
    let known = |text: Option<&crate::model::Text>| plain(text.map_or("unknown", |text| text.as_str()));
    let identity = &snapshot.identity;
    let mut modules: Vec<_> = snapshot
        .relay_modules
        .iter()
        .map(|(slot, _)| slot.to_string())
        .collect();
    modules.sort();
    let modules = match modules.is_empty() {
        true => "no relay module that is known as one".to_owned(),
        false => format!("relay module in {}", modules.join(", ")),
    };
    Some([
        "device ".to_owned(),
        found.device.url.clone(),
        found.id.clone(),
        known(identity.model.as_ref()),
        format!("firmware {}", known(identity.firmware.as_ref())),
        modules,
    ])
}

fn failure(found: &Found) -> Option<String> {
    let (message, remedy) = found.failed.as_ref()?.as_settings();
    let text = format!("{}: {message}\n  remedy: {remedy}", found.device.url);
    Some(in_options(&text))
}
