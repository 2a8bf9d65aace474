//! `run`: the bridge, with the signals that stop and reload it.

use std::path::Path;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, block_on, load_config};
use crate::app::Bridge;
use crate::records::store::{Options, Store};

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let config = load_config(file)?.config;
    block_on(async {
        let mut signals = Signals::new()?;
        let options = Options {
            keep: config.dead_letter.keep,
            ..Options::new(config.bridge.id.clone())
        };
        let store =
            Store::open(&config.state.directory, options).context("the durable store cannot be used")?;
        let (version, devices) = (env!("CARGO_PKG_VERSION"), config.devices.len());
        let bridge = Bridge::start(config, store, None).await?;
        let http = bridge.http_address().map(tracing::field::display);
        tracing::info!(version, config = %file.display(), devices, http, "running");
        serve(bridge, file, &mut signals).await
    })
}

async fn serve(mut bridge: Bridge, file: &Path, signals: &mut Signals) -> anyhow::Result<()> {
    let result = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break Ok(()),
            _ = signals.interrupt.recv() => break Ok(()),
            _ = signals.reload.recv() => match load_config(file) {
                Ok(loaded) => {
                    let devices = loaded.config.devices.len();
                    bridge.reload(loaded.config).await;
                    tracing::info!(devices, "reloaded");
                }
                // Nothing has changed: the bridge goes on as it was.
                Err(error) => tracing::error!("reload refused, the running configuration stays in force: {error}"),
            },
            error = bridge.failed() => break Err(error),
        }
    };
    tracing::info!("stopping");
    tokio::select! {
        stopped = bridge.stop() => result.and(stopped),
        () = signals.stop() => Err(anyhow!("stopped at once by a second signal")),
    }
}

/// The signals of a service. From when it is made they end nothing by themselves.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            reload: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
