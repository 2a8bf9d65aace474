//! What the devices themselves take: the requests of a command, to all of them at once.

use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use lantime2mqtt::config;
use lantime2mqtt::lantime::relay_events::RelayConfig;
use lantime2mqtt::lantime::rest::{HttpClients, Profiles, RestClient, RestError};
use lantime2mqtt::model::EventName;
use tokio::task::JoinSet;

use super::common::devices::Devices;
use super::{Command, events};

/// How long each command takes.
pub(crate) async fn measure(
    devices: &Devices,
    command: Command,
    rounds: usize,
) -> anyhow::Result<Vec<Duration>> {
    let directory = tempfile::tempdir()?;
    let file = devices.config(directory.path(), 1)?;
    let config = config::load(&file, std::iter::empty())?.config;
    let mut http = HttpClients::default();
    let mut clients = Vec::new();
    for device in &config.devices {
        let mut client = RestClient::new(http.for_device(device)?, device);
        client.use_tokens();
        clients.push(client);
    }
    let mut times = Vec::new();
    // The first one connects.
    for round in 0..=rounds {
        let mut all = JoinSet::new();
        for client in clients.drain(..) {
            all.spawn(carry_out(client, command, round));
        }
        while let Some(done) = all.join_next().await {
            let (client, time) = done??;
            clients.push(client);
            times.extend((round > 0).then_some(time));
        }
    }
    Ok(times)
}

async fn carry_out(
    mut client: RestClient,
    command: Command,
    round: usize,
) -> anyhow::Result<(RestClient, Duration)> {
    let profiles = Profiles::built_in();
    let profile = profiles.for_version(Some(20));
    let begin = Instant::now();
    client.status(profile.into()).await.map_err(failed)?;
    let body = client.relay_events(profile).await.map_err(failed)?;
    if command == Command::RelayEvents {
        let desired = events(round)
            .into_iter()
            .filter_map(EventName::canonical)
            .collect();
        let plan = RelayConfig::read(&body, profile)?.plan("io4-relay-a", &desired);
        ensure!(!plan.is_empty(), "each round chooses other events");
        client
            .write_relay_events(profile, plan.body(profile))
            .await
            .map_err(failed)?;
        client
            .apply(profile, Duration::from_secs(10))
            .await
            .map_err(failed)?;
        client.relay_events(profile).await.map_err(failed)?;
    }
    Ok((client, begin.elapsed()))
}

fn failed(error: RestError) -> anyhow::Error {
    anyhow!(error.report.message)
}
