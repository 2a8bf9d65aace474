//! Simulated devices, served by one thread whose CPU time is theirs alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lantime2mqtt::simulator::{Fleet, FleetOptions};
use tokio::sync::oneshot;

/// A fleet that is served; it ends on drop.
pub(crate) struct Devices {
    pub(crate) fleet: Fleet,
    /// The thread, for `/proc`.
    pub(crate) thread: String,
    runtime: Option<std::thread::JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Devices {
    pub(crate) fn start(options: FleetOptions) -> anyhow::Result<Devices> {
        let (started, fleet) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let serve = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let runtime = std::thread::spawn(move || {
            serve.block_on(async {
                let thread = std::fs::read_link("/proc/thread-self");
                let _ = started.send((Fleet::start(options).await, thread));
                let _ = stopped.await;
            });
        });
        let (fleet, thread) = fleet.recv()?;
        Ok(Devices {
            fleet: fleet?,
            thread: thread?.display().to_string(),
            runtime: Some(runtime),
            stop: Some(stop),
        })
    }

    /// Writes the configuration of a bridge that polls them once a second, and gives messages to a broker at that
    /// port.
    pub(crate) fn config(&self, directory: &Path, port: u16) -> anyhow::Result<PathBuf> {
        let mut text = format!(
            "[bridge]\nid = \"load\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n[http]\nlisten = \"off\"\n[state]\ndirectory = {:?}\n",
            directory.join("state")
        );
        text.push_str(&self.fleet.bridge_config(Duration::from_secs(1)));
        let file = directory.join("bridge.toml");
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.runtime.take().map(std::thread::JoinHandle::join);
    }
}
