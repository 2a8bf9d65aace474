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
    pub(super) device_ca: Option<PathBuf>,
    /// Leave out devices that do not answer, or answer with an error, and write the others.
    #[arg(long)]
    pub(super) skip_failing: bool,
}

impl DeviceOptions {
    /// With nothing that can be asked for.
    pub(super) fn asked_again(&self) -> DeviceOptions {
        DeviceOptions {
            device_ca: self.device_ca.clone(),
            ..DeviceOptions::default()
        }
    }
}

/// The devices, with the login that they share.
pub(super) struct Answers {
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) devices: Vec<Found>,
    /// URLs of those that were left out.
    pub(super) left_out: Vec<String>,
}

/// A device, and what it has answered.
pub(super) struct Found {
    pub(super) id: String,
    /// With the certificate that is accepted.
    pub(super) device: Device,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) failed: Option<Unanswered>,
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
        None => {
            prompt.say(
                "A user of the device is needed; the access level info is enough. Its name is the one that it was created \
                 with there.",
            );
            prompt.ask("User name at the device", "info", "--device-username")?
        }
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
        left_out: Vec::new(),
    })
}

fn ask_more(options: &DeviceOptions, prompt: &mut Prompt<'_>) -> Result<Vec<Target>, Failure> {
    let question = "Another device with the same user and password: URL or host (empty for no more)";
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
pub(super) fn ask_targets(
    question: &str,
    example: &str,
    options: &DeviceOptions,
    prompt: &mut Prompt<'_>,
) -> Result<Vec<Target>, Failure> {
    loop {
        let answer = prompt.ask(question, "", "--device or --devices-from")?;
        let is_optional = example.is_empty();
        let targets = match Path::new(&answer) {
            _ if is_optional && (answer.is_empty() || is_one_of(&answer, ["n", "no"])) => {
                return Ok(Vec::new());
            }
            // Nobody has a host of that name: it answers a question that was not asked.
            _ if answer.is_empty() || is_one_of(&answer, ["y", "yes"]) || is_one_of(&answer, ["n", "no"]) => {
                let example = if is_optional { "10.0.0.8" } else { example };
                Err(format!("Write a URL or a host, such as {example}."))
            }
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

fn is_one_of(answer: &str, words: [&str; 2]) -> bool {
    words.iter().any(|word| answer.eq_ignore_ascii_case(word))
}

/// A device that is asked so; whose certificate is accepted is not known yet, unless there is a CA.
pub(super) fn read(
    target: &Target,
    username: &str,
    password: &str,
    ca: Option<&Path>,
) -> Result<Device, String> {
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
    pub(super) fn unanswered(device: Device) -> Found {
        Found {
            id: String::new(),
            device,
            snapshot: None,
            failed: None,
        }
    }
}

impl Answers {
    /// Gives each device an id that no other one has. One that has answered keeps its own.
    pub(super) fn name(&mut self) {
        let is_kept = |found: &&Found| found.snapshot.is_some() && !found.id.is_empty();
        let kept = self.devices.iter().filter(is_kept);
        let mut taken: Vec<String> = kept.map(|found| found.id.clone()).collect();
        for found in self.devices.iter_mut() {
            if is_kept(&&*found) {
                continue;
            }
            let others: Vec<_> = taken.iter().map(String::as_str).collect();
            found.id = device_id(&found.device, found.snapshot.as_ref(), &others);
            taken.push(found.id.clone());
        }
    }

    /// The CA of all devices, if that is one.
    pub(super) fn shared_ca(&self) -> Option<&Path> {
        let mut trusts = self.devices.iter().map(|found| &found.device.tls.trust);
        let is_ca = |trust: &Trust| matches!(trust, Trust::Ca(_));
        match trusts.clone().next()? {
            Trust::Ca(ca) if trusts.all(is_ca) => Some(ca),
            _ => None,
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

    /// Asks those that have shown a certificate, or need none, and have not answered before, and prints a line for each;
    /// gives why others have not answered.
    pub(super) async fn probe(&mut self) -> anyhow::Result<Vec<String>> {
        let answered = |found: &Found| found.snapshot.is_some();
        let before: Vec<_> = self.devices.iter().map(answered).collect();
        let asked = self.devices.iter_mut();
        let asked: Vec<_> = asked
            .filter(|found| found.failed.is_none() && found.snapshot.is_none())
            .collect();
        let devices = asked.iter().map(|found| found.device.clone()).collect();
        for (found, examining) in asked.into_iter().zip(examine_all(devices, false)) {
            let (_, examined) = examining.await.context("a device is not probed to the end")?;
            match examined.result {
                Ok(snapshot) => found.snapshot = Some(snapshot),
                Err(failed) => found.failed = Some(failed),
            }
        }
        self.name();
        let new = self.devices.iter().zip(before);
        let new = new.filter_map(|(found, was_answered)| (!was_answered).then_some(found));
        let rows: Vec<_> = new.filter_map(row).collect();
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
