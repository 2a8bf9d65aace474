//! `probe`: asks real devices once, and prints what the bridge would make of them, without secrets.

mod append;
mod configuration;
mod description;
mod failure;
mod settings;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{self, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use self::append::ConfigurationFile;
use self::configuration::{configuration, device_id};
use self::description::describe;
use self::failure::{explain, explain_handshake};
use super::{Failure, block_on, output};
use crate::config::{Auth, Device, ListedDevice, ProfileChoice, Proxy};
use crate::lantime::relay_events::RelayConfig;
use crate::lantime::rest::client::Paths;
use crate::lantime::rest::status;
use crate::lantime::rest::{HttpClients, Profile, Profiles, RestClient};
use crate::logging;
use crate::model::{Relay, Signal, Snapshot};
use crate::tls;
use crate::wording::count;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The device, or several: https://10.0.0.7
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// Append the `[[devices]]` found to this configuration file; without it they are printed.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
    /// User name; the access level "info" is enough.
    #[arg(long, default_value = "info")]
    username: String,
    /// File with the password; without it, the environment variable LANTIME2MQTT_PROBE_PASSWORD is taken.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Accept the certificate with this SHA-256 fingerprint.
    #[arg(long, value_name = "sha256:HEX", conflicts_with_all = ["ca", "insecure"])]
    fingerprint: Option<String>,
    /// Accept a certificate that a CA in this PEM file has signed.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Accept any certificate, and so send the password to whoever answers.
    #[arg(long)]
    insecure: bool,
    /// How to log in.
    #[arg(long, default_value = "auto", value_parser = ["auto", "basic", "bearer"])]
    auth: String,
    /// API profile: auto, a built-in one, or a file.
    #[arg(long, default_value = "auto")]
    profile: String,
    /// The way there: bypass any proxy, system, or a proxy's URL.
    #[arg(long, default_value = "bypass")]
    proxy: String,
    /// Time for each request, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    timeout: u64,
    /// Show serial numbers in full.
    #[arg(long)]
    show_serials: bool,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let devices = settings::devices(&options)?;
    let [first, ..] = &*devices else {
        return Ok(());
    };
    let mut session = Session {
        profiles: profiles(&first.profile)?,
        show_serials: options.show_serials,
        password_file: options.password_file.map(absolute).transpose()?,
        file: options.append.map(ConfigurationFile::read).transpose()?,
        ids: Vec::new(),
    };
    block_on(session.probe_all(&devices))
}

fn absolute(file: PathBuf) -> anyhow::Result<PathBuf> {
    path::absolute(&file).with_context(|| format!("--password-file {}", file.display()))
}

fn profiles(profile: &ProfileChoice) -> anyhow::Result<Profiles> {
    match profile {
        ProfileChoice::Auto => Ok(Profiles::built_in()),
        ProfileChoice::BuiltIn(name) => Profiles::named(name).ok_or_else(|| {
            anyhow!(
                "no built-in profile {name:?}; there are {}",
                Profiles::names().join(", ")
            )
        }),
        ProfileChoice::File(path) => Ok(Profiles::fixed(Profile::from_file(path)?)),
    }
}

/// What the devices of one call share.
struct Session {
    profiles: Profiles,
    show_serials: bool,
    /// As the configuration names it, whose folder is another one.
    password_file: Option<PathBuf>,
    file: Option<ConfigurationFile>,
    /// Ids that devices found have been given.
    ids: Vec<String>,
}

impl Session {
    /// One after the other. What fails is reported at once if others follow.
    async fn probe_all(&mut self, devices: &[Device]) -> anyhow::Result<()> {
        if let [device] = devices {
            return self.probe(device).await;
        }
        let mut failed = 0;
        for device in devices {
            output::print(&format!("==== {}\n", device.url))?;
            if let Err(error) = self.probe(device).await {
                failed += 1;
                logging::complain(&format!("error: {error:#}"));
            }
            output::print("\n")?;
        }
        match failed {
            0 => Ok(()),
            failed => Err(anyhow!(
                "{failed} of {} could not be probed",
                count(devices.len(), "device")
            )),
        }
    }

    async fn probe(&mut self, device: &Device) -> anyhow::Result<()> {
        let snapshot = self.show(device).await?;
        let taken = self.file.iter().flat_map(ConfigurationFile::ids);
        let taken: Vec<_> = taken.chain(self.ids.iter().map(String::as_str)).collect();
        let id = device_id(&snapshot, &taken);
        let section = configuration(&id, device, self.password_file.as_deref(), &snapshot);
        let text = match &mut self.file {
            Some(file) => {
                let (id, url) = (id.clone(), device.url.clone());
                file.append(ListedDevice { id, url }, &section)?
            }
            None => format!("# A configuration to start from:\n\n{section}"),
        };
        output::print(&format!("\n{text}\n"))?;
        self.ids.push(id);
        Ok(())
    }

