//! A cluster of bridges, each with its own way to etcd and to the broker.

use std::net::SocketAddr;
use std::sync::Arc;

use lantime2mqtt::simulator::{Fleet, FleetOptions, SimulatedDevice};

use crate::support::etcd::Etcd;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::site::{Entry, Site};
use crate::support::{Seen, Watcher};

/// A bridge: what runs here, and how it reaches the others.
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) site: Site,
    pub(crate) bridge: Option<Program>,
    pub(crate) etcd: Proxy,
    pub(crate) broker: Proxy,
}

/// All of them, and somebody who watches.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    pub(crate) watcher: Watcher,
    pub(crate) fleet: Fleet,
    pub(crate) broker: Mosquitto,
    pub(crate) etcd: Etcd,
}

impl Member {
    /// Starts its bridge.
    pub(crate) fn start(&mut self) {
        self.bridge = Some(self.site.start());
    }

    /// Sends its bridge a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.bridge.as_ref().expect("it runs").signal(name);
    }

    /// Sends it a signal by which it ends, and waits for that.
    pub(crate) async fn stop(&mut self, signal: &str) {
        let bridge = self.bridge.take().expect("it runs");
        bridge.stop(signal).await;
    }
}

/// Bridges `b1` and so on for so many devices; none runs yet.
pub(crate) async fn cluster(bridges: usize, devices: usize, change: impl Fn(Site) -> Site) -> Cluster {
    let fleet = FleetOptions {
        devices,
        ..FleetOptions::default()
    };
    cluster_of(bridges, fleet, Etcd::start(), change).await
}

/// The same with such devices, and that etcd, of which the bridges know the first node.
pub(crate) async fn cluster_of(
    bridges: usize,
    fleet: FleetOptions,
    etcd: Etcd,
    change: impl Fn(Site) -> Site,
) -> Cluster {
    let fleet = Fleet::start(fleet).await.expect("free ports on the loopback");
    let broker = Mosquitto::start();
    let endpoint = etcd.endpoint(0);
    let (_, node) = endpoint.split_once("://").expect("a URL");
    let node: SocketAddr = node.parse().unwrap();
    let entries: Vec<_> = fleet
        .devices()
        .iter()
        .map(|device| Entry::writable(device))
        .collect();
    let mut members = Vec::new();
    for number in 1..=bridges {
        let (id, etcd) = (format!("b{number}"), Proxy::start(node).await);
        let broker = Proxy::start(broker.address()).await;
        let endpoint = format!("http://{}", etcd.address());
        let site = Site::new(broker.address(), &entries)
            .with("bridge.id", &*id)
            .with("mqtt.version", "5")
            .with("cluster.name", "test")
            .with("cluster.endpoints", vec![endpoint])
            .with("cluster.ttl", "3s");
        members.push(Member {
            id,
            site: change(site),
            bridge: None,
            etcd,
            broker,
        });
    }
    Cluster {
        members,
        watcher: Watcher::connect(broker.address()).await,
        fleet,
        broker,
        etcd,
    }
}

impl Cluster {
    /// Starts all bridges; waits until all devices are polled.
    pub(crate) async fn started(mut self) -> Cluster {
        self.members.iter_mut().for_each(Member::start);
        self.all_polled().await;
        self
    }

    /// Waits until all devices are polled by somebody, and that is published.
    pub(crate) async fn all_polled(&mut self) -> Seen {
        let devices = ids(self.fleet.devices());
        let is_polled = |seen: &Seen| {
            devices
                .iter()
                .all(|id| seen.is_online(id) && is_complete(seen, id))
        };
        self.watcher.until("all are polled", is_polled).await
    }

    /// The number of the bridge that polls the first device.
    pub(crate) fn owner(&self) -> usize {
        self.owner_of("sim-1")
    }

    /// The number of the bridge that polls a device.
    pub(crate) fn owner_of(&self, device: &str) -> usize {
        let owner = polled_by(&self.watcher.now(), device);
        self.members
            .iter()
            .position(|member| member.id == owner)
            .unwrap_or_else(|| panic!("{owner:?} is no member"))
    }

    /// Waits until another bridge polls the devices of that one.
    pub(crate) async fn taken_over_from(&mut self, member: usize) -> Seen {
        let (from, devices) = (self.members[member].id.clone(), ids(self.fleet.devices()));
        let is_another = |seen: &Seen| devices.iter().all(|id| polled_by(seen, id) != from);
        self.watcher.until("another bridge polls them", is_another).await
    }
}

/// The bridge that polls a device.
pub(crate) fn polled_by(seen: &Seen, device: &str) -> String {
    let info = seen.json(&format!("{device}/info"));
    info["bridge"].as_str().unwrap_or_default().to_owned()
}

/// The messages at topics of devices and their entities from there on, but for who polls them and how that goes.
pub(crate) fn of_devices(seen: &Seen, from: usize) -> Vec<(String, String)> {
    let is_meant = |topic: &str| {
        let is_of_poller = ["/info", "/info/bridge"].iter().any(|end| topic.ends_with(end));
        let is_of_device = topic.starts_with("lantime/sim-") || topic.contains("/lantime_device_sim-");
        is_of_device && !is_of_poller && !topic.contains("/http/")
    };
    let log = seen.log[from..].iter();
    log.filter(|(topic, _)| is_meant(topic)).cloned().collect()
}

/// What was said of shards from there on, but for the list of their devices.
pub(crate) fn of_shards(seen: &Seen, from: usize) -> Vec<(String, String)> {
    let is_meant = |topic: &str| topic.starts_with("lantime/shard/") && topic.ends_with("/state");
    let log = seen.log[from..].iter();
    log.filter(|(topic, _)| is_meant(topic)).cloned().collect()
}

fn ids(devices: &[Arc<SimulatedDevice>]) -> Vec<String> {
    devices.iter().map(|device| device.id().to_owned()).collect()
}

/// Whether relays are shown as they stand: the slots come after the device.
fn is_complete(seen: &Seen, device: &str) -> bool {
    let is_relay =
        |topic: &str| topic.starts_with(&format!("lantime/{device}/")) && topic.ends_with("/relay/a");
    let mut topics = seen.topics.keys();
    topics.any(|topic| is_relay(topic)) && !polled_by(seen, device).is_empty()
}
