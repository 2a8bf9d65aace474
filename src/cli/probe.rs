//! `probe`: asks a real device once, and prints what the bridge would make of it, without secrets.

mod configuration;
mod description;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use self::configuration::configuration;
use self::description::describe;
use super::{Failure, block_on, output};
use crate::config::{self, Auth, Device, ProfileChoice, Proxy};
use crate::lantime::relay_events::RelayConfig;
use crate::lantime::rest::client::Paths;
use crate::lantime::rest::status;
use crate::lantime::rest::{HttpClients, Profile, Profiles, RestClient, RestError};
use crate::model::{ErrorKind, Relay, Signal, Snapshot};
use crate::tls::{self, Explanation, Fingerprint, Server};

/// The environment variable that the password is taken from.
const PASSWORD_VARIABLE: &str = "LANTIME2MQTT_PROBE_PASSWORD";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The device: https://10.0.0.7
    url: String,
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
    let device = device(&options)?;
    let profiles = profiles(&device.profile)?;
    block_on(probe(&device, &profiles, options.show_serials))
}

/// What the options say, checked as the configuration is.
fn device(options: &Options) -> Result<Device, Failure> {
    let mut keys = toml::Table::new();
    let mut set = |key: &str, value: &str| drop(keys.insert(key.to_owned(), value.into()));
    set("id", "probe");
    set("url", &options.url);
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
    let mut values = toml::Table::new();
    values.insert("devices".to_owned(), vec![toml::Value::from(keys)].into());
    // Nothing is published, but no configuration is whole without a bridge and a broker.
    for (section, key, value) in [("bridge", "id", "probe"), ("mqtt", "url", "embedded")] {
        let keys = toml::Table::from_iter([(key.to_owned(), value.into())]);
        values.insert(section.to_owned(), keys.into());
    }
    // What the options say is refused is the command line's fault, not a configuration's.
    let mut loaded = config::from_table("the command line", values)
        .map_err(|error| Failure::Usage(error.to_string().replace("devices[0] (\"probe\").", "")))?;
    for warning in &loaded.warnings {
        // Where nobody reads stderr the answer is worth having all the same.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    Ok(loaded.config.devices.remove(0))
}

fn profiles(choice: &ProfileChoice) -> anyhow::Result<Profiles> {
    match choice {
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

async fn probe(device: &Device, profiles: &Profiles, show_serials: bool) -> anyhow::Result<()> {
    let mut certificate = None;
    if device.url.starts_with("https:") {
        let seen = tls::peer_fingerprint(&device.url, device.connect_timeout).await;
        let seen = seen.map_err(|error| no_tls(&device.url, &error))?;
        output::print(&format!("certificate   {seen}\n"))?;
        certificate = Some(seen);
        if device.proxy != Proxy::Bypass {
            output::print("              (as seen without the proxy)\n")?;
        }
    }
    let client = HttpClients::default().for_device(device)?;
    let mut client = RestClient::new(client, device);
    let paths = Paths::from(profiles.for_version(None));
    let answer = client
        .status(paths)
        .await
        .map_err(|error| explain(error, certificate))?;
    output::print(&format!(
        "round trip    {:.1} ms, {} bytes\n",
        answer.round_trip.as_secs_f64() * 1e3,
        answer.body.len()
    ))?;
    let reading = status::read(&answer.body, profiles, &device.url).map_err(|error| {
        let url = format!("{}{}", device.url, paths.status);
        explain(answer.not_understood(&url, &error), None)
    })?;
    let profile = profiles.for_version(reading.snapshot.api_major());
    let relay_events = try_relay_events(&mut client, &reading.snapshot, profile).await;
    output::print(&describe(&reading, profile, &relay_events, show_serials))?;
    output::print(&format!(
        "login         {}\n",
        try_tokens(&mut client, device, &reading.snapshot, profile, paths).await
    ))?;
    let cookies: Vec<_> = client.cookie_names().collect();
    if !cookies.is_empty() {
        output::print(&format!(
            "cookie        {}: kept, so that all polls share a session\n",
            cookies.join(", ")
        ))?;
    }
    output::print(&format!(
        "\n# A configuration to start from:\n\n{}\n",
        configuration(device, &reading.snapshot)
    ))?;
    Ok(())
}

fn no_tls(url: &str, error: &std::io::Error) -> anyhow::Error {
    match Explanation::of_io(error, Server::Device) {
        Some(Explanation { cause, remedy }) => {
            anyhow!("no TLS connection to {url}: {cause}\nremedy: {remedy}")
        }
        None => anyhow!("no TLS connection to {url}: {error}"),
    }
}

fn explain(error: RestError, certificate: Option<Fingerprint>) -> anyhow::Error {
    let report = error.report;
    let next = certificate.filter(|_| report.kind == ErrorKind::Tls).map(|seen| {
        format!(
            "\nnothing was sent there; if this is the device's own certificate, run probe with --fingerprint {seen}"
        )
    });
    let body = report
        .body
        .map(|body| format!("\nanswer: {body:?}"))
        .unwrap_or_default();
    anyhow!(
        "{} ({}){body}\nremedy: {}{}",
        report.message,
        report.kind,
        report.remedy,
        next.unwrap_or_default()
    )
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
    let mut words = BTreeMap::new();
    for (slot, _) in &snapshot.relay_modules {
        let can_follow = |relay: &Relay| relay.possible_inputs().contains(&Signal::Notification);
        for relay in Relay::ALL.into_iter().filter(can_follow) {
            let word = profile.relay_events.word(slot, relay);
            let count = config.events_of(&word).len();
            words.insert(word, count);
        }
    }
    let mut found = "it can be read".to_owned();
    for (word, count) in words {
        let _ = write!(found, ", events with {word:?}: {count}");
    }
    if config.is_pending() {
        found.push_str(", with changes that are not applied");
    }
    found
}
