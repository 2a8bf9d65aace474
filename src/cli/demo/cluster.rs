//! `demo --bridges`: several bridges that work as one, as processes of their own, with an etcd and a broker. Now and then one of
//! them is killed, and the story says what becomes of its devices.

mod configuration;
mod processes;
mod published;
mod scene;
mod servers;
mod take_overs;

use std::time::{Duration, Instant};

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::time::interval;

use super::super::output;
use super::super::run::Signals;
use super::devices::{OF_STORY, fleet_options};
use super::{Options, TOKEN, USUAL_MQTT_PORT, end, play};
use crate::config::Mqtt;
use crate::mqtt::connection::{Delivery, Event, Purpose};
use crate::mqtt::link::{Link, until};
use crate::simulator::Fleet;
use configuration::Ports;
use published::FILTERS;
use scene::Scene;
use servers::Programs;
use take_overs::TakeOvers;

/// Between two looks whether all still run.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn demo(options: Options, bridges: u8) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let programs = Programs::find()?;
    let mut ports = Ports::take(&options, bridges)?;
    let fleet = Fleet::start(fleet_options(OF_STORY, &ports.receivers())).await?;
    let mut scene = Scene::new()?;
    let started = Instant::now();
    let mut take_overs = TakeOvers::new(fleet.devices().len(), options.kill_every);
    let shown = async {
        scene.start(&programs, &mut ports, &fleet).await?;
        match output::print(&introduction(&fleet, &ports, &scene))? {
            true => report(ports.reader()?, &mut scene, &mut take_overs).await,
            false => Ok(()),
        }
    };
    let result = tokio::select! {
        () = end(options.duration) => Ok(()),
        () = signals.stop() => Ok(()),
        result = shown => result,
        never = play(&fleet) => match never {},
    };
    let stopped = tokio::select! {
        () = scene.stop() => Ok(()),
        () = signals.stop_again() => Err(anyhow!("stopped at once by a second signal")),
    };
    if stopped.is_err() {
        scene.kill().await;
    }
    let summary = take_overs.summary(started.elapsed());
    let summary = output::print(&format!("\n{summary}\n"));
    fleet.stop().await;
    result.and(stopped).and(summary.map(drop))
}

/// Prints what happens, and makes it happen; ends when nobody reads any more.
async fn report(reader: Mqtt, scene: &mut Scene, take_overs: &mut TakeOvers) -> anyhow::Result<()> {
    let mut link = Link::new(reader, Purpose::ReadingBack { is_beside: true });
    let mut looks = interval(LOOK_EVERY);
    loop {
        let (action, lines) = tokio::select! {
            event = link.next() => (None, on_event(event, &link, take_overs)),
            () = until(take_overs.due()) => {
                let (action, line) = take_overs.act(tokio::time::Instant::now());
                (action, Vec::from_iter(line))
            }
            _ = looks.tick() => match scene.ended() {
                Some(error) => return Err(error),
                None => continue,
            },
        };
        let now = Timestamp::now().strftime("%H:%M:%S%.3fZ");
        let text: String = lines.iter().map(|line| format!("{now}  {line}\n")).collect();
        if !output::print(&text)? {
            return Ok(());
        }
        if let Some(action) = action {
            scene.act(action).await?;
        }
    }
}

fn on_event(event: Event, link: &Link, take_overs: &mut TakeOvers) -> Vec<String> {
    match event {
        Event::Connected(_) => {
            let filters = FILTERS.map(str::to_owned).to_vec();
            if let Some(client) = link.client() {
                client.subscribe(filters, Delivery::WithStored);
            }
            Vec::new()
        }
        Event::Received(message, _) => {
            take_overs.take(&message.topic, &message.payload, tokio::time::Instant::now())
        }
        Event::Sent(_) | Event::Acked { .. } | Event::Subscribed(_) | Event::Closed(_) => Vec::new(),
    }
}

/// What runs where, and what to try.
fn introduction(fleet: &Fleet, ports: &Ports, scene: &Scene) -> String {
    let mut text = format!(
        "lantime2mqtt {}: simulated devices, and {} bridges that work as one, with an etcd and a broker, all on loopback.\n\n",
        env!("CARGO_PKG_VERSION"),
        ports.bridges.len()
    );
    for device in fleet.devices() {
        let (id, model, url) = (device.id(), device.kind().chassis.model(), device.url());
        text += &format!("  device  {id} ({model}) {url}\n");
    }
    let (mqtt, [etcd, _]) = (ports.mqtt, ports.etcd);
    text += &format!("  broker  mqtt://127.0.0.1:{mqtt}\n  etcd    http://127.0.0.1:{etcd}\n");
    for (id, of_bridge) in ports.bridges() {
        text += &format!("  bridge  {id} http://127.0.0.1:{}/\n", of_bridge.http);
    }
    let at = match mqtt {
        USUAL_MQTT_PORT => String::new(),
        port => format!("-p {port} "),
    };
    text += &format!(
        "  logs    {}\n\nTo change something on a page, unlock it with the token {TOKEN}. Try in another terminal:\n\n  \
         mosquitto_sub {at}-t 'lantime/+/+/relay/+' -v\n  \
         mosquitto_sub {at}-t 'lantime/shard/+/state' -t 'lantime/bridge/+/state' -t 'lantime/+/info' -v\n\n\
         What happens, in UTC (Ctrl-C ends it):\n\n",
        scene.directory().display()
    );
    text
}
