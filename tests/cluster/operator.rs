//! Somebody who selects the events of relays of all devices, at bridges each of which reaches the devices at an address of
//! its own, and what the devices have seen of that.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lantime2mqtt::simulator::ApiGeneration::V20;
use lantime2mqtt::simulator::{
    ChangeRequest, Chassis, DeviceKind, FleetOptions, Relay, SimulatedDevice, SnmpOptions,
};
use serde_json::{Value, json};

use crate::history::History;
use crate::members::{Cluster, cluster_of};
use crate::support::etcd::Etcd;
use crate::support::requester::Requester;
use crate::support::site::{Entry, Site};
use crate::support::{PATIENCE, wait};

/// Where replies to commands are.
const REPLIES: &str = "lantime/+/+/relay/+/events/set/reply";
/// Relays that follow events, on slot `io4`.
const RELAYS: [(&str, Relay); 2] = [("a", Relay::A), ("c", Relay::C)];
/// Events that every device has, without counterparts, and that may switch a relay.
const EVENTS: [&str; 5] = [
    "ntp-stopped",
    "sync-monitor",
    "system-reboot",
    "https-certificate-expired",
    "https-certificate-expire-warning",
];

/// The cluster, and who sends commands to it.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) requester: Requester,
    sent: Vec<Sent>,
}

/// A command that was sent.
struct Sent {
    id: String,
    device: usize,
    relay: Relay,
    events: BTreeSet<&'static str>,
}

impl Scene {
    /// So many bridges, none of which runs yet, for so many redundant devices.
    pub(crate) async fn of(bridges: usize, devices: usize, change: impl Fn(Site) -> Site) -> Scene {
        Scene::with(bridges, devices, Etcd::start(), change).await
    }

    /// The same with that etcd.
    pub(crate) async fn with(
        bridges: usize,
        devices: usize,
        etcd: Etcd,
        change: impl Fn(Site) -> Site,
    ) -> Scene {
        let fleet = FleetOptions {
            devices,
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            kinds: vec![DeviceKind::new(Chassis::M3000, V20)],
            snmp: Some(SnmpOptions::default()),
            ..FleetOptions::default()
        };
        let mut cluster = cluster_of(bridges, fleet, etcd, change).await;
        for (number, member) in cluster.members.iter_mut().enumerate() {
            let devices = cluster.fleet.devices().iter();
            let entries: Vec<_> = devices.map(|device| entry(device, number)).collect();
            member.site.set_devices(&entries);
        }
        let requester = Requester::connect(cluster.broker.address(), &[REPLIES]).await;
        Scene {
            cluster,
            requester,
            sent: Vec::new(),
        }
    }

    /// Lets the bridges select events over SNMP.
    pub(crate) fn over_snmp(mut self) -> Scene {
        for (number, member) in self.cluster.members.iter_mut().enumerate() {
            let devices = self.cluster.fleet.devices().iter();
            let entries = devices.map(|device| {
                let port = device.snmp_address().expect("it has an agent").port();
                entry(device, number)
                    .with("snmp.address", format!("127.0.0.1:{port}"))
                    .with("snmp.community", "public")
                    .with("snmp.write_community", "private")
                    .with("snmp.events", "snmp")
                    .with("snmp.timeout", "300ms")
                    .with("snmp.retries", 1)
                    .with("command_timeout", "60s")
            });
            let entries: Vec<_> = entries.collect();
            member.site.set_devices(&entries);
        }
        self
    }

    /// Starts all bridges; waits until all devices are polled.
    pub(crate) async fn started(mut self) -> Scene {
        self.cluster = self.cluster.started().await;
        self
    }

    /// The device with that number, from 0.
    pub(crate) fn device(&self, number: usize) -> &SimulatedDevice {
        &self.cluster.fleet.devices()[number]
    }

    /// Selects other events of a relay than those before; returns once the broker has the command.
    pub(crate) async fn select(&mut self, device: usize, relay: usize) {
        let number = self.sent.len();
        let events = [number, number + 1, number + 2 + number / EVENTS.len()];
        self.replace(
            device,
            relay,
            events.map(|event| EVENTS[event % EVENTS.len()]).into(),
        )
        .await;
    }

