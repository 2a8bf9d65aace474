//! Commands to many devices at once: how long it takes from publish to reply, beside what the simulated devices
//! themselves take for the same requests. Prints a table; judges nothing.
//!
//! ```text
//! cargo bench --bench commands                       100 commands at once to 100 devices
//! cargo bench --bench commands -- --devices 500
//! ```

// The load run uses more of it.
#[allow(dead_code)]
#[path = "../load/children.rs"]
mod children;
mod floor;
mod sender;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};

use sender::Sender;

/// Measures commands.
#[derive(Debug, Parser)]
struct Options {
    /// Devices, each of which gets one command at a time.
    #[arg(long, default_value_t = 100)]
    devices: usize,
    /// How often they all get one.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A command, and what it costs: the requests that the bridge makes for it, one after the other.
struct Kind {
    name: &'static str,
    topic: &'static str,
    requests: usize,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "refresh",
        topic: "refresh",
        requests: 2,
    },
    // Poll, read, write, apply, read back.
    Kind {
        name: "relay-events",
        topic: "io4/relay/a/events/set",
        requests: 5,
    },
];

fn main() -> anyhow::Result<()> {
    lantime2mqtt::tls::install_provider();
    let options = Options::parse();
    let directory = tempfile::tempdir()?;
    let (_broker, port) = children::mosquitto(directory.path())?;
    let devices = options.devices;
    let (fleet, _stop) = serve(devices)?;
    let config = configuration(&fleet, directory.path(), port)?;
    let _bridge = children::bridge(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut sender = Sender::connect(port).await?;
        sender.until_online(devices).await?;
        println!("command        devices  devices alone p50/p99 ms   publish to reply p50/p99/max ms");
        for kind in KINDS {
            let mut alone = Vec::new();
            let mut replies = Vec::new();
            for round in 0..options.rounds {
                alone.extend(floor::requests(&fleet, kind.requests).await?);
                // Each time another set, so that there is something to write.
                let event = ["ntp-stopped", "antenna-faulty"][round % 2];
                let payload = format!("{{\"replace\":[\"{event}\"]}}");
                replies.extend(sender.round(devices, kind.topic, &payload).await?);
            }
            alone.sort_unstable();
            replies.sort_unstable();
            let ms = |times: &[Duration], percent: usize| {
                let index = (times.len() * percent).div_ceil(100).max(1) - 1;
                times[index].as_secs_f64() * 1000.0
            };
            println!(
                "{:<14} {devices:>7}  {:>12.1} / {:<8.1}   {:>14.1} / {:.1} / {:.1}",
                kind.name,
                ms(&alone, 50),
                ms(&alone, 99),
                ms(&replies, 50),
                ms(&replies, 99),
                ms(&replies, 100),
            );
        }
        Ok(())
    })
}

/// Redundant systems that tell relays apart, served by a thread of their own until the sender is dropped.
fn serve(devices: usize) -> anyhow::Result<(Fleet, tokio::sync::oneshot::Sender<()>)> {
    let options = FleetOptions {
        devices,
        kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20)],
        ..FleetOptions::default()
    };
    let (started, fleet) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let _ = started.send(Fleet::start(options).await);
            let _ = stopped.await;
        });
    });
    Ok((fleet.recv()??, stop))
}

fn configuration(fleet: &Fleet, directory: &Path, port: u16) -> anyhow::Result<PathBuf> {
    let mut text = String::from("[bridge]\nid = \"bench\"\n[http]\nlisten = \"off\"\n");
    let state = directory.join("state");
    write!(
        text,
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n[state]\ndirectory = {state:?}\n{}",
        fleet.bridge_config(Duration::from_secs(10))
    )?;
    let file = directory.join("bridge.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}
