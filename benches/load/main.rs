//! The load run: simulated devices in this process, the bridge in another, a real mosquitto between it and
//! a subscriber. Prints a table; judges nothing.
//!
//! ```text
//! cargo bench --bench load                       10, 100 and 1,000 devices over http, 200 over https
//! cargo bench --bench load -- --devices 5000     one run
//! ```
//!
//! Beside the bridge it measures the floor: the same HTTP client asking the same devices on the same ticks,
//! doing nothing with the answers.

#[path = "../common/mod.rs"]
mod common;

mod floor;
mod measure;
mod subscriber;

use std::time::Duration;

use clap::Parser;

/// Measures the bridge under load.
#[derive(Debug, Parser)]
struct Options {
    /// Only this many devices.
    #[arg(long)]
    devices: Option<usize>,
    /// Over https.
    #[arg(long)]
    https: bool,
    /// How long is measured, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How long runs before, in seconds.
    #[arg(long, default_value_t = 8)]
    warm_up: u64,
    /// Ask only the devices in this file, as the floor does; the bench calls itself with it.
    #[arg(long, hide = true)]
    floor: Option<std::path::PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    lantime2mqtt::tls::install_provider();
    let options = Options::parse();
    if let Some(file) = &options.floor {
        return floor::run(file);
    }
    let runs = match options.devices {
        Some(devices) => vec![(devices, options.https)],
        None => vec![(10, false), (100, false), (1000, false), (200, true)],
    };
    println!("{}", measure::HEADER);
    for (devices, https) in runs {
        let load = measure::Load {
            devices,
            https,
            warm_up: Duration::from_secs(options.warm_up),
            measured: Duration::from_secs(options.seconds),
        };
        println!("{}", load.floor()?);
        println!("{}", load.bridge()?);
    }
    Ok(())
}
