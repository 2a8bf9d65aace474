//! Notifies systemd of the state of the service (sd_notify(3)). Where nobody listens, nothing happens.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use sd_notify::{NotifyState, notify};
use tokio::time::MissedTickBehavior;

/// How long a notification may take: a systemd that does not read must not hold the bridge up.
const PATIENCE: Duration = Duration::from_secs(1);

/// The bridge has started, or has ended a reload.
pub(super) async fn ready(devices: usize) {
    let status = format!("{devices} devices configured");
    send(move || notify(&[NotifyState::Ready, NotifyState::Status(&status)])).await;
}

/// A reload begins; [`ready`] ends it, whatever came of it.
pub(super) async fn reloading() {
    // systemd compares the time with when it has asked.
    send(|| notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?])).await;
}

/// The bridge is stopping.
pub(super) async fn stopping() {
    send(|| notify(&[NotifyState::Stopping])).await;
}

/// Notifies systemd, as often as it wants, that the bridge lives. To be run on the thread that does everything: when that
/// hangs, systemd gets no notification, and restarts the bridge.
pub(super) async fn live() -> Infallible {
    let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    let mut half = tokio::time::interval(limit / 2);
    half.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        half.tick().await;
        send(|| notify(&[NotifyState::Watchdog])).await;
    }
}

/// On another thread, since it waits while the socket is full.
async fn send(notify: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let sent = tokio::task::spawn_blocking(notify);
    if let Ok(Ok(Err(error))) = tokio::time::timeout(PATIENCE, sent).await {
        tracing::warn!("systemd cannot be notified: {error}");
    }
}
