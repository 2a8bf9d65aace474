//! What runs beside the devices: etcd, the broker, the bridges.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tokio::process::Command;

use super::configuration::Ports;
use super::processes::{Directory, Process};
use super::servers::Programs;
use super::take_overs::Action;
use crate::simulator::Fleet;

/// What the variables begin with that are not meant for the bridges of a demo.
const NOT_INHERITED: [&str; 3] = ["LANTIME2MQTT_", "NOTIFY_SOCKET", "WATCHDOG_"];

#[derive(Debug)]
pub(super) struct Scene {
    servers: Vec<Process>,
    /// Those that are to run.
    bridges: BTreeMap<String, Process>,
    /// Last, since the others use it.
    directory: Directory,
}

impl Scene {
    /// Nothing runs yet.
    pub(super) fn new() -> anyhow::Result<Scene> {
        Ok(Scene {
            servers: Vec::new(),
            bridges: BTreeMap::new(),
            directory: Directory::new()?,
        })
    }

    /// Where the logs are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts all of them.
    pub(super) async fn start(
        &mut self,
        programs: &Programs,
        ports: &mut Ports,
        fleet: &Fleet,
    ) -> anyhow::Result<()> {
        ports.release();
        let [clients, nodes] = ports.etcd;
        let directory = &self.directory;
        self.servers
            .push(programs.start_mosquitto(ports.mqtt, directory).await?);
        self.servers
            .push(programs.start_etcd(clients, nodes, directory).await?);
        for (id, of_bridge) in ports.bridges() {
            let text = ports.bridge_config(&id, of_bridge, fleet, self.directory.path())?;
            self.directory.write(&file(&id), &text)?;
            self.start_bridge(id)?;
        }
        Ok(())
    }

    fn start_bridge(&mut self, id: String) -> anyhow::Result<()> {
        let mut command = Command::new(own_program()?);
        command
            .arg("run")
            .arg("--config")
            .arg(self.directory.path().join(file(&id)));
        let variables = std::env::vars_os().map(|(name, _)| name);
        for name in variables.filter(is_not_inherited) {
            command.env_remove(name);
        }
        let bridge = Process::start(&id, command, &self.directory)?;
        self.bridges.insert(id, bridge);
        Ok(())
    }

    /// Does that.
    pub(super) async fn act(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Kill(id) => {
                if let Some(mut bridge) = self.bridges.remove(&id) {
                    bridge.kill().await;
                }
                Ok(())
            }
            Action::Start(id) => self.start_bridge(id),
        }
    }

    /// Why one has ended that is to run.
    pub(super) fn ended(&mut self) -> Option<anyhow::Error> {
        let mut all = self.bridges.values_mut().chain(&mut self.servers);
        all.find_map(Process::ended)
    }

    /// Ends all of them, the bridges first.
    pub(super) async fn stop(&mut self) {
        let mut stopping = tokio::task::JoinSet::new();
        for (_, mut bridge) in std::mem::take(&mut self.bridges) {
            stopping.spawn(async move { bridge.stop().await });
        }
        while stopping.join_next().await.is_some() {}
        for server in self.servers.iter_mut().rev() {
            server.stop().await;
        }
    }

    /// Kills those that still run.
    pub(super) async fn kill(&mut self) {
        for process in self.bridges.values_mut().chain(&mut self.servers) {
            process.kill().await;
        }
    }
}

fn file(id: &str) -> String {
    format!("{id}.toml")
}

/// The program that runs here.
fn own_program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("the program that runs here is not found")?;
    match path.exists() {
        true => Ok(path),
        false => Err(anyhow!(
            "{} is not there any more: start the demo again",
            path.display()
        )),
    }
}

fn is_not_inherited(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    NOT_INHERITED.iter().any(|prefix| name.starts_with(prefix))
}