    /// Selects these events of a relay.
    pub(crate) async fn replace(&mut self, device: usize, relay: usize, events: BTreeSet<&'static str>) {
        let (number, (name, relay)) = (self.sent.len(), RELAYS[relay]);
        let id = format!("command-{number}");
        let topic = format!("lantime/{}/io4/relay/{name}/events/set", self.device(device).id());
        let payload = json!({ "id": id, "replace": events });
        self.requester.send(&topic, payload.to_string()).await;
        self.sent.push(Sent {
            id,
            device,
            relay,
            events,
        });
    }

    /// The replies to each command, by its id.
    pub(crate) fn replies(&self) -> BTreeMap<String, Vec<Value>> {
        let mut replies = BTreeMap::<_, Vec<_>>::new();
        for message in self.requester.received() {
            let reply: Value = serde_json::from_slice(&message.payload).expect("a reply is JSON");
            let id = reply["id"].as_str().expect("all have an id").to_owned();
            replies.entry(id).or_default().push(reply);
        }
        replies
    }

    /// Waits until each command has a reply.
    pub(crate) async fn all_answered(&mut self) {
        self.all_answered_within(PATIENCE).await;
    }

    /// The same with another patience.
    pub(crate) async fn all_answered_within(&mut self, patience: Duration) {
        wait::within(patience, "each command has a reply", async || {
            let replies = self.replies();
            let ids = self.sent.iter().map(|sent| &sent.id);
            let open: Vec<_> = ids.filter(|id| !replies.contains_key(*id)).collect();
            open.is_empty().then_some(()).ok_or(format!("{open:?} have none"))
        })
        .await;
    }

    /// That all commands were carried out, and that no two bridges have written to a device at once.
    pub(crate) async fn assert_all_is_well(&self) {
        let replies = self.replies();
        for Sent { id, events, .. } in &self.sent {
            for reply in &replies[id] {
                assert_eq!(reply["ok"], true, "{reply}");
                assert_eq!(reply["result"]["events"], json!(events), "{reply}");
            }
        }
        for (number, device) in self.cluster.fleet.devices().iter().enumerate() {
            for (_, relay) in RELAYS {
                let is_meant = |sent: &&Sent| sent.device == number && sent.relay == relay;
                let Some(last) = self.sent.iter().rfind(is_meant) else {
                    continue;
                };
                let selected = device.world().relay_events("io4", relay);
                assert_eq!(selected, last.events, "{} of {}", last.id, device.id());
            }
            assert_eq!(device.world().pending_changes(), 0, "{}", device.id());
        }
        self.assert_no_two_have_written_at_once().await;
    }

    /// What the devices have seen, compared with what etcd has permitted.
    pub(crate) async fn assert_no_two_have_written_at_once(&self) {
        let writers = History::of(&self.cluster.etcd).await.writers();
        for device in self.cluster.fleet.devices() {
            let requests = device.change_requests();
            for (place, later) in requests.iter().enumerate() {
                for earlier in &requests[..place] {
                    let overlap = earlier.ended > later.began && later.ended > earlier.began;
                    let is_same = earlier.host == later.host;
                    assert!(is_same || !overlap, "at {}: {earlier:?}, {later:?}", device.id());
                }
            }
            let mut marks = writers.get(device.id()).into_iter().flatten();
            for request in &requests {
                let by = bridge(request);
                let is_marked = marks.any(|writer| *writer == by);
                assert!(is_marked, "at {}: {request:?} not permitted", device.id());
            }
        }
    }
}

/// A device as that bridge reaches it.
fn entry(device: &SimulatedDevice, bridge: usize) -> Entry {
    let port = device.address().port();
    Entry::writable(device)
        .with("url", format!("http://127.0.1.{}:{port}", bridge + 1))
        .with("timeout", "1s")
        .with("command_timeout", "10s")
}

/// Who has sent it.
fn bridge(request: &ChangeRequest) -> String {
    let address: std::net::SocketAddr = request.host.parse().unwrap();
    let IpAddr::V4(ip) = address.ip() else {
        panic!("{request:?}");
    };
    format!("b{}", ip.octets()[3])
}
