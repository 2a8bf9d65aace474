//! What nearly every test needs: simulated devices, a broker, a bridge between them, and a client that watches. A test says
//! what differs: `Setup::single(&[V20]).entries(..).site(..).start().await`.

use std::ops::Deref;
use std::sync::Arc;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice};

use super::mosquitto::{Mosquitto, Options};
use super::program::Program;
use super::site::{Entry, Site};
use super::{Seen, Watcher};

type SiteChange<'a> = Box<dyn FnOnce(Site, &[Arc<SimulatedDevice>]) -> Site + 'a>;

/// What a scene is made of.
pub struct Setup<'a> {
    fleet: FleetOptions,
    /// The configured devices, where they are no simulated ones.
    others: Vec<Entry>,
    broker: Options,
    entry: Box<dyn Fn(&SimulatedDevice) -> Entry + 'a>,
    site: Vec<SiteChange<'a>>,
}

/// The simulated devices of a scene, if it has any.
pub struct Devices(Option<Fleet>);

impl Deref for Devices {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        self.0.as_ref().expect("this scene has simulated devices")
    }
}

impl Devices {
    /// Ends them.
    pub async fn stop(self) {
        if let Some(fleet) = self.0 {
            fleet.stop().await;
        }
    }
}

/// A scene without its bridge.
pub struct Stage<C = ()> {
    pub client: C,
    pub site: Site,
    pub fleet: Devices,
    pub broker: Mosquitto,
}

/// All of it, with a client that is there before the bridge. It ends in the order of the fields.
pub struct Scene<C = Watcher> {
    pub bridge: Program,
    pub client: C,
    pub site: Site,
    pub fleet: Devices,
    pub broker: Mosquitto,
}

impl<'a> Setup<'a> {
    /// Devices of these kinds, `sim-1` and so on; the bridge finds their slots.
    pub fn of(kinds: &[(Chassis, ApiGeneration)]) -> Setup<'a> {
        let kinds = kinds.iter().map(|&(chassis, api)| DeviceKind::new(chassis, api));
        let fleet = FleetOptions {
            devices: kinds.len(),
            kinds: kinds.collect(),
            ..FleetOptions::default()
        };
        Setup {
            fleet,
            others: Vec::new(),
            broker: Options::default(),
            entry: Box::new(Entry::of),
            site: Vec::new(),
        }
    }

    /// No simulated device, but these.
    pub fn at(devices: &[Entry]) -> Setup<'a> {
        Setup {
            others: devices.to_vec(),
            ..Setup::of(&[])
        }
    }

    /// Devices with one clock, and a relay module in `io1`.
    pub fn single(apis: &[ApiGeneration]) -> Setup<'a> {
        let kinds: Vec<_> = apis.iter().map(|api| (Chassis::M500, *api)).collect();
        Setup::of(&kinds)
    }

    /// Redundant devices, with relay modules in `io3` and, with relays A and C on notification, in `io4`. To assumed entries
    /// of theirs may be written.
    pub fn redundant(apis: &[ApiGeneration]) -> Setup<'a> {
        let kinds: Vec<_> = apis.iter().map(|api| (Chassis::M3000, *api)).collect();
        Setup::of(&kinds).entries(Entry::writable)
    }

    /// With other options of the devices.
    pub fn options(self, change: impl FnOnce(FleetOptions) -> FleetOptions) -> Setup<'a> {
        Setup {
            fleet: change(self.fleet),
            ..self
        }
    }

    /// With such a broker.
    pub fn broker(self, broker: Options) -> Setup<'a> {
        Setup { broker, ..self }
    }

    /// With such an entry in the configuration for each device.
    pub fn entries(self, entry: impl Fn(&SimulatedDevice) -> Entry + 'a) -> Setup<'a> {
        Setup {
            entry: Box::new(entry),
            ..self
        }
    }

    /// With more in the configuration.
    pub fn site(self, change: impl FnOnce(Site) -> Site + 'a) -> Setup<'a> {
        self.site_of(|site, _| change(site))
    }

    /// With more in the configuration, of these devices.
    pub fn site_of(mut self, change: impl FnOnce(Site, &[Arc<SimulatedDevice>]) -> Site + 'a) -> Setup<'a> {
        self.site.push(Box::new(change));
        self
    }

    /// The devices alone.
    pub async fn fleet(self) -> Fleet {
        Fleet::start(self.fleet)
            .await
            .expect("free ports on the loopback")
    }

    /// All but the bridge.
    pub async fn stage(self) -> Stage {
        let broker = Mosquitto::start_with(self.broker);
        let site = Site::new(broker.address(), &self.others);
        let (fleet, site) = match self.fleet.devices {
            0 => (None, site),
            _ => {
                let fleet = Fleet::start(self.fleet)
                    .await
                    .expect("free ports on the loopback");
                let entries: Vec<_> = fleet
                    .devices()
                    .iter()
                    .map(|device| (self.entry)(device))
                    .collect();
                (Some(fleet), site.devices(&entries))
            }
        };
        let devices = fleet.as_ref().map_or(&[][..], Fleet::devices);
        let changes = self.site.into_iter();
        let site = changes.fold(site, |site, change| change(site, devices));
        Stage {
            client: (),
            site,
            fleet: Devices(fleet),
            broker,
        }
    }

    /// With a bridge that has just been started.
    pub async fn start(self) -> Scene {
        self.watched().await.start()
    }

    /// With somebody who watches, and without a bridge.
    pub async fn watched(self) -> Stage<Watcher> {
        let stage = self.stage().await;
        let watcher = Watcher::connect(stage.broker.address()).await;
        stage.with(watcher)
    }
}

impl Stage {
    /// With that client.
    pub fn with<C>(self, client: C) -> Stage<C> {
        Stage {
            client,
            site: self.site,
            fleet: self.fleet,
            broker: self.broker,
        }
    }
}

impl<C> Stage<C> {
    /// Starts the bridge.
    pub fn start(self) -> Scene<C> {
        self.start_with(&[], &[])
    }

    /// Starts the bridge with more arguments, and with variables in its environment.
    pub fn start_with(self, arguments: &[&str], variables: &[(&str, &str)]) -> Scene<C> {
        Scene {
            bridge: self.site.start_with(arguments, variables),
            client: self.client,
            site: self.site,
            fleet: self.fleet,
            broker: self.broker,
        }
    }
}

impl Scene<Watcher> {
    /// Waits until what was published fulfils `condition`.
    pub async fn until(&mut self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        self.client.until(what, condition).await
    }
}

impl<C> Scene<C> {
    /// The device with that number, from 1.
    pub fn device(&self, number: usize) -> &Arc<SimulatedDevice> {
        &self.fleet.devices()[number - 1]
    }

    /// Lets the bridge have these devices from now on.
    pub fn reload(&mut self, devices: &[Entry]) {
        self.site.set_devices(devices);
        self.bridge.signal("HUP");
    }
}
