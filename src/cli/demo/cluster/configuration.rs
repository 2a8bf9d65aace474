//! Where everything of a demo of several bridges listens, and the configuration of each bridge.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::super::{
    COMMUNITY, OWN_CONFIG, Options, TOKEN, USUAL_HTTP_PORT, USUAL_MQTT_PORT, free_address, table,
};
use crate::config::{self, Mqtt};
use crate::simulator::Fleet;

/// How often devices are polled.
const POLL: Duration = Duration::from_secs(1);

/// Free ports of the loopback, which are held until everything is started.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) mqtt: u16,
    /// For clients, and for other nodes.
    pub(super) etcd: [u16; 2],
    pub(super) bridges: Vec<BridgePorts>,
    held: Vec<TcpListener>,
    held_traps: Vec<UdpSocket>,
}

/// Those of a bridge.
#[derive(Debug, Clone, Copy)]
pub(super) struct BridgePorts {
    pub(super) http: u16,
    traps: u16,
}

impl Ports {
    /// Takes them: the requested ones, else the usual ones where they are free.
    pub(super) fn take(options: &Options, bridges: u8) -> anyhow::Result<Ports> {
        let (mut held, mut held_traps) = (Vec::new(), Vec::new());
        let mut take = |option: &str, wanted: Option<u16>, usual: u16| {
            let (address, listener) = free_address(option, wanted, usual)?;
            let listener = listener.map_or_else(|| TcpListener::bind(address), Ok)?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            anyhow::Ok(port)
        };
        let mqtt = take("--mqtt-port", options.mqtt_port, USUAL_MQTT_PORT)?;
        let etcd = [take("", Some(0), 0)?, take("", Some(0), 0)?];
        let mut of_bridges = Vec::new();
        for number in 0..u16::from(bridges) {
            let after = |port: u16| if port == 0 { 0 } else { port.saturating_add(number) };
            let http = take(
                "--http-port",
                options.http_port.map(after),
                after(USUAL_HTTP_PORT),
            )?;
            let traps = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            of_bridges.push(BridgePorts {
                http,
                traps: traps.local_addr()?.port(),
            });
            held_traps.push(traps);
        }
        Ok(Ports {
            mqtt,
            etcd,
            bridges: of_bridges,
            held,
            held_traps,
        })
    }

    /// Gives them free for those who are to listen there.
    pub(super) fn release(&mut self) {
        self.held.clear();
        self.held_traps.clear();
    }

    /// Where the bridges take traps.
    pub(super) fn receivers(&self) -> Vec<SocketAddr> {
        let bridges = self.bridges.iter();
        let address = |ports: &BridgePorts| SocketAddr::from((Ipv4Addr::LOCALHOST, ports.traps));
        bridges.map(address).collect()
    }

    /// The bridges, by their ids.
    pub(super) fn bridges(&self) -> impl Iterator<Item = (String, BridgePorts)> {
        let numbered = self.bridges.iter().zip(1..);
        numbered.map(|(ports, number)| (format!("b{number}"), *ports))
    }

    /// The configuration that a user would write for that bridge, as a file.
    pub(super) fn bridge_config(
        &self,
        id: &str,
        BridgePorts { http, traps }: BridgePorts,
        fleet: &Fleet,
        state: &Path,
    ) -> anyhow::Result<String> {
        let (mqtt, [etcd, _]) = (self.mqtt, self.etcd);
        let mut values = table(&format!(
            "[bridge]\nid = \"{id}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{mqtt}\"\n\
             [cluster]\nname = \"demo\"\nendpoints = [\"http://127.0.0.1:{etcd}\"]\nttl = \"3s\"\nurl = \"http://127.0.0.1:{http}/\"\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\ntoken = \"{TOKEN}\"\n\
             [snmp]\ntraps.listen = \"127.0.0.1:{traps}\"\ncommunities = [\"{COMMUNITY}\"]\n\n{}",
            fleet.bridge_config(POLL)
        ))?;
        let directory = state.join(id).display().to_string();
        let state = toml::Table::from_iter([("directory".to_owned(), directory.into())]);
        values.insert("state".to_owned(), state.into());
        toml::to_string(&values).context(OWN_CONFIG)
    }

    /// How the story finds the broker.
    pub(super) fn reader(&self) -> anyhow::Result<Mqtt> {
        let text = format!(
            "[bridge]\nid = \"story\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n[[devices]]\nid = \"none\"\nurl = \"http://127.0.0.1\"\n\
             username = \"none\"\npassword = \"none\"\n",
            self.mqtt
        );
        let values = toml::from_str(&text).context(OWN_CONFIG)?;
        Ok(config::from_table(OWN_CONFIG, values)?.config.mqtt)
    }
}
