//! A clock fails: from that moment in the simulated device to the relay's retained topic at a subscriber, with traps
//! and a poll a minute; and to the event's retained topic while a poll of the device hangs. Prints tables; judges nothing.
//!
//! ```text
//! cargo bench --bench traps                      50 devices, 4 failures each
//! cargo bench --bench traps -- --devices 500     that many
//! ```

#[path = "../common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use lantime2mqtt::simulator::{
    Action, ApiGeneration, Chassis, Clock, DeviceKind, Fault, FleetOptions, SnmpOptions, TrapReceiver,
    TrapWay,
};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::time::{sleep, timeout};

use common::children;
use common::devices::Devices;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(60);

/// Measures traps.
#[derive(Debug, Parser)]
struct Options {
    /// Devices; their clocks fail one after the other.
    #[arg(long, default_value_t = 50)]
    devices: usize,
    /// How often each of them fails.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    lantime2mqtt::tls::install_provider();
    let options = Options::parse();
    let receiver = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let way = TrapWay::V2c {
        community: "public".to_owned(),
        inform: false,
    };
    let devices = Devices::start(FleetOptions {
        devices: options.devices,
        kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20)],
        snmp: Some(SnmpOptions {
            receivers: vec![TrapReceiver {
                address: receiver,
                way,
            }],
            ..SnmpOptions::default()
        }),
        ..FleetOptions::default()
    })?;
    let directory = tempfile::tempdir()?;
    let (_broker, port) = children::mosquitto(directory.path())?;
    let config = directory.path().join("bridge.toml");
    let text = format!(
        "[bridge]\nid = \"traps\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n[http]\nlisten = \"off\"\n[state]\ndirectory = {:?}\n\
         [snmp]\ntraps.listen = \"{receiver}\"\ncommunities = [\"public\"]\n{}",
        directory.path().join("state"),
        devices.fleet.bridge_config(POLL)
    );
    std::fs::write(&config, text)?;
    let _bridge = children::bridge(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (to_relays, while_hanging) = runtime.block_on(async {
        let mut watcher = Watcher::connect(port).await?;
        let to_relays = watcher.measure(&devices, options.rounds).await?;
        let while_hanging = watcher.measure_hanging(&devices).await?;
        anyhow::Ok((to_relays, while_hanging))
    })?;
    println!("                  devices  poll s  p50 ms  p99 ms  max ms  (samples)");
    print("clock to relay", options.devices, to_relays);
    print("poll hangs", options.devices, while_hanging);
    Ok(())
}

fn print(what: &str, devices: usize, mut times: Vec<Duration>) {
    times.sort();
    let millis = |p: usize| times[(times.len() * p).div_ceil(100).max(1) - 1].as_secs_f64() * 1e3;
    println!(
        "{what:<16}  {devices:>7}  {:>6}  {:>6.1}  {:>6.1}  {:>6.1}  ({})",
        POLL.as_secs(),
        millis(50),
        millis(99),
        millis(100),
        times.len()
    );
}

/// A subscriber of all relays A, and of events.
struct Watcher {
    _client: AsyncClient,
    eventloop: EventLoop,
    /// Where each relay stands, and whether each event does, by its topic.
    states: HashMap<String, String>,
}

impl Watcher {
    async fn connect(port: u16) -> anyhow::Result<Watcher> {
        let mut options = MqttOptions::new("bench", "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(60));
        let (client, eventloop) = AsyncClient::new(options, 8);
        for filter in ["lantime/+/io3/relay/a", "lantime/+/event/+"] {
            client.subscribe(filter, QoS::AtMostOnce).await?;
        }
        Ok(Watcher {
            _client: client,
            eventloop,
            states: HashMap::new(),
        })
    }

    async fn until(&mut self, topic: &str, state: &str) -> anyhow::Result<()> {
        while self.states.get(topic).is_none_or(|known| known != state) {
            let event = timeout(PATIENCE, self.eventloop.poll()).await;
            if let Event::Incoming(Packet::Publish(publish)) =
                event.with_context(|| format!("{topic} is not {state}"))??
            {
                let json: serde_json::Value = serde_json::from_slice(&publish.payload)?;
                let state = match &json["position"] {
                    serde_json::Value::String(position) => position.clone(),
                    _ => json["triggered"].to_string(),
                };
                self.states.insert(publish.topic, state);
            }
        }
        Ok(())
    }

    /// From the failure of each clock to its event, while a poll of the device hangs.
    async fn measure_hanging(&mut self, devices: &Devices) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for device in devices.fleet.devices() {
            let event = |name: &str| format!("lantime/{}/event/{name}", device.id());
            device.set_fault(Some(Fault::Hang));
            let asked = device.counters().requests;
            // Its trap brings about a poll.
            device.apply(&Action::FireEvent("antenna-faulty".to_owned()))?;
            self.until(&event("antenna-faulty"), "true").await?;
            let held = async {
                while device.counters().requests == asked {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(PATIENCE, held).await.context("no poll follows a trap")?;
            let begin = Instant::now();
            device.apply(&Action::LoseSync(Clock::Clk1))?;
            self.until(&event("refclock-1-not-sync"), "true").await?;
            times.push(begin.elapsed());
            device.set_fault(None);
        }
        Ok(times)
    }

    /// From the failure of each clock to its relay.
    async fn measure(&mut self, devices: &Devices, rounds: usize) -> anyhow::Result<Vec<Duration>> {
        let topic = |id: &str| format!("lantime/{id}/io3/relay/a");
        for device in devices.fleet.devices() {
            self.until(&topic(device.id()), "NO").await?;
        }
        let mut times = Vec::new();
        for _ in 0..rounds {
            for device in devices.fleet.devices() {
                let begin = Instant::now();
                device.apply(&Action::LoseSync(Clock::Clk1))?;
                self.until(&topic(device.id()), "NC").await?;
                times.push(begin.elapsed());
                device.apply(&Action::RegainSync(Clock::Clk1))?;
                self.until(&topic(device.id()), "NO").await?;
            }
        }
        Ok(times)
    }
}
