//! `demo`: simulated devices with a lively scenario, an embedded broker and the bridge, in one process on
//! loopback. Prints what it has started and what to try; what happens then is the `story`. With several bridges it is the
//! `cluster`.

mod cluster;
mod devices;
mod earlier_days;
mod history;
mod story;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::Signals;
use super::{Failure, block_on, output};
use crate::app::{Bridge, Setup};
use crate::config::{self, Broker, Config};
use crate::records::store::{self, Store};
use crate::simulator::{Fleet, Scenario};
use devices::{MOST, OF_STORY, fleet_options, table};
use story::Story;

/// Where a broker usually listens, and where clients look for one; taken when it is free.
const USUAL_MQTT_PORT: u16 = 1883;
/// Where the bridge's own HTTP server usually listens; taken when it is free.
const USUAL_HTTP_PORT: u16 = 8080;
/// Where the bridge's own SNMP agent listens; taken when it is free.
const USUAL_AGENT_PORT: u16 = 1161;
/// Who has it may change something on the page. Everybody may know it: these devices are nobody's.
const TOKEN: &str = "only-for-the-demo";
/// Who may ask over SNMP, and send.
const COMMUNITY: &str = "public";
/// Where errors of its configuration are.
const OWN_CONFIG: &str = "the demo's own configuration";
/// How often a device is polled, and one of many.
const POLL: Duration = Duration::from_secs(1);
const POLL_OF_MANY: Duration = Duration::from_secs(5);
/// So many devices are many.
const MANY: usize = 20;
/// Changes that wait to be printed; of more than that the latest of each device are.
const LINES_WAITING: usize = 1024;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// End after this time (30s, 5m), with a summary; otherwise Ctrl-C ends it.
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Port of the broker; by default 1883, or a free one where that is taken.
    #[arg(long)]
    mqtt_port: Option<u16>,
    /// Port of the bridge's HTTP server; by default 8080, or a free one where that is taken.
    #[arg(long)]
    http_port: Option<u16>,
    /// How many devices: the three of the story, and others, some of which are in trouble. 20 or more are polled every 5 s,
    /// fewer every second.
    #[arg(
        long, value_name = "NUMBER", conflicts_with = "bridges", default_value_t = OF_STORY as u16,
        value_parser = clap::value_parser!(u16).range(OF_STORY as i64..=i64::from(MOST))
    )]
    devices: u16,
    /// So many bridges that work as one, 2 to 5, with an etcd and a mosquitto, which must be installed (Debian: etcd-server,
    /// mosquitto). Now and then one of them is killed, and another one goes on. The pages have ports from that of --http-port
    /// on.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(2..=5))]
    bridges: Option<u8>,
    /// With several bridges: how often one is killed.
    #[arg(long, value_name = "DURATION", requires = "bridges", default_value = "40s", value_parser = parse_duration)]
    kill_every: Duration,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|parsed| Duration::try_from(parsed).ok());
    let parsed = parsed.filter(|parsed| !parsed.is_zero());
    parsed.ok_or_else(|| "write a number above 0 and a unit, such as 30s".to_owned())
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    match options.bridges {
        Some(bridges) => block_on(cluster::demo(options, bridges)),
        None => block_on(demo(options)),
    }
}

async fn demo(options: Options) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    // Held until the bridge takes it, so that nothing of the fleet does.
    let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let receiver = held.local_addr()?;
    let fleet = Fleet::start(fleet_options(options.devices.into(), &[receiver])).await?;
    let config = bridge_config(&fleet, &options, receiver)?;
    let (sink, changes) = mpsc::channel(LINES_WAITING);
    let store = Store::in_memory(store::Options::new(config.bridge.id.clone()));
    history::fill(&store, &fleet, &config).await?;
    devices::trouble(&fleet)?;
    let setup = Setup {
        store,
        sink: Some(sink),
        has_socket: false,
    };
    drop(held);
    let mut bridge = Bridge::start(config, setup).await?;

    let started = Instant::now();
    let mut story = Story::default();
    let introduction = introduction(&fleet, &bridge);
    let reported = async {
        match output::print(&introduction)? {
            true => story.print(changes).await,
            false => Ok(()),
        }
    };
    let result = tokio::select! {
        () = end(options.duration) => Ok(()),
        () = signals.stop() => Ok(()),
        reported = reported => reported,
        never = play(&fleet) => match never {},
        error = bridge.failed() => Err(error),
    };
    let stopped = tokio::select! {
        stopped = bridge.stop() => stopped,
        () = signals.stop_again() => Err(anyhow!("stopped at once by a second signal")),
    };
    let devices = fleet.devices().iter();
    let polls = devices.map(|device| device.counters().requests as usize).sum();
    let summary = output::print(&format!("\n{}\n", story.summary(started.elapsed(), polls)));
    fleet.stop().await;
    result.and(stopped).and(summary.map(drop))
}

