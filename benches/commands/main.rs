//! Commands at once: as many as there are devices, one for each, published together; from publishing to the reply at a
//! subscriber. Prints a table; judges nothing.
//!
//! ```text
//! cargo bench --bench commands                       100 devices
//! cargo bench --bench commands -- --devices 500      that many
//! ```
//!
//! Beside the bridge it measures the floor: the same requests to the same devices by the same HTTP client, all at once,
//! without bridge, broker and disk. What the bridge adds is the difference.

#[path = "../common/mod.rs"]
mod common;

mod floor;
mod user;

use std::time::Duration;

use clap::Parser;
use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, FleetOptions};

use common::children;
use common::devices::Devices;
use user::User;

/// Measures commands.
#[derive(Debug, Parser)]
struct Options {
    /// Devices, and commands at once.
    #[arg(long, default_value_t = 100)]
    devices: usize,
    /// How often.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is commanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Two requests: the status, the configuration.
    Refresh,
    /// Five: before and after the write the configuration is read, and it is applied.
    RelayEvents,
}

impl Command {
    fn as_str(self) -> &'static str {
        match self {
            Command::Refresh => "refresh",
            Command::RelayEvents => "relay-events",
        }
    }
}

/// The events of relay A in a round: others than in the one before.
pub(crate) fn events(round: usize) -> [&'static str; 1] {
    [["ntp-stopped", "antenna-faulty"][round % 2]]
}

fn main() -> anyhow::Result<()> {
    lantime2mqtt::tls::install_provider();
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    println!("what    command       devices  p50 ms  p99 ms  max ms  (samples)");
    for command in [Command::Refresh, Command::RelayEvents] {
        let devices = devices(options.devices)?;
        let floor = runtime.block_on(floor::measure(&devices, command, options.rounds))?;
        println!("{}", row("floor", command, options.devices, floor));
    }
    let directory = tempfile::tempdir()?;
    let devices = devices(options.devices)?;
    let (_broker, port) = children::mosquitto(directory.path())?;
    let _bridge = children::bridge(&devices.config(directory.path(), port)?)?;
    runtime.block_on(async {
        let mut user = User::connect(port, options.devices).await?;
        for command in [Command::Refresh, Command::RelayEvents] {
            let bridge = user.measure(command, options.rounds).await?;
            println!("{}", row("bridge", command, options.devices, bridge));
        }
        anyhow::Ok(())
    })
}

fn devices(count: usize) -> anyhow::Result<Devices> {
    Devices::start(FleetOptions {
        devices: count,
        kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20)],
        ..FleetOptions::default()
    })
}

fn row(what: &str, command: Command, devices: usize, mut times: Vec<Duration>) -> String {
    times.sort();
    let millis = |index: usize| times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    let percentile = |p: usize| millis((times.len() * p).div_ceil(100).max(1) - 1);
    format!(
        "{what:<7} {:<12}  {devices:>7}  {:>6.1}  {:>6.1}  {:>6.1}  ({})",
        command.as_str(),
        percentile(50),
        percentile(99),
        percentile(100),
        times.len()
    )
}
