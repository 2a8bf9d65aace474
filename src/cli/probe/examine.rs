//! Asks a device once, and collects what it says of itself and how it can be asked. Nothing is ever written there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::description::describe;
use super::failure::Unanswered;
use crate::config::{Auth, Device, ProfileChoice, Proxy};
use crate::lantime::relay_events::RelayConfig;
use crate::lantime::rest::client::Paths;
use crate::lantime::rest::status;
use crate::lantime::rest::{HttpClients, Profile, Profiles, RestClient};
use crate::model::{Relay, RelayPlace, Signal, Snapshot};
use crate::tls;

/// Devices that are asked at a time: a login costs a LANTIME, and whoever waits for forty of them, some seconds.
const AT_A_TIME: usize = 8;

/// What one device has answered.
pub(in crate::cli) struct Examined {
    /// What was found until it failed, a line for each fact.
    pub(in crate::cli) text: String,
    pub(in crate::cli) result: Result<Snapshot, Unanswered>,
    /// The relays for which the device has events selected; none where that cannot be read.
    pub(in crate::cli) selected: Vec<RelayPlace>,
}

/// Asks all of them, some at a time; the answers come in the order of the devices. Serial numbers are masked, unless
/// `show_serials`.
pub(in crate::cli) fn examine_all(
    devices: Vec<Device>,
    show_serials: bool,
) -> Vec<JoinHandle<(Device, Examined)>> {
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    let begin = |device: Device| {
        let permits = Arc::clone(&permits);
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let examined = examine(&device, show_serials).await;
            (device, examined)
        })
    };
    devices.into_iter().map(begin).collect()
}

/// What the device says of itself, and how it can be asked.
pub(in crate::cli) async fn examine(device: &Device, show_serials: bool) -> Examined {
    let mut text = String::new();
    let mut selected = Vec::new();
    let result = ask(device, show_serials, &mut text, &mut selected).await;
    Examined {
        text,
        result,
        selected,
    }
}

/// The profiles that the setting names.
///
/// # Errors
/// When there is none of that name, or its file cannot be read.
pub(in crate::cli) fn profiles(profile: &ProfileChoice) -> anyhow::Result<Profiles> {
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

async fn ask(
    device: &Device,
    show_serials: bool,
    text: &mut String,
    selected: &mut Vec<RelayPlace>,
) -> Result<Snapshot, Unanswered> {
    let profiles = profiles(&device.profile).map_err(|error| Unanswered::NoProfile(format!("{error:#}")))?;
    let certificate = match device.url.starts_with("https:") {
        true => Some(see_certificate(device, text).await?),
        false => None,
    };
    let client = HttpClients::default().for_device(device);
    let mut client = RestClient::new(client.map_err(Unanswered::NoClient)?, device);
    let paths = Paths::from(profiles.for_version(None));
    let answer = client.status(paths).await;
    let answer = answer.map_err(|error| Unanswered::failed(error, certificate))?;
    let _ = writeln!(
        text,
        "round trip    {:.1} ms, {} bytes",
        answer.round_trip.as_secs_f64() * 1e3,
        answer.body.len()
    );
    let reading = status::read(&answer.body, &profiles, &device.url).map_err(|error| {
        let url = format!("{}{}", device.url, paths.status);
        Unanswered::failed(answer.not_understood(&url, &error), None)
    })?;
    let profile = profiles.for_version(reading.snapshot.api_major());
    let relay_events = try_relay_events(&mut client, &reading.snapshot, profile, selected).await;
    let login = try_tokens(&mut client, device, &reading.snapshot, profile, paths).await;
    *text += &describe(&reading, profile, &relay_events, show_serials);
    let _ = writeln!(text, "login         {login}");
    let cookies: Vec<_> = client.cookie_names().collect();
    if !cookies.is_empty() {
        let cookies = cookies.join(", ");
        let _ = writeln!(
            text,
            "cookie        {cookies}: kept, so that all polls share a session"
        );
    }
    Ok(reading.snapshot)
}

/// The fingerprint of the certificate that the device shows, before anything is sent to it.
async fn see_certificate(device: &Device, text: &mut String) -> Result<tls::Fingerprint, Unanswered> {
    let seen = tls::peer_fingerprint(&device.url, device.connect_timeout).await;
    let seen = seen.map_err(|error| Unanswered::of_handshake(&error, device))?;
    let _ = writeln!(text, "certificate   {seen}");
    if device.proxy != Proxy::Bypass {
        text.push_str("              (as seen without the proxy)\n");
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

/// What comes of asking for the configuration that chooses the events of the relays, with those for which events are
/// `selected`. Nothing is ever written.
async fn try_relay_events(
    client: &mut RestClient,
    snapshot: &Snapshot,
    profile: &Profile,
    selected: &mut Vec<RelayPlace>,
) -> String {
    let body = match client.relay_events(profile).await {
        Ok(body) => body,
        Err(error) => return format!("nothing: {} ({})", error.report.message, error.report.kind),
    };
    let config = match RelayConfig::read(&body, profile) {
        Ok(config) => config,
        Err(error) => return format!("something else: {error}"),
    };
    let mut actions: BTreeMap<String, Vec<RelayPlace>> = BTreeMap::new();
    for (slot, _) in &snapshot.relay_modules {
        let can_follow = |relay: &Relay| relay.possible_inputs().contains(&Signal::Notification);
        for relay in Relay::ALL.into_iter().filter(can_follow) {
            let action = profile.relay_events.action(slot, relay);
            let slot = slot.clone();
            actions
                .entry(action)
                .or_default()
                .push(RelayPlace { slot, relay });
        }
    }
    let mut found = "it can be read".to_owned();
    for (action, mut relays) in actions {
        let count = config.events_of(&action).len();
        let _ = write!(found, ", events with {action:?}: {count}");
        // Of an action that several have in common it is not known whose it is.
        if count > 0 && relays.len() == 1 {
            selected.append(&mut relays);
        }
    }
    if config.is_pending() {
        found.push_str(", with changes that are not applied");
    }
    found
}