/// Waits for the end that was asked for, if one was.
async fn end(after: Option<Duration>) {
    match after {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

async fn play(fleet: &Fleet) -> Infallible {
    fleet.play(&Scenario::lively(), CancellationToken::new()).await;
    std::future::pending().await
}

/// The configuration that a user would write for these devices.
fn bridge_config(fleet: &Fleet, options: &Options, receiver: SocketAddr) -> anyhow::Result<Config> {
    // Held, so that the second one is another.
    let (mqtt, _held) = free_address("--mqtt-port", options.mqtt_port, USUAL_MQTT_PORT)?;
    let (http, _) = free_address("--http-port", options.http_port, USUAL_HTTP_PORT)?;
    let agent = (Ipv4Addr::LOCALHOST, USUAL_AGENT_PORT);
    let agent_port = UdpSocket::bind(agent).map_or(0, |_| USUAL_AGENT_PORT);
    let text = format!(
        "[bridge]\nid = \"demo\"\n[mqtt]\nurl = \"embedded\"\nembedded.listen = \"{mqtt}\"\n[http]\nlisten = \"{http}\"\ntoken = \"{TOKEN}\"\n\
         [snmp]\ntraps.listen = \"{receiver}\"\ncommunities = [\"{COMMUNITY}\"]\n\
         agent = {{ listen = \"127.0.0.1:{agent_port}\", communities = [\"{COMMUNITY}\"] }}\n\n{}",
        fleet.bridge_config(if fleet.devices().len() < MANY {
            POLL
        } else {
            POLL_OF_MANY
        })
    );
    Ok(config::from_table(OWN_CONFIG, table(&text)?)?.config)
}

/// An address of the loopback that is free as long as the listener holds it: with the requested port, else with the usual
/// one, else with any.
fn free_address(
    option: &str,
    wanted: Option<u16>,
    usual: u16,
) -> anyhow::Result<(SocketAddr, Option<TcpListener>)> {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match (wanted, TcpListener::bind(address(wanted.unwrap_or(usual)))) {
        (Some(port), Ok(listener)) => Ok((address(port), Some(listener))),
        (Some(port), Err(error)) => Err(anyhow!(
            "cannot listen on port {port}: {error}; give another one with {option}, or leave it out for a free one"
        )),
        (None, Ok(listener)) => Ok((address(usual), Some(listener))),
        (None, Err(_)) => Ok((address(0), None)),
    }
}

/// What runs where, and what to try.
fn introduction(fleet: &Fleet, bridge: &Bridge) -> String {
    let mut text = format!(
        "lantime2mqtt {}: simulated devices, a broker and the bridge, all in this process and on loopback.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    for device in fleet.devices().iter().take(OF_STORY) {
        let (id, model, url) = (device.id(), device.kind().chassis.model(), device.url());
        text += &format!("  device  {id} ({model}) {url}\n");
    }
    let mut others = fleet.devices().iter().skip(OF_STORY);
    if let Some(first) = others.next() {
        let last = others.next_back().unwrap_or(first);
        text += &format!(
            "  others  {} to {}, some of them in trouble\n",
            first.id(),
            last.id()
        );
    }
    let port = match bridge.broker() {
        Broker::Embedded { listen, .. } => listen.port(),
        Broker::Remote { port, .. } => *port,
    };
    // The clients look for a broker at the usual port by themselves.
    let at = match port {
        USUAL_MQTT_PORT => String::new(),
        port => format!("-p {port} "),
    };
    text += &format!("  broker  mqtt://127.0.0.1:{port}\n");
    if let Some(http) = bridge.http_address() {
        text += &format!(
            "  page    http://{http}/  to change something there: unlock it with the token {TOKEN}\n  \
             health  http://{http}/healthz\n"
        );
    }
    if let Some(agent) = bridge.agent_address() {
        text += &format!("  SNMP    udp://{agent}, community {COMMUNITY}\n");
    }
    text += &format!(
        "\nTry in another terminal:\n\n  \
         mosquitto_sub {at}-t 'lantime/#' -v\n  \
         mosquitto_sub {at}-t 'lantime/+/+/relay/+' -v\n  \
         mosquitto_sub {at}-t 'lantime/sim-1/event/+' -v\n  \
         mosquitto_sub {at}-t 'lantime/+/+/changes' -t 'lantime/dead-letter/+' -v\n"
    );
    if let Some(agent) = bridge.agent_address() {
        text += &format!("  snmpwalk -v 2c -c {COMMUNITY} {agent} 1.3.6.1.4.1.8072.9999.9999.1883\n");
    }
    text += &format!(
        "\nChoose the events that switch a relay, and see the reply:\n\n  \
         mosquitto_rr {at}-V 5 -q 1 -t lantime/sim-1/io4/relay/a/events/set -e my/reply -m '{{\"add\":[\"antenna-faulty\"]}}'\n\n\
         The history of the days before this start is made up: in the last night a relay of sim-1 fell three times. See it on the\n\
         page, at \"History\" of sim-1, or at \"Faults\" for all devices.\n\n\
         What happens, in UTC (Ctrl-C ends it):\n\n"
    );
    text
}
