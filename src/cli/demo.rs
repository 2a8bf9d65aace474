//! `demo`: simulated devices with a lively scenario, an embedded broker and the bridge, in one process on
//! loopback. Prints what it has started, what to try, and each change as a line for people.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::Signals;
use super::{Failure, block_on};
use crate::app::{Bridge, Setup};
use crate::config::{self, Broker, Config};
use crate::model::{
    Availability, Change, DeviceId, EventName, EventType, Position, Provenance, Relay, Text, Update,
};
use crate::records::store::{self, Store};
use crate::simulator::{
    ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, Scenario, SnmpOptions, TrapReceiver, TrapWay,
};
use crate::wording::count;

/// Where a broker usually listens; taken when it is free.
const USUAL_MQTT_PORT: u16 = 1883;
/// Where the bridge's own HTTP server usually listens; taken when it is free.
const USUAL_HTTP_PORT: u16 = 8080;
/// Where the bridge's own SNMP agent listens; taken when it is free.
const USUAL_AGENT_PORT: u16 = 1161;
/// Who has it may change something on the page. Everybody may know it: these devices are nobody's.
const TOKEN: &str = "only-for-the-demo";
/// Who may ask over SNMP, and send.
const COMMUNITY: &str = "public";
/// Updates that wait to be printed; more than that are not worth reading.
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
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|parsed| Duration::try_from(parsed).ok());
    parsed.ok_or_else(|| "write a number and a unit, such as 30s".to_owned())
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    block_on(demo(options))
}

async fn demo(options: Options) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let fleet = Fleet::start(fleet_options(receiver)).await?;
    let config = bridge_config(&fleet, &options, receiver)?;
    let (observer, updates) = mpsc::channel(LINES_WAITING);
    let store = Store::in_memory(store::Options::new(config.bridge.id.clone()));
    let setup = Setup {
        store,
        observer: Some(observer),
        control: None,
    };
    let mut bridge = Bridge::start(config, setup).await?;
    introduce(&fleet, &bridge);

    let started = Instant::now();
    let mut story = Story::default();
    let end = async {
        match options.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        () = end => Ok(()),
        () = signals.stop() => Ok(()),
        error = bridge.failed() => Err(error),
        never = play(&fleet) => match never {},
        never = story.print(updates, started) => match never {},
    };
    let stopped = tokio::select! {
        stopped = bridge.stop() => stopped,
        () = signals.stop() => Err(anyhow!("stopped at once by a second signal")),
    };
    let devices = fleet.devices().iter();
    let polls = devices.map(|device| device.counters().requests as usize).sum();
    println!("\n{}", story.summary(started.elapsed(), polls));
    fleet.stop().await;
    result.and(stopped)
}

/// The first two report their relays, the third is of a generation of which that is not known: there they
/// are derived. All of them tell of their events by informs.
fn fleet_options(receiver: SocketAddr) -> FleetOptions {
    let kinds = [
        (Chassis::M3000, ApiGeneration::V20),
        (Chassis::M500, ApiGeneration::V16),
        (Chassis::M3000, ApiGeneration::V10),
    ];
    FleetOptions {
        devices: kinds.len(),
        kinds: kinds.map(|(chassis, api)| DeviceKind::new(chassis, api)).to_vec(),
        snmp: Some(SnmpOptions {
            receivers: vec![TrapReceiver {
                address: receiver,
                way: TrapWay::V2c {
                    community: COMMUNITY.to_owned(),
                    inform: true,
                },
            }],
            ..SnmpOptions::default()
        }),
        ..FleetOptions::default()
    }
}

async fn play(fleet: &Fleet) -> Infallible {
    fleet.play(&Scenario::lively(), CancellationToken::new()).await;
    std::future::pending().await
}

/// The configuration that a user would write for these devices.
fn bridge_config(fleet: &Fleet, options: &Options, receiver: SocketAddr) -> anyhow::Result<Config> {
    let mqtt = loopback(options.mqtt_port, USUAL_MQTT_PORT);
    let http = loopback(options.http_port, USUAL_HTTP_PORT);
    let agent = (Ipv4Addr::LOCALHOST, USUAL_AGENT_PORT);
    let agent_port = UdpSocket::bind(agent).map_or(0, |_| USUAL_AGENT_PORT);
    let text = format!(
        "[bridge]\nid = \"demo\"\n[mqtt]\nurl = \"embedded\"\nembedded.listen = \"{mqtt}\"\n[http]\nlisten = \"{http}\"\ntoken = \"{TOKEN}\"\n\
         [snmp]\ntraps.listen = \"{receiver}\"\ncommunities = [\"{COMMUNITY}\"]\n\
         agent = {{ listen = \"127.0.0.1:{agent_port}\", communities = [\"{COMMUNITY}\"] }}\n\n{}",
        fleet.bridge_config(Duration::from_secs(1))
    );
    let mut values: toml::Table = toml::from_str(&text).context("the demo's own configuration")?;
    let devices = values.get_mut("devices").and_then(toml::Value::as_array_mut);
    let second_ways = devices
        .into_iter()
        .flatten()
        .filter_map(|device| device.get_mut("snmp"));
    for snmp in second_ways.filter_map(toml::Value::as_table_mut) {
        // Over REST these devices tell relays apart, over SNMP none does.
        snmp.insert("events".to_owned(), "rest".into());
        snmp.insert("read".to_owned(), "fallback".into());
    }
    Ok(config::from_table("the demo's own configuration", values)?.config)
}