    /// Prints what the device says of itself, and how it can be asked.
    async fn show(&self, device: &Device) -> anyhow::Result<Snapshot> {
        let certificate = match device.url.starts_with("https:") {
            true => Some(show_certificate(device).await?),
            false => None,
        };
        let client = HttpClients::default().for_device(device);
        let mut client = RestClient::new(client.map_err(failure::no_client)?, device);
        let paths = Paths::from(self.profiles.for_version(None));
        let answer = client.status(paths).await;
        let answer = answer.map_err(|error| explain(error, device, certificate))?;
        output::print(&format!(
            "round trip    {:.1} ms, {} bytes\n",
            answer.round_trip.as_secs_f64() * 1e3,
            answer.body.len()
        ))?;
        let reading = status::read(&answer.body, &self.profiles, &device.url).map_err(|error| {
            let url = format!("{}{}", device.url, paths.status);
            explain(answer.not_understood(&url, &error), device, None)
        })?;
        let profile = self.profiles.for_version(reading.snapshot.api_major());
        let relay_events = try_relay_events(&mut client, &reading.snapshot, profile).await;
        let login = try_tokens(&mut client, device, &reading.snapshot, profile, paths).await;
        let mut text = describe(&reading, profile, &relay_events, self.show_serials);
        let _ = writeln!(text, "login         {login}");
        let cookies: Vec<_> = client.cookie_names().collect();
        if !cookies.is_empty() {
            let cookies = cookies.join(", ");
            let _ = writeln!(
                text,
                "cookie        {cookies}: kept, so that all polls share a session"
            );
        }
        output::print(&text)?;
        Ok(reading.snapshot)
    }
}

/// The fingerprint of the certificate that the device shows, before anything is sent to it.
async fn show_certificate(device: &Device) -> anyhow::Result<tls::Fingerprint> {
    let seen = tls::peer_fingerprint(&device.url, device.connect_timeout).await;
    let seen = seen.map_err(|error| explain_handshake(&error, device))?;
    output::print(&format!("certificate   {seen}\n"))?;
    if device.proxy != Proxy::Bypass {
        output::print("              (as seen without the proxy)\n")?;
    }
    Ok(seen)
}

/// Which ways of logging in work.
async fn try_tokens(
    client: &mut RestClient,
    device: &Device,
    snapshot: &Snapshot,
    profile: &Profile,
    paths: Paths<'_>,
) -> String {
    let firmware = snapshot.identity.firmware.as_deref().unwrap_or_default();
    match device.auth {
        Auth::Basic => "Basic works".to_owned(),
        Auth::Bearer => "an API token works".to_owned(),
        Auth::Auto if !profile.has_tokens(firmware) => {
            format!(
                "Basic works; API tokens come with firmware {}",
                profile.token.from_firmware
            )
        }
        Auth::Auto => {
            client.use_tokens();
            match client.status(paths).await {
                Ok(_) if client.has_token() => "Basic and an API token work".to_owned(),
                Ok(_) => "Basic works; the device issues no API tokens".to_owned(),
                Err(error) => format!("Basic works; with an API token: {}", error.report.message),
            }
        }
    }
}

/// What comes of asking for the configuration that chooses the events of the relays. Nothing is ever written.
async fn try_relay_events(client: &mut RestClient, snapshot: &Snapshot, profile: &Profile) -> String {
    let body = match client.relay_events(profile).await {
        Ok(body) => body,
        Err(error) => return format!("nothing: {} ({})", error.report.message, error.report.kind),
    };
    let config = match RelayConfig::read(&body, profile) {
        Ok(config) => config,
        Err(error) => return format!("something else: {error}"),
    };
    let mut actions = BTreeMap::new();
    for (slot, _) in &snapshot.relay_modules {
        let can_follow = |relay: &Relay| relay.possible_inputs().contains(&Signal::Notification);
        for relay in Relay::ALL.into_iter().filter(can_follow) {
            let action = profile.relay_events.action(slot, relay);
            let count = config.events_of(&action).len();
            actions.insert(action, count);
        }
    }
    let mut found = "it can be read".to_owned();
    for (action, count) in actions {
        let _ = write!(found, ", events with {action:?}: {count}");
    }
    if config.is_pending() {
        found.push_str(", with changes that are not applied");
    }
    found
}
