//! `simulate`: simulated devices alone, until the process gets a signal to stop.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::run::Signals;
use super::{Failure, block_on, output};
use crate::simulator::{
    ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, Scenario, SnmpOptions, TrapReceiver, TrapWay,
};
use crate::wording::count;

/// Most devices that are listed one by one.
const MAX_LISTED: usize = 20;
/// What is used where nobody gives a password. No secret, and so printed.
const USUAL_PASSWORD: &str = "simulated";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How many devices.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    devices: u16,
    /// Port of the first device, the others follow; 0 takes free ones.
    #[arg(long, default_value_t = 8880)]
    port: u16,
    /// Address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Serve https, with a self-signed certificate: a new one at each start.
    #[arg(long)]
    https: bool,
    /// What moves the devices and breaks them; see `config/scenarios`.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Only this chassis; both in turn otherwise.
    #[arg(long, value_enum)]
    chassis: Option<ChassisName>,
    /// Only this generation of the REST API; all in turn otherwise.
    #[arg(long, value_enum)]
    api: Option<ApiName>,
    /// The user of all devices, who may read and change their configuration.
    #[arg(long, default_value = "bridge")]
    username: String,
    /// The user's password.
    #[arg(
        long,
        default_value = USUAL_PASSWORD,
        env = "LANTIME2MQTT_SIMULATE_PASSWORD",
        hide_env_values = true
    )]
    password: String,
    /// UDP port of the first device's SNMP agent, the others follow; 0 takes free ones. Without it there is no SNMP.
    /// Communities are public, and private for writing; the v3 user is simulator (SHA-256 simulated-auth, AES-128
    /// simulated-priv).
    #[arg(long, value_name = "PORT")]
    snmp_port: Option<u16>,
    /// Who gets every event as an SNMP v2c trap with the community public; may be given several times.
    #[arg(long, value_name = "HOST:PORT", requires = "snmp_port")]
    trap_receiver: Vec<String>,
    /// Write the `[[devices]]` of a bridge's configuration that polls these devices to this file.
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChassisName {
    M3000,
    M500,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ApiName {
    #[value(name = "10")]
    V10,
    #[value(name = "16")]
    V16,
    #[value(name = "20")]
    V20,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let scenario = options.scenario.as_deref().map(read_scenario).transpose()?;
    let snmp = snmp(options.snmp_port, &options.trap_receiver).await?;
    let fleet = Fleet::start(FleetOptions {
        devices: options.devices.into(),
        listen: options.listen,
        first_port: options.port,
        https: options.https,
        kinds: kinds(options.chassis, options.api),
        username: options.username.clone(),
        password: options.password.clone(),
        snmp,
        ..FleetOptions::default()
    })
    .await?;
    if let Some(scenario) = &scenario {
        let ids: Vec<_> = fleet.devices().iter().map(|device| device.id()).collect();
        scenario.check_devices(&ids)?;
    }
    if let Some(file) = &options.write_config {
        std::fs::write(file, fleet.bridge_config(Duration::from_secs(1)))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    // Whoever reads it may leave: the devices are served all the same.
    output::print(&introduction(&fleet, &options))?;
    tokio::select! {
        () = signals.stop() => {}
        never = play(&fleet, scenario.as_ref()) => match never {},
    }
    fleet.stop().await;
    Ok(())
}

async fn snmp(first_port: Option<u16>, receivers: &[String]) -> anyhow::Result<Option<SnmpOptions>> {
    let Some(first_port) = first_port else {
        return Ok(None);
    };
    let mut options = SnmpOptions {
        first_port,
        ..SnmpOptions::default()
    };
    for receiver in receivers {
        let found = tokio::net::lookup_host(receiver).await;
        let address = found.ok().and_then(|mut addresses| addresses.next());
        let address = address.with_context(|| {
            format!("cannot find the trap receiver {receiver}: write HOST:PORT of one that resolves")
        })?;
        let community = options.read_community.clone();
        let way = TrapWay::V2c {
            community,
            inform: false,
        };
        options.receivers.push(TrapReceiver { address, way });
    }
    Ok(Some(options))
}

/// What a person needs to let a bridge, or anything else, talk to these devices.
fn introduction(fleet: &Fleet, options: &Options) -> String {
    let mut text = format!("{}:\n\n", count(fleet.devices().len(), "simulated device"));
    for device in fleet.devices().iter().take(MAX_LISTED) {
        let DeviceKind { chassis, api, .. } = device.kind();
        let (id, model, api, url) = (device.id(), chassis.model(), api.api_version(), device.url());
        let agent = device.snmp_address().map(|address| format!("  snmp {address}"));
        text += &format!(
            "  {id:<7} {model:<5}  API {api}  {url}{}\n",
            agent.unwrap_or_default()
        );
    }
    if let Some(last) = fleet.devices().get(MAX_LISTED..).and_then(<[_]>::last) {
        let left_out = fleet.devices().len() - MAX_LISTED;
        text += &format!(
            "  .. {left_out} more, the last of them {} {}\n",
            last.id(),
            last.url()
        );
    }
    let username = &options.username;
    let password = match options.password.as_str() {
        USUAL_PASSWORD => USUAL_PASSWORD,
        _ => "(as given)",
    };
    text += &format!("\n  user {username}, password {password}, at all of them\n");
    if let Some(certificate) = fleet.certificate() {
        text += &format!("  certificate {}\n", certificate.fingerprint());
    }
    text += "\n";
    text += &match &options.scenario {
        Some(file) => format!("What happens to them: {}\n", file.display()),
        None => {
            // The lively one is for two devices at least, that with all faults for any number.
            let name = if fleet.devices().len() < 2 {
                "faults"
            } else {
                "lively"
            };
            format!(
                "Nothing happens to them: add --scenario FILE, such as config/scenarios/{name}.toml of the source tree.\n"
            )
        }
    };
    text += &match &options.write_config {
        Some(file) => format!("The [[devices]] of a bridge for them: {}", file.display()),
        None => "The [[devices]] of a bridge for them: add --write-config FILE".to_owned(),
    };
    text += "; above those it needs\n\n  \
             [mqtt]\n  url = \"mqtt://127.0.0.1:1883\"     # or \"embedded\"\n  \
             [state]\n  directory = \"state\"               # it must be able to write there\n";
    if let Some(receiver) = options.trap_receiver.first() {
        text += &format!("  [snmp]\n  traps.listen = \"{receiver}\"\n  communities = [\"public\"]\n");
    }
    if options.snmp_port.is_some() {
        text += "\n  over SNMP: communities public (read) and private (write)\n";
    }
    text += "\nCtrl-C ends it.\n";
    text
}

fn read_scenario(file: &Path) -> anyhow::Result<Scenario> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Scenario::parse(&text).with_context(|| format!("scenario {}", file.display()))
}

/// Plays the scenario, if there is one; the devices are served on after its end.
async fn play(fleet: &Fleet, scenario: Option<&Scenario>) -> Infallible {
    if let Some(scenario) = scenario {
        fleet.play(scenario, CancellationToken::new()).await;
    }
    std::future::pending().await
}

fn kinds(chassis: Option<ChassisName>, api: Option<ApiName>) -> Vec<DeviceKind> {
    let matches = |kind: &DeviceKind| {
        let chassis_fits = match chassis {
            None => true,
            Some(ChassisName::M3000) => kind.chassis == Chassis::M3000,
            Some(ChassisName::M500) => kind.chassis == Chassis::M500,
        };
        let api_fits = match api {
            None => true,
            Some(ApiName::V10) => kind.api == ApiGeneration::V10,
            Some(ApiName::V16) => kind.api == ApiGeneration::V16,
            Some(ApiName::V20) => kind.api == ApiGeneration::V20,
        };
        chassis_fits && api_fits
    };
    // The default fleet has every chassis with every generation.
    FleetOptions::default()
        .kinds
        .into_iter()
        .filter(matches)
        .collect()
}