fn loopback(chosen: Option<u16>, usual: u16) -> SocketAddr {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    chosen.map_or_else(
        || {
            if TcpListener::bind(address(usual)).is_ok() {
                address(usual)
            } else {
                address(0)
            }
        },
        address,
    )
}

fn introduce(fleet: &Fleet, bridge: &Bridge) {
    println!(
        "lantime2mqtt {}: simulated devices, a broker and the bridge, all in this process and on loopback.\n",
        env!("CARGO_PKG_VERSION")
    );
    for device in fleet.devices() {
        println!(
            "  device  {} ({}) {}",
            device.id(),
            device.kind().chassis.model(),
            device.url()
        );
    }
    let port = match bridge.broker() {
        Broker::Embedded { listen, .. } => listen.port(),
        Broker::Remote { port, .. } => *port,
    };
    println!("  broker  mqtt://127.0.0.1:{port}");
    if let Some(http) = bridge.http_address() {
        println!("  page    http://{http}/  to change something there: unlock it with the token {TOKEN}");
        println!("  health  http://{http}/healthz");
    }
    if let Some(agent) = bridge.agent_address() {
        println!("  SNMP    udp://{agent}, community {COMMUNITY}");
    }
    println!("\nTry in another terminal:\n");
    println!("  mosquitto_sub -p {port} -t 'lantime/#' -v");
    println!("  mosquitto_sub -p {port} -t 'lantime/+/+/relay/+' -v");
    println!("  mosquitto_sub -p {port} -t 'lantime/sim-1/event/+' -v");
    println!("  mosquitto_sub -p {port} -t 'lantime/+/+/changes' -t 'lantime/dead-letter/+' -v");
    if let Some(agent) = bridge.agent_address() {
        println!("  snmpwalk -v 2c -c {COMMUNITY} {agent} 1.3.6.1.4.1.8072.9999.9999.1883");
    }
    println!("\nChoose the events that switch a relay, and see the reply:\n");
    println!(
        "  mosquitto_rr -p {port} -V 5 -q 1 -t lantime/sim-1/io4/relay/a/events/set -e my/reply -m '{{\"add\":[\"antenna-faulty\"]}}'"
    );
    println!("\nWhat happens (Ctrl-C ends it):\n");
}

/// Turns updates into lines for people, and keeps count.
#[derive(Debug, Default)]
struct Story {
    introduced: BTreeSet<DeviceId>,
    counts: BTreeMap<&'static str, usize>,
}

impl Story {
    /// Prints each update as it comes.
    async fn print(&mut self, mut updates: mpsc::Receiver<Update>, started: Instant) -> Infallible {
        while let Some(update) = updates.recv().await {
            for line in self.tell(&update) {
                println!("{:>7.1} s  {line}", started.elapsed().as_secs_f64());
            }
        }
        std::future::pending().await
    }

    fn tell(&mut self, update: &Update) -> Vec<String> {
        let Update::Device { device, changes } = update else {
            return Vec::new();
        };
        let is_first = changes.iter().any(|change| matches!(change, Change::Identity(_)))
            && self.introduced.insert(device.clone());
        if is_first {
            return vec![format!("{device} is online: {}", introduction(changes))];
        }
        changes
            .iter()
            .filter_map(|change| self.line(change))
            .map(|line| format!("{device} {line}"))
            .collect()
    }

