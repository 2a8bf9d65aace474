//! What the bridges of a cluster need beside them: an etcd and a mosquitto, which are found where they are installed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::processes::{Directory, Process};

/// Where Debian has servers; a user's PATH may lack that.
const SERVERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// How long one may take until it accepts connections.
const START_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    etcd: PathBuf,
    mosquitto: PathBuf,
}

impl Programs {
    /// Finds both.
    pub(super) fn find() -> anyhow::Result<Programs> {
        match (find("etcd"), find("mosquitto")) {
            (Some(etcd), Some(mosquitto)) => Ok(Programs { etcd, mosquitto }),
            (etcd, mosquitto) => {
                let missing = [("etcd", etcd), ("mosquitto", mosquitto)];
                let missing = missing.iter().filter(|(_, found)| found.is_none());
                let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
                Err(anyhow!(
                    "not found in PATH: {}; several bridges need etcd and mosquitto: install both (Debian: apt-get install \
                     etcd-server mosquitto), or leave out --bridges, and one bridge needs neither",
                    missing.join(", ")
                ))
            }
        }
    }

    /// Starts the broker; everybody on this machine may use it.
    pub(super) async fn start_mosquitto(&self, port: u16, directory: &Directory) -> anyhow::Result<Process> {
        // As root it would change to a user that cannot read the directory.
        let text = format!(
            "user root\nlog_dest stderr\npersistence false\nallow_anonymous true\nlistener {port} 127.0.0.1\n"
        );
        let file = directory.write("mosquitto.conf", &text)?;
        let mut command = Command::new(&self.mosquitto);
        command.arg("-c").arg(file);
        ready(Process::start("mosquitto", command, directory)?, port).await
    }

    /// Starts one node of etcd, with that port for clients and that for other nodes.
    pub(super) async fn start_etcd(
        &self,
        port: u16,
        for_nodes: u16,
        directory: &Directory,
    ) -> anyhow::Result<Process> {
        let [clients, nodes] = [port, for_nodes].map(|port| format!("http://127.0.0.1:{port}"));
        let mut command = Command::new(&self.etcd);
        command
            .args([
                "--listen-client-urls",
                &clients,
                "--advertise-client-urls",
                &clients,
            ])
            .args([
                "--listen-peer-urls",
                &nodes,
                "--initial-advertise-peer-urls",
                &nodes,
            ])
            .args(["--initial-cluster", &format!("default={nodes}")])
            .args(["--logger", "zap", "--log-outputs", "stderr"])
            .arg("--data-dir")
            .arg(directory.path().join("etcd"));
        ready(Process::start("etcd", command, directory)?, port).await
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SERVERS.map(PathBuf::from));
    let mut found = directories.map(|directory| directory.join(name));
    found.find(|path| path.is_file())
}

/// Waits until it accepts connections.
async fn ready(mut process: Process, port: u16) -> anyhow::Result<Process> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + START_WITHIN;
    while TcpStream::connect(address).await.is_err() {
        if let Some(error) = process.ended() {
            return Err(error);
        }
        if Instant::now() > deadline {
            bail!("nothing listens on {address} after {} s", START_WITHIN.as_secs());
        }
        sleep(PAUSE).await;
    }
    Ok(process)
}
