//! `run`: the bridge, with the signals that stop and reload it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::{Failure, LogOptions, block_on, check_config, log_warnings, systemd};
use crate::app::{Bridge, Setup};
use crate::logging::Logging;
use crate::open_files;
use crate::records::store::options::History;
use crate::records::store::{Options, Store};

/// What comes within it is the same request: a terminal sends Ctrl-C to all that runs in it, and a wrapper
/// (timeout, npm, docker) passes its own on. Nobody reads what has happened and presses again so fast.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

pub(super) fn run(file: &Path, log: &LogOptions) -> Result<(), Failure> {
    let loaded = check_config(file)?;
    let logging = log.start(&loaded.config.log)?;
    log_warnings(&loaded);
    let config = loaded.config;
    // They have the files' text, and that may have passwords in it.
    drop(loaded.settings);
    open_files::plan_for(config.devices.len());
    block_on(async {
        let mut signals = Signals::new()?;
        let options = Options {
            keep: config.dead_letter.keep,
            history: History {
                keep: config.history.keep,
                max_entries: config.history.max_entries,
                by_id: config.cluster.is_some(),
            },
            ..Options::new(config.bridge.id.clone())
        };
        let store =
            Store::open(&config.state.directory, options).context("the durable store cannot be used")?;
        let (version, devices) = (env!("CARGO_PKG_VERSION"), config.devices.len());
        let setup = Setup {
            store,
            sink: None,
            has_socket: true,
        };
        // It may wait for the broker.
        let bridge = tokio::select! {
            bridge = Bridge::start(config, setup) => bridge?,
            () = signals.stop() => {
                systemd::stopping().await;
                tracing::info!("stopped before it has started");
                return Ok(());
            }
        };
        let http = bridge.http_address().map(tracing::field::display);
        systemd::ready(devices).await;
        tracing::info!(version, config = %file.display(), devices, http, "running");
        serve(bridge, logging, file, &mut signals).await
    })
}

async fn serve(
    mut bridge: Bridge,
    mut logging: Logging,
    file: &Path,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let mut live = std::pin::pin!(systemd::live());
    let result = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break Ok(()),
            _ = signals.interrupt.recv() => break Ok(()),
            _ = signals.reload.recv() => {
                systemd::reloading().await;
                reload(&mut bridge, &mut logging, file).await;
                systemd::ready(bridge.devices()).await;
            }
            never = &mut live => match never {},
            error = bridge.failed() => break Err(error),
        }
    };
    systemd::stopping().await;
    tracing::info!("stopping");
    tokio::select! {
        stopped = bridge.stop() => result.and(stopped),
        () = signals.stop_again() => Err(anyhow!("stopped at once by a second signal")),
    }
}

async fn reload(bridge: &mut Bridge, logging: &mut Logging, file: &Path) {
    match check_config(file) {
        Ok(loaded) => {
            logging.reload(&loaded.config.log);
            log_warnings(&loaded);
            let devices = loaded.config.devices.len();
            open_files::plan_for(devices);
            bridge.reload(loaded.config).await;
            tracing::info!(devices, "reloaded");
        }
        // Nothing has changed: the bridge goes on as it was.
        Err(error) => tracing::error!("reload refused, the running configuration stays in force: {error}"),
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

    /// Waits for another SIGTERM or SIGINT, from [`SAME_SIGNAL`] on.
    pub(super) async fn stop_again(&mut self) {
        again(async || self.stop().await).await;
    }
}

/// Waits for `next` until it comes [`SAME_SIGNAL`] from now or later.
async fn again(mut next: impl AsyncFnMut()) {
    let begin = Instant::now();
    while begin.elapsed() < SAME_SIGNAL {
        next().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_signal_that_a_wrapper_repeats_is_the_same_one() {
        let (begin, mut signals) = (Instant::now(), 0);
        let next = async || {
            signals += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        again(next).await;
        assert_eq!((signals, begin.elapsed()), (3, Duration::from_millis(600)));
    }
}