    fn line(&mut self, change: &Change) -> Option<String> {
        let (kind, line) = match change {
            Change::Availability(availability) => ("device", format!("is {}", availability.as_str())),
            Change::Problem(Some(problem)) => (
                "error",
                format!(
                    "cannot be polled: {} ({})",
                    problem.error.message, problem.error.kind
                ),
            ),
            Change::Problem(None) => ("error", "answers again".to_owned()),
            Change::Event {
                name,
                old,
                new: Some(event),
                ..
            } => {
                let before = old.as_ref().and_then(|old| old.triggered);
                let what = match event.triggered {
                    now if now == before => return None,
                    Some(true) => "triggered",
                    // Somebody has done something: that it is over is no news.
                    Some(false) if before.is_some() && event.kind != EventType::Action => "cleared",
                    Some(false) | None => return None,
                };
                ("event", format!("event {name} {what} ({})", event.kind.as_str()))
            }
            Change::RelayEvents {
                slot,
                relay,
                new: Some(chosen),
            } => {
                let events = chosen.events.as_ref()?.iter().map(EventName::as_str);
                let events: Vec<_> = events.collect();
                let relay = relay.as_str().to_uppercase();
                let line = format!("relay {relay} of {slot} follows {}", events.join(", "));
                ("choice of events", line)
            }
            Change::SlotState(slot, Some(state)) => ("slot", format!("slot {slot} is {}", state.as_str())),
            Change::Relay {
                slot,
                relay,
                old,
                new: Some(new),
            } => {
                let old = old.as_ref().map_or(Position::Unknown, |old| old.position);
                if old == new.position {
                    return None;
                }
                let relay = relay.as_str().to_uppercase();
                let cause = new
                    .cause
                    .as_ref()
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                let driver = new
                    .driven_by
                    .map(|driver| format!(" by {driver}{cause}"))
                    .unwrap_or_default();
                let derived = if new.provenance == Provenance::Derived {
                    ", derived"
                } else {
                    ""
                };
                let (old, new) = (old.as_str(), new.position.as_str());
                (
                    "relay",
                    format!("{slot} relay {relay}: {old} -> {new}{driver}{derived}"),
                )
            }
            Change::Signal {
                slot,
                signal,
                old: Some(old),
                new: Some(new),
            } if old.status != new.status => {
                let (old, new) = (old.status.as_str(), new.status.as_str());
                ("signal", format!("{slot} signal {signal}: {old} -> {new}"))
            }
            _ => return None,
        };
        *self.counts.entry(kind).or_default() += 1;
        Some(line)
    }

    fn summary(&self, elapsed: Duration, polls: usize) -> String {
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|(kind, count)| format!("{count} of {kind}"))
            .collect();
        let changes = if counts.is_empty() {
            "none".to_owned()
        } else {
            counts.join(", ")
        };
        let devices = count(self.introduced.len(), "device");
        let polls = count(polls, "request");
        let seconds = elapsed.as_secs_f64();
        format!("{seconds:.0} s, {devices} online, {polls}; changes: {changes}.")
    }
}

fn introduction(changes: &[Change]) -> String {
    let mut words = Vec::new();
    for change in changes {
        match change {
            Change::Identity(identity) => {
                let known = |text: &Option<Text>| text.as_deref().unwrap_or("unknown").to_owned();
                words.push(format!(
                    "{}, firmware {}",
                    known(&identity.model),
                    known(&identity.firmware)
                ));
            }
            Change::Relay {
                slot,
                relay,
                new: Some(new),
                ..
            } => {
                let driver = new
                    .driven_by
                    .map(|driver| format!(" ({driver})"))
                    .unwrap_or_default();
                let slot = if *relay == Relay::A {
                    format!("{slot} ")
                } else {
                    String::new()
                };
                words.push(format!(
                    "{slot}{} {}{driver}",
                    relay.as_str().to_uppercase(),
                    new.position.as_str()
                ));
            }
            Change::Availability(Availability::Offline) => words.push("offline".to_owned()),
            _ => {}
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventState, Via};

    fn event(name: &str, kind: EventType, old: Option<bool>, triggered: Option<bool>) -> Change {
        let name = EventName::canonical(name).expect("a name");
        let event = EventState {
            name: name.clone(),
            name_on_device: None,
            triggered,
            kind,
            last_triggered: None,
        };
        Change::Event {
            name,
            old: Some(Box::new(EventState {
                triggered: old,
                ..event.clone()
            })),
            new: Some(Box::new(event)),
            via: Via::Rest,
            told: false,
        }
    }

    #[test]
    fn what_is_no_news_is_not_told() {
        let mut story = Story::default();
        let (yes, no, changed) = (Some(true), Some(false), "device-configuration-changed");
        let changes = [
            event(changed, EventType::Action, no, yes),
            // The end of an action.
            event(changed, EventType::Action, yes, no),
            event("ntp-not-sync", EventType::Error, yes, no),
            // Another time at which it was last triggered.
            event("ntp-not-sync", EventType::Error, no, no),
            // The device is away, and back.
            event("ntp-not-sync", EventType::Error, no, None),
            event("ntp-not-sync", EventType::Error, None, no),
        ];
        let lines: Vec<_> = changes.iter().filter_map(|change| story.line(change)).collect();
        assert_eq!(
            lines,
            [
                "event device-configuration-changed triggered (action)",
                "event ntp-not-sync cleared (error)"
            ]
        );
        let summary = story.summary(Duration::from_secs(8), 1);
        assert_eq!(summary, "8 s, 0 devices online, 1 request; changes: 2 of event.");
    }
}
