//! Simulated devices, a broker, a host and a bridge.

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice};

use crate::host::Host;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::site::{Entry, Site};

/// All of it. The devices are redundant ones, `sim-1` and so on, with relay modules in `io3` and, with relays A and C on
/// notification, in `io4`.
pub(crate) struct Scene {
    pub(crate) bridge: Program,
    pub(crate) host: Host,
    pub(crate) site: Site,
    pub(crate) fleet: Fleet,
    pub(crate) broker: Mosquitto,
}

pub(crate) async fn fleet(devices: usize) -> Fleet {
    let options = FleetOptions {
        devices,
        kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20)],
        ..FleetOptions::default()
    };
    Fleet::start(options).await.expect("free ports on the loopback")
}

/// A device that is wired as its modules are, and to which assumed entries may be written.
pub(crate) fn writable(device: &SimulatedDevice) -> Entry {
    Entry::of(device)
        .listed(device)
        .with("allow_unverified_writes", true)
}

/// A bridge with Sparkplug.
pub(crate) fn site(broker: &Mosquitto, fleet: &Fleet) -> Site {
    let entries: Vec<_> = fleet.devices().iter().map(|device| writable(device)).collect();
    Site::new(broker.address(), &entries).with("sparkplug.enabled", true)
}

impl Scene {
    /// A bridge with so many devices, all of them born.
    pub(crate) async fn start(devices: usize) -> Scene {
        let mut scene = Scene::with(devices, |site| site).await;
        scene.until_born().await;
        scene
    }

    /// The same with other settings, from the very beginning.
    pub(crate) async fn with(devices: usize, settings: impl FnOnce(Site) -> Site) -> Scene {
        let (fleet, broker) = (fleet(devices).await, Mosquitto::start());
        let host = Host::start(broker.address()).await;
        let site = settings(site(&broker, &fleet));
        Scene {
            bridge: site.start(),
            host,
            site,
            fleet,
            broker,
        }
    }

    /// Waits until all devices are born.
    pub(crate) async fn until_born(&mut self) {
        let devices = self.fleet.devices().len();
        let names: Vec<_> = (1..=devices)
            .flat_map(|number| ["", ":io3", ":io4"].map(|slot| format!("sim-{number}{slot}")))
            .collect();
        self.host
            .until("all devices are born", |seen| {
                names.iter().all(|name| seen.alive.contains_key(name))
            })
            .await;
    }

    pub(crate) fn device(&self) -> &SimulatedDevice {
        &self.fleet.devices()[0]
    }
}
