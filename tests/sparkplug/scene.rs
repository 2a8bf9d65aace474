//! A bridge with Sparkplug, and a host.

use lantime2mqtt::simulator::ApiGeneration::V20;

use crate::host::Host;
use crate::support::scene::{self, Setup, Stage};

pub(crate) type Scene = scene::Scene<Host>;

/// So many redundant devices, without a bridge.
pub(crate) async fn stage(devices: usize) -> Stage<Host> {
    with_host(setup(devices)).await
}

pub(crate) fn setup(devices: usize) -> Setup<'static> {
    Setup::redundant(&vec![V20; devices]).site(|site| site.with("sparkplug.enabled", true))
}

pub(crate) async fn with_host(setup: Setup<'_>) -> Stage<Host> {
    let stage = setup.stage().await;
    let host = Host::start(stage.broker.address()).await;
    stage.with(host)
}

impl Scene {
    /// A bridge with so many devices, all of them born.
    pub(crate) async fn start(devices: usize) -> Scene {
        let mut scene = stage(devices).await.start();
        scene.until_born().await;
        scene
    }

    /// Waits until all devices are born.
    pub(crate) async fn until_born(&mut self) {
        let devices = self.fleet.devices().len();
        let names: Vec<_> = (1..=devices)
            .flat_map(|number| ["", ":io3", ":io4"].map(|slot| format!("sim-{number}{slot}")))
            .collect();
        self.client
            .until("all devices are born", |seen| {
                names.iter().all(|name| seen.alive.contains_key(name))
            })
            .await;
    }
}
